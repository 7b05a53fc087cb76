//! Rendered configurations in the real nginx: what it accepts, and how it then answers. The engine is `SWARMGATE_NGINX`, or the
//! one that `make setup` installs; without either these tests are skipped. All traffic stays on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;

#[path = "support/accept_any_certificate.rs"]
mod accept_any_certificate;
#[path = "nginx/administrator_options.rs"]
mod administrator_options;
#[path = "nginx/backend_protocols.rs"]
mod backend_protocols;
#[path = "nginx/certificates.rs"]
mod certificates;
#[path = "nginx/config_acceptance.rs"]
mod config_acceptance;
#[path = "nginx/curl.rs"]
mod curl;
#[path = "nginx/dns_names.rs"]
mod dns_names;
#[path = "nginx/engine.rs"]
mod engine;
#[path = "nginx/explain_agreement.rs"]
mod explain_agreement;
#[path = "nginx/forwarded_header.rs"]
mod forwarded_header;
#[path = "nginx/golden_requests.rs"]
mod golden_requests;
#[path = "any_input/hash_collisions.rs"]
mod hash_collisions;
#[path = "nginx/headers.rs"]
mod headers;
#[path = "nginx/hostile_paths.rs"]
mod hostile_paths;
#[path = "nginx/load_balancing.rs"]
mod load_balancing;
#[path = "nginx/long_running_streams.rs"]
mod long_running_streams;
#[path = "support/name_server.rs"]
#[expect(dead_code, reason = "shared with the delivery tests, which need more of it")]
mod name_server;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "support/ports.rs"]
mod ports;
#[path = "nginx/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "nginx/raw_client.rs"]
mod raw_client;
#[path = "nginx/real_load_balancers.rs"]
mod real_load_balancers;
#[path = "nginx/redirects.rs"]
mod redirects;
#[path = "nginx/reloads.rs"]
mod reloads;
#[path = "nginx/route_matching.rs"]
mod route_matching;
#[path = "nginx/route_tables.rs"]
mod route_tables;
#[path = "nginx/serving.rs"]
mod serving;
#[path = "support/skip.rs"]
mod skip;
#[path = "nginx/slow_clients.rs"]
mod slow_clients;
#[path = "nginx/test_application.rs"]
mod test_application;
#[path = "nginx/tls.rs"]
mod tls;
#[path = "nginx/tls_application.rs"]
mod tls_application;
#[path = "nginx/tls_material.rs"]
mod tls_material;
#[path = "nginx/trusted_peers.rs"]
mod trusted_peers;
#[path = "nginx/trusted_peers_explained.rs"]
mod trusted_peers_explained;
#[path = "nginx/upstream_failures.rs"]
mod upstream_failures;
