//! For any services with any label values: nginx accepts the rendered configuration, a second parser finds exactly the routes
//! of the route table in it, and text from a label appears only where a value belongs. Needs nginx and crossplane (`make
//! setup`); without them these tests are skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "any_input/certificates.rs"]
mod certificates;
#[path = "any_input/config_semantics.rs"]
mod config_semantics;
#[path = "any_input/directive_contexts.rs"]
mod directive_contexts;
#[path = "nginx/engine.rs"]
#[expect(dead_code, reason = "shared with the tests that make requests")]
mod engine;
#[path = "any_input/expected_response.rs"]
mod expected_response;
#[path = "any_input/explain_consistency.rs"]
mod explain_consistency;
#[path = "golden/compact_swarm.rs"]
#[expect(dead_code, reason = "shared with the tests that read cases from files")]
mod golden_compact;
#[path = "any_input/hash_collisions.rs"]
mod hash_collisions;
#[path = "any_input/hash_table_stress.rs"]
mod hash_table_stress;
#[path = "any_input/label_generator.rs"]
mod label_generator;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "any_input/nginx_hash_tables.rs"]
mod nginx_hash_tables;
#[path = "any_input/crossplane_parser.rs"]
mod parser;
#[path = "support/ports.rs"]
mod ports;
#[path = "any_input/scale_limits.rs"]
mod scale_limits;
#[path = "support/skip.rs"]
mod skip;
#[path = "any_input/swarm_generator.rs"]
mod swarm_generator;

use std::cell::RefCell;

use proptest::prelude::*;
use swarmgate::intent::labels::LABELS;
use swarmgate::render::ConfigPurpose;
use swarmgate::route::RouteTable;
use swarmgate::translate::translate;

use engine::{EngineSandbox, nginx};
use parser::Parser;

/// The engine, place and parser of one test.
struct EngineFixture {
    nginx: std::path::PathBuf,
    sandbox: EngineSandbox,
    parser: RefCell<Parser>,
}

impl EngineFixture {
    fn new() -> Option<Self> {
        Some(Self { nginx: nginx()?, sandbox: EngineSandbox::new(), parser: RefCell::new(Parser::start()?) })
    }

    fn cluster(&self, tls: bool) -> swarmgate::intent::cluster::Cluster {
        swarm_generator::cluster(self.sandbox.http, tls.then_some(1443))
    }

    /// Checks everything that must hold for a table, for every purpose.
    fn check(&self, table: &RouteTable) {
        for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
            let result = self.sandbox.test(&self.nginx, table, purpose).map_err(|message| message.chars().take(600).collect::<String>());
            assert_eq!(result, Ok(String::new()), "{purpose:?}");
            let config = self.parser.borrow_mut().parse(&self.sandbox.write(table, purpose));
            directive_contexts::check(&config);
            nginx_hash_tables::check(&config);
            config_semantics::check(&config, table, purpose);
        }
    }
}

#[test]
fn explanations_of_any_labels_agree_with_their_findings() {
    let names: Vec<&'static str> = LABELS.iter().map(|label| label.name).collect();
    let config = ProptestConfig { cases: 400, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(services in label_generator::services(&names), tls in prop::bool::weighted(0.8))| {
        explain_consistency::check(&swarm_generator::cluster(80, tls.then_some(443)), &swarm_generator::swarm(&services));
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn any_labels_yield_exactly_their_routes_and_stay_in_their_positions() {
    let Some(engine) = EngineFixture::new() else { return };
    let names: Vec<&'static str> = LABELS.iter().map(|label| label.name).collect();
    // Each case starts the engine three times. Set PROPTEST_CASES to run more.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let config = ProptestConfig { cases, max_shrink_iters: 120, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(services in label_generator::services(&names), tls in prop::bool::weighted(0.8))| {
        engine.check(&translate(&engine.cluster(tls), &swarm_generator::swarm(&services)).table);
    });
}

/// Uses as many names as some real installations have, of lengths at which hash tables only just suffice.
#[test]
fn any_number_of_names_of_any_length_fits_the_hash_tables() {
    let Some(engine) = EngineFixture::new() else { return };
    let config = ProptestConfig { cases: 12, max_shrink_iters: 30, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(services in hash_table_stress::crowds(), tls in prop::bool::weighted(0.8))| {
        engine.check(&translate(&engine.cluster(tls), &swarm_generator::swarm(&services)).table);
    });
}
