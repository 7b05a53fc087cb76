//! Who may use which secret: a secret without a grant is never mounted, and a grant that is added or removed applies at once.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use swarmgate_e2e::testbed::{App, Case, Testbed};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};
use super::tls::{TLS, await_tls, pair, secured, shown, store_pair};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("reference_grants::a_secret_is_used_only_while_it_is_granted", granted_and_withdrawn),
        case("reference_grants::no_label_reaches_swarmgates_own_secrets", own_secrets),
    ]
}

/// Changes the labels of a secret, as docs/labels.md describes: the API can do this, Docker's command line cannot.
fn relabel(testbed: &Testbed, name: &str, use_by: Option<&str>) -> Result<()> {
    let secret = testbed.api()?.get(&format!("/secrets/{name}"))?;
    let (id, version) = (secret["ID"].as_str().context("an id")?, &secret["Version"]["Index"]);
    let labels = use_by.map_or_else(|| json!({}), |use_by| json!({"swarmgate.use-by": use_by}));
    testbed.api()?.post(&format!("/secrets/{id}/update?version={version}"), &json!({"Name": name, "Labels": labels})).map(drop)
}

/// The names of the secrets that a service mounts.
fn mounted(testbed: &Testbed, service: &str) -> Result<Vec<String>> {
    let service = testbed.api()?.get(&format!("/services/{service}"))?;
    let secrets = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array().cloned().unwrap_or_default();
    Ok(secrets.iter().filter_map(|secret| secret["SecretName"].as_str().map(str::to_owned)).collect())
}

fn mounts(testbed: &Testbed, name: &str) -> Result<bool> {
    let fleet = ["swarmgate-extension-default", "swarmgate-proxy-default"];
    let all: Vec<_> = fleet.iter().map(|service| mounted(testbed, service)).collect::<Result<_>>()?;
    Ok(all.concat().iter().any(|mounted| mounted == name))
}

/// The name of the secret with this role that Swarmgate created for the cluster `default`.
fn own_secret(testbed: &Testbed, role: &str) -> Result<String> {
    let secrets = testbed.api()?.get("/secrets")?;
    let is_it = |secret: &&serde_json::Value| {
        let labels = &secret["Spec"]["Labels"];
        labels["swarmgate.role"] == role && labels["swarmgate.cluster"] == "default"
    };
    let found = secrets.as_array().into_iter().flatten().find(is_it).with_context(|| format!("there is no {role}"))?;
    found["Spec"]["Name"].as_str().map(str::to_owned).context("a name")
}

/// A service of a stack names a secret created by hand: denied, granted, revoked.
fn granted_and_withdrawn(testbed: &Testbed) -> Result<()> {
    store_pair(testbed, "lent", &pair("lent.test", 2099)?)?;
    secured("lent", "lent").args(&["--label", "com.docker.stack.namespace=shop"]).create(testbed)?;
    let finding = testbed.await_finding("default", "RefNotPermitted", "lent")?;
    let remedy = finding["remedy"].as_str().unwrap_or_default();
    ensure!(remedy.contains("--label swarmgate.use-by=stack:shop") && remedy.contains("stacks: [shop]"), "{finding}");
    testbed.await_answer(&testbed.at(1, DEFAULT), "lent.test", "/", "lent")?;
    testbed.await_converged("default")?;
    ensure!(shown(&testbed.at(1, TLS), Some("lent.test"))?.is_none(), "a certificate without a grant is presented");
    ensure!(!mounts(testbed, "lent-cert")? && !mounts(testbed, "lent-key")?, "a secret without a grant is mounted");

    relabel(testbed, "lent-cert", Some("stack:shop"))?;
    relabel(testbed, "lent-key", Some("service:lent"))?;
    await_tls(testbed, 1, "lent.test", "lent")?;
    testbed.await_converged("default")?;
    ensure!(mounted(testbed, "swarmgate-extension-default")?.contains(&"lent-cert".to_owned()), "what is granted is mounted");

    relabel(testbed, "lent-key", None)?;
    testbed.await_finding("default", "RefNotPermitted", "lent")?;
    eventually(SLOW, "the certificate is no longer presented", || {
        ensure!(shown(&testbed.at(1, TLS), Some("lent.test"))?.is_none(), "one is");
        Ok(())
    })?;
    testbed.await_converged("default")?;
    ensure!(!mounted(testbed, "swarmgate-extension-default")?.contains(&"lent-key".to_owned()), "the key is mounted still");
    testbed.await_answer(&testbed.at(1, DEFAULT), "lent.test", "/", "lent").map(drop)
}

fn own_secrets(testbed: &Testbed) -> Result<()> {
    let token = own_secret(testbed, "extension-token")?;
    let token = token.as_str();
    App::new("thief").label("ssl_cert", token).create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "thief.test", "/", "thief")?;
    let finding = testbed.await_finding("default", "RefNotPermitted", "thief")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("belongs to Swarmgate")), "{finding}");
    testbed.await_converged("default")?;
    let of_the_token = mounted(testbed, "swarmgate-extension-default")?.into_iter().filter(|name| name == token).count();
    ensure!(of_the_token <= 1, "the token is mounted as material");
    ensure!(shown(&testbed.at(1, TLS), Some("thief.test"))?.is_none(), "a certificate is presented");
    Ok(())
}
