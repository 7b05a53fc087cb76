//! Enumerations that are words on the wire and in reports. Unknown words are preserved: they come from another version or
//! from Swarm, and a reader must neither fail nor mistake them for another word.

/// Defines an enumeration of words: `as_str`, `Display`, conversions from and to text, serde and schema as a plain string.
macro_rules! word_enum {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:expr,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(from = "String", into = "String")]
        #[schemars(with = "String")]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                $(if word == $word {
                    return Self::$variant;
                })+
                Self::Other(word.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $name::Other(word) => word,
                    known => known.as_str().to_owned(),
                }
            }
        }
    };
}
pub(crate) use word_enum;

#[cfg(test)]
mod tests {
    word_enum! {
        /// A weather.
        Weather {
            /// Sun.
            Sunny = "sunny",
            /// Rain.
            VeryWet = "very wet",
        }
    }

    #[test]
    fn every_word_is_preserved() {
        for (word, expected) in [("sunny", Weather::Sunny), ("very wet", Weather::VeryWet), ("hail", Weather::Other("hail".to_owned()))] {
            let read: Weather = serde_json::from_value(word.into()).unwrap();
            assert_eq!(read, expected);
            assert_eq!((read.to_string().as_str(), serde_json::to_value(&read).unwrap()), (word, word.into()));
        }
    }
}
