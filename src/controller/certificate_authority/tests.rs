//! The authority comes from the operator's own service only, whatever other secrets exist in the Swarm.

use std::collections::BTreeMap;

use super::*;
use crate::simulator::{SimOptions, SimSwarm};

const OPERATOR: &str = "swarmgate_operator";

/// A Swarm with an operator's service, and the place where that service looks for its authority.
struct AuthorityFixture {
    swarm: SimSwarm,
    source: AuthoritySource,
    _folder: tempfile::TempDir,
}

impl AuthorityFixture {
    fn new() -> Self {
        let swarm = SimSwarm::new(SimOptions::default());
        let spec = json!({"Name": OPERATOR, "TaskTemplate": {"ContainerSpec": {"Image": "swarmgate:1"}, "Placement": {}}});
        let service = swarm.user_creates_service(&spec).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let source = AuthoritySource { file: folder.path().join("ca"), service: Some(service) };
        Self { swarm, source, _folder: folder }
    }

    /// Starts the operator; returns the name of the secret that its service mounts afterwards.
    async fn started(&self) -> String {
        let established = establish(&self.swarm, &self.source, "swarmgate").await.unwrap();
        assert!(matches!(established, EstablishedAuthority::Remounted), "{established:?}");
        self.swarm.advance(std::time::Duration::from_secs(30));
        self.mounted().expect("the service mounts an authority")
    }

    fn mounted(&self) -> Option<String> {
        let truth = Snapshot::from_raw(&self.swarm.truth()).unwrap();
        let service = truth.services.values().find(|service| service.name == OPERATOR)?;
        let id = SecretId(authority_of(&service.spec)?.to_owned());
        truth.secrets.get(&id).map(|secret| secret.name.clone())
    }

    /// Like `docker stack deploy`: sets the service to what its file states.
    fn deployed(&self) {
        self.swarm.user_edits_service(OPERATOR, |spec| drop(spec["TaskTemplate"]["ContainerSpec"]["Secrets"].take())).unwrap();
        self.swarm.advance(std::time::Duration::from_secs(5));
        assert_eq!(self.mounted(), None);
    }

    /// The same twice, before any task could be replaced.
    fn deployed_twice(&self) {
        for label in ["1", "2"] {
            let edit = |spec: &mut Value| {
                spec["Labels"] = json!({"deployment": label});
                drop(spec["TaskTemplate"]["ContainerSpec"]["Secrets"].take());
            };
            self.swarm.user_edits_service(OPERATOR, edit).unwrap();
        }
        assert_eq!(self.mounted(), None);
    }

