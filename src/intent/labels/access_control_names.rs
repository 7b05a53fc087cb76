//! Names that look like access control. The author of `basic_auth` expects that clients need a password; the service must not be
//! open to everyone merely because there is no such label. Decides by the name alone, with rules that fit in one paragraph
//! (`docs/labels.md`); a misspelt existing label never looks like access control.

use super::catalog::LABELS;

/// A name that contains one of these anywhere, however its words are separated.
const STEMS: [&str; 24] = [
    "auth",
    "allow",
    "deny",
    "denied",
    "whitelist",
    "blacklist",
    "blocklist",
    "restrict",
    "forbid",
    "permit",
    "passw",
    "passwd",
    "passphrase",
    "passcode",
    "credential",
    "firewall",
    "mtls",
    "keycloak",
    "sourcerange",
    "apikey",
    "geoip",
    "accesslist",
    "fail2ban",
    "crowdsec",
];
/// A name that contains one of these as a separate word, singular or plural (`users`).
const WORDS: [&str; 50] = [
    "acl",
    "access",
    "ban",
    "banned",
    "block",
    "blocked",
    "bearer",
    "captcha",
    "cidr",
    "country",
    "guard",
    "guarded",
    "geo",
    "geofence",
    "hmac",
    "htaccess",
    "htdigest",
    "ipfilter",
    "iplist",
    "iprange",
    "jwk",
    "jwt",
    "kerberos",
    "ldap",
    "login",
    "mfa",
    "ntlm",
    "oidc",
    "openid",
    "otp",
    "totp",
    "protect",
    "protected",
    "protection",
    "rbac",
    "realm",
    "reject",
    "role",
    "saml",
    "satisfy",
    "signin",
    "spnego",
    "sso",
    "token",
    "user",
    "userlist",
    "waf",
    "whitelisted",
    "x509",
    "2fa",
];
/// A name that is one of these, or combines one with `only`, is about access. With other words it is about networks and ports.
const SECLUDED: [&str; 3] = ["internal", "intranet", "private"];
/// The same, but only in combination with `only`.
const SECLUDED_ONLY: [&str; 7] = ["admin", "from", "lan", "member", "office", "staff", "vpn"];
/// Words that look like access control in combination.
const PAIRS: [[&str; 2]; 5] = [["limit", "except"], ["log", "in"], ["sign", "in"], ["mutual", "tls"], ["open", "id"]];
/// In combination with `client` each of these is about client certificates.
const OF_CLIENTS: [&str; 9] = ["ca", "cert", "certificate", "crl", "ssl", "tls", "verify", "verification", "x509"];
/// In combination with `ip`, `address` or `network` each of these is about whose requests are accepted.
const OF_ADDRESSES: [&str; 9] = ["client", "filter", "list", "range", "remote", "source", "trust", "trusted", "rule"];
/// Words for client addresses.
const ADDRESSES: [&str; 4] = ["ip", "addr", "address", "network"];
/// Further words that are also recognized with one wrong letter, besides those above that are long enough to be distinct.
const MISSPELT: [&str; 17] = [
    "allow",
    "allowed",
    "allowfrom",
    "allowlist",
    "auht",
    "authbasic",
    "authorization",
    "basicauth",
    "blocked",
    "clientcert",
    "denyfrom",
    "forwardauth",
    "htpasswd",
    "ipwhitelist",
    "oauth",
    "password",
    "whitelist",
];
/// Words that contain such a stem, or differ by one letter from such a word, but mean something else.
const HARMLESS: [&str; 10] = ["author", "authors", "authority", "authored", "black", "clock", "county", "logic", "project", "projects"];
/// Names with one of these words are about something else: logging, and which pages' scripts may read responses in a browser.
const OTHER_MATTERS: [&str; 3] = ["log", "logs", "cors"];
/// Combinations of words that mean something else.
const HARMLESS_PAIRS: [[&str; 2]; 3] = [["user", "agent"], ["per", "user"], ["server", "tokens"]];

