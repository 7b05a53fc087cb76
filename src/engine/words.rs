//! Makes what an engine said fit to be shown elsewhere: no paths of this machine, never too long.

use std::path::Path;

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
