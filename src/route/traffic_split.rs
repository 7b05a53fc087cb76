//! How requests are shared among the services of a pool: exact numbers from weights and endpoints, the same in the rendered
//! configuration and in the reported status. Pure arithmetic.

use super::{Backend, BackendService};

/// The finest step of a weight when endpoints do not divide evenly: a thousandth of the pool.
const STEPS_MAX: u64 = 1_000;

impl Backend {
    /// The weight of each endpoint of each service, in the order of `services`, in lowest terms; 0 for a service that gets
    /// no requests. Without any `weight`, all endpoints are equal.
    ///
    /// A weight is a percentage that does not depend on the number of endpoints. Services without a weight share the rest,
    /// each endpoint equally; if all services have one, the shares are relative to their sum.
    pub fn endpoint_weights(&self) -> Vec<u64> {
        let present = |service: &&BackendService| !service.endpoints.is_empty();
        let explicit: u64 = self.services.iter().filter(present).filter_map(|service| service.weight).map(u64::from).sum();
        let free = self.services.iter().filter(present).filter(|service| service.weight.is_none());
        let free_endpoints: u64 = free.map(count).sum();
        if self.services.iter().filter(present).all(|service| service.weight.is_none()) {
            return self.services.iter().map(|service| u64::from(!service.endpoints.is_empty())).collect();
        }
        let rest = 100_u64.saturating_sub(explicit);
        // A share per endpoint as (numerator, denominator).
        let per_endpoint = |service: &BackendService| match service.weight {
            _ if service.endpoints.is_empty() => (0, 1),
            Some(weight) => (u64::from(weight), count(service)),
            None => (rest, free_endpoints),
        };
        in_lowest_terms(&self.services.iter().map(per_endpoint).collect::<Vec<_>>())
    }

    /// The share of each service in thousandths, in the order of `services`.
    pub fn shares_permille(&self) -> Vec<u16> {
        let totals: Vec<u64> =
            self.endpoint_weights().iter().zip(&self.services).map(|(weight, service)| weight * count(service)).collect();
        let sum = totals.iter().sum::<u64>().max(1);
        totals.iter().map(|total| u16::try_from((total * 1000 + sum / 2) / sum).unwrap_or(1000)).collect()
    }
}

fn count(service: &BackendService) -> u64 {
    u64::try_from(service.endpoints.len()).unwrap_or(u64::MAX).min(1 << 20)
}

/// Integers in the same proportions: exact if they stay small, otherwise rounded, but never to zero.
fn in_lowest_terms(shares: &[(u64, u64)]) -> Vec<u64> {
    let common = shares.iter().try_fold(1, |common, (_, denominator)| lcm(common, *denominator).filter(|lcm| *lcm <= STEPS_MAX));
    let scale = common.unwrap_or(STEPS_MAX);
    let scaled: Vec<u64> =
        shares.iter().map(|(part, whole)| if *part == 0 { 0 } else { ((part * scale + whole / 2) / whole).max(1) }).collect();
    let divisor = scaled.iter().copied().fold(0, gcd).max(1);
    scaled.into_iter().map(|weight| weight / divisor).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn lcm(a: u64, b: u64) -> Option<u64> {
    (a / gcd(a, b).max(1)).checked_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Endpoint;
    use crate::types::{Port, ServiceId, ServiceName};

    /// Services by (weight, endpoints).
    fn backend(services: &[(Option<u8>, u8)]) -> Backend {
        let endpoint = |last| Endpoint { address: [10, 0, 0, last].into(), port: Port::new(80).unwrap(), task: None, lasting: false };
        let service = |(at, (weight, endpoints)): (usize, &(Option<u8>, u8))| {
            let name = ServiceName::parse(&format!("s{at}")).unwrap();
            let endpoints = (0..*endpoints).map(endpoint).collect();
            BackendService { weight: *weight, ..BackendService::new(ServiceId(at.to_string()), name, Port::new(80).unwrap(), endpoints) }
        };
        Backend::new(services.iter().enumerate().map(service).collect())
    }

    fn check(services: &[(Option<u8>, u8)], weights: &[u64], permille: &[u16]) {
        let backend = backend(services);
        assert_eq!((backend.endpoint_weights(), backend.shares_permille()), (weights.to_vec(), permille.to_vec()), "{services:?}");
    }

    #[test]
    fn without_weights_all_endpoints_are_equal() {
        check(&[(None, 4), (None, 1)], &[1, 1], &[800, 200]);
        check(&[(None, 0), (None, 3)], &[0, 1], &[0, 1000]);
        check(&[(None, 0)], &[0], &[0]);
    }

    #[test]
    fn a_weight_is_a_share_independent_of_the_number_of_endpoints() {
        check(&[(None, 4), (Some(10), 1)], &[9, 4], &[900, 100]);
        check(&[(None, 4), (Some(10), 5)], &[45, 4], &[900, 100]);
        check(&[(Some(30), 2), (Some(10), 1)], &[3, 2], &[750, 250]);
        check(&[(None, 1), (Some(0), 3)], &[1, 0], &[1000, 0]);
        check(&[(None, 2), (Some(100), 1)], &[0, 1], &[0, 1000]);
    }

    #[test]
    fn a_service_without_endpoints_leaves_its_share_to_the_others() {
        check(&[(None, 2), (Some(50), 0)], &[1, 0], &[1000, 0]);
        check(&[(Some(20), 3), (Some(80), 0)], &[1, 0], &[1000, 0]);
    }

    #[test]
    fn odd_numbers_are_rounded_but_never_to_zero() {
        let weights = backend(&[(None, 97), (Some(1), 89)]).endpoint_weights();
        assert!(weights.iter().all(|weight| (1..=100_000).contains(weight)), "{weights:?}");
        let shares = backend(&[(None, 97), (Some(1), 89)]).shares_permille();
        assert!((985..=995).contains(&shares[0]), "{shares:?}");
    }
}
