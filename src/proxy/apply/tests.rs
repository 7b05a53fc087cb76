//! Offers to an engine that applies changes of endpoints without a reload.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::pki::{Authority, ChannelRole};
use crate::protocol::{Bootstrap, SharedSecret};
use crate::proxy::fake_engine::{FakeEngine, FakeProcess};
use crate::proxy::{Follow, ProxyOptions};
use crate::types::{ClusterName, EngineKind};

fn agent(directory: &Path, reload_distance: Duration) -> Agent {
    let cluster = ClusterName::parse("dev").unwrap();
    let root = Authority::create(jiff::Timestamp::now()).unwrap().root().clone();
    let token = SharedSecret::new("token").unwrap();
    let options = ProxyOptions {
        bootstrap: Bootstrap { role: ChannelRole::Proxy, cluster: cluster.clone(), token, root },
        cluster,
        task: "t1".to_owned(),
        node: "n1".to_owned(),
        operator_url: String::new(),
        follow: Follow::Operator,
        engine_kind: EngineKind::default(),
        engine: "none".into(),
        run_dir: directory.join("run"),
        state_dir: directory.join("state"),
        boot_file: directory.join("boot.json"),
        material_dir: directory.join("material"),
        health: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        new_networks: None,
        names: None,
        reload_distance,
    };
    Agent::new(options, Arc::new(FakeEngine)).unwrap()
}

/// An offer with these settings and endpoints.
fn offer(settings: &str, endpoints: &str) -> Arc<ProxyConfig> {
    let files = |text: &str| BTreeMap::from([("main.conf".to_owned(), text.to_owned())]);
    let bundle = |text: &str| Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files(text));
    let parts = [("settings", settings), ("endpoints of a.example.org", endpoints)];
    let parts = parts.map(|(name, content)| (name.to_owned(), content.to_owned()));
    let live = bundle(&format!("{settings} {endpoints}"));
    Arc::new(ProxyConfig::new(live, bundle(settings), SecretFiles::default(), parts.into()))
}

/// An agent whose engine runs an offer.
struct RunningAgent {
    _directory: TempDir,
    agent: Agent,
    process: FakeProcess,
    first: Arc<ProxyConfig>,
}

impl RunningAgent {
    fn new(reload_distance: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (agent, first) = (agent(directory.path(), reload_distance), offer("1", "1"));
        agent.confirmations.record(&first.digest, Moment::now());
        Self { _directory: directory, agent, process: FakeProcess::default(), first }
    }

    /// Applies offers one after another, and returns how the last one was applied, and how many reloads and changes without one
    /// there were.
    async fn apply(&self, offers: &[Arc<ProxyConfig>]) -> (Option<AppliedBy>, u64, u64) {
        let candidate = Candidate::offered(Arc::clone(&self.first), OfferForm::Live, true);
        let never = Notify::new();
        let applier = Applier::new(&self.agent, &self.process, candidate).run(&never);
        let mut state = self.agent.state.subscribe();
        let play = async {
            for offer in offers {
                let digest = Some(offer.live.digest.clone());
                self.agent.confirmations.record(&offer.digest, Moment::now());
                self.agent.offers.send_replace(Some(Arc::clone(offer)));
                state.wait_for(|state| state.running == digest).await.unwrap();
            }
        };
        tokio::select! {
            never = applier => match never {},
            () = play => {}
        }
        let state = self.agent.state.borrow();
        (state.applied, state.reloads, state.runtime_changes)
    }
}

#[tokio::test]
async fn a_change_of_endpoints_is_applied_and_reported_without_a_reload() {
    let running = RunningAgent::new(Duration::ZERO);
    assert_eq!(running.apply(&[offer("1", "2")]).await, (Some(AppliedBy::Runtime), 0, 1));
    assert_eq!(running.process.changes(), [ChangeScope::Endpoints]);
}

#[tokio::test]
async fn any_other_change_is_a_reload() {
    let running = RunningAgent::new(Duration::ZERO);
    assert_eq!(running.apply(&[offer("1", "2"), offer("2", "2")]).await, (Some(AppliedBy::Reload), 1, 1));
    assert_eq!(running.process.changes(), [ChangeScope::Endpoints, ChangeScope::Everything]);
}

#[tokio::test]
async fn only_changes_that_need_a_reload_are_delayed() {
    let distance = Duration::from_secs(2);
    let running = RunningAgent::new(distance);
    let began = Instant::now();
    let changes = [offer("2", "1"), offer("2", "2"), offer("2", "3")];
    assert_eq!(running.apply(&changes).await, (Some(AppliedBy::Runtime), 1, 2));
    assert!(began.elapsed() < distance, "changes of endpoints must not wait for a reload");
    let running = RunningAgent::new(Duration::from_millis(400));
    let began = Instant::now();
    assert_eq!(running.apply(&[offer("2", "1"), offer("3", "1")]).await, (Some(AppliedBy::Reload), 2, 0));
    assert!(began.elapsed() >= Duration::from_millis(400), "two reloads must not follow each other immediately");
}
