//! An invalid service can never hurt another: for any set of services, the routes of the valid ones are the same with and
//! without the invalid ones.

use proptest::prelude::*;

use super::*;
use crate::intent::labels::{LABELS, LabelReading, read_labels};
use crate::render::{ConfigPurpose, render};
use crate::swarm::{Secret, Service, VirtualIp};
use crate::types::{SecretId, ServiceId};

pub fn world(labels: Vec<BTreeMap<String, String>>) -> Snapshot {
    let mut world = snapshot("{networks: [net]}");
    let secret =
        Secret { id: SecretId("id".to_owned()), name: "qz1zq.pem".to_owned(), labels: BTreeMap::new(), created_at: world.taken_at };
    world.secrets.insert(secret.id.clone(), secret);
    for (at, labels) in labels.into_iter().enumerate() {
        let service = Service {
            id: ServiceId(format!("s{at}")),
            name: format!("service-{at}"),
            version: 1,
            // Equal times, so the id decides.
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

/// Compares everything of a service that is visible in another's routes: all that proxies and reports contain about routes.
fn check(all: &Snapshot, fewer: &Snapshot) {
    let (with, without) = (translate(&cluster(), all), translate(&cluster(), fewer));
    assert_eq!(with.table, without.table);
    assert_eq!(with.routes, without.routes);
    assert_eq!(with.networks, without.networks);
    assert_eq!(with.table.digest(), without.table.digest());
    for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
        assert_eq!(render(&with.table, purpose), render(&without.table, purpose), "{purpose:?}");
    }
}

fn names() -> Vec<&'static str> {
    LABELS.iter().map(|label| label.name).collect()
}

proptest! {
    #[test]
    fn invalid_services_do_not_change_routes_of_valid_ones(services in label_generator::services(&names()), some in any::<u8>()) {
        let all = world(services.into_iter().map(|(labels, _, _)| labels).collect());
        let valid = |service: &Service| matches!(read_labels(&service.name, &service.labels).reading, LabelReading::Published(_));
        let mut fewer = all.clone();
        fewer.services.retain(|_, service| valid(service));
        check(&all, &fewer);
        // And without only some of them.
        let mut at = 0;
        fewer.services.clone_from(&all.services);
        fewer.services.retain(|_, service| {
            at += 1;
            valid(service) || some & (1 << (at % 8)) == 0
        });
        check(&all, &fewer);
    }

    #[test]
    fn a_service_does_not_change_routes_of_hosts_that_it_does_not_name(services in label_generator::services(&names())) {
        let all = world(services.into_iter().map(|(labels, _, _)| labels).collect());
        let Some(last) = all.services.values().last() else { return Ok(()) };
        let named = match read_labels(&last.name, &last.labels).reading {
            LabelReading::Published(labels) => labels.hosts,
            LabelReading::NotPublished | LabelReading::Refused => Vec::new(),
        };
        let mut fewer = all.clone();
        fewer.services.remove(&last.id);
        let (mut with, mut without) = (translate(&cluster(), &all).table, translate(&cluster(), &fewer).table);
        for table in [&mut with, &mut without] {
            table.hosts.retain(|host, _| !named.contains(host));
            table.passthrough.retain(|host, _| !named.contains(host));
        }
        prop_assert_eq!(&with.hosts, &without.hosts);
        prop_assert_eq!(&with.passthrough, &without.passthrough);
        // The oldest decides, and this is the youngest.
        if without.default_backend.is_some() {
            prop_assert_eq!(&with.default_backend, &without.default_backend);
        }
    }
}
