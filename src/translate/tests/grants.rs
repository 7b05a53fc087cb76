//! Who may use which secret or config: the table of grants, and that no reference ever reaches an object without one.

use proptest::prelude::*;

use super::*;
use crate::intent::reference_grants::{MaterialRule, MaterialRules};
use crate::route::{MaterialKind, MaterialRef, Verification};
use crate::swarm::{Config, Labels, NAMED_CONFIGS_OF_A_TEAM_MAX, Secret, Service};
use crate::types::{ConfigId, ObjectGlob, SecretId, ServiceGlob};

const STACK: &str = "com.docker.stack.namespace";

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn secret(world: &mut Snapshot, name: &str, labels: Labels) {
    let secret = Secret { id: SecretId(format!("id-secret-{name}")), name: name.to_owned(), labels, created_at: world.taken_at };
    world.secrets.insert(secret.id.clone(), secret);
}

fn config(world: &mut Snapshot, name: &str, labels: Labels) {
    let id = ConfigId(format!("id-config-{name}"));
    let config = Config { id: id.clone(), name: name.to_owned(), labels, created_at: world.taken_at };
    world.configs.insert(id, config);
}

/// A service `web` that names `cert` as its certificate and `ca` as its CA.
fn service(world: &mut Snapshot, own: Labels) {
    let labels = [("hosts", "a.test"), ("port", "80"), ("ssl_cert", "cert"), ("ssl_backend", "true"), ("ssl_backend_tls_verify", "ca")];
    let labels = labels.map(|(key, value)| (format!("com.docker.lb.{key}"), value.to_owned()));
    let service = Service {
        id: ServiceId("s".to_owned()),
        name: "web".to_owned(),
        version: 1,
        created_at: world.taken_at,
        labels: labels.into_iter().chain(own).collect(),
        spec: serde_json::Value::Null,
        previous_spec: None,
        networks: vec![NetworkId("id-net".to_owned())],
        vip_mode: true,
        virtual_ips: Vec::new(),
        ports: Vec::new(),
        replicas: Some(1),
        update_status: None,
    };
    world.services.insert(service.id.clone(), service);
}

fn opened(material: MaterialRules) -> Cluster {
    Cluster { material, ..cluster() }
}

fn certificate(translation: &Translation) -> Option<String> {
    translation.table.hosts[&host("a.test")].tls.as_ref().and_then(|binding| binding.certificate.id.clone())
}

fn authority(translation: &Translation) -> Option<String> {
    let backend = &translation.table.hosts[&host("a.test")].paths.values().next().unwrap().backend;
    match &backend.protocol.tls {
        Some(Verification::Authority(MaterialRef { id, .. })) => id.clone(),
        _ => None,
    }
}

/// Stack and access label of the service, the same for the secret `cert`, the secret's `use-by` label, and the finding if
/// the use is refused.
type GrantCase<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, Option<FindingCode>);

