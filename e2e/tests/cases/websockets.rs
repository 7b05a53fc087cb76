//! Websockets: a real client through real proxies.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Socket, Testbed, conversation};

use super::shared_swarm::{DEFAULT, GATE};

/// Where the application answers without a proxy.
const DIRECT: u16 = 9091;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("websockets::on_any_path_and_kept_across_changes", alive),
        case("websockets::a_proxy_does_not_alter_conversations", unchanged),
    ]
}

/// `/ws` is an endpoint declared by the label, `/talk` is not.
fn alive(testbed: &Testbed) -> Result<()> {
    App::new("chat").label("websocket_endpoints", "/ws").create(testbed)?;
    let (near, far) = (testbed.at(1, DEFAULT), testbed.at(3, DEFAULT));
    for address in [&near, &far] {
        testbed.await_answer(address, "chat.test", "/", "chat")?;
    }
    let open = |address: &str, path| Socket::open(address, "chat.test", path);
    let mut sockets = [open(&near, "/ws")?, open(&near, "/talk")?, open(&far, "/ws")?, open(&far, "/talk")?];
    let mut all_echo = |when: &str| sockets.iter_mut().try_for_each(|socket| socket.echoes(when));
    all_echo("before")?;
    let before = testbed.await_converged("default")?["configDigest"].clone();
    App::new("news").create(testbed)?;
    for address in [&near, &far] {
        testbed.await_answer(address, "news.test", "/", "news")?;
    }
    let after = testbed.await_converged("default")?["configDigest"].clone();
    ensure!(after != before, "the configuration is another one: {after}");
    all_echo("another configuration")?;
    testbed.update("chat", &["--label-add", "com.docker.lb.websocket_endpoints=/other", "--replicas", "2"])?;
    testbed.await_answering(&near, "chat.test", 2)?;
    testbed.await_converged("default")?;
    all_echo("another label and another task")?;
    open(&near, "/ws")?.echoes("a new one, no longer on a path of the label")
}

/// Fragments, pings, lengths, closes and protocol violations.
fn unchanged(testbed: &Testbed) -> Result<()> {
    let publish = format!("mode=host,published={DIRECT},target=8080");
    App::new("echo").label("websocket_endpoints", "/ws").on_node(2).args(&["--publish", &publish]).create(testbed)?;
    let (proxied, direct) = (testbed.at(1, DEFAULT), testbed.at(2, DIRECT));
    testbed.await_answer(&proxied, "echo.test", "/", "echo")?;
    let expected = conversation(&direct, "echo.test", "/ws")?;
    ensure!(expected.len() > 40 && expected.iter().any(|received| received.starts_with("binary 4194305")), "{expected:?}");
    for path in ["/ws", "/talk"] {
        let received = conversation(&proxied, "echo.test", path)?;
        let different: Vec<_> = expected.iter().zip(&received).filter(|(direct, proxied)| direct != proxied).collect();
        ensure!(different.is_empty() && received.len() == expected.len(), "{path}: (direct, proxied) {different:?}");
    }
    Ok(())
}
