//! The extension's reader of certificates and keys compared with the engine's own: for texts as people store them, both give
//! the same verdict, and the engine shows clients exactly the certificates that the reader rewrote. Where the reader refuses
//! what the engine accepts, the case states the reason.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use swarmgate::extension::tls_material_inspection;
use swarmgate::types::pem;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::accept_any_certificate::client_config;
use super::engine::nginx;
use super::ports::free_port;

/// A certificate, the certificate of the CA that signed it, its key, and another key.
struct Texts {
    leaf: String,
    between: String,
    key: String,
    other_key: String,
}

fn texts() -> Texts {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "between");
    let between = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let [key, other_key] = std::array::from_fn(|_| KeyPair::generate().unwrap());
    let leaf = CertificateParams::new(vec!["a.test".to_owned()]).unwrap().signed_by(&key, &between).unwrap();
    Texts { leaf: leaf.pem(), between: between.pem(), key: key.serialize_pem(), other_key: other_key.serialize_pem() }
}

/// The content of the only block.
fn der(text: &str) -> Vec<u8> {
    let certificate = CertificateDer::from_pem_slice(text.as_bytes());
    let key = |_| PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap().secret_der().to_vec();
    certificate.map_or_else(key, |der| der.to_vec())
}

/// The text with the lines between the first and the last replaced.
fn with_body(text: &str, body: impl Fn(Vec<&str>) -> Vec<String>) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let inner = body(lines[1..lines.len() - 1].to_vec());
    let all = [lines[0].to_owned()].into_iter().chain(inner).chain([lines[lines.len() - 1].to_owned()]);
    all.map(|line| line + "\n").collect()
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Typical damage to PEM text.
fn spoilt(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let label = text.lines().next().unwrap().trim_matches('-').trim_start_matches("BEGIN ").to_owned();
    let mark: &[u8] = b"\xef\xbb\xbf";
    let long = |width: usize| {
        with_body(text, |lines| lines.concat().as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()).collect())
    };
    let texts = vec![
        ("as it is", text.to_owned()),
        ("line ends of Windows", text.replace('\n', "\r\n")),
        ("line ends of old Macs", text.replace('\n', "\r")),
        ("words before", format!("some words\nfriendlyName: x\n{text}")),
        ("words behind", format!("{text}some words\n")),
        ("words before in the same line", format!("words {text}")),
        ("words behind in the first line", text.replacen("-----\n", "----- words\n", 1)),
        ("lower case", text.replace(&label, &label.to_lowercase())),
        ("in one line", with_body(text, |lines| vec![lines.concat()])),
        ("with \\n", text.replace('\n', "\\n")),
        ("with spaces for line breaks", text.replace('\n', " ")),
        ("without the last line break", text.trim_end().to_owned()),
        ("white space behind lines", text.replace('\n', " \t\n")),
        ("white space before lines", format!("  {}", text.trim_end().replace('\n', "\n  "))),
        ("white space before inner lines", with_body(text, |lines| lines.iter().map(|line| format!("  {line}")).collect())),
        ("an empty line first", with_body(text, |lines| [vec![String::new()], owned(&lines)].concat())),
        ("an empty line in the middle", with_body(text, |lines| [owned(&lines[..2]), vec![String::new()], owned(&lines[2..])].concat())),
        ("empty lines between", with_body(text, |lines| lines.iter().flat_map(|line| [(*line).to_owned(), String::new()]).collect())),
        ("lines of 76", long(76)),
        ("lines of 300", long(300)),
        ("a header", with_body(text, |lines| [owned(&["Comment: x", ""]), owned(&lines)].concat())),
        ("cut in the middle", text[..text.len() / 2].to_owned()),
        ("cut before the last line", with_body(text, |lines| owned(&lines)).replace(&format!("-----END {label}-----\n"), "")),
        ("no base64", text.replacen("MI", "!!", 1)),
        ("more behind a line", with_body(text, |lines| lines.iter().map(|line| format!("{line}!")).collect())),
        ("another last line", text.replace(&format!("END {label}"), "END X")),
        ("four hyphens", text.replace("-----", "----")),
        ("six hyphens", text.replace("-----BEGIN", "------BEGIN")),
        ("long hyphens", text.replace("-----", "\u{2014}")),
        ("another label", text.replace(&label, "FOO")),
        ("two first lines", format!("-----BEGIN {label}-----\n{text}")),
        ("a last line first", format!("-----END {label}-----\n{text}")),
        ("a block that does not end before it", format!("-----BEGIN FOO-----\nAAAA\n{text}")),
        ("a NUL behind", format!("{text}\0\0")),
        ("a NUL in words before", format!("ab\0cd\n{text}")),
        ("a NUL in the middle", with_body(text, |lines| [vec![lines[0].replacen('M', "\0", 1)], owned(&lines[1..])].concat())),
        ("nothing", String::new()),
    ];
    let bytes = vec![
        ("a byte order mark", [mark, text.as_bytes()].concat()),
        ("words in Latin-1 before", [b"caf\xe9\n".as_slice(), text.as_bytes()].concat()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("binary", der(text)),
    ];
    texts.into_iter().map(|(name, text)| (name, text.into_bytes())).chain(bytes).collect()
}

