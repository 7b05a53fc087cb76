//! The engine's view of material that looked good, by kind and in this project's words: its own may quote what it read.

use crate::extension::certificates::Fault;
use crate::protocol::messages::MaterialState;

/// What the engine says (part of its words), what it means, and the words for it.
const KINDS: &[(&str, MaterialState, &str)] = &[
    ("key values mismatch", MaterialState::Mismatch, "the key is another certificate's"),
    ("key type mismatch", MaterialState::Mismatch, "the key is another certificate's, of another kind"),
    ("ee key too small", MaterialState::NotACertificate, "its key is too short or too weak for the engine (RSA: 2048 bits at least)"),
    ("ca key too small", MaterialState::NotACertificate, "the key of a CA in it is too short for the engine (RSA: 2048 bits at least)"),
    ("md too weak", MaterialState::NotACertificate, "it is signed in a way that is too weak for the engine"),
    ("unknown certificate type", MaterialState::NotACertificate, "the engine does not know the kind of its key"),
    ("getting password", MaterialState::NotAKey, "the key is encrypted, and nobody is there to type its passphrase"),
    ("certificate key", MaterialState::NotAKey, "the engine cannot read the key"),
    ("no start line", MaterialState::NotACertificate, "the engine finds no certificate in it"),
    ("bad base64 decode", MaterialState::NotACertificate, "the engine finds that a block in it is damaged (it is no base64)"),
    ("bad end line", MaterialState::NotACertificate, "the engine finds that a block in it does not end as it should"),
    ("not proc type", MaterialState::NotACertificate, "a block in it begins with lines that the engine does not read"),
];

/// What the engine has against it.
pub(super) fn by_engine(words: &str) -> Fault {
    let line = words.lines().find(|line| line.contains("[emerg]")).unwrap_or(words);
    let kind = KINDS.iter().find(|(said, ..)| line.contains(said));
    let (state, words) = kind.map_or((MaterialState::NotACertificate, "the engine cannot use it"), |(_, state, words)| (*state, *words));
    let number = number(line).map(|number| format!(" (OpenSSL error {number})")).unwrap_or_default();
    Fault::new(state, format!("{words}{number}"))
}

/// The number of an error of the TLS library, by which its manual has more about it: eight hexadecimal digits.
fn number(line: &str) -> Option<&str> {
    let number = line.split("error:").nth(1)?.get(..8)?;
    number.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(number)
}

/// What was read as certificates and cannot be written as such.
pub(super) fn unwritable() -> Fault {
    Fault::new(MaterialState::NotACertificate, "it holds no certificate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, state: MaterialState, expected: &str) {
        let fault = by_engine(words);
        assert_eq!((fault.state, fault.words.as_str()), (state, expected));
    }

    #[test]
    fn the_engines_words_are_told_by_kind_and_never_quoted() {
        let mismatch =
            "nginx: [emerg] SSL_CTX_use_PrivateKey(\"k.pem\") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)";
        check(mismatch, MaterialState::Mismatch, "the key is another certificate's (OpenSSL error 05800074)");
        let unread =
            "nginx: [emerg] cannot load certificate key \"k.pem\": failed (SSL: error:1E08010C:DECODER routines::unsupported:MIIEvQIBADAN)";
        check(unread, MaterialState::NotAKey, "the engine cannot read the key (OpenSSL error 1E08010C)");
        check("[emerg] MIIEvQIBADAN (SSL: error:MIIEvQIBADAN)", MaterialState::NotACertificate, "the engine cannot use it");
        check("MIIEvQIBADAN\n[warn] x\n", MaterialState::NotACertificate, "the engine cannot use it");
    }
}
