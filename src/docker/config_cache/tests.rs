//! What is asked, when, and what is made of answers.

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
    SwarmError { kind, doing: "look at config j".to_owned(), message: message.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_believed_for_long_only_while_events_are_followed() {
    for (following, believed) in [(true, BELIEVED), (false, BELIEVED_UNHEARD)] {
        let mut known = KnownConfigs::default();
        known.hear(changes(following, &[]));
        let now = Instant::now();
        for (key, found) in [("ca", Some(config("a", "ca", &json!({})))), ("nowhere", None)] {
            assert_eq!(keys(&mut known, &naming(key), now), [key]);
            known.answered(ConfigKey::Name(key.to_owned()), found, now);
            let almost = now + believed.checked_sub(Duration::from_millis(1)).unwrap();
            assert_eq!(keys(&mut known, &naming(key), almost), [""; 0]);
            assert_eq!(keys(&mut known, &naming(key), now + believed), [key]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_held_that_nobody_names_any_more() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.missing(&naming("ca"), now);
    known.answered(ConfigKey::Name("ca".to_owned()), Some(config("a", "ca", &json!({}))), now);
    assert_eq!(shown(&known), ["a"]);
    known.missing(&[], now);
    assert_eq!(shown(&known), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn ours_are_asked_for_by_id_only_where_the_list_does_not_show_them() {
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

/// A config of ours that was removed while nobody listened would be mounted again and again, and refused each time.
#[tokio::test(start_paused = true)]
async fn ours_are_listed_anew_when_something_was_missed_and_not_more_than_once_a_minute() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![ours("a")], true, now);
    known.hear(ConfigChanges { missed: true, following: true, configs: vec![] });
    assert!(!known.must_list(now) && known.must_list(now + LIST_AGAIN));
    known.listed(vec![], true, now + LIST_AGAIN);
    assert_eq!((shown(&known), known.must_list(now + 2 * LIST_AGAIN)), (vec![], false));
}

#[tokio::test(start_paused = true)]
async fn what_is_mounted_and_has_not_our_label_is_not_shown() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![], true, now);
    assert_eq!(keys(&mut known, &mounting("z"), now), ["z"]);
    known.answered(ConfigKey::Id("z".to_owned()), Some(config("z", "swarmgate-boot-z", &json!({}))), now);
    assert_eq!((shown(&known), keys(&mut known, &mounting("z"), now)), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_changed_of_ours_is_asked_for_and_others_changes_cost_nothing() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.listed(vec![ours("a")], true, now);
    known.hear(changes(true, &[("new", "swarmgate-boot-new"), ("a", ""), ("x", "strangers"), ("", "swarmgate-taken")]));
    assert_eq!(keys(&mut known, &[], now), ["a", "new", "swarmgate-taken"]);
    known.answered(ConfigKey::Id("new".to_owned()), Some(ours("new")), now);
    known.answered(ConfigKey::Id("a".to_owned()), None, now);
    known.answered(ConfigKey::Name("swarmgate-taken".to_owned()), Some(config("t", "swarmgate-taken", &json!({}))), now);
    assert_eq!((shown(&known), keys(&mut known, &[], now)), (vec!["new".to_owned()], vec![]));
    let many: Vec<(String, String)> = (0..1_000).map(|n| (format!("i{n}"), format!("swarmgate-{n}"))).collect();
    known.hear(ConfigChanges { configs: many, ..ConfigChanges::default() });
    assert_eq!(keys(&mut known, &[], now).len(), CHANGED_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_told_is_asked_anew() {
    let (mut known, now) = (KnownConfigs::default(), Instant::now());
    known.missing(&naming("ca"), now);
    known.answered(ConfigKey::Name("ca".to_owned()), Some(config("a", "ca", &json!({}))), now);
    known.hear(ConfigChanges { missed: true, following: true, configs: vec![] });
    assert_eq!(keys(&mut known, &naming("ca"), now), ["ca"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_an_error_only_while_there_was_none() {
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
fn only_words_that_say_so_mean_that_there_is_no_such_config() {
    assert!(is_absence(&error(SwarmErrorKind::NotFound, "config j not found")));
    assert!(is_absence(&error(SwarmErrorKind::Invalid, "config j is ambiguous (13 matches found)")));
    let too_much = "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (12000000 vs. 4194304)";
    assert!(is_absence(&error(SwarmErrorKind::Other, too_much)));
    for (kind, words) in
        [(SwarmErrorKind::Unavailable, "context deadline exceeded"), (SwarmErrorKind::Other, "forbidden"), (SwarmErrorKind::Invalid, "odd")]
    {
        assert!(!is_absence(&error(kind, words)), "{words}");
    }
}

#[test]
fn of_very_large_labels_only_those_that_mean_something_are_held() {
    let labels = json!({"note": "x".repeat(LABEL_BYTES_MAX), "swarmgate.use-by": "anyone", "com.docker.stack.namespace": "shop", "swarmgate.x": "x".repeat(LABEL_BYTES_MAX)});
    let slim = slim(config("a", "ca", &labels));
    assert_eq!(slim["Spec"], json!({"Name": "ca", "Labels": {"com.docker.stack.namespace": "shop", "swarmgate.use-by": "anyone"}}));
    let small = config("a", "ca", &json!({"note": "x"}));
    assert_eq!(super::slim(small)["Spec"], json!({"Name": "ca", "Labels": {"note": "x"}}));
}
