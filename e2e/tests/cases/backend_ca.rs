//! Applications whose certificates are signed by a private authority. This requires certificate delivery to proxies.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use swarmgate_e2e::world::{App, Case, World};

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![case("backend_ca::only_applications_that_the_named_authority_signed_are_spoken_to", named)]
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
fn named(world: &World) -> Result<()> {
    let (ours, theirs) = (authority("ours")?, authority("theirs")?);
    let (right, wrong) = (world.secret("right-authority", &ours.pem())?, world.secret("wrong-authority", &theirs.pem())?);
    let own = world.secret("vouched-pair", &signed_by(&ours, "vouched.test")?)?;
    let mount = format!("source={own},target=pair.pem");
    let app = App::new("vouched").label("hosts", "vouched.test,also-vouched.test").label("ssl_backend", "true");
    app.label("ssl_backend_tls_verify", &right).words(&["--secret", &mount, "--env", "TLS=/run/secrets/pair.pem"]).create(world)?;
    let address = world.at(1, DEFAULT);
    world.await_answer(&address, "vouched.test", "/", "vouched")?;
    world.await_code(&address, "also-vouched.test", "/", 502)?;
    for (authority, status) in [(wrong.as_str(), 502), (&right, 200), ("required", 502), (&right, 200)] {
        world.update("vouched", &["--label-add", &format!("com.docker.lb.ssl_backend_tls_verify={authority}")])?;
        world.await_code(&address, "vouched.test", "/", status)?;
    }
    world.await_converged("default").map(drop)
}
