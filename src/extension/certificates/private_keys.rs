//! Private keys: which key in an object the engine would use, of what kind it is, and whether some content looks like a key. Keys
//! are only passed on as text: no error and no `Debug` output contains any part of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::crypto::ring;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};

use super::MaterialFault;
use super::common_mistakes::missing_block_reason;
use super::pem_blocks::{PemBlock, PemDamage, PemLabel, blocks, contains};
use crate::protocol::messages::MaterialState;
use crate::types::pem;

/// The key that the engine would use. No `Debug`: it holds the key.
pub(super) struct PrivateKey {
    /// The key alone, written anew.
    pub(super) text: String,
    /// The public half; `None` for a kind that this project does not know, although the engine may.
    pub(super) public: Option<Vec<u8>>,
    pub(super) algorithm: Algorithm,
    /// Other keys follow it.
    pub(super) has_others: bool,
}

/// The kind of certificate that a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa,
    Ec,
    Other,
}

impl Algorithm {
    /// From the bytes of an object identifier.
    pub(super) fn from_oid(oid: &[u8]) -> Self {
        match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Self::Rsa,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => Self::Ec,
            _ => Self::Other,
        }
    }
}

/// The first valid key in the text; the engine skips what it cannot read.
pub(super) fn private_key(content: &[u8]) -> Result<PrivateKey, MaterialFault> {
    let (mut fault, mut seen) = (None, 0);
    let mut all =
        blocks(content).inspect(|_| seen += 1).filter(|block| block.label.is_key() || matches!(block.content, Err(PemDamage::Joined)));
    while let Some(PemBlock { label, content }) = all.next() {
        let here = match (label, content) {
            (PemLabel::Key(_), Err(PemDamage::Encrypted)) => return Err(no_key(ENCRYPTED)),
            (PemLabel::Key(_), Err(PemDamage::Header)) => return Err(no_key(PemDamage::Header.message(label))),
            (PemLabel::Key(text), Ok(der)) => match known(text, &der) {
                Some(algorithm) => return Ok(PrivateKey { has_others: all.next().is_some(), ..PrivateKey::of(text, &der, algorithm) }),
                None => format!("the content of its block {text} is not a key of that kind"),
            },
            // Under that label the engine also reads a key that is not encrypted.
            (PemLabel::EncryptedKey, Ok(der)) => match known(PKCS8, &der) {
                Some(algorithm) => return Ok(PrivateKey { has_others: all.next().is_some(), ..PrivateKey::of(PKCS8, &der, algorithm) }),
                None => return Err(no_key(ENCRYPTED)),
            },
            (label, Err(damage)) => damage.message(label),
            (_, Ok(_)) => FOREIGN.to_owned(),
        };
        fault = fault.or_else(|| Some(no_key(here)));
    }
    drop(all);
    let spoilt = if seen == 0 { missing_block_reason(content) } else { None };
    Err(fault.unwrap_or_else(|| no_key(spoilt.unwrap_or("it contains no private key"))))
}

const ENCRYPTED: &str = "the key is encrypted, and proxies cannot enter its passphrase; store it without one (openssl pkey -in KEY)";
const FOREIGN: &str = "it is a key in another program's format; convert it to PEM (ssh-keygen -p -m PEM -f COPY-OF-KEY)";

fn no_key(words: impl Into<String>) -> MaterialFault {
    MaterialFault::new(MaterialState::NotAKey, words)
}

impl PrivateKey {
    fn of(label: &str, der: &[u8], algorithm: Algorithm) -> Self {
        Self { text: pem(label, der), public: public_key(label, der), algorithm, has_others: false }
    }
}

/// The kind of key in a block, if its structure matches its label.
fn known(label: &str, der: &[u8]) -> Option<Algorithm> {
    let (SEQUENCE, key, _) = tlv(der)? else { return None };
    let (INTEGER, version, key) = tlv(key)? else { return None };
    let (tag, first, rest) = tlv(key)?;
    match (version, tag) {
        ([0 | 1], SEQUENCE) if label != "DSA PRIVATE KEY" => {
            let (_, oid, _) = tlv(first)?;
            let algorithm = Algorithm::from_oid(oid);
            let fits = match label {
                "RSA PRIVATE KEY" => algorithm == Algorithm::Rsa,
                "EC PRIVATE KEY" => algorithm == Algorithm::Ec,
                _ => true,
            };
            fits.then_some(algorithm)
        }
        ([0], INTEGER) if label == "RSA PRIVATE KEY" => Some(Algorithm::Rsa),
        ([0], INTEGER) if label == "DSA PRIVATE KEY" => Some(Algorithm::Other),
        // It must name its curve.
        ([1], OCTET_STRING) if label == "EC PRIVATE KEY" => tlv(rest).is_some_and(|(tag, ..)| tag == CURVE).then_some(Algorithm::Ec),
        _ => None,
    }
}