    /// Secrets that an attacker might create to be mistaken for the operator's.
    fn forge(&self, name: &str) {
        let forged = Authority::create(Timestamp::now()).unwrap();
        let labels = labels(&forged, "swarmgate", ROLE_AUTHORITY, name);
        self.swarm.user_creates_secret(name, &labels, forged.to_pem().as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn the_first_start_creates_and_mounts_an_authority_and_ignores_forged_secrets() {
    let scene = AuthorityFixture::new();
    scene.forge("swarmgate-ca-0000000000000000");
    let mounted = scene.started().await;
    assert_ne!(mounted, "swarmgate-ca-0000000000000000", "labels alone are not trusted");
    assert_eq!(scene.started().await, mounted, "a second start writes nothing");
}

#[tokio::test]
async fn an_authority_that_a_deployment_unmounts_is_mounted_again() {
    let scene = AuthorityFixture::new();
    let first = scene.started().await;
    scene.forge("swarmgate-ca-ffffffffffffffff");
    scene.deployed();
    assert_eq!(scene.started().await, first, "found in the previous spec");
    // Two in a row: then only the tasks show it. The simulated Swarm keeps no history of ended tasks, so it is one that ends;
    // `channel_trust::the_authority_is_the_operators_own_and_outlives_deployments` tries it on a real Swarm.
    scene.deployed_twice();
    assert_eq!(scene.started().await, first, "found in a task");
}

/// Another secret is mounted in its place and removed again: the history holds both.
#[tokio::test]
async fn a_secret_mounted_by_mistake_is_not_mounted_again() {
    let scene = AuthorityFixture::new();
    let first = scene.started().await;
    let wrong = scene.swarm.user_creates_secret("wrongca", &BTreeMap::new(), b"garbage").unwrap();
    let edit = |spec: &mut Value| {
        *spec = with_mount(
            &json!({"Name": OPERATOR, "TaskTemplate": {"ContainerSpec": {"Image": "swarmgate:1"}, "Placement": {}}}),
            &wrong,
            "wrongca",
        );
    };
    scene.swarm.user_edits_service(OPERATOR, edit).unwrap();
    scene.deployed_twice();
    assert_ne!(scene.started().await, "wrongca");
    assert_ne!(first, "wrongca");
}

#[tokio::test]
async fn a_deleted_authority_is_replaced() {
    let scene = AuthorityFixture::new();
    let first = scene.started().await;
    scene.deployed();
    scene.swarm.user_removes_secret(&first).unwrap();
    assert_ne!(scene.started().await, first);
}

#[tokio::test]
async fn tidying_removes_only_unused_secrets_of_other_authorities_of_this_instance() {
    let scene = AuthorityFixture::new();
    let mounted = scene.started().await;
    let authority = Authority::create(Timestamp::now()).unwrap();
    scene.swarm.user_creates_secret("db-password", &BTreeMap::new(), b"x").unwrap();
    scene.forge("swarmgate-ca-0000000000000000");
    remove_stale_secrets(&scene.swarm, &authority, "swarmgate", true).await;
    let names = |scene: &AuthorityFixture| -> Vec<String> {
        let truth = Snapshot::from_raw(&scene.swarm.truth()).unwrap();
        truth.secrets.values().map(|secret| secret.name.clone()).collect()
    };
    let left = names(&scene);
    assert!(left.contains(&mounted) && left.contains(&"db-password".to_owned()), "{left:?}");
    assert!(!left.contains(&"swarmgate-ca-0000000000000000".to_owned()), "{left:?}");
    assert!(left.iter().any(|name| name.starts_with("swarmgate-status-token-")), "{left:?}");
    let writes = scene.swarm.take_writes().len();
    remove_stale_secrets(&scene.swarm, &authority, "swarmgate", true).await;
    // Removing what the operator's service still mounts is refused again; nothing else is attempted.
    assert!(scene.swarm.take_writes().len() <= 1 && writes > 0);
}

#[tokio::test]
async fn outside_a_service_the_authority_is_a_file_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = AuthorityFixture::new();
    let source = AuthoritySource { service: None, ..scene.source.clone() };
    let authority =
        |established| if let EstablishedAuthority::Ready(authority) = established { authority } else { panic!("there is no service") };
    let first = authority(establish(&scene.swarm, &source, "swarmgate").await.unwrap());
    assert_eq!(std::fs::metadata(&source.file).unwrap().permissions().mode() & 0o777, 0o600);
    let second = authority(establish(&scene.swarm, &source, "swarmgate").await.unwrap());
    assert_eq!(first.root(), second.root());
    std::fs::write(&source.file, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap();
    let error = establish(&scene.swarm, &source, "swarmgate").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
    let nowhere = AuthoritySource { file: "/nonexistent/ca".into(), service: None };
    let error = establish(&scene.swarm, &nowhere, "swarmgate").await.unwrap_err().to_string();
    assert!(error.contains("SWARMGATE_SERVICE={{.Service.ID}}") && error.contains("--authority-file"), "{error}");
}

#[test]
fn mounting_sets_a_process_limit_unless_there_is_one() {
    let limits = |limits: Value| {
        let spec = json!({"TaskTemplate": {"ContainerSpec": {}, "Resources": {"Limits": limits}}});
        with_mount(&spec, &SecretId("id".to_owned()), "name")["TaskTemplate"]["Resources"]["Limits"].clone()
    };
    assert_eq!(limits(json!({"MemoryBytes": 5})), json!({"MemoryBytes": 5, "Pids": PROCESSES_MAX}));
    assert_eq!(limits(Value::Null), json!({"Pids": PROCESSES_MAX}));
    assert_eq!(limits(json!({"Pids": 7})), json!({"Pids": 7}));
}