#[test]
fn grants_follow_the_table() {
    use FindingCode::{RefNotPermitted, SecretNotFound};
    #[rustfmt::skip]
    let rows: &[GrantCase<'_>] = &[
        // service's        secret's          the secret says                      outcome
        ("", "",            "", "",           "",                                  None),
        ("shop", "",        "shop", "",       "",                                  None),
        ("shop", "",        "", "",           "",                                  Some(RefNotPermitted)),
        ("", "",            "shop", "",       "",                                  Some(RefNotPermitted)),
        ("shop", "",        "bank", "",       "",                                  Some(RefNotPermitted)),
        ("shop", "",        "Shop", "",       "",                                  Some(RefNotPermitted)),
        ("shop", "",        "", "",           "stack:shop",                        None),
        ("shop", "",        "bank", "",       "stack:x, Stack: shop ",             None),
        ("", "",            "bank", "",       "service:web",                       None),
        ("shop", "",        "bank", "",       "anyone",                            None),
        ("shop", "",        "bank", "",       "stack:bank,service:shop",           Some(RefNotPermitted)),
        ("shop", "",        "bank", "",       "shop",                              Some(RefNotPermitted)),
        ("shop", "",        "bank", "",       "stack:*",                           Some(RefNotPermitted)),
        ("shop", "",        "bank", "",       "stack:",                            Some(RefNotPermitted)),
        // The same access label is enough, whatever the stacks.
        ("shop", "/t/a",    "bank", "/t/a",   "",                                  None),
        ("", "/t/a",        "shop", " /t/a ", "",                                  None),
        // A different one excludes the service, whatever names match.
        ("shop", "/t/a",    "shop", "/t/b",   "",                                  Some(SecretNotFound)),
        ("shop", "/t/a",    "shop", "",       "",                                  Some(SecretNotFound)),
        ("shop", "",        "shop", "/t/b",   "",                                  Some(SecretNotFound)),
        ("", "/t/a",        "", "/t",         "",                                  Some(SecretNotFound)),
        ("", "/t",          "", "/t/a",       "",                                  Some(SecretNotFound)),
        ("", "/t/a",        "", "/t/a/",      "",                                  Some(SecretNotFound)),
        ("shop", "/t/a",    "shop", "/t/b",   "stack:shop,service:web",            Some(SecretNotFound)),
        ("shop", "/t/a",    "shop", "",       "stack:shop,service:web",            Some(SecretNotFound)),
        ("shop", "/t/a",    "bank", "/t/b",   "access:/t/a",                       None),
        ("shop", "/t/a",    "bank", "/t/b",   "access:/t",                         Some(SecretNotFound)),
        ("shop", "",        "bank", "/t/b",   "anyone",                            None),
    ];
    for (stack, access, its_stack, its_access, use_by, refused) in rows {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, labels(&[(STACK, stack), (LABEL_ACCESS, access)]));
        secret(&mut world, "cert", labels(&[(STACK, its_stack), (LABEL_ACCESS, its_access), (LABEL_USE_BY, use_by)]));
        let translation = translate(&cluster(), &world);
        let finding = translation.findings.iter().find(|finding| finding.field.as_deref() == Some("com.docker.lb.ssl_cert"));
        let row = (stack, access, its_stack, its_access, use_by);
        assert_eq!(finding.map(|finding| &finding.code), refused.as_ref(), "{row:?}");
        assert_eq!(certificate(&translation).is_some(), refused.is_none(), "{row:?}");
        // Swarmgate's own object is never available, and an object that is open to anyone is available to all.
        let open = opened(MaterialRules::Anyone);
        assert!(certificate(&translate(&open, &world)).is_some(), "{row:?}");
        world.secrets.values_mut().for_each(|secret| drop(secret.labels.insert("swarmgate.owner".to_owned(), "me".to_owned())));
        let ours = translate(&open, &world);
        assert_eq!((certificate(&ours), codes(&ours).contains(&RefNotPermitted)), (None, true), "{row:?}");
    }
}

#[test]
fn a_rule_opens_an_object_if_every_part_matches() {
    let globs = |patterns: &[&str]| Some(patterns.iter().map(|pattern| ServiceGlob::parse(pattern).unwrap()).collect::<Vec<_>>());
    let rule = |name: &str| MaterialRule { name: ObjectGlob::parse(name).unwrap(), services: None, stacks: None, access_labels: None };
    let check = |rule: MaterialRule, fits: bool| {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, labels(&[(STACK, "shop"), (LABEL_ACCESS, "/t/a")]));
        secret(&mut world, "cert", labels(&[(LABEL_ACCESS, "/t/b")]));
        let found = certificate(&translate(&opened(MaterialRules::Rules(vec![rule.clone()])), &world));
        assert_eq!(found.is_some(), fits, "{rule:?}");
    };
    check(rule("cert"), true);
    check(rule("c*"), true);
    check(rule("cert-*"), false);
    check(MaterialRule { services: globs(&["api", "w*"]), ..rule("*") }, true);
    check(MaterialRule { services: globs(&["api"]), ..rule("*") }, false);
    check(MaterialRule { stacks: globs(&["sho*"]), ..rule("*") }, true);
    check(MaterialRule { stacks: globs(&["bank"]), ..rule("*") }, false);
    check(MaterialRule { access_labels: Some(vec!["/t/a".to_owned()]), ..rule("*") }, true);
    check(MaterialRule { access_labels: Some(vec!["/t".to_owned()]), ..rule("*") }, false);
    check(MaterialRule { stacks: globs(&["shop"]), services: globs(&["api"]), ..rule("*") }, false);
    check(MaterialRule { services: globs(&[]), ..rule("*") }, false);
}

