//! Objects with typical damage: keys of every kind, truncated, encoded twice, with wrong lines around them, several in one
//! object, next to certificates, in every order. Each object knows which of its parts are secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls_pki_types::pem::PemObject as _;

use crate::secret_search::SecretRuns;

/// A certificate and keys, and which of their parts are secret.
pub struct TestKeys {
    pub certificate: String,
    certificate_der: Vec<u8>,
    pub key: String,
    keys: Vec<Sort>,
    public_der: Vec<Vec<u8>>,
}

/// A key in one of the forms in which people store keys.
struct Sort {
    text: String,
    der: Vec<u8>,
}

impl TestKeys {
    pub fn new(host: &str) -> Self {
        let [key, other] = std::array::from_fn(|_| KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap();
        let (own, foreign) = (key.serialized_der().to_vec(), other.serialized_der().to_vec());
        let noise = |seed: u8, length: usize| -> Vec<u8> {
            let mut state = u32::from(seed) + 1;
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .take(length)
            .collect()
        };
        let pbes2 = [&[0x30, 0x82, 2, 0, 0x30, 0x57, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 0x0d][..], &noise(1, 500)].concat();
        let rsa = [&[0x30, 0x82, 2, 7, 2, 1, 0, 2, 0x82, 1, 1][..], &noise(2, 508)].concat();
        let ssh = [&b"openssh-key-v1\0"[..], &noise(3, 300)].concat();
        let sort = |label: &str, der: &[u8]| Sort { text: swarmgate::types::pem(label, der), der: der.to_vec() };
        // SEC 1 is the last part of PKCS#8, plus the curve between the key and its public half.
        let inner = &own[own.len() - 107..];
        let sec1 = [&[0x30, 0x77], &inner[..37], &[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], &inner[37..]].concat();
        let encrypted = sort("RSA PRIVATE KEY", &noise(4, 400));
        let old = encrypted.text.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233\n\n", 1);
        let parameters = swarmgate::types::pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
        let with_parameters = Sort { text: parameters + &sort("EC PRIVATE KEY", &sec1).text, der: sec1.clone() };
        let keys = vec![
            sort("PRIVATE KEY", &own),
            sort("EC PRIVATE KEY", &sec1),
            with_parameters,
            sort("PRIVATE KEY", &foreign),
            sort("RSA PRIVATE KEY", &rsa),
            sort("ENCRYPTED PRIVATE KEY", &pbes2),
            Sort { text: old, der: encrypted.der },
            sort("OPENSSH PRIVATE KEY", &ssh),
            sort("CERTIFICATE", &own),
            sort("TRUSTED CERTIFICATE", &rsa),
            sort("X509 CERTIFICATE", &pbes2),
            sort("FOO", &own),
        ];
        let public_der = [&key, &other].map(KeyPair::subject_public_key_info).into();
        Self { certificate: certificate.pem(), certificate_der: certificate.der().to_vec(), key: key.serialize_pem(), keys, public_der }
    }

    /// The keys, which must not appear anywhere.
    pub fn keys(&self) -> SecretRuns {
        let texts = self.keys.iter().flat_map(|key| lines(key.text.as_bytes()));
        self.secret(&texts.chain(self.keys.iter().map(|key| key.der.as_slice())).collect::<Vec<_>>())
    }

    /// Everything else in these objects that is not in the certificate.
    pub fn stored(&self, objects: &[Vec<u8>]) -> SecretRuns {
        self.secret(&objects.iter().flat_map(|object| lines(object)).collect::<Vec<_>>())
    }

    fn secret(&self, secrets: &[&[u8]]) -> SecretRuns {
        let public = [self.certificate.as_bytes(), &self.certificate_der];
        let borders = borders();
        let public = public.into_iter().chain(self.public_der.iter().map(Vec::as_slice)).chain(borders.iter().map(String::as_bytes));
        let public: Vec<&[u8]> = public.collect();
        SecretRuns::new(secrets, &public)
    }

    /// The text of each kind of key.
    pub fn sorts(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.text.as_str())
    }

    /// Each common mistake with each kind of key.
    pub fn common(&self) -> Vec<Vec<u8>> {
        let with_certificate = |key: &str| [format!("{}{key}", self.certificate), format!("{key}{}", self.certificate)];
        let texts = self.sorts().flat_map(|key| with_certificate(key).into_iter().chain([key.to_owned()]));
        let spoilt = texts.flat_map(|text| Spoil::all().into_iter().map(move |spoil| spoil.applied(text.clone().into_bytes())));
        spoilt.chain(self.keys.iter().map(|key| key.der.clone())).collect()
    }

    /// Arbitrary parts in arbitrary order, damaged in up to three ways.
    pub fn any(&self) -> impl Strategy<Value = Vec<u8>> + use<> {
        let mut parts: Vec<String> = self.sorts().map(str::to_owned).collect();
        parts.extend([self.certificate.clone(), self.certificate.clone(), "some words\n".to_owned(), String::new()]);
        let parts = prop::collection::vec((select(parts), any_spoil()), 1..4);
        (parts, any_spoil()).prop_map(|(parts, spoil)| {
            let parts = parts.into_iter().flat_map(|(part, spoil)| spoil.applied(part.into_bytes())).collect();
            spoil.applied(parts)
        })
    }
}

