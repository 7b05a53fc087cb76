//! The notation of the catalogue's remedies, and what it becomes: a type for each code, with its cases and exactly the data
//! that its sentences name. A sentence that names data which its case does not have does not compile, and neither does a case
//! with data that its sentence leaves out.

/// Rows of the catalogue:
///
/// - `CODE => "SENTENCE";`
/// - `CODE<'a> { name, name } => "SENTENCE with {name} and {name}";`
/// - `CODE<'a> { CASE { name } = SEVERITY => "SENTENCE with {name}"; ... }`, where each case is documented by when it applies;
///   `<'a>` and `{ name }` only if there is data, and the severity only if it is not the usual one of the code.
macro_rules! remedies {
    () => {};
    (@severity $code:ident) => { crate::report::FindingCode::$code.severity() };
    (@severity $code:ident $severity:ident) => { crate::report::Severity::$severity };
    (@impl $code:ident, $type:ty, $({ $case:pat, [$($name:ident)*], $when:expr, [$($severity:ident)?], $text:literal })+) => {
        #[deny(unused_variables)]
        impl From<$type> for crate::report::FindingCase {
            fn from(case: $type) -> Self {
                let (severity, remedy) = match case {
                    $($case => (remedies!(@severity $code $($severity)?), format!($text)),)+
                };
                Self { severity, code: crate::report::FindingCode::$code, remedy }
            }
        }

        impl $type {
            /// Every remedy of the code, for the documentation.
            pub(super) fn remedies() -> Vec<crate::report::CatalogRemedy> {
                vec![$({
                    $(let $name = stringify!($name).to_uppercase();)*
                    let severity = remedies!(@severity $code $($severity)?);
                    crate::report::CatalogRemedy { when: $when, severity, text: format!($text) }
                }),+]
            }
        }
    };
    ($code:ident => $text:literal; $($rest:tt)*) => {
        #[doc = concat!("The only case of the finding `", stringify!($code), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $code;

        remedies!(@impl $code, $code, { $code, [], None, [], $text });
        remedies! { $($rest)* }
    };
    ($code:ident<$life:lifetime> { $($name:ident),+ } => $text:literal; $($rest:tt)*) => {
        #[doc = concat!("The only case of the finding `", stringify!($code), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $code<$life> {
            $(#[doc = "Data of the remedy."] pub $name: &$life str,)+
        }

        remedies!(@impl $code, $code<'_>, { $code { $($name),+ }, [$($name)+], None, [], $text });
        remedies! { $($rest)* }
    };
    ($code:ident { $($(#[doc = $when:literal])+ $case:ident $(= $severity:ident)? => $text:literal;)+ } $($rest:tt)*) => {
        #[doc = concat!("The cases of the finding `", stringify!($code), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $code {
            $($(#[doc = $when])+ $case,)+
        }

        remedies!(@impl $code, $code, $({
            $code::$case, [], Some(concat!($($when),+).trim_ascii()), [$($severity)?], $text
        })+);
        remedies! { $($rest)* }
    };
    ($code:ident<$life:lifetime> {
        $($(#[doc = $when:literal])+ $case:ident $({ $($name:ident),+ })? $(= $severity:ident)? => $text:literal;)+
    } $($rest:tt)*) => {
        #[doc = concat!("The cases of the finding `", stringify!($code), "`.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $code<$life> {
            $($(#[doc = $when])+ $case $({ $(#[doc = "Data of the remedy."] $name: &$life str),+ })?,)+
        }

        remedies!(@impl $code, $code<'_>, $({
            $code::$case $({ $($name),+ })?, [$($($name)+)?], Some(concat!($($when),+).trim_ascii()), [$($severity)?], $text
        })+);
        remedies! { $($rest)* }
    };
}