/// A name is resolved by the object's owner, then by the name's form, then by kind.
#[test]
fn the_nearest_object_wins() {
    let shop = labels(&[(STACK, "shop")]);
    let free = labels(&[(LABEL_USE_BY, "anyone")]);
    let check = |secrets: &[(&str, &Labels)], configs: &[(&str, &Labels)], expected: (Option<&str>, Option<&str>)| {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, shop.clone());
        for (name, labels) in secrets {
            secret(&mut world, name, (*labels).clone());
        }
        for (name, labels) in configs {
            config(&mut world, name, (*labels).clone());
        }
        let translation = translate(&cluster(), &world);
        assert_eq!((certificate(&translation).as_deref(), authority(&translation).as_deref()), expected, "{secrets:?} {configs:?}");
    };
    check(&[("cert", &free), ("shop_cert", &shop)], &[], (Some("id-secret-shop_cert"), None));
    check(&[("cert", &shop), ("shop_cert", &free)], &[], (Some("id-secret-cert"), None));
    check(&[("cert", &shop), ("shop_cert", &shop)], &[], (Some("id-secret-shop_cert"), None));
    check(&[("shop_cert", &free)], &[], (None, None));
    check(&[("ca", &free)], &[("shop_ca", &shop)], (None, Some("id-config-shop_ca")));
    check(&[("ca", &free)], &[("ca", &shop)], (None, Some("id-config-ca")));
    check(&[("ca", &shop)], &[("ca", &shop)], (None, Some("id-secret-ca")));
    check(&[("ca", &free)], &[("ca", &free)], (None, Some("id-secret-ca")));
    check(&[("ca", &Labels::new())], &[("ca", &free)], (None, Some("id-config-ca")));
    check(&[], &[("cert", &shop)], (None, None));
}

/// A config that is open to anyone is in use; another team creates a secret of the same name.
#[test]
fn a_younger_object_does_not_replace_an_older_one() {
    let free = labels(&[(LABEL_USE_BY, "anyone")]);
    let mut world = snapshot("{networks: [net]}");
    service(&mut world, labels(&[(STACK, "shop")]));
    config(&mut world, "ca", free.clone());
    secret(&mut world, "ca", free);
    for (seconds, expected) in [(1, "id-config-ca"), (-1, "id-secret-ca")] {
        let at = world.taken_at + jiff::SignedDuration::from_secs(seconds);
        world.secrets.values_mut().for_each(|secret| secret.created_at = at);
        assert_eq!(authority(&translate(&cluster(), &world)).as_deref(), Some(expected));
    }
}

#[test]
fn ids_are_not_accepted_as_names() {
    let mut world = snapshot("{networks: [net]}");
    service(&mut world, Labels::new());
    let id = SecretId("cert".to_owned());
    let secret = Secret { id: id.clone(), name: "other".to_owned(), labels: Labels::new(), created_at: world.taken_at };
    world.secrets.insert(id, secret);
    let translation = translate(&cluster(), &world);
    assert_eq!(certificate(&translation), None);
    assert!(codes(&translation).contains(&FindingCode::SecretNotFound));
}

/// Findings do not reveal whether another team has an object of some name.
#[test]
fn a_hidden_object_is_reported_like_a_missing_one() {
    let finding = |its_access: Option<&str>| {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, labels(&[(LABEL_ACCESS, "/t/a"), (STACK, "shop")]));
        secret(&mut world, "something-else", labels(&[(LABEL_ACCESS, "/t/b")]));
        for name in its_access.map(|_| ["cert", "shop_cert"]).into_iter().flatten() {
            let use_by = (LABEL_USE_BY, "stack:shop,nonsense");
            secret(&mut world, name, labels(&[(LABEL_ACCESS, its_access.unwrap_or_default()), (STACK, "shop"), use_by]));
        }
        let translation = translate(&cluster(), &world);
        (translation.table, translation.findings, translation.routes)
    };
    assert_eq!(finding(Some("/t/b")), finding(None));
    assert_eq!(finding(Some("/t/b/c")), finding(None));
}

#[test]
fn a_typo_in_the_granting_label_is_reported() {
    for (label, is_reported) in
        [("swarmgate.useby", true), ("swarmgate.use_by", true), ("swarmgate.role-of-mine", false), (LABEL_USE_BY, false)]
    {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, labels(&[(STACK, "shop")]));
        secret(&mut world, "cert", labels(&[(label, "stack:shop")]));
        assert_eq!(codes(&translate(&cluster(), &world)).contains(&FindingCode::UnknownLabel), is_reported, "{label}");
    }
}

