//! Every time on which operator, extension and proxy rely between them: heartbeats, silence, long polls, limits for answers.
//! They stand in one place because each follows from another; a test below holds these relations. Settings that a document
//! states (`settings.controlPlaneTimeout`) are not here.

use std::time::Duration;

use jiff::SignedDuration;

use crate::retry::RetryLimits;

// Reports.

/// How often an extension reports to the operator when nothing changes.
pub const EXTENSION_HEARTBEAT: Duration = Duration::from_secs(2);
/// How often a proxy reports to its extension when nothing changes.
pub const PROXY_HEARTBEAT: Duration = Duration::from_millis(2500);
/// How long an extension gathers changes before it reports them: many proxies that change at the same time make one report.
pub const REPORT_GATHER: Duration = Duration::from_millis(50);
/// Retries of an extension's report.
pub const EXTENSION_REPORT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: EXTENSION_HEARTBEAT };
/// Retries of a proxy's report.
pub const PROXY_REPORT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: PROXY_HEARTBEAT };

// Silence.

/// An extension or a proxy that has not reported for this long is silent: it missed two heartbeats and some more. Nobody can
/// tell what the proxies of a silent extension run.
pub const SILENT_AFTER: SignedDuration = SignedDuration::from_millis(6_500);
/// An extension that has not reported for this long is not testing anything: nothing is waited for any longer.
pub const NOT_WORKING_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// The last report of a task (of a proxy in its extension, of an extension in the operator) is forgotten after this time. It
/// says nothing any more: without anybody to confirm its addresses, a proxy has gone over to names by then, by the default of
/// `settings.controlPlaneTimeout` (`docs/silence.md`).
pub const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_secs(30);

// Proxies that do not follow.

/// How long a proxy may lag without doing anything about it. Its agent takes a second to hear of something new and reports at
/// once what it does.
pub const LAG_IDLE_MAX: SignedDuration = SignedDuration::from_secs(5);
/// How long a proxy may be cut off from its extension: one that is replaced is away for a moment.
pub const LAG_CUT_OFF_MAX: SignedDuration = SignedDuration::from_secs(3);
/// How long a proxy may lag whose agent is of an earlier version: it does not say what it does, and may be testing.
pub const LAG_UNEXPLAINED_MAX: SignedDuration = SignedDuration::from_secs(90);

// Freshness of addresses.

/// How often an extension asks the operator how fresh its table is.
pub const EXTENSION_CONFIRM_INTERVAL: Duration = Duration::from_secs(2);
/// How often a proxy asks the extension how fresh its configuration is. With the extension's own interval and the operator's, a
/// configuration is some ten seconds old at most while everybody works.
pub const PROXY_CONFIRM_INTERVAL: Duration = Duration::from_secs(3);
/// How often a proxy asks about the addresses of what it runs while nothing else confirms them.
pub const ADDRESS_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// For how long addresses must have been confirmed without a break before a proxy that found endpoints by name uses them again.
pub const RETURN_AFTER: Duration = Duration::from_secs(10);
/// How long a proxy that starts waits for the extension when there is something else to start with.
pub const START_WAITS_FOR_EXTENSION: Duration = Duration::from_millis(1500);

// Long polls.

/// How long a long poll waits at the server, unless its sender asks more often. Short enough that a peer that vanished without a
/// word is noticed soon.
pub const POLL_WAIT: Duration = Duration::from_secs(10);
/// How much later than promised the answer to a long poll may be.
pub const POLL_GRACE: Duration = Duration::from_secs(5);
/// No server holds a long poll longer than this, whatever it asks for.
pub const POLL_WAIT_MAX: Duration = Duration::from_secs(30);
/// While there is nothing at all to hand out, a long poll is answered soon, so that its sender tries the other addresses.
pub const POLL_WAIT_EMPTY: Duration = Duration::from_millis(500);
/// Retries of a long poll.
pub const POLL_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(2) };

// Requests.

/// How long a name may take to resolve.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connection and handshake may take together where the peer is not known yet.
pub const PROVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the answer to a message may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is dropped soon: its address may become a stranger's.
pub const POOL_IDLE: Duration = Duration::from_secs(15);

// Certificates and signatures.

/// Retries of a request for a certificate. A task that starts waits for its certificate, so the first tries come quickly.
pub const ENROLMENT_RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: Duration::from_secs(5) };
/// How long a task sleeps at most until it renews its certificate: clocks are set now and then.
pub const RENEWAL_NAP_MAX: Duration = Duration::from_secs(600);
/// How far ahead of an extension's clock the generation of another's may be. No honest number is beyond.
pub const GENERATION_AHEAD_OF_CLOCK_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How far ahead of its signing time a generation may be: an extension takes over numbers that are a day ahead of its clock. So
/// a key that was stolen once, whose signatures are valid for the day of its certificate only, makes no number that lasts.
pub const GENERATION_AHEAD_OF_SIGNATURE_MAX: SignedDuration = SignedDuration::from_hours(25);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::CONTROL_PLANE_TIMEOUT_MS;

    fn signed(duration: Duration) -> SignedDuration {
        SignedDuration::try_from(duration).unwrap()
    }

    #[test]
    fn silence_is_two_missed_heartbeats_and_is_noticed_before_a_report_is_forgotten() {
        for heartbeat in [EXTENSION_HEARTBEAT, PROXY_HEARTBEAT] {
            assert!(SILENT_AFTER > signed(2 * heartbeat));
        }
        assert!(SILENT_AFTER < NOT_WORKING_AFTER && NOT_WORKING_AFTER < FORGOTTEN_AFTER);
        assert_eq!(FORGOTTEN_AFTER, SignedDuration::from_millis(CONTROL_PLANE_TIMEOUT_MS.try_into().unwrap()));
    }

    #[test]
    fn addresses_are_confirmed_several_times_within_the_limit_after_which_they_are_not_used() {
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