fn joined(parts: &[&str]) -> Vec<u8> {
    parts.concat().into_bytes()
}

/// Objects with certificates.
fn certificates(texts: &Texts) -> Vec<(&'static str, Vec<u8>)> {
    let Texts { leaf, between, key, .. } = texts;
    let with_trust = [der(leaf), vec![0x30, 0x0a, 0x30, 0x08, 0x06, 0x06, 0x2b, 0x06, 1, 5, 5, 7]].concat();
    let broken = key.replacen("MI", "!!", 1);
    let mark = "\u{feff}";
    let mut all = spoilt(leaf);
    all.extend([
        ("X509 CERTIFICATE", joined(&[&leaf.replace("CERTIFICATE", "X509 CERTIFICATE")])),
        ("TRUSTED CERTIFICATE without trust", joined(&[&leaf.replace("CERTIFICATE", "TRUSTED CERTIFICATE")])),
        ("TRUSTED CERTIFICATE", joined(&[&pem("TRUSTED CERTIFICATE", &with_trust)])),
        ("trust under CERTIFICATE", joined(&[&pem("CERTIFICATE", &with_trust)])),
        ("bytes behind", joined(&[&pem("CERTIFICATE", &[der(leaf), vec![0, 0]].concat())])),
        ("a chain", joined(&[leaf, between])),
        ("a chain with marks", joined(&[mark, leaf, mark, between])),
        ("a chain of X509", joined(&[leaf, &between.replace("CERTIFICATE", "X509 CERTIFICATE")])),
        ("a chain with TRUSTED behind", joined(&[leaf, &between.replace("CERTIFICATE", "TRUSTED CERTIFICATE")])),
        ("a chain with bytes behind", joined(&[leaf, &pem("CERTIFICATE", &[der(between), vec![0, 0]].concat())])),
        ("a chain with no certificate", joined(&[leaf, &pem("CERTIFICATE", b"AAA")])),
        ("a damaged chain", joined(&[leaf, &between.replacen("MI", "!!", 1)])),
        ("a chain that is cut", joined(&[leaf, &between[..100]])),
        ("twice", joined(&[leaf, leaf])),
        ("a key before", joined(&[key, leaf])),
        ("a key behind", joined(&[leaf, key])),
        ("a damaged key before", joined(&[&broken, leaf])),
        ("a damaged key behind", joined(&[leaf, &broken])),
        ("a key with a header before", joined(&[&key.replacen('\n', "\nComment: x\n\n", 1), leaf])),
        ("a request", joined(&[&leaf.replace("CERTIFICATE", "CERTIFICATE REQUEST")])),
        ("PKCS7", joined(&[&leaf.replace("CERTIFICATE", "PKCS7")])),
        ("a key as a certificate", joined(&[&key.replace("PRIVATE KEY", "CERTIFICATE")])),
    ]);
    all
}