/// Anyone can choose the name of a stack, and remedies are pasted into shells and documents.
#[test]
fn remedies_contain_no_shell_syntax() {
    for stack in ["$(reboot)", "a; b", "a`b`", "x: [y]", "a\nb", "'", "-", "é"] {
        let mut world = snapshot("{networks: [net]}");
        service(&mut world, labels(&[(STACK, stack)]));
        secret(&mut world, "cert", Labels::new());
        let translation = translate(&cluster(), &world);
        let finding = translation.findings.iter().find(|finding| finding.code == FindingCode::RefNotPermitted).unwrap();
        let text = format!("{} {}", finding.message, finding.remedy);
        assert!(stack == "-" || !text.contains(stack), "{stack}: {text}");
        assert!(text.contains("swarmgate.use-by=service:web ") && text.contains("services: [web]"), "{text}");
    }
}

/// Who may use what, by rules written a second time, from the documents instead of the code.
fn may_use(service: &Labels, object: &Labels) -> bool {
    let get = |labels: &Labels, key: &str| labels.get(key).cloned().unwrap_or_default();
    let [(access, stack), (its_access, its_stack)] = [service, object].map(|labels| (get(labels, LABEL_ACCESS), get(labels, STACK)));
    let entries: Vec<String> = get(object, LABEL_USE_BY).split(',').map(str::to_owned).collect();
    let has = |entry: String| entries.contains(&entry);
    let kept_apart = access != its_access;
    let by_default = !kept_apart && (!access.is_empty() || stack == its_stack);
    let by_name = !kept_apart && (has("service:web".to_owned()) || (!stack.is_empty() && has(format!("stack:{stack}"))));
    let by_team = !access.is_empty() && has(format!("access:{access}"));
    !object.contains_key("swarmgate.owner") && (by_default || by_name || by_team || has("anyone".to_owned()))
}

fn any_labels(of_an_object: bool) -> impl Strategy<Value = Labels> {
    let stack = prop::sample::select(vec!["", "shop", "bank"]);
    let access = prop::sample::select(vec!["", "", "/t/a", "/t/b"]);
    let entries = vec!["stack:shop", "stack:bank", "service:web", "service:api", "access:/t/a", "anyone", "shop", ""];
    let entries = prop::collection::vec(prop::sample::select(entries), 0..3).prop_map(move |entries| entries.join(","));
    let ours = prop::bool::weighted(0.1);
    (stack, access, entries, ours).prop_map(move |(stack, access, entries, ours)| {
        let mut all = labels(&[(STACK, stack), (LABEL_ACCESS, access)]);
        if of_an_object {
            all.extend(labels(&[(LABEL_USE_BY, &entries), ("swarmgate.owner", if ours { "me" } else { "" })]));
        }
        all
    })
}

fn any_object() -> impl Strategy<Value = (MaterialKind, &'static str, Labels)> {
    let kind = prop::sample::select(vec![MaterialKind::Secret, MaterialKind::Config]);
    let name = prop::sample::select(vec!["cert", "shop_cert", "bank_cert", "ca", "shop_ca", "bank_ca"]);
    (kind, name, any_labels(true))
}

#[test]
fn a_ca_beyond_the_lookup_limit_is_reported_unless_a_secret_has_its_name() {
    let (mut world, stack) = (snapshot("{networks: [net]}"), labels(&[(STACK, "shop")]));
    service(&mut world, stack.clone());
    let first = world.services.remove(&ServiceId("s".to_owned())).unwrap();
    for n in 0..NAMED_CONFIGS_OF_A_TEAM_MAX + 6 {
        let (id, name) = (ServiceId(format!("s{n:03}")), format!("web{n:03}"));
        let mut labels = first.labels.clone();
        labels.insert("com.docker.lb.hosts".to_owned(), format!("a{n}.test"));
        labels.insert("com.docker.lb.ssl_backend_tls_verify".to_owned(), format!("ca{n:03}"));
        world.services.insert(id.clone(), Service { id, name, labels, ..first.clone() });
    }
    let last = NAMED_CONFIGS_OF_A_TEAM_MAX + 5;
    secret(&mut world, &format!("shop_ca{last:03}"), stack);
    let translation = translate(&cluster(), &world);
    let values = |code| {
        let of_cas = translation.findings.iter().filter(move |finding| finding.code == code);
        of_cas.filter_map(|finding| finding.value.clone()).filter(|value| value.starts_with("ca")).collect::<Vec<_>>()
    };
    assert_eq!(values(FindingCode::SecretNotFound).len(), NAMED_CONFIGS_OF_A_TEAM_MAX, "these were searched for");
    assert_eq!(values(FindingCode::LimitExceeded), ["ca064", "ca065", "ca066", "ca067", "ca068"], "the secret is found");
}