/// Whether a label's name (after the prefix) looks like access control.
pub fn sounds_like_access_control(name: &str) -> bool {
    let words = without_harmless_pairs(&words(name));
    let letters = words.concat();
    if is_slip_of_a_label(&letters) || is_about_other_matters(&words) {
        return false;
    }
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()) || list.contains(&singular(word)));
    let stemmed = words.iter().filter(|word| !HARMLESS.contains(&word.as_str())).any(|word| STEMS.iter().any(|stem| word.contains(stem)));
    let joined = STEMS.iter().filter(|stem| stem.len() > 4).any(|stem| letters.contains(stem));
    let clients = has(&["client"]) && has(&OF_CLIENTS) || letters.contains("clientcert") || letters.contains("sslclient");
    let addresses = has(&ADDRESSES) && has(&OF_ADDRESSES);
    let secluded = words.len() == 1 && has(&SECLUDED) || has(&["only"]) && (has(&SECLUDED) || has(&SECLUDED_ONLY));
    let pairs = PAIRS.iter().any(|pair| words.windows(2).any(|two| two == pair));
    stemmed || joined || has(&WORDS) || clients || addresses || secluded || pairs || is_misspelt(&words, &letters)
}

/// `log_in` is not about logs.
fn is_about_other_matters(words: &[String]) -> bool {
    let follows = |at: usize| words.get(at + 1).is_some_and(|next| next == "in");
    words.iter().enumerate().any(|(at, word)| OTHER_MATTERS.contains(&word.as_str()) && !(word == "log" && follows(at)))
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').unwrap_or(word)
}

fn without_harmless_pairs(words: &[String]) -> Vec<String> {
    let begins_pair = |first: usize| words.get(first..first + 2).is_some_and(|two| HARMLESS_PAIRS.iter().any(|pair| two == pair));
    let is_harmless = |at: usize| begins_pair(at) || at.checked_sub(1).is_some_and(begins_pair);
    words.iter().enumerate().filter(|(at, _)| !is_harmless(*at)).map(|(_, word)| word.clone()).collect()
}

/// Whether one letter of an existing label is wrong, missing, extra, or swapped with the next one.
fn is_slip_of_a_label(letters: &str) -> bool {
    let known = |info: &super::LabelInfo| info.name.replace('_', "");
    letters.len() <= NAME_BYTES_MAX && LABELS.iter().any(|info| strsim::damerau_levenshtein(letters, &known(info)) <= 1)
}

fn is_misspelt(words: &[String], letters: &str) -> bool {
    words.len() <= WORDS_MAX && (words.iter().any(|word| is_near(word)) || is_near(letters))
}

/// Whether one letter of such a word is wrong. For words of four letters only an extra letter is accepted: otherwise almost
/// everything would match.
fn is_near(text: &str) -> bool {
    if text.len() > NAME_BYTES_MAX || HARMLESS.contains(&text) {
        return false;
    }
    let one_off = |word: &str| [text, singular(text)].iter().any(|text| strsim::damerau_levenshtein(text, word) <= 1);
    let has_one_more = |word: &str| word.len() + 1 == LETTERS_MIN && text.starts_with(&word[..1]) && text.len() > word.len();
    let near = |word: &str| (word.len() >= LETTERS_MIN || has_one_more(word)) && one_off(word);
    let is_long = text.len() >= LETTERS_MIN;
    MISSPELT.iter().any(|word| one_off(word)) || (is_long && STEMS.iter().chain(&WORDS).any(|word| near(word)))
}

/// Shorter words are too similar to one another.
const LETTERS_MIN: usize = 5;

/// Names with more words than this are not misspellings.
const WORDS_MAX: usize = 16;

/// A longer name is not a misspelling of a short one, and comparing it would take long.
const NAME_BYTES_MAX: usize = 64;

