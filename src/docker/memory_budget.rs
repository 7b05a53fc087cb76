//! Limits how much of the answers is held in memory at the same time. Other users decide how large answers are: anyone who may
//! create a service, a secret or a network can make lists as large as Swarm accepts. An answer that is too large is an error,
//! never truncated.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The memory of any value, and of one map node per so many entries of a map: a node has room for eleven entries and is at
/// least half full.
const VALUE_BYTES: u64 = 32;
const MAP_BYTES: u64 = 640;
const MAP_ENTRIES: u64 = 6;

/// An answer that exceeds the budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetExceeded {
    /// The lists of one observation together.
    #[error(
        "the lists of one snapshot of the Swarm take more than {} of memory, most of it \"{largest}\", so the snapshot is discarded. Find \
         the service or user with so many objects or such large specs or labels, and remove them; or raise --snapshot-memory-max \
         (SWARMGATE_SNAPSHOT_MEMORY_MAX), and the operator's memory limit by three times as much", size(*.most)
    )]
    Snapshot {
        /// The limit in bytes.
        most: u64,
        /// The call whose answer takes most.
        largest: String,
    },
    /// One object of a list.
    #[error("an object in the answer is larger than {}, but Swarm stores no object of that size; the answer is discarded", size(*.most))]
    Object {
        /// The limit in bytes.
        most: u64,
    },
    /// A whole answer.
    #[error("the answer is larger than {}, but no manager sends an answer of that size; it is discarded", size(*.most))]
    Answer {
        /// The limit in bytes.
        most: u64,
    },
}

/// `256 MiB`, or a number of bytes if that is not a whole number.
fn size(bytes: u64) -> String {
    match bytes {
        mib if mib >= 1 << 20 && mib.trailing_zeros() >= 20 => format!("{} MiB", mib >> 20),
        other => format!("{other} bytes"),
    }
}

/// The approximate memory of a value.
pub fn memory_size(value: &Value) -> u64 {
    let inner = match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(memory_size).sum(),
        Value::Object(fields) => {
            let maps = (fields.len() as u64).div_ceil(MAP_ENTRIES) * MAP_BYTES;
            maps + fields.iter().map(|(key, value)| key.len() as u64 + memory_size(value)).sum::<u64>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    VALUE_BYTES + inner
}

/// The memory budget for the lists of one observation.
#[derive(Debug)]
pub struct MemoryBudget {
    most: u64,
    /// Memory taken, by call.
    taken: Mutex<BTreeMap<String, u64>>,
}

impl MemoryBudget {
    /// A budget of which nothing is taken.
    pub fn new(most: u64) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Takes the memory of an object in the answer to a call.
    pub fn take(&self, doing: &str, object: &Value) -> Result<(), BudgetExceeded> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(doing) {
            Some(its) => *its += memory_size(object),
            None => drop(taken.insert(doing.to_owned(), memory_size(object))),
        }
        if taken.values().sum::<u64>() <= self.most {
            return Ok(());
        }
        let largest = taken.iter().max_by_key(|(_, bytes)| **bytes).map(|(doing, _)| doing.clone()).unwrap_or_default();
        Err(BudgetExceeded::Snapshot { most: self.most, largest })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lists_of_an_observation_share_a_budget_and_the_error_names_the_largest() {
        let room = MemoryBudget::new(1 << 20);
        let object = json!("x".repeat(400_000));
        assert_eq!(room.take("list services", &object), Ok(()));
        assert_eq!(room.take("list services", &object), Ok(()));
        let error = room.take("list tasks", &object).unwrap_err().to_string();
        assert!(error.contains("take more than 1 MiB of memory, most of it \"list services\","), "{error}");
    }

    #[test]
    fn short_text_that_is_large_in_memory_is_counted_by_its_memory() {
        let maps: Vec<Value> = (0..1_000).map(|_| json!({"a": 1})).collect();
        assert!(memory_size(&json!(maps)) > 640_000, "a map for each 8 bytes of text");
        assert!((1_000_000..1_000_100).contains(&memory_size(&json!("x".repeat(1_000_000)))));
    }

    #[test]
    fn a_size_that_is_not_a_whole_number_of_mebibytes_is_shown_in_bytes() {
        assert_eq!((size(1 << 20), size(1_000_000), size((1 << 20) + 1)), ("1 MiB".into(), "1000000 bytes".into(), "1048577 bytes".into()));
    }
}
