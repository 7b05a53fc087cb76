//! Measurements on a real Swarm, the same for Swarmgate and for a rival. It must never judge: it prints figures, and
//! docs/measurements.md explains what they mean.

mod follow;
mod idle;
mod ingress;
mod lost_requests;
mod websockets;

pub use follow::follow;
pub use idle::idle;
pub use ingress::Ingress;
pub use lost_requests::changes;
pub use websockets::websockets;

use std::time::Duration;

/// The median: the middle value, or the mean of the two in the middle.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    (at(last / 2) + at(last.div_ceil(2))) / 2
}

/// A little randomness for the phase between a measurement and a poller, from the clock's lowest digits.
fn random_share() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // The golden ratio spreads the digits, because the clock's own resolution may leave them in steps.
    (f64::from(since.subsec_nanos()) * 0.618_033_988_75).fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let ms = Duration::from_millis;
        assert_eq!(median(&mut [ms(4), ms(1), ms(3), ms(2)]), Duration::from_micros(2500));
        assert_eq!(median(&mut [ms(9), ms(1), ms(3)]), ms(3));
    }
}
