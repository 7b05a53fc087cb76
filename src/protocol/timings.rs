//! Every duration on which operator, extension and proxy rely together: heartbeats, silence, long polls, limits for answers.
//! They are in one place because each follows from another; a test below checks these relations. Durations that a document sets
//! (`settings.controlPlaneTimeout`) are not here.

use std::time::Duration;

use jiff::SignedDuration;

use crate::retry::RetryLimits;

// Reports.

/// How often an extension reports to the operator when nothing changes.
pub const EXTENSION_HEARTBEAT: Duration = Duration::from_secs(2);
/// How often a proxy reports to its extension when nothing changes.
pub const PROXY_HEARTBEAT: Duration = Duration::from_millis(2500);
/// How long an extension collects changes before it reports them: many proxies that change at the same time cause one report.
pub const REPORT_GATHER: Duration = Duration::from_millis(50);
/// Retries of an extension's report.
pub const EXTENSION_REPORT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: EXTENSION_HEARTBEAT };
/// Retries of a proxy's report.
pub const PROXY_REPORT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: PROXY_HEARTBEAT };

// Silence.

/// An extension or a proxy that has not reported for this long is silent: it missed two heartbeats and some margin. While an
/// extension is silent, it is unknown what its proxies run.
pub const SILENT_AFTER: SignedDuration = SignedDuration::from_millis(6_500);
/// An extension that has not reported for this long is not testing anything: the operator stops waiting for it.
pub const NOT_WORKING_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// The last report of a task (of a proxy in its extension, of an extension in the operator) is dropped after this time. It is
/// meaningless by then: a proxy whose addresses are not confirmed has switched to names, by the default of
/// `settings.controlPlaneTimeout` (`docs/silence.md`).
pub const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_secs(30);

// Proxies that do not follow.

/// How long a proxy may lag without doing anything about it. Its agent takes a second to learn of something new and reports
/// immediately what it does.
pub const LAG_IDLE_MAX: SignedDuration = SignedDuration::from_secs(5);
/// How long a proxy may be cut off from its extension: an extension that is replaced is away for a moment.
pub const LAG_CUT_OFF_MAX: SignedDuration = SignedDuration::from_secs(3);
/// How long a proxy with an agent of an earlier version may lag: such an agent does not report what it does, and may be testing.
pub const LAG_UNEXPLAINED_MAX: SignedDuration = SignedDuration::from_secs(90);

// Freshness of addresses.

/// How often an extension asks the operator how fresh its table is.
pub const EXTENSION_CONFIRM_INTERVAL: Duration = Duration::from_secs(2);
/// How often a proxy asks the extension how fresh its configuration is. With the intervals of the extension and the operator, a
/// configuration is some ten seconds old at most while all components work.
pub const PROXY_CONFIRM_INTERVAL: Duration = Duration::from_secs(3);
/// How often a proxy asks about the addresses of its running configuration while nothing else confirms them.
pub const ADDRESS_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long addresses must have been confirmed without interruption before a proxy that resolves endpoints by name uses them again.
pub const RETURN_AFTER: Duration = Duration::from_secs(10);
/// How long a starting proxy waits for the extension if it has another configuration to start with.
pub const START_WAITS_FOR_EXTENSION: Duration = Duration::from_millis(1500);

// Long polls.

/// How long a long poll waits at the server, unless the client asks for less. Short enough to notice soon that a peer has
/// vanished silently.
pub const POLL_WAIT: Duration = Duration::from_secs(10);
/// How much later than promised a long poll may be answered.
pub const POLL_GRACE: Duration = Duration::from_secs(5);
/// The longest time for which a server holds a long poll, whatever the client asks for.
pub const POLL_WAIT_MAX: Duration = Duration::from_secs(30);
/// While there is nothing to hand out, a long poll is answered soon, so that the client tries the other addresses.
pub const POLL_WAIT_EMPTY: Duration = Duration::from_millis(500);
/// Retries of a long poll.
pub const POLL_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(2) };

// Requests.

/// The time limit for resolving a name.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The time limit for connecting.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit for connecting and the handshake together, if the peer is not known yet.
pub const PROVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The time limit for the answer to a message.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: briefly, because its address may be given to another container.
pub const POOL_IDLE: Duration = Duration::from_secs(15);

// Certificates and signatures.

/// Retries of a request for a certificate. A starting task waits for its certificate, so the first attempts follow quickly.
pub const ENROLMENT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(5) };
/// The longest time a task sleeps before it checks whether to renew its certificate: clocks are adjusted now and then.
pub const RENEWAL_NAP_MAX: Duration = Duration::from_secs(600);
/// How far ahead of an extension's clock the generation of another extension may be. No genuine number is beyond.
pub const GENERATION_AHEAD_OF_CLOCK_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How far ahead of its signing time a generation may be: an extension adopts numbers that are a day ahead of its clock. So a
/// stolen key, whose signatures are valid only for the day of its certificate, cannot produce a number with a lasting effect.
pub const GENERATION_AHEAD_OF_SIGNATURE_MAX: SignedDuration = SignedDuration::from_hours(25);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::CONTROL_PLANE_TIMEOUT_MS;

    fn signed(duration: Duration) -> SignedDuration {
        SignedDuration::try_from(duration).unwrap()
    }

    #[test]
    fn silence_is_two_missed_heartbeats_and_is_noticed_before_a_report_is_dropped() {
        for heartbeat in [EXTENSION_HEARTBEAT, PROXY_HEARTBEAT] {
            assert!(SILENT_AFTER > signed(2 * heartbeat));
        }
        assert!(SILENT_AFTER < NOT_WORKING_AFTER && NOT_WORKING_AFTER < FORGOTTEN_AFTER);
        assert_eq!(FORGOTTEN_AFTER, SignedDuration::from_millis(CONTROL_PLANE_TIMEOUT_MS.try_into().unwrap()));
    }

    #[test]
    fn addresses_are_confirmed_several_times_before_they_expire() {
        let limit = Duration::from_millis(CONTROL_PLANE_TIMEOUT_MS);
        assert!(3 * (EXTENSION_CONFIRM_INTERVAL + PROXY_CONFIRM_INTERVAL) < limit && 3 * ADDRESS_CHECK_INTERVAL < limit);
        assert!(RETURN_AFTER < limit);
    }

    #[test]
    fn a_server_answers_a_long_poll_before_its_sender_gives_up() {
        assert!(POLL_WAIT_EMPTY < POLL_WAIT && POLL_WAIT <= POLL_WAIT_MAX);
        assert!(CONNECT_TIMEOUT <= PROVE_TIMEOUT && PROVE_TIMEOUT < ANSWER_TIMEOUT);
        assert!(GENERATION_AHEAD_OF_CLOCK_MAX < GENERATION_AHEAD_OF_SIGNATURE_MAX);
    }
}
