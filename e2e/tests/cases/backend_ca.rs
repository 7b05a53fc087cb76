//! Applications whose certificates are signed by a private authority. This requires certificate delivery to proxies.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use swarmgate_e2e::testbed::{App, Case, Testbed};

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![case("backend_ca::only_applications_signed_by_the_named_authority_are_reached", named)]
}

type TestAuthority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Result<TestAuthority> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Certificate and key of `host` in one file.
fn signed_by(authority: &TestAuthority, host: &str) -> Result<String> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, host);
    Ok(params.signed_by(&key, authority)?.pem() + &key.serialize_pem())
}

/// The right authority and a certificate for another host, a wrong authority, the system's authorities, the right one again.
fn named(testbed: &Testbed) -> Result<()> {
    let (ours, theirs) = (authority("ours")?, authority("theirs")?);
    let (right, wrong) = (testbed.secret("right-authority", &ours.pem())?, testbed.secret("wrong-authority", &theirs.pem())?);
    let own = testbed.secret("vouched-pair", &signed_by(&ours, "vouched.test")?)?;
    let mount = format!("source={own},target=pair.pem");
    let app = App::new("vouched").label("hosts", "vouched.test,also-vouched.test").label("ssl_backend", "true");
    app.label("ssl_backend_tls_verify", &right).args(&["--secret", &mount, "--env", "TLS=/run/secrets/pair.pem"]).create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "vouched.test", "/", "vouched")?;
    testbed.await_code(&address, "also-vouched.test", "/", 502)?;
    for (authority, status) in [(wrong.as_str(), 502), (&right, 200), ("required", 502), (&right, 200)] {
        testbed.update("vouched", &["--label-add", &format!("com.docker.lb.ssl_backend_tls_verify={authority}")])?;
        testbed.await_code(&address, "vouched.test", "/", status)?;
    }
    testbed.await_converged("default").map(drop)
}
