//! Which configs are requested, when, and how answers are used.

use super::*;

fn config(id: &str, name: &str, labels: &Value) -> Value {
    json!({"ID": id, "Version": {"Index": 1}, "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {"Name": name, "Labels": labels, "Data": ""}})
}

fn ours(id: &str) -> Value {
    config(id, &format!("swarmgate-boot-{id}"), &json!({"swarmgate.owner": "o"}))
}

fn naming(name: &str) -> Vec<Value> {
    vec![json!({"ID": "s", "Spec": {"Labels": {"com.docker.lb.ssl_backend_tls_verify": name}}})]
}

fn mounting(id: &str) -> Vec<Value> {
    let mount = json!({"ConfigID": id, "ConfigName": format!("swarmgate-boot-{id}")});
    vec![
        json!({"ID": "p", "Spec": {"Labels": {"swarmgate.owner": "o"}, "TaskTemplate": {"ContainerSpec": {"Configs": [mount]}}}}),
        json!({"ID": "q", "Spec": {"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigID": "x", "ConfigName": "swarmgate-x"}]}}}}),
    ]
}

fn changes(following: bool, configs: &[(&str, &str)]) -> ConfigChanges {
    let configs = configs.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect();
    ConfigChanges { following, missed: false, configs }
}

fn keys(known: &mut KnownConfigs, services: &[Value], now: Instant) -> Vec<String> {
    known.missing(services, now).iter().map(ConfigKey::to_string).collect()
}

fn shown(known: &KnownConfigs) -> Vec<String> {
    known.all().iter().map(|config| id_of(config).to_owned()).collect()
}

