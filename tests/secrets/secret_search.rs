//! Finds a secret in a text in any form: raw, in base64 at any alignment and across line breaks, in hexadecimal, or as numbers.
//! Shared with the fuzz target.

use std::collections::HashSet;

/// The number of consecutive bytes of a secret that are a leak.
pub const RUN: usize = 16;
/// Runs with fewer distinct bytes than this (padding, ruled lines) prove nothing.
const DIFFERENT_MIN: usize = 6;

/// All runs of some secrets that do not also occur in the public text next to them.
pub struct SecretRuns {
    runs: HashSet<[u8; RUN]>,
    /// One bit for each three bytes that begin a run: this rules out most of the searched text.
    beginnings: Vec<u64>,
}

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    pub form: &'static str,
    /// What was found.
    pub run: String,
}

impl SecretRuns {
    pub fn new(secrets: &[&[u8]], public: &[&[u8]]) -> Self {
        let public: HashSet<[u8; RUN]> = public.iter().flat_map(|text| runs(text)).collect();
        let secrets = secrets.iter().flat_map(|secret| runs(secret));
        let runs: HashSet<_> = secrets.filter(|run| is_telling(run) && !public.contains(run)).collect();
        let mut beginnings = vec![0; 1 << 18];
        for (word, bit) in runs.iter().map(beginning) {
            beginnings[word] |= 1 << bit;
        }
        Self { runs, beginnings }
    }

    fn holds(&self, run: &[u8; RUN]) -> bool {
        let (word, bit) = beginning(run);
        self.beginnings[word] & (1 << bit) != 0 && self.runs.contains(run)
    }

    /// The number of runs to find. With none, every search would succeed.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// The first form in which an output contains a run.
    pub fn find_in(&self, output: &[u8]) -> Option<Leak> {
        let forms = [
            ("raw", vec![output.to_vec()]),
            ("base64", base64(output)),
            ("hexadecimal", hexadecimal(output)),
            ("numbers", numbers(output)),
        ];
        let found = |texts: &[Vec<u8>]| texts.iter().find_map(|text| runs(text).find(|run| self.holds(run)));
        forms.into_iter().find_map(|(form, texts)| Some(Leak { form, run: found(&texts)?.escape_ascii().to_string() }))
    }
}

fn runs(text: &[u8]) -> impl Iterator<Item = [u8; RUN]> {
    text.windows(RUN).filter_map(|run| run.try_into().ok())
}

fn beginning(run: &[u8; RUN]) -> (usize, usize) {
    let number = (usize::from(run[0]) << 16) | (usize::from(run[1]) << 8) | usize::from(run[2]);
    (number / 64, number % 64)
}

fn is_telling(run: &[u8; RUN]) -> bool {
    run.iter().collect::<HashSet<_>>().len() >= DIFFERENT_MIN
}

/// Removes line breaks and white space between characters, whether real or escaped.
fn squeezed(output: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(output.len());
    let mut rest = output;
    while let Some((first, others)) = rest.split_first() {
        rest = match (first, others.first()) {
            (b'\\', Some(b'n' | b'r' | b't')) => &others[1..],
            _ if first.is_ascii_whitespace() => others,
            _ => {
                text.push(*first);
                others
            }
        };
    }
    text
}

/// The decoded base64 in the output, at each alignment.
fn base64(output: &[u8]) -> Vec<Vec<u8>> {
    let digits: Vec<Option<u8>> = squeezed(output).into_iter().map(base64_digit).collect();
    let words = digits.split(Option::is_none).filter(|word| word.len() >= RUN);
    let aligned = words.flat_map(|word| (0..4).map(move |skipped| word[skipped..].iter().flatten().copied().collect::<Vec<u8>>()));
    aligned.map(|digits| digits.chunks_exact(4).flat_map(of_base64).collect()).collect()
}

fn base64_digit(c: u8) -> Option<u8> {
    match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn of_base64(digits: &[u8]) -> [u8; 3] {
    let [_, bytes @ ..] = digits.iter().fold(0, |bits: u32, digit| (bits << 6) | u32::from(*digit)).to_be_bytes();
    bytes
}

/// The decoded hexadecimal in the output, with anything between the digits, at both alignments.
fn hexadecimal(output: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(output).replace("0x", " ").replace("\\u00", " ");
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
    (0..2).map(|skipped| digits.get(skipped..).unwrap_or_default().chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1]).collect()).collect()
}

/// The decimal numbers in the output, as bytes.
fn numbers(output: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(output);
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).map(|number| number.parse::<u8>().ok());
    let numbers: Vec<Option<u8>> = numbers.collect();
    numbers.split(Option::is_none).map(|bytes| bytes.iter().flatten().copied().collect()).collect()
}
