//! Rendered configurations in the real nginx: what it accepts, and how it then answers. The engine is `SWARMGATE_NGINX`, or the
//! one that `make setup` installs; without either these tests are skipped. All traffic stays on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact.rs"]
mod golden_compact;

#[path = "nginx/accepts.rs"]
mod accepts;
#[path = "nginx/affinity.rs"]
mod affinity;
#[path = "nginx/application.rs"]
mod application;
#[path = "nginx/balancers.rs"]
mod balancers;
#[path = "nginx/certificates.rs"]
mod certificates;
#[path = "nginx/client.rs"]
mod client;
#[path = "nginx/curl.rs"]
mod curl;
#[path = "nginx/engine.rs"]
mod engine;
#[path = "nginx/explained.rs"]
mod explained;
#[path = "nginx/failures.rs"]
mod failures;
#[path = "nginx/forwarded.rs"]
mod forwarded;
#[path = "nginx/fronts.rs"]
mod fronts;
#[path = "nginx/fronts_explained.rs"]
mod fronts_explained;
#[path = "nginx/headers.rs"]
mod headers;
#[path = "any_input/lookalikes.rs"]
mod lookalikes;
#[path = "nginx/matching.rs"]
mod matching;
#[path = "nginx/material.rs"]
mod material;
#[path = "support/name_server.rs"]
#[expect(dead_code, reason = "shared with the delivery tests, which need more of it")]
mod name_server;
#[path = "nginx/names.rs"]
mod names;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "nginx/options.rs"]
mod options;
#[path = "nginx/peer.rs"]
mod peer;
#[path = "support/ports.rs"]
mod ports;
#[path = "nginx/protocols.rs"]
mod protocols;
#[path = "nginx/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "nginx/redirects.rs"]
mod redirects;
#[path = "nginx/reloads.rs"]
mod reloads;
#[path = "support/skip.rs"]
mod skip;
#[path = "nginx/slow.rs"]
mod slow;
#[path = "nginx/strangers.rs"]
mod strangers;
#[path = "nginx/streams.rs"]
mod streams;
#[path = "nginx/tables.rs"]
mod tables;
#[path = "nginx/tls.rs"]
mod tls;
#[path = "nginx/vectors.rs"]
mod vectors;
