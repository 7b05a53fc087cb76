//! The chart's files fit together: a second file that is passed with `-c` replaces, as a whole, each item of the first that it
//! names.
#![expect(clippy::expect_used, reason = "a test that cannot read its file has failed")]

use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Yaml};

const CHART: &str = "charts/swarmgate";

fn with_network(name: &str, check: impl FnOnce(&Yaml<'_>)) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART).join(name)).expect("the chart has this file");
    let documents = Yaml::load_from_str(&text).expect("it is YAML");
    let network = documents[0].as_mapping_get("networks").and_then(|networks| networks.as_mapping_get("control"));
    check(network.expect("it has the control network"));
}

fn name_and_driver(network: &Yaml<'_>) -> [Option<String>; 2] {
    ["name", "driver"].map(|key| network.as_mapping_get(key).and_then(|value| value.as_str()).map(str::to_owned))
}

#[test]
fn the_encrypted_control_network_matches_the_stack() {
    with_network("stack.yml", |plain| {
        assert!(name_and_driver(plain).iter().all(Option::is_some), "it has a name and a driver");
        with_network("encrypted.yml", |encrypted| {
            assert_eq!(name_and_driver(encrypted), name_and_driver(plain));
            let options = encrypted.as_mapping_get("driver_opts").expect("it has options");
            assert!(options.as_mapping_get("encrypted").is_some(), "it is encrypted");
        });
    });
}
