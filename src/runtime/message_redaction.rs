//! Makes messages of an engine safe to show elsewhere: without paths of this machine or content of secret files, and limited in
//! length.

use std::collections::HashSet;
use std::path::Path;

use crate::types::is_hidden;

/// The greatest length of a message that is kept, in bytes.
const MESSAGE_MAX: usize = 4096;

/// Removes directories of this machine from a message, so that `/run/x/nginx.conf:12` becomes `nginx.conf:12`.
pub(super) fn without_paths(message: &str, directories: &[&Path]) -> String {
    directories.iter().fold(message.to_owned(), |text, directory| {
        let directory = directory.to_string_lossy();
        let directory = directory.trim_end_matches('/');
        if directory.is_empty() { text } else { text.replace(&format!("{directory}/"), "").replace(directory, "") }
    })
}

/// A message that shares this many bytes with a secret quotes it.
const SHARED_MAX: usize = 16;
const WITHHELD: &str = "the engine rejects it; its error message is hidden because it quotes a secret file";

/// Withholds a message that quotes a secret file. An engine quotes what it cannot read as a directive, and a line of an administrator
/// can make it read any file. Replaces characters that cannot be printed.
pub(super) fn without_secrets(message: &str, secrets: &[Vec<u8>]) -> String {
    let runs_of_bytes: HashSet<&[u8]> = message.as_bytes().windows(SHARED_MAX).collect();
    let lines = secrets.iter().flat_map(|secret| secret.split(|byte| *byte == b'\n')).filter(|line| !line.starts_with(b"-----"));
    if lines.flat_map(|line| line.windows(SHARED_MAX)).any(|shared| runs_of_bytes.contains(shared)) {
        return WITHHELD.to_owned();
    }
    message.chars().map(|c| if (is_hidden(c) && c != '\n') || c == char::REPLACEMENT_CHARACTER { '?' } else { c }).collect()
}

/// The last 4 KiB of a message, where the error is. Never cuts a character.
pub fn last_bytes(message: &str) -> String {
    let message = message.trim();
    let mut start = message.len().saturating_sub(MESSAGE_MAX);
    while !message.is_char_boundary(start) {
        start += 1;
    }
    message[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_are_removed() {
        let message = "nginx: [emerg] unknown directive \"x\" in /run/swarmgate/check-1/nginx.conf:12";
        let shown = without_paths(message, &[Path::new("/run/swarmgate/check-1"), Path::new("/run/swarmgate/")]);
        assert_eq!(shown, "nginx: [emerg] unknown directive \"x\" in nginx.conf:12");
    }

    #[test]
    fn messages_that_quote_a_secret_are_withheld() {
        let secret = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n".to_vec();
        let shown = |message: &str| without_secrets(message, std::slice::from_ref(&secret));
        assert_eq!(shown("unknown directive \"GHAgEAMBMGByqGSM\" in x:1"), WITHHELD);
        let harmless = "no -----BEGIN PRIVATE KEY----- in x.pem\nfailed";
        assert_eq!(shown(harmless), harmless);
        assert_eq!(shown("unknown directive \"\u{fffd}\0a\""), "unknown directive \"??a\"");
    }

    #[test]
    fn the_root_directory_is_not_removed() {
        assert_eq!(without_paths("a/b", &[Path::new("/")]), "a/b");
    }

    #[test]
    fn long_messages_keep_their_end_and_whole_characters() {
        let long = format!("{}é: the error", "ä".repeat(5000));
        let kept = last_bytes(&long);
        assert!(kept.len() <= MESSAGE_MAX && kept.ends_with("é: the error"));
    }
}