/// The words of a name in lower case, split at separators and at capitals in the middle (`basicAuth`).
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: &str = "
        basic_auth basicauth basic-auth basicAuth BASIC_AUTH basic.auth.users bassic_auth basic_auht forward_auth forwardauth
        auth auth_basic auth_request oauth oauth2_proxy oaut authentication authorisation allow_from allowfrom alow_from allow
        allowed_ips ip_allow allowlist allow-list deny deny_from denyfrom denny_from ip_whitelist ipwhitelist IPWhiteList
        white_list whitelst whitelist.sourcerange blacklist ip_filter ip_range source_range htpasswd htpaswd users basic_users
        password client_cert clientcert ssl_client_certificate ssl_client_verify ssl_verify_client client_ca mtls
        tls_client_auth mtls_required jwt oidc_issuer api_key acl access access_control require_login satisfy sso waf restrict
        ssl_clients pasword restict denny deney blaklist blacklst acces permt fobid alowed_ips auht aut_basic credentals
        keycloack acls tokens blocked_ips banned_ips guarded ip_rules ip_lists ipranges log_in log_in_required only_from
        internal_only internal private vpn_only members_only trust_ips cidrs client_ips source_networks remote_addr mutual_tls
        x509 htdigest open_id_connect bearer passphrase 2fa sign_in roles limit_except reject";

    #[test]
    fn access_control_names_are_recognised_in_any_spelling() {
        for name in ACCESS.split_whitespace() {
            assert!(sounds_like_access_control(name), "{name}");
        }
    }

    #[test]
    fn a_harmless_pair_of_words_does_not_make_other_words_harmless() {
        for name in ["user_agent_allow", "allowed_per_user", "user", "agent_user"] {
            assert!(sounds_like_access_control(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_recognised_as_access_control() {
        for name in [
            "",
            "host",
            "author",
            "authority",
            "rate_limit",
            "access_log",
            "cors",
            "cors_allow_origin",
            "cors_allow_credentials",
            "backend_user_agent",
            "maxconn_per_user",
            "compress",
            "gzip",
            "health_check",
            "timeout",
            "client_timeout",
            "client_max_body_size",
            "server_tokens",
            "path",
            "redirect",
            "ssl",
            "ssl_ca",
            "ip",
            "ip_has",
            "hots",
            "prot",
            "priority",
            "ssl_verify",
            "internal_port",
            "private_network",
            "read_only",
            "project",
            "network_name",
            "client_body",
            "address_family",
            "source",
            "logs",
            "log_level",
            "opentelemetry",
        ] {
            assert!(!sounds_like_access_control(name), "{name}");
        }
    }

    /// Every name that is one mistake away from an existing label.
    fn slips(name: &str) -> Vec<String> {
        let letters: Vec<char> = name.chars().collect();
        let text = |letters: &[char]| letters.iter().collect::<String>();
        let mut slips = Vec::new();
        for at in 0..=letters.len() {
            for c in ('a'..='z').chain(['_', '-']) {
                let mut longer = letters.clone();
                longer.insert(at, c);
                slips.push(text(&longer));
                if at < letters.len() {
                    let mut other = letters.clone();
                    other[at] = c;
                    slips.push(text(&other));
                }
            }
            if at < letters.len() {
                let mut shorter = letters.clone();
                shorter.remove(at);
                slips.push(text(&shorter));
            }
            if at + 1 < letters.len() {
                let mut swapped = letters.clone();
                swapped.swap(at, at + 1);
                slips.push(text(&swapped));
            }
        }
        slips
    }

    #[test]
    fn a_misspelt_existing_label_never_looks_like_access_control() {
        for info in LABELS {
            for slip in slips(info.name) {
                assert!(!sounds_like_access_control(&slip), "{slip}, a slip of {}", info.name);
            }
        }
    }

    #[test]
    fn a_name_of_megabytes_is_judged_quickly() {
        assert!(!sounds_like_access_control(&"x_".repeat(1 << 20)));
        assert!(sounds_like_access_control(&("x_".repeat(1 << 20) + "basic_auth")));
    }
}