fn error(kind: SwarmErrorKind, message: &str) -> SwarmError {
    SwarmError { kind, doing: "inspect config j".to_owned(), message: message.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_answer_stays_valid_for_long_only_while_events_are_followed() {
    for (following, valid_for) in [(true, VALID_FOR), (false, VALID_FOR_WITHOUT_EVENTS)] {
        let mut known = KnownConfigs::default();
        known.apply_changes(changes(following, &[]));
        let now = Instant::now();
        for (key, found) in [("ca", Some(config("a", "ca", &json!({})))), ("nowhere", None)] {
            assert_eq!(keys(&mut known, &naming(key), now), [key]);
            known.answered(ConfigKey::Name(key.to_owned()), found, now);
            let almost = now + valid_for.checked_sub(Duration::from_millis(1)).unwrap();
            assert_eq!(keys(&mut known, &naming(key), almost), [""; 0]);
            assert_eq!(keys(&mut known, &naming(key), now + valid_for), [key]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn configs_that_are_no_longer_named_are_dropped() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.missing(&naming("ca"), now);
    known.answered(ConfigKey::Name("ca".to_owned()), Some(config("a", "ca", &json!({}))), now);
    assert_eq!(shown(&known), ["a"]);
    known.missing(&[], now);
    assert_eq!(shown(&known), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn ours_are_requested_by_id_only_if_the_list_does_not_contain_them() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    assert!(known.must_list(now));
    known.listed(vec![ours("a"), config("b", "swarmgate-notes", &json!({})), json!(null)], true, now);
    assert_eq!(shown(&known), ["a"]);
    assert_eq!(keys(&mut known, &mounting("a"), now), [""; 0]);
    assert_eq!(keys(&mut known, &mounting("z"), now), ["z"]);
    known.answered(ConfigKey::Id("z".to_owned()), Some(ours("z")), now);
    assert_eq!(shown(&known), ["a", "z"]);
    assert!(!known.must_list(now + LIST_EVERY.checked_sub(Duration::from_millis(1)).unwrap()) && known.must_list(now + LIST_EVERY));
}

/// Otherwise a config of ours that was removed while no events were followed would be mounted again and again, and rejected each time.
#[tokio::test(start_paused = true)]
async fn missed_events_cause_a_new_list_of_ours_at_most_once_a_minute() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![ours("a")], true, now);
    known.apply_changes(ConfigChanges { missed: true, following: true, configs: vec![] });
    assert!(!known.must_list(now) && known.must_list(now + LIST_AGAIN));
    known.listed(vec![], true, now + LIST_AGAIN);
    assert_eq!((shown(&known), known.must_list(now + 2 * LIST_AGAIN)), (vec![], false));
}

#[tokio::test(start_paused = true)]
async fn a_mounted_config_without_our_label_is_not_returned() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![], true, now);
    assert_eq!(keys(&mut known, &mounting("z"), now), ["z"]);
    known.answered(ConfigKey::Id("z".to_owned()), Some(config("z", "swarmgate-boot-z", &json!({}))), now);
    assert_eq!((shown(&known), keys(&mut known, &mounting("z"), now)), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn only_changed_configs_of_ours_are_requested_again() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![ours("a")], true, now);
    known.apply_changes(changes(true, &[("new", "swarmgate-boot-new"), ("a", ""), ("x", "strangers"), ("", "swarmgate-taken")]));
    assert_eq!(keys(&mut known, &[], now), ["a", "new", "swarmgate-taken"]);
    known.answered(ConfigKey::Id("new".to_owned()), Some(ours("new")), now);
    known.answered(ConfigKey::Id("a".to_owned()), None, now);
    known.answered(ConfigKey::Name("swarmgate-taken".to_owned()), Some(config("t", "swarmgate-taken", &json!({}))), now);
    assert_eq!((shown(&known), keys(&mut known, &[], now)), (vec!["new".to_owned()], vec![]));
    let many: Vec<(String, String)> = (0..1_000).map(|n| (format!("i{n}"), format!("swarmgate-{n}"))).collect();
    known.apply_changes(ConfigChanges { configs: many, ..ConfigChanges::default() });
    assert_eq!(keys(&mut known, &[], now).len(), CHANGED_MAX);
}

#[tokio::test(start_paused = true)]
async fn missed_events_invalidate_all_answers() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.missing(&naming("ca"), now);
    known.answered(ConfigKey::Name("ca".to_owned()), Some(config("a", "ca", &json!({}))), now);
    known.apply_changes(ConfigChanges { missed: true, following: true, configs: vec![] });
    assert_eq!(keys(&mut known, &naming("ca"), now), ["ca"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_list_is_an_error_only_before_the_first_success() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    let failed = || error(SwarmErrorKind::Unavailable, "context deadline exceeded");
    assert_eq!(known.not_listed(failed(), now), Err(failed()));
    assert!(known.must_list(now));
    known.listed(vec![ours("a")], true, now);
    assert_eq!(known.not_listed(failed(), now), Ok(()));
    assert_eq!((shown(&known), known.must_list(now)), (vec!["a".to_owned()], false));
    assert!(known.must_list(now + LIST_AGAIN));
}

#[test]
fn only_specific_errors_mean_that_a_config_does_not_exist() {
    assert!(is_absence(&error(SwarmErrorKind::NotFound, "config j not found")));
    assert!(is_absence(&error(SwarmErrorKind::Invalid, "config j is ambiguous (13 matches found)")));
    let too_much = "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (12000000 vs. 4194304)";
    assert!(is_absence(&error(SwarmErrorKind::Other, too_much)));
    for (kind, message) in
        [(SwarmErrorKind::Unavailable, "context deadline exceeded"), (SwarmErrorKind::Other, "forbidden"), (SwarmErrorKind::Invalid, "odd")]
    {
        assert!(!is_absence(&error(kind, message)), "{message}");
    }
}

#[test]
fn if_labels_are_very_large_only_meaningful_ones_are_kept() {
    let labels = json!({"note": "x".repeat(LABEL_BYTES_MAX), "swarmgate.use-by": "anyone", "com.docker.stack.namespace": "shop", "swarmgate.x": "x".repeat(LABEL_BYTES_MAX)});
    let slim = without_data(config("a", "ca", &labels));
    assert_eq!(slim["Spec"], json!({"Name": "ca", "Labels": {"com.docker.stack.namespace": "shop", "swarmgate.use-by": "anyone"}}));
    let small = config("a", "ca", &json!({"note": "x"}));
    assert_eq!(super::without_data(small)["Spec"], json!({"Name": "ca", "Labels": {"note": "x"}}));
}
