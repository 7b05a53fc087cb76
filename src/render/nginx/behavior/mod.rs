//! How nginx handles requests, for explanations: the behaviour that the rest of this folder configures, implemented as code.
//! `tests/nginx` compares both with the real nginx.

mod forwarded;
mod trusted_headers;
mod uri_normalization;

use super::{NginxRenderer, main_context, proxy_directives, request_headers, upstreams};
use crate::render::{BadPath, Behavior, ClientClaims, CutRequest, ReceivedRequest, RetryRule, StatusCodes};
use crate::route::{Backend, ClientAddress, EngineSettings};

/// The headers of HTTP/1.1 connections.
const CONNECTION_HEADERS: [&str; 2] = ["Upgrade", "Connection"];

impl Behavior for NginxRenderer {
    fn status_codes(&self) -> StatusCodes {
        StatusCodes {
            bad_path: 400,
            plain_on_tls_port: 400,
            unexpected_proxy_header: 400,
            misdirected: 421,
            redirect: 302,
            to_https: 301,
            to_https_other_methods: 308,
            added_slash: 301,
        }
    }

    fn normalized_path(&self, path: &str) -> Result<String, BadPath> {
        uri_normalization::normalized(path)
    }

    fn cut_path(&self, request: &CutRequest<'_>) -> String {
        uri_normalization::strip_prefix(request)
    }

    fn client_claims(&self, settings: &EngineSettings, front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims {
        trusted_headers::client_claims(settings, front, request)
    }

    fn retry_rule(&self, settings: &EngineSettings) -> RetryRule {
        RetryRule {
            tries_max: proxy_directives::TRIES_MAX,
            time_ms: proxy_directives::retry_time_ms(settings),
            when: "if the connection cannot be established, and for methods other than POST, LOCK, and PATCH also if it breaks",
        }
    }

    fn request_headers(&self, settings: &EngineSettings, http2: bool) -> Vec<&'static str> {
        let added = request_headers::ADDED.iter().copied().chain(request_headers::forwarded(settings));
        added.chain(CONNECTION_HEADERS.into_iter().filter(|_| !http2)).collect()
    }

    fn prefix_header(&self) -> &'static str {
        request_headers::PREFIX
    }

    fn info_headers(&self, settings: &EngineSettings) -> Vec<&'static str> {
        main_context::info_headers(settings).map(|(name, _)| name).collect()
    }

    fn has_named_servers(&self, backend: &Backend) -> bool {
        upstreams::has_named_servers(backend)
    }
}
