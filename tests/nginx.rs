//! Rendered configurations in the real nginx: what it accepts, and how it then answers. The engine is `SWARMGATE_NGINX`, or the
//! one that `make setup` installs; without either these tests are skipped. All traffic stays on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;

#[path = "nginx/config_acceptance.rs"]
mod config_acceptance;
#[path = "nginx/load_balancing.rs"]
mod load_balancing;
#[path = "nginx/test_application.rs"]
mod test_application;
#[path = "nginx/real_load_balancers.rs"]
mod real_load_balancers;
#[path = "nginx/certificates.rs"]
mod certificates;
#[path = "nginx/raw_client.rs"]
mod raw_client;
#[path = "nginx/curl.rs"]
mod curl;
#[path = "nginx/engine.rs"]
mod engine;
#[path = "nginx/explain_agreement.rs"]
mod explain_agreement;
#[path = "nginx/upstream_failures.rs"]
mod upstream_failures;
#[path = "nginx/forwarded_header.rs"]
mod forwarded_header;
#[path = "nginx/trusted_peers.rs"]
mod trusted_peers;
#[path = "nginx/trusted_peers_explained.rs"]
mod trusted_peers_explained;
#[path = "nginx/headers.rs"]
mod headers;
#[path = "any_input/hash_collisions.rs"]
mod hash_collisions;
#[path = "nginx/route_matching.rs"]
mod route_matching;
#[path = "nginx/tls_material.rs"]
mod tls_material;
#[path = "support/name_server.rs"]
#[expect(dead_code, reason = "shared with the delivery tests, which need more of it")]
mod name_server;
#[path = "nginx/dns_names.rs"]
mod dns_names;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "nginx/administrator_options.rs"]
mod administrator_options;
#[path = "nginx/tls_application.rs"]
mod tls_application;
#[path = "support/ports.rs"]
mod ports;
#[path = "nginx/backend_protocols.rs"]
mod backend_protocols;
#[path = "nginx/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "nginx/redirects.rs"]
mod redirects;
#[path = "nginx/reloads.rs"]
mod reloads;
#[path = "support/skip.rs"]
mod skip;
#[path = "nginx/slow_clients.rs"]
mod slow_clients;
#[path = "nginx/hostile_paths.rs"]
mod hostile_paths;
#[path = "nginx/streams.rs"]
mod streams;
#[path = "nginx/route_tables.rs"]
mod route_tables;
#[path = "nginx/tls.rs"]
mod tls;
#[path = "nginx/golden_requests.rs"]
mod golden_requests;
