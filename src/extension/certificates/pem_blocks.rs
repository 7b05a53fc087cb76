//! Finds PEM blocks in stored text by the rules of OpenSSL, the library that the engine uses: a byte order mark before a block, any
//! line ends, any text around blocks, three labels for a certificate. By other rules, reports would be about another certificate
//! than the one that clients get.
//!
//! This does not use the parser of a PEM crate: those follow other rules, and their errors quote the input. No input is ever
//! printed: damage has a kind and no content, and a block has no `Debug`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The longest line after an empty one within a block; a shorter one must be the last.
const LINE_AFTER_HEADER: usize = 64;
/// The unused bits of the last character may have any value, as in the engine.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The content of a block according to its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PemLabel {
    /// `CERTIFICATE` or `X509 CERTIFICATE`.
    Certificate,
    /// `TRUSTED CERTIFICATE`: a certificate followed by data about its use.
    Trusted,
    /// A private key, with a label that the engine accepts.
    Key(&'static str),
    /// `ENCRYPTED PRIVATE KEY`.
    EncryptedKey,
    /// A private key in a form that the engine does not read, such as that of OpenSSH.
    ForeignKey,
    Other,
}

const KEYS: [&str; 4] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"];

impl PemLabel {
    fn of(text: &[u8]) -> Self {
        match text {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => Self::Certificate,
            b"TRUSTED CERTIFICATE" => Self::Trusted,
            b"ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            _ => match KEYS.iter().find(|key| key.as_bytes() == text) {
                Some(key) => Self::Key(key),
                None if contains(text, b"-----") => Self::Other,
                None if text.ends_with(b"PRIVATE KEY") => Self::ForeignKey,
                None => Self::Other,
            },
        }
    }

    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Key(_) | Self::EncryptedKey | Self::ForeignKey)
    }

    /// For messages. The label itself may be any text.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Trusted => "TRUSTED CERTIFICATE",
            Self::Key(label) => label,
            Self::EncryptedKey => "ENCRYPTED PRIVATE KEY",
            Self::ForeignKey => "PRIVATE KEY (in another program's format)",
            Self::Other => "(neither certificate nor key)",
        }
    }
}

/// The kind of damage to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PemDamage {
    /// The whole block is one line.
    Joined,
    /// It has no last line.
    Cut,
    /// It ends with the last line of another block, or with a damaged one.
    WrongEnd,
    /// There are empty or short lines in the middle.
    Lines,
    Base64,
    /// There are header lines before an empty one, as old programs wrote them.
    Header,
    /// There are such header lines, and they say that it is encrypted.
    Encrypted,
}

impl PemDamage {
    /// The engine skips such blocks unless it needs one with this label.
    pub(super) fn is_harmless_elsewhere(self) -> bool {
        matches!(self, Self::Header | Self::Encrypted)
    }

    pub(super) fn message(self, label: PemLabel) -> String {
        let block = label.shown();
        match self {
            Self::Joined => "it is a single line; store it with its line breaks".to_owned(),
            Self::Cut => format!("its block {block} has no -----END ...----- line; the block was cut off, or that line is damaged"),
            Self::WrongEnd => format!("the last line of its block {block} is damaged or belongs to another block"),
            Self::Lines => format!("its block {block} has empty lines, or lines of unequal length, in the middle"),
            Self::Base64 => format!("the text of its block {block} is damaged (not valid base64)"),
            Self::Header => format!("its block {block} begins with header lines that the engine cannot read; store it without them"),
            Self::Encrypted => format!("its block {block} is encrypted, and proxies cannot enter its passphrase"),
        }
    }
}

/// A block and its bytes. No `Debug`: they may be a key.
pub(super) struct PemBlock {
    pub(super) label: PemLabel,
    pub(super) content: Result<Vec<u8>, PemDamage>,
}

/// The blocks of a text in order. Reading continues after a damaged one; the caller decides whether to stop there.
pub(super) fn blocks(content: &[u8]) -> PemBlocks<'_> {
    PemBlocks { rest: content }
}

pub(super) struct PemBlocks<'a> {
    rest: &'a [u8],
}

impl Iterator for PemBlocks<'_> {
    type Item = PemBlock;

    fn next(&mut self) -> Option<PemBlock> {
        self.rest = self.rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(self.rest);
        loop {
            let line = self.line()?;
            if let Some(label) = line.strip_prefix(b"-----BEGIN ").and_then(|rest| rest.strip_suffix(b"-----")) {
                let content = self.content(label);
                // The first and last line are joined, so the text between is not a label.
                let joined = contains(label, b"-----");
                return Some(PemBlock { label: PemLabel::of(label), content: if joined { Err(PemDamage::Joined) } else { content } });
            }
        }
    }
}

impl<'a> PemBlocks<'a> {
    /// The next line without trailing white space. A NUL ends a line early, as in C.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = line.iter().rposition(|byte| (b'!'..0x80).contains(byte)).map_or(0, |last| last + 1);
        Some(&line[..text])
    }

    fn content(&mut self, label: &[u8]) -> Result<Vec<u8>, PemDamage> {
        let mut body = PemBody::default();
        loop {
            let line = self.line().ok_or(PemDamage::Cut)?;
            match line.strip_prefix(b"-----END ") {
                Some(end) if end.strip_suffix(b"-----") == Some(label) => return body.decoded(),
                Some(_) => return Err(PemDamage::WrongEnd),
                None => body.take(line)?,
            }
        }
    }
}

/// The part of a block that a line belongs to.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum PemSection {
    /// A header if an empty line follows, otherwise the text itself.
    #[default]
    Start,
    Header,
    Text,
}

#[derive(Default)]
struct PemBody {
    section: PemSection,
    header: Vec<u8>,
    text: Vec<u8>,
    /// There was a short line, so no other may follow.
    is_full: bool,
}

impl PemBody {
    fn take(&mut self, line: &[u8]) -> Result<(), PemDamage> {
        if self.section == PemSection::Start && line.contains(&b':') {
            self.section = PemSection::Header;
            self.header = std::mem::take(&mut self.text);
        }
        match (line, self.section) {
            ([], PemSection::Text) => return Err(PemDamage::Lines),
            ([], PemSection::Start) => {
                self.header = std::mem::take(&mut self.text);
                self.section = PemSection::Text;
            }
            ([], PemSection::Header) => self.section = PemSection::Text,
            (line, PemSection::Header) => self.header.extend(line),
            (line, PemSection::Start) => self.text.extend(line),
            (line, PemSection::Text) => {
                if self.is_full || line.len() > LINE_AFTER_HEADER {
                    return Err(PemDamage::Lines);
                }
                self.is_full = line.len() < LINE_AFTER_HEADER;
                self.text.extend(line);
            }
        }
        Ok(())
    }

    fn decoded(mut self) -> Result<Vec<u8>, PemDamage> {
        self.text.retain(|byte| !byte.is_ascii_whitespace());
        let bytes = BASE64.decode(&self.text).map_err(|_| PemDamage::Base64)?;
        match self.header.as_slice() {
            [] => Ok(bytes),
            header if header.starts_with(b"Proc-Type:") && contains(header, b"ENCRYPTED") => Err(PemDamage::Encrypted),
            _ => Err(PemDamage::Header),
        }
    }
}

pub(super) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
