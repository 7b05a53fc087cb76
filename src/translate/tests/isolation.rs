//! One bad service can never hurt another: for any set of services, the routes of the valid ones are the same with and
//! without the invalid ones.

use proptest::prelude::*;

use super::*;
use crate::intent::labels::{LabelReading, read_labels};
use crate::swarm::{Service, VirtualIp};
use crate::types::ServiceId;

/// Values that are good, nearly good, and hostile.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop_oneof![
            Just("a.example.org".to_owned()), Just("b.example.org".to_owned()), Just("*.example.org".to_owned()), Just("80".to_owned()),
            Just("true".to_owned()), Just("/app".to_owned()), Just("vip".to_owned()), Just("net".to_owned()), Just(String::new()),
        ],
        1 => prop_oneof![Just("x; } server {".to_owned()), Just("/a b\"$x".to_owned()), Just("99999".to_owned()), any::<String>()],
    ]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names = ["hosts", "port", "network", "context_root", "context_root_rewrite", "default_backend", "backend_mode"];
    let good = [("hosts", "a.example.org"), ("port", "80")].map(|(key, value)| (format!("com.docker.lb.{key}"), value.to_owned()));
    prop::collection::btree_map(prop::sample::select(names.to_vec()).prop_map(|name| format!("com.docker.lb.{name}")), value(), 0..5)
        .prop_map(move |drawn| BTreeMap::from(good.clone()).into_iter().chain(drawn).collect())
}

fn world(labels: Vec<BTreeMap<String, String>>) -> Snapshot {
    let mut world = snapshot("{networks: [net]}");
    for (at, labels) in labels.into_iter().enumerate() {
        let service = Service {
            id: ServiceId(format!("s{at}")),
            name: format!("service-{at}"),
            version: 1,
            // Equal times, so that the id decides.
            created_at: world.taken_at,
            labels,
            spec: serde_json::Value::Null,
            previous_spec: None,
            networks: vec![NetworkId("id-net".to_owned())],
            vip_mode: true,
            virtual_ips: vec![VirtualIp { network: NetworkId("id-net".to_owned()), address: std::net::Ipv4Addr::LOCALHOST.into() }],
            ports: Vec::new(),
            replicas: Some(2),
            update_status: None,
        };
        world.services.insert(service.id.clone(), service);
    }
    world
}

proptest! {
    #[test]
    fn invalid_services_change_no_route_of_valid_ones(labels in prop::collection::vec(labels(), 0..8)) {
        let all = world(labels);
        let mut valid = all.clone();
        valid.services.retain(|_, service| {
            matches!(read_labels(&service.name, &service.labels).reading, LabelReading::Published(_))
        });
        let (with, without) = (translate(&cluster(), &all), translate(&cluster(), &valid));
        prop_assert_eq!(&with.table, &without.table);
        prop_assert_eq!(&with.routes, &without.routes);
        prop_assert_eq!(&with.networks, &without.networks);
        prop_assert_eq!(with.table.digest(), translate(&cluster(), &all).table.digest());
    }
}