fn swarm(own: &Labels, objects: &[(MaterialKind, &'static str, Labels)]) -> Snapshot {
    let mut world = snapshot("{networks: [net]}");
    service(&mut world, own.clone());
    for (kind, name, labels) in objects {
        match kind {
            MaterialKind::Secret => secret(&mut world, name, labels.clone()),
            MaterialKind::Config => config(&mut world, name, labels.clone()),
        }
    }
    world
}

fn labels_of<'a>(world: &'a Snapshot, id: &str) -> &'a Labels {
    let secret = world.secrets.get(&SecretId(id.to_owned())).map(|secret| &secret.labels);
    secret.or_else(|| world.configs.get(&ConfigId(id.to_owned())).map(|config| &config.labels)).unwrap()
}

proptest! {
    #[test]
    fn no_reference_reaches_an_object_without_a_grant(own in any_labels(false), objects in prop::collection::vec(any_object(), 0..10)) {
        let world = swarm(&own, &objects);
        let translation = translate(&cluster(), &world);
        for id in translation.table.material().into_iter().filter_map(|object| object.id.as_deref()) {
            prop_assert!(may_use(&own, labels_of(&world, id)), "{id} is reached by {own:?}");
        }
        // Objects that are not granted change only the findings; granted ones are found.
        let mut granted = world.clone();
        granted.secrets.retain(|_, secret| may_use(&own, &secret.labels));
        granted.configs.retain(|_, config| may_use(&own, &config.labels));
        let without = translate(&cluster(), &granted);
        prop_assert_eq!(&translation.table, &without.table);
        prop_assert_eq!(&translation.routes, &without.routes);
        let full = granted.secrets.values().any(|secret| secret.name == "cert");
        prop_assert!(certificate(&translation).is_some() || !full);
        // A service gets the object of its own stack.
        let stack = own.get(STACK).cloned().unwrap_or_default();
        let own_one = granted.secrets.values().find(|secret| !stack.is_empty() && secret.name == format!("{stack}_cert") && secret.labels.get(STACK) == Some(&stack));
        if let Some(secret) = own_one.filter(|secret| secret.labels.get(LABEL_ACCESS) == own.get(LABEL_ACCESS)) {
            prop_assert_eq!(certificate(&translation), Some(secret.id.0.clone()));
        }
    }
}

#[test]
fn a_typo_in_the_short_name_of_a_secret_is_recognised_only_in_its_own_stack() {
    let suggested = |name: &str, stack: &str| {
        let translation = translated(&format!(
            "
            networks: [web]
            secrets:
              - {{name: shop_cert, stack: shop}}
              - {{name: shop_tls-2026, stack: shop}}
              - {{name: shop_open, stack: bank, labels: {{swarmgate.use-by: anyone}}}}
              - {{name: shop_hidden, stack: bank}}
            services: [{{name: app, stack: {stack}, labels: {{hosts: h, port: 80, ssl_cert: {name}}}, networks: [web], tasks: 1}}]
            "
        ));
        let finding = translation.findings.into_iter().find(|finding| finding.code == FindingCode::SecretNotFound).expect("no such secret");
        finding.remedy.strip_prefix("Did you mean ").and_then(|rest| rest.split_once('?')).map(|(suggested, _)| suggested.to_owned())
    };
    for (name, expected) in [
        ("cret", Some("shop_cert")),
        ("CERT", Some("shop_cert")),
        ("certt", Some("shop_cert")),
        ("tls_2026", Some("shop_tls-2026")),
        ("tls-2025", Some("shop_tls-2026")),
        ("shop_tls-2025", Some("shop_tls-2026")),
        ("opne", None),
        ("hiden", None),
    ] {
        assert_eq!(suggested(name, "shop").as_deref(), expected, "{name}");
    }
    for name in ["cret", "CERT", "tls_2026", "shop_cret"] {
        assert_eq!(suggested(name, "other"), None, "{name}");
    }
}