/// The lines of a text. A leak would show part of a line.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b'\n' | b'\\'))
}

/// The first and last lines of blocks are not secret, because messages about blocks name them.
fn borders() -> Vec<String> {
    let labels = [
        "CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "X509 CERTIFICATE",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "EC PARAMETERS",
    ];
    labels.iter().flat_map(|label| [format!("-----BEGIN {label}-----"), format!("-----END {label}-----"), format!(" {label} ")]).collect()
}

/// One way to damage a text.
#[derive(Debug, Clone)]
pub enum Spoil {
    Not,
    Cut(Index),
    Headless(Index),
    Without(Index, Index),
    Changed(Index, u8),
    Inserted(Index, Vec<u8>),
    InOneLine,
    EscapedLines,
    Spaced,
    CarriageReturns,
    NewLinesOfWindows,
    ByteOrderMark,
    Utf16,
    Base64,
    Hexadecimal,
    Decoded,
    Indented,
    LowerCase,
    LowerCaseLines,
    FourHyphens,
    WithoutFirst,
    WithoutLast,
    OtherLast,
    Twice,
}

impl Spoil {
    /// All ways that need no position.
    fn all() -> Vec<Self> {
        vec![
            Self::Not,
            Self::InOneLine,
            Self::EscapedLines,
            Self::Spaced,
            Self::CarriageReturns,
            Self::NewLinesOfWindows,
            Self::ByteOrderMark,
            Self::Utf16,
            Self::Base64,
            Self::Hexadecimal,
            Self::Decoded,
            Self::Indented,
            Self::LowerCase,
            Self::LowerCaseLines,
            Self::FourHyphens,
            Self::WithoutFirst,
            Self::WithoutLast,
            Self::OtherLast,
            Self::Twice,
        ]
    }

    pub fn applied(&self, mut content: Vec<u8>) -> Vec<u8> {
        let text = String::from_utf8_lossy(&content).into_owned();
        let replaced = |from: &str, to: &str| text.replace(from, to).into_bytes();
        match self {
            Self::Not => content,
            Self::Cut(at) => content[..at.index(content.len() + 1)].to_vec(),
            Self::Headless(at) => content[at.index(content.len() + 1)..].to_vec(),
            Self::Without(from, many) => {
                let from = from.index(content.len() + 1);
                let until = from + many.index(content.len() - from + 1);
                content.drain(from..until);
                content
            }
            Self::Changed(at, byte) => {
                if !content.is_empty() {
                    let at = at.index(content.len());
                    content[at] = *byte;
                }
                content
            }
            Self::Inserted(at, bytes) => {
                let at = at.index(content.len() + 1);
                content.splice(at..at, bytes.iter().copied());
                content
            }
            Self::InOneLine => replaced("\n", ""),
            Self::EscapedLines => replaced("\n", "\\n"),
            Self::Spaced => replaced("\n", " "),
            Self::CarriageReturns => replaced("\n", "\r"),
            Self::NewLinesOfWindows => replaced("\n", "\r\n"),
            Self::ByteOrderMark => [b"\xef\xbb\xbf".as_slice(), &content].concat(),
            Self::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Base64 => STANDARD.encode(content).into_bytes(),
            Self::Hexadecimal => hex::encode(content).into_bytes(),
            Self::Decoded => decoded(&content),
            Self::Indented => replaced("\n", "\n  "),
            Self::LowerCase => text.to_lowercase().into_bytes(),
            Self::LowerCaseLines => replaced("PRIVATE KEY", "private key"),
            Self::FourHyphens => replaced("-----", "----"),
            Self::WithoutFirst => text.split_inclusive('\n').skip(1).collect::<String>().into_bytes(),
            Self::WithoutLast => replaced("-----END PRIVATE KEY-----\n", ""),
            Self::OtherLast => replaced("-----END PRIVATE", "-----END RSA PRIVATE"),
            Self::Twice => [content.as_slice(), &content].concat(),
        }
    }
}

/// The first block in binary form, if one can be decoded.
fn decoded(content: &[u8]) -> Vec<u8> {
    use rustls_pki_types::pem::SectionKind;
    <(SectionKind, Vec<u8>)>::from_pem_slice(content).map_or_else(|_| content.to_vec(), |(_, der)| der)
}

fn any_spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<Index>;
    prop_oneof![
        4 => select(Spoil::all()),
        1 => index().prop_map(Spoil::Cut),
        1 => index().prop_map(Spoil::Headless),
        1 => (index(), index()).prop_map(|(from, many)| Spoil::Without(from, many)),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Spoil::Changed(at, byte)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Spoil::Inserted(at, bytes)),
    ]
}
