//! Websockets: a real client through real proxies.

use anyhow::{Result, ensure};
use swarmgate_e2e::world::{App, Case, Socket, World, conversation};

use super::shared_swarm::{DEFAULT, GATE};

/// Where the application answers without a proxy.
const DIRECT: u16 = 9091;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("websockets::on_any_path_and_alive_across_changes", alive),
        case("websockets::through_a_proxy_everything_is_as_without_one", unchanged),
    ]
}

/// `/ws` is an endpoint declared by the label, `/talk` is not.
fn alive(world: &World) -> Result<()> {
    App::new("chat").label("websocket_endpoints", "/ws").create(world)?;
    let (near, far) = (world.at(1, DEFAULT), world.at(3, DEFAULT));
    for address in [&near, &far] {
        world.await_answer(address, "chat.test", "/", "chat")?;
    }
    let open = |address: &str, path| Socket::open(address, "chat.test", path);
    let mut sockets = [open(&near, "/ws")?, open(&near, "/talk")?, open(&far, "/ws")?, open(&far, "/talk")?];
    let mut all_echo = |when: &str| sockets.iter_mut().try_for_each(|socket| socket.echoes(when));
    all_echo("before")?;
    let before = world.await_converged("default")?["configDigest"].clone();
    App::new("news").create(world)?;
    for address in [&near, &far] {
        world.await_answer(address, "news.test", "/", "news")?;
    }
    let after = world.await_converged("default")?["configDigest"].clone();
    ensure!(after != before, "the configuration is another one: {after}");
    all_echo("another configuration")?;
    world.update("chat", &["--label-add", "com.docker.lb.websocket_endpoints=/other", "--replicas", "2"])?;
    world.await_answering(&near, "chat.test", 2)?;
    world.await_converged("default")?;
    all_echo("another label and another task")?;
    open(&near, "/ws")?.echoes("a new one, no longer on a path of the label")
}

/// Fragments, pings, lengths, closes and protocol violations.
fn unchanged(world: &World) -> Result<()> {
    let publish = format!("mode=host,published={DIRECT},target=8080");
    App::new("echo").label("websocket_endpoints", "/ws").on_node(2).words(&["--publish", &publish]).create(world)?;
    let (proxied, direct) = (world.at(1, DEFAULT), world.at(2, DIRECT));
    world.await_answer(&proxied, "echo.test", "/", "echo")?;
    let expected = conversation(&direct, "echo.test", "/ws")?;
    ensure!(expected.len() > 40 && expected.iter().any(|heard| heard.starts_with("binary 4194305")), "{expected:?}");
    for path in ["/ws", "/talk"] {
        let heard = conversation(&proxied, "echo.test", path)?;
        let different: Vec<_> = expected.iter().zip(&heard).filter(|(direct, proxied)| direct != proxied).collect();
        ensure!(different.is_empty() && heard.len() == expected.len(), "{path}: (direct, proxied) {different:?}");
    }
    Ok(())
}