const PKCS8: &str = "PRIVATE KEY";
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const CURVE: u8 = 0xa0;

/// Tag, value and rest.
fn tlv(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = length(der.get(1..)?)?;
    Some((*der.first()?, rest.get(..length)?, rest.get(length..)?))
}

fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    match *der.first()? {
        short @ 0..=0x7f => Some((usize::from(short), &der[1..])),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = der[1..].split_at_checked(usize::from(long & 0x7f))?;
            Some((bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest))
        }
        _ => None,
    }
}

fn public_key(label: &str, der: &[u8]) -> Option<Vec<u8>> {
    let is_pkcs8 = tlv(der).and_then(|(_, key, _)| tlv(tlv(key)?.2)).is_some_and(|(tag, ..)| tag == SEQUENCE);
    let key = match label {
        _ if is_pkcs8 => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.to_vec())),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.to_vec())),
        _ => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.to_vec())),
    };
    let signing = ring::default_provider().key_provider.load_private_key(key).ok()?;
    let info = signing.public_key()?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&info).ok()?;
    Some(info.subject_public_key.data.to_vec())
}

/// Whether it contains anything like a private key, in whatever form: with damaged or wrong first and last lines, in one line,
/// binary, in UTF-16, encoded twice, encrypted, or in another program's format. A damaged key without its beginning cannot be
/// recognized, but no part of it is ever passed on either.
pub(super) fn looks_like_a_key(content: &[u8]) -> bool {
    if begins_as_key(content) || contains(content, OPENSSH) || blocks(content).any(|block| block.label.is_key()) {
        return true;
    }
    let text = plain(content);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).any(names_a_key) || words(&text).any(|word| is_start_of_key(&word))
}

const OPENSSH: &[u8] = b"openssh-key-v1\0";
/// How many characters are enough to recognize a key.
const WORD_CHARS: usize = 48;

/// Without the zeros of UTF-16, and with escaped line breaks replaced by real ones.
fn plain(content: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = content.iter().copied().filter(|byte| *byte != 0).collect();
    for at in 1..text.len() {
        if text[at - 1] == b'\\' && matches!(text[at], b'n' | b'r' | b't') {
            (text[at - 1], text[at]) = (b'\n', b'\n');
        }
    }
    text
}

/// Whether this is the first or last line of a key's block, whole or damaged, and not a sentence about keys.
fn names_a_key(line: &[u8]) -> bool {
    let letters: Vec<u8> = line.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_uppercase).collect();
    // Word processors turn two hyphens into one dash of three bytes.
    let marks: Vec<u8> = line
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| if *byte < 0x80 { byte.to_ascii_uppercase() } else { b'-' })
        .collect();
    let is_border = [b"BEGIN".as_slice(), b"END", b"-"].iter().any(|start| marks.starts_with(start))
        || contains(&marks, b"-BEGIN")
        || contains(&marks, b"-END");
    (is_border && contains(&letters, b"PRIVATEKEY")) || letters.starts_with(b"PRIVATELINES")
}

/// The start of everything that may be base64: each run of its characters, across line breaks.
fn words(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let starts = (0..text.len()).filter(move |at| is_char(&text[*at]) && (*at == 0 || !is_char(&text[*at - 1])));
    starts.map(move |at| {
        let run = text[at..].iter().filter(|byte| !byte.is_ascii_whitespace()).take_while(|byte| is_char(byte));
        run.take(WORD_CHARS).copied().collect()
    })
}

fn is_start_of_key(word: &[u8]) -> bool {
    let whole = &word[..word.len() / 4 * 4];
    let Ok(bytes) = STANDARD_NO_PAD.decode(whole) else { return false };
    begins_as_key(&bytes) || bytes.starts_with(OPENSSH) || (bytes.starts_with(b"-----BEGIN") && contains(&bytes, b"PRIVATE KEY"))
}

/// Whether these are the first bytes of a key: PKCS#8, encrypted or not, PKCS#1, SEC 1, or a PKCS#12 file.
fn begins_as_key(der: &[u8]) -> bool {
    let Some((_, body)) = der.strip_prefix(&[SEQUENCE]).and_then(length) else { return false };
    let by_passphrase = |body: &[u8]| contains(&body[..body.len().min(20)], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d]);
    match body {
        [INTEGER, 1, 0 | 1, SEQUENCE | INTEGER | OCTET_STRING, ..] | [INTEGER, 1, 3, SEQUENCE, ..] => true,
        [SEQUENCE, ..] => by_passphrase(body),
        _ => false,
    }
}