/// Objects with keys.
fn keys(texts: &Texts) -> Vec<(&'static str, Vec<u8>)> {
    let Texts { leaf, key, other_key, .. } = texts;
    let whole = der(key);
    // SEC 1 is the last part of PKCS#8, plus the curve between the key and its public half.
    let inner = &whole[whole.len() - 107..];
    let curve = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let sec1 = pem("EC PRIVATE KEY", &[&[0x30, 0x77], &inner[..37], &curve, &inner[37..]].concat());
    let without_curve = pem("EC PRIVATE KEY", &whole[whole.len() - 109..]);
    let parameters = pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let mut all = spoilt(key);
    all.extend([
        ("SEC 1", joined(&[&sec1])),
        ("SEC 1 without its curve", joined(&[&without_curve])),
        ("SEC 1 with its curve before", joined(&[&parameters, &without_curve])),
        ("parameters before", joined(&[&parameters, &sec1])),
        ("parameters behind", joined(&[&sec1, &parameters])),
        ("SEC 1 as PKCS#8", joined(&[&sec1.replace("EC PRIVATE", "PRIVATE")])),
        ("PKCS#8 as SEC 1", joined(&[&key.replace("PRIVATE", "EC PRIVATE")])),
        ("EC as RSA", joined(&[&key.replace("PRIVATE", "RSA PRIVATE")])),
        ("a certificate before", joined(&[leaf, key])),
        ("a damaged certificate before", joined(&[&leaf.replacen("MI", "!!", 1), key])),
        ("a certificate that is cut before", joined(&[&leaf[..100], "\n", key])),
        ("another key before", joined(&[other_key, key])),
        ("another key behind", joined(&[key, other_key])),
        ("a damaged key before", joined(&[&other_key.replacen("MI", "!!", 1), key])),
        ("a cut key behind", joined(&[key, &other_key[..100]])),
        ("no key before", joined(&[&pem("PRIVATE KEY", b"AAA"), key])),
        ("a key of OpenSSH before", joined(&[&pem("OPENSSH PRIVATE KEY", b"openssh-key-v1\0AAAA"), key])),
        ("a public key before", joined(&[&pem("PUBLIC KEY", b"AAA"), key])),
        ("encrypted in name", joined(&[&encrypted])),
        ("bytes behind", joined(&[&pem("PRIVATE KEY", &[whole, vec![0, 0]].concat())])),
        ("a key as a certificate before", joined(&[&other_key.replace("PRIVATE KEY", "CERTIFICATE"), key])),
        ("another last line, then a good one", joined(&[&other_key.replace("END PRIVATE", "END RSA PRIVATE"), key])),
    ]);
    all
}

/// Tests one configuration per question, in its own directory.
struct ConfigTester {
    nginx: PathBuf,
    folder: tempfile::TempDir,
}

