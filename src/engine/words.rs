//! Makes what an engine said fit to be shown elsewhere: no paths of this machine, nothing of secret files, never too long.

use std::collections::HashSet;
use std::path::Path;

use crate::types::is_hidden;

/// The most that is kept of an engine's words, in bytes.
const WORDS_MAX: usize = 4096;

/// Takes directories of this machine out of a text, so that `/run/x/nginx.conf:12` becomes `nginx.conf:12`.
pub fn scrubbed(words: &str, directories: &[&Path]) -> String {
    directories.iter().fold(words.to_owned(), |text, directory| {
        let directory = directory.to_string_lossy();
        let directory = directory.trim_end_matches('/');
        if directory.is_empty() { text } else { text.replace(&format!("{directory}/"), "").replace(directory, "") }
    })
}

/// So many bytes that words share with a secret are no accident.
const SHARED_MAX: usize = 16;
const WITHHELD: &str = "the engine refuses it, and its words are not shown: they quote a secret file";

/// Words that quote a secret file are withheld as a whole. An engine quotes what it cannot read as a directive, and a line
/// of an administrator can make it read anything. What cannot be printed is no words.
pub fn without_secrets(words: &str, secrets: &[Vec<u8>]) -> String {
    let said: HashSet<&[u8]> = words.as_bytes().windows(SHARED_MAX).collect();
    let lines = secrets.iter().flat_map(|secret| secret.split(|byte| *byte == b'\n')).filter(|line| !line.starts_with(b"-----"));
    if lines.flat_map(|line| line.windows(SHARED_MAX)).any(|shared| said.contains(shared)) {
        return WITHHELD.to_owned();
    }
    words.chars().map(|c| if (is_hidden(c) && c != '\n') || c == char::REPLACEMENT_CHARACTER { '?' } else { c }).collect()
}

/// The end of a text: the error stands last. At most 4 KiB, never cut within a character.
pub fn last_words(words: &str) -> String {
    let words = words.trim();
    let mut start = words.len().saturating_sub(WORDS_MAX);
    while !words.is_char_boundary(start) {
        start += 1;
    }
    words[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_this_machine_are_taken_out() {
        let said = "nginx: [emerg] unknown directive \"x\" in /run/swarmgate/check-1/nginx.conf:12";
        let shown = scrubbed(said, &[Path::new("/run/swarmgate/check-1"), Path::new("/run/swarmgate/")]);
        assert_eq!(shown, "nginx: [emerg] unknown directive \"x\" in nginx.conf:12");
    }

    #[test]
    fn words_that_quote_a_secret_are_withheld() {
        let secret = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n".to_vec();
        let shown = |words: &str| without_secrets(words, std::slice::from_ref(&secret));
        assert_eq!(shown("unknown directive \"GHAgEAMBMGByqGSM\" in x:1"), WITHHELD);
        let harmless = "no -----BEGIN PRIVATE KEY----- in x.pem\nfailed";
        assert_eq!(shown(harmless), harmless);
        assert_eq!(shown("unknown directive \"\u{fffd}\0a\""), "unknown directive \"??a\"");
    }

    #[test]
    fn the_root_directory_is_not_a_secret() {
        assert_eq!(scrubbed("a/b", &[Path::new("/")]), "a/b");
    }

    #[test]
    fn long_words_keep_their_end_and_whole_characters() {
        let long = format!("{}é: the error", "ä".repeat(5000));
        let kept = last_words(&long);
        assert!(kept.len() <= WORDS_MAX && kept.ends_with("é: the error"));
    }
}
