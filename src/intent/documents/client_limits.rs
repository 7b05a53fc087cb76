//! The limits in `spec.settings` on clients, streams, and workers of earlier configurations. Their defaults depend on one
//! another and on how the proxies are published.

use super::document_error::Mistakes;
use super::fields::Fields;
use super::optional::or;
use crate::intent::cluster_spec::PublishMode;
use crate::intent::formats::{engine_duration, timeout};
use crate::intent::quantity::parse_size;
use crate::intent::settings_spec::Settings;
use crate::report::cases;
use crate::route::{BODY_SPOOL_MAX, ClientLimits, EngineSettings, SizeBytes};
use crate::types::InvalidValue;

/// One client address gets at most this part of a worker's connections by default: with two for each request, half of them remain
/// for others.
const CLIENT_PART: u32 = 4;

/// The limits, with defaults resolved.
pub(super) fn checked(spec: &Settings, mode: PublishMode) -> Result<ClientLimits, InvalidValue> {
    let default = ClientLimits::default();
    let size = |text: &Option<String>| text.as_deref().map(|text| parse_size(text).map(SizeBytes)).transpose();
    let sending = or(spec.send_timeout.as_deref(), timeout, default.client_send_timeout_ms)?;
    Ok(ClientLimits {
        client_connections_max: spec.max_connections_per_client.unwrap_or_else(|| per_client(spec, mode)),
        client_header_timeout_ms: or(spec.client_header_timeout.as_deref(), engine_duration, default.client_header_timeout_ms)?,
        client_send_timeout_ms: or(spec.client_send_timeout.as_deref(), engine_duration, sending)?,
        concurrent_streams_max: spec.max_concurrent_streams.unwrap_or(default.concurrent_streams_max),
        stream_idle_timeout_ms: or(spec.stream_idle_timeout.as_deref(), engine_duration, usual_silence(spec, &default)?)?,
        retiring_workers_max: spec.retiring_workers_max,
        retiring_memory_max: size(&spec.retiring_memory_max)?,
        body_spool_max: size(&spec.request_body_spool_max)?,
    })
}

/// The connections of a worker: no more than its limit of open files, if only that is stated.
pub(super) fn connections(spec: &Settings) -> u32 {
    let default = EngineSettings::default().max_connections;
    spec.max_connections.unwrap_or_else(|| spec.open_files.map_or(default, |files| files.min(default)))
}

/// Behind the routing mesh all clients of a node have the mesh's address: a limit per address would stop all of them
/// because of one.
fn per_client(spec: &Settings, mode: PublishMode) -> u32 {
    match mode {
        PublishMode::Host => (connections(spec) / CLIENT_PART).max(1),
        PublishMode::Ingress => 0,
    }
}

/// A stream's idle timeout is never shorter than that of an ordinary response.
fn usual_silence(spec: &Settings, default: &ClientLimits) -> Result<u64, InvalidValue> {
    Ok(or(spec.read_timeout.as_deref(), timeout, 0)?.max(default.stream_idle_timeout_ms))
}

/// Invalid values.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    one_client(fields, mistakes);
    one_body(fields, mistakes);
}

/// How the proxies are published, as far as known: `publish` requires `mode`, and a missing one is reported on its own.
pub(super) fn publish_mode<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    let default = || fields.any("/spec/proxy/publish").is_none().then_some("ingress");
    fields.text("/spec/proxy/publish/mode").or_else(default)
}

fn one_client(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let at = "/spec/settings/maxConnectionsPerClient";
    let mode = publish_mode(fields);
    if mode == Some("ingress") && fields.number(at).is_some_and(|most| most > 0) {
        let message = "behind the routing mesh all clients of a node share one address, so this limits all of them together";
        mistakes.add(cases::InvalidValue::PerClientInMesh, at, message);
    }
    let files = fields.number("/spec/settings/openFiles").unwrap_or(u64::MAX);
    let of_worker =
        fields.number("/spec/settings/maxConnections").unwrap_or_else(|| u64::from(EngineSettings::default().max_connections).min(files));
    if mode == Some("host") && fields.number(at).is_some_and(|most| most >= of_worker) {
        let message =
            format!("one client may use all {of_worker} connections of a worker (maxConnections), so that other clients have to wait");
        mistakes.add(cases::InvalidValue::PerClientTooHigh, at, message);
    }
}

/// A body larger than the total for all bodies interrupts the uploads of others, and never arrives itself. Defaults alone are
/// not reported: they do not ask for such bodies. Without an agent (a stock image) nothing limits them.
fn one_body(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let (spool, body) = ("/spec/settings/requestBodySpoolMax", "/spec/settings/clientMaxBodySize");
    let bytes = |pointer: &str| fields.text(pointer).and_then(|text| parse_size(text).ok());
    let most = bytes(spool).or_else(|| fields.any(spool).is_none().then_some(BODY_SPOOL_MAX.0));
    let Some(most) = most.filter(|most| *most > 0 && fields.text("/spec/proxy/rollout") != Some("replace")) else { return };
    let is_stated = fields.any(spool).is_some();
    let largest = bytes(body).unwrap_or(EngineSettings::default().client_max_body_size.0);
    if largest == 0 && is_stated {
        let message = "a single request body may fill this space, because clientMaxBodySize is 0 (no limit); all uploads are aborted then";
        mistakes.add(cases::InvalidValue::UnlimitedBody, spool, message);
    } else if largest > most && is_stated {
        mistakes.add(cases::InvalidValue::SmallSpool, spool, "a single request body may be larger than this (clientMaxBodySize)");
    } else if largest > most {
        let message = format!(
            "all request bodies together may use {}g on a proxy's volume (the default of requestBodySpoolMax), so a body of this size \
             never arrives, and aborts other uploads",
            most >> 30
        );
        mistakes.add(cases::InvalidValue::LargeBody, body, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(spec: &Settings, mode: PublishMode) -> ClientLimits {
        checked(spec, mode).unwrap()
    }

    #[test]
    fn one_client_gets_a_quarter_of_the_connections_except_behind_the_routing_mesh() {
        let spec = Settings { max_connections: Some(1000), ..Settings::default() };
        assert_eq!(limits(&spec, PublishMode::Host).client_connections_max, 250);
        assert_eq!(limits(&spec, PublishMode::Ingress).client_connections_max, 0);
        let stated = Settings { max_connections_per_client: Some(7), ..spec };
        assert_eq!(limits(&stated, PublishMode::Ingress).client_connections_max, 7);
        assert_eq!(limits(&Settings { max_connections_per_client: Some(0), ..stated }, PublishMode::Host).client_connections_max, 0);
    }

    #[test]
    fn timeouts_for_both_sides_apply_to_clients_unless_they_have_their_own() {
        let both = Settings { send_timeout: Some("5m".to_owned()), read_timeout: Some("2h".to_owned()), ..Settings::default() };
        let seen = limits(&both, PublishMode::Host);
        assert_eq!((seen.client_send_timeout_ms, seen.stream_idle_timeout_ms), (300_000, 7_200_000));
        let apart = Settings { client_send_timeout: Some("0s".to_owned()), stream_idle_timeout: Some("20s".to_owned()), ..both };
        let seen = limits(&apart, PublishMode::Host);
        assert_eq!((seen.client_send_timeout_ms, seen.stream_idle_timeout_ms), (0, 20_000));
    }

    #[test]
    fn connections_are_limited_by_open_files() {
        assert_eq!(connections(&Settings { open_files: Some(2048), ..Settings::default() }), 2048);
        assert_eq!(connections(&Settings::default()), 16_384);
    }
}