impl ConfigTester {
    fn new() -> Option<Self> {
        Some(Self { nginx: nginx()?, folder: tempfile::tempdir().unwrap() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.nginx);
        command.arg("-p").arg(self.folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]).stdin(Stdio::null());
        command
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// Whether the engine accepts a configuration with these lines in `http`.
    fn takes(&self, lines: &str) -> bool {
        self.write("nginx.conf", format!("pid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{lines}\n}}\n"));
        self.command().arg("-t").output().unwrap().status.success()
    }

    fn takes_pair(&self, certificate: &[u8], key: &[u8]) -> bool {
        self.write("c.pem", certificate);
        self.write("k.pem", key);
        self.takes("server { listen 127.0.0.1:1443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; }")
    }

    fn takes_authority(&self, content: &[u8]) -> bool {
        self.write("ca.pem", content);
        self.takes("server { location / { proxy_pass https://127.0.0.1:9; proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem; } }")
    }

    /// Adds a complaint if reader and engine differ; returns the text that both accept, as stored and as rewritten.
    fn compare(
        &self,
        name: &str,
        certificate: &[u8],
        key: &[u8],
        complaints: &mut Vec<String>,
    ) -> Option<tls_material_inspection::InspectedPair> {
        let (read, taken) = (tls_material_inspection::pair(certificate, key), self.takes_pair(certificate, key));
        match read {
            Ok(pair) if taken && self.takes_pair(pair.certificate.as_bytes(), pair.key.as_bytes()) => return Some(pair),
            Ok(_) => complaints.push(format!("{name}: the reader accepts it; the engine accepts it as stored: {taken}")),
            Err(refused) if taken => complaints.push(format!("{name}: the engine accepts it, but the reader reports {refused:?}")),
            Err(_) => {}
        }
        None
    }
}

#[test]
fn reader_and_engine_agree_on_certificates_and_keys() {
    let Some(tester) = ConfigTester::new() else { return };
    let (texts, mut complaints, mut good) = (texts(), Vec::new(), Vec::new());
    for (name, content) in certificates(&texts) {
        good.extend(tester.compare(&format!("certificate, {name}"), &content, texts.key.as_bytes(), &mut complaints).map(|_| name));
    }
    for (name, content) in keys(&texts) {
        good.extend(tester.compare(&format!("key, {name}"), texts.leaf.as_bytes(), &content, &mut complaints).map(|_| name));
    }
    assert_eq!(complaints, Vec::<String>::new());
    for expected in ["a byte order mark", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "words in Latin-1 before", "a damaged key before"] {
        assert!(good.contains(&expected), "{expected}: {good:?}");
    }
    assert!(good.len() > 40, "{good:?}");
}

#[test]
fn reader_and_engine_agree_on_authorities_except_for_keys() {
    let Some(tester) = ConfigTester::new() else { return };
    let (texts, mut complaints, mut with_keys) = (texts(), Vec::new(), 0);
    for (name, content) in certificates(&texts) {
        match (tls_material_inspection::authority(&content), tester.takes_authority(&content)) {
            (Ok(written), true) if tester.takes_authority(written.as_bytes()) => assert!(!written.contains("KEY")),
            (Ok(_), taken) => complaints.push(format!("{name}: the reader accepts it; the engine accepts it as stored: {taken}")),
            (Err(refused), _) if refused.state == swarmgate::protocol::messages::MaterialState::HoldsKey => with_keys += 1,
            (Err(refused), true) => complaints.push(format!("{name}: the engine accepts it, but the reader reports {refused:?}")),
            (Err(_), false) => {}
        }
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(with_keys, 6, "objects with a key, and a key under another name");
}

#[test]
fn a_key_of_another_type_is_a_mismatch_although_the_engine_accepts_it() {
    let Some(tester) = ConfigTester::new() else { return };
    let texts = texts();
    // OpenSSL reads the form without the public half.
    let both_halves = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialized_der().to_vec();
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let other = pem("PRIVATE KEY", &[&head, &both_halves[16..48]].concat());
    assert!(tester.takes_pair(texts.leaf.as_bytes(), other.as_bytes()), "every handshake would fail, and the engine does not report it");
    let refused = tls_material_inspection::pair(texts.leaf.as_bytes(), other.as_bytes()).err().unwrap();
    assert_eq!(refused.state, swarmgate::protocol::messages::MaterialState::Mismatch);
}

/// One engine with a server for each text that both accept, in its stored form.
struct Served {
    master: Child,
    address: SocketAddr,
}

impl Served {
    async fn start(tester: &ConfigTester, texts: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let port = free_port();
        let mut lines = Vec::new();
        for (at, (certificate, key)) in texts.iter().enumerate() {
            tester.write(&format!("c{at}.pem"), certificate);
            tester.write(&format!("k{at}.pem"), key);
            lines.push(format!(
                "server {{ listen 127.0.0.1:{port} ssl; server_name v{at}.test; ssl_certificate c{at}.pem; ssl_certificate_key k{at}.pem; }}\n"
            ));
        }
        assert!(tester.takes(&lines.concat()));
        let master = tester.command().args(["-g", "daemon off; master_process off;"]).stderr(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "the engine does not serve");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { master, address }
    }

    /// The chain that a client is shown.
    async fn shown(&self, at: usize) -> Vec<Vec<u8>> {
        let connection = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(format!("v{at}.test")).unwrap();
        let connection = TlsConnector::from(Arc::new(client_config())).connect(name, connection).await.expect("a handshake succeeds");
        connection.get_ref().1.peer_certificates().unwrap().iter().map(|certificate| certificate.to_vec()).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

#[tokio::test]
async fn clients_are_presented_exactly_the_chain_that_was_read() {
    let Some(tester) = ConfigTester::new() else { return };
    let (texts, mut served, mut understood) = (texts(), Vec::new(), Vec::new());
    let by_key = keys(&texts).into_iter().map(|(name, key)| (name, texts.leaf.clone().into_bytes(), key));
    let by_certificate = certificates(&texts).into_iter().map(|(name, certificate)| (name, certificate, texts.key.clone().into_bytes()));
    for (name, certificate, key) in by_certificate.chain(by_key) {
        if let Some(pair) = tester.compare(name, &certificate, &key, &mut Vec::new()) {
            served.push((certificate, key));
            understood.push((name, chain_of(&pair.certificate)));
        }
    }
    assert!(served.len() > 40);
    let engine = Served::start(&tester, &served).await;
    for (at, (name, chain)) in understood.iter().enumerate() {
        assert_eq!(&engine.shown(at).await, chain, "{name}");
    }
}

fn chain_of(text: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(text.as_bytes()).map(|der| der.unwrap().to_vec()).collect()
}
