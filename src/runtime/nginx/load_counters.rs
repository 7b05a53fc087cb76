//! Counters of clients for one load. nginx keeps shared memory of the same name across a reload, but counters must not outlive
//! their workers: a worker that was ended never decrements them, and after enough of that the client would be refused forever.

use crate::protocol::container_contract::ENGINE_COUNTERS;

/// The same text with counters that no other load has.
pub(super) fn with_counters(text: &str, number: u64) -> String {
    text.replace(ENGINE_COUNTERS, &format!("{ENGINE_COUNTERS}{number}|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_has_its_own_counters() {
        let text = "limit_conn_zone $x zone=swarmgate|clients:1m; limit_conn swarmgate|clients 5;";
        let expected = "limit_conn_zone $x zone=swarmgate|7|clients:1m; limit_conn swarmgate|7|clients 5;";
        assert_eq!(with_counters(text, 7), expected);
    }
}
