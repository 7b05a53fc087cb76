//! The golden cases that say which requests reach which service (`requests.txt`), sent to the real nginx.
//!
//! ```text
//! http://app.example.org/x -> app                  the service that answers
//! http://app.example.org/cut/x -> app as /x        and the target that it sees
//! http://nobody.example.org/ -> 503                or a status, with the target of a redirect
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use swarmgate::render::ConfigPurpose;
use swarmgate::route::{Endpoint, RouteTable};
use swarmgate::translate::translate;
use swarmgate::types::Port;

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::golden_cases::{GoldenCase, REQUESTS, all_cases};
use super::raw_client::{HttpResponse, get};
use super::test_application;

/// With fewer cases that have requests, the test is looking in the wrong place.
const CASES_MIN: usize = 20;

#[tokio::test]
async fn requests_of_golden_cases_reach_the_expected_services() {
    let Some(nginx) = nginx() else { return };
    let cases: Vec<_> = all_cases().into_iter().filter(|case| case.folder.join(REQUESTS).exists()).collect();
    assert!(cases.len() >= CASES_MIN, "only {} cases list requests", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let sandbox = EngineSandbox::new();
        let table = table(&case, sandbox.http).await;
        let engine = NginxProcess::start(&nginx, sandbox, &table, ConfigPurpose::Live).await;
        let text = fs::read_to_string(case.folder.join(REQUESTS)).unwrap();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            wrong.extend(check(&engine, line).await.map(|got| format!("{}: {line}, got {got}", case.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What happened instead, if it differs from what is expected.
async fn check(engine: &NginxProcess, line: &str) -> Option<String> {
    let (url, expected) = line.split_once(" -> ").expect("URL -> who answers");
    let rest = url.strip_prefix("http://").expect("requests of cases are plain HTTP");
    let (host, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let got = describe(&get(engine.http(), host, target).await, expected.contains(" as "));
    (got != expected).then_some(got)
}

fn describe(answer: &HttpResponse, seen: bool) -> String {
    match (answer.status, answer.header("location")) {
        (200, _) if seen => format!("{} as {}", answer.echoed("app"), answer.echoed("target")),
        (200, _) => answer.echoed("app").to_owned(),
        (status, "") => status.to_string(),
        (status, location) => format!("{status} {location}"),
    }
}

/// The case's table, with one application in place of each service's tasks.
async fn table(case: &GoldenCase, http: u16) -> RouteTable {
    let clusters = case.clusters().0;
    let cluster = clusters.first().expect("the case has a cluster");
    let mut table = translate(cluster, &case.snapshot()).table;
    table.http_port = Port::new(http).unwrap();
    table.https_port = None;
    let mut applications = BTreeMap::<String, SocketAddr>::new();
    for service in table.backends_mut().flat_map(|backend| &mut backend.services).filter(|service| !service.endpoints.is_empty()) {
        let name = service.name.to_string();
        if !applications.contains_key(&name) {
            applications.insert(name.clone(), test_application::start(Box::leak(name.clone().into_boxed_str())).await);
        }
        let address = applications[&name];
        service.endpoints = vec![Endpoint { address: address.ip(), port: Port::new(address.port()).unwrap(), task: None, lasting: false }];
    }
    table
}
