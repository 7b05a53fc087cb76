//! How much of answers is held at the same time. Others decide how large answers are: whoever may create a service, a secret
//! or a network puts as much into lists as Swarm takes. What is too large is an error, never a part of an answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// What any value takes, and a map beside it for each so many entries: it has room for eleven, and is half full or more.
const VALUE_BYTES: u64 = 32;
const MAP_BYTES: u64 = 640;
const MAP_ENTRIES: u64 = 6;

/// An answer for which there is no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetExceeded {
    /// The lists of a look, together.
    #[error(
        "the lists of one look at the Swarm take more than {} of memory, most of it \"{largest}\", so none of them counts. Find out whose \
         objects are so many or have such large specs or labels, and remove them; or raise --look-memory-max (SWARMGATE_LOOK_MEMORY_MAX), and \
         the operator's memory limit by three times as much", size(*.most)
    )]
    Look {
        /// How much there is room for, in bytes.
        most: u64,
        /// The call that takes most.
        largest: String,
    },
    /// One object of a list.
    #[error("an object in the answer is larger than {}, and Swarm keeps none that large; the answer does not count", size(*.most))]
    Object {
        /// How much there is room for, in bytes.
        most: u64,
    },
    /// All of an answer.
    #[error("the answer is larger than {}, and no manager gives one that large; it does not count", size(*.most))]
    Answer {
        /// How much is read, in bytes.
        most: u64,
    },
}

/// `256 MiB`, or bytes where that is no whole number.
fn size(bytes: u64) -> String {
    match bytes {
        mib if mib >= 1 << 20 && mib.trailing_zeros() >= 20 => format!("{} MiB", mib >> 20),
        other => format!("{other} bytes"),
    }
}

/// About how much memory a value takes.
pub fn weight(value: &Value) -> u64 {
    let inner = match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => {
            let maps = (fields.len() as u64).div_ceil(MAP_ENTRIES) * MAP_BYTES;
            maps + fields.iter().map(|(key, value)| key.len() as u64 + weight(value)).sum::<u64>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    VALUE_BYTES + inner
}

/// Room for the lists of one look.
#[derive(Debug)]
pub struct MemoryBudget {
    most: u64,
    /// Taken, by the call that did.
    taken: Mutex<BTreeMap<String, u64>>,
}

impl MemoryBudget {
    /// Nothing of it is taken.
    pub fn new(most: u64) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Takes what an object in the answer to a call needs.
    pub fn take(&self, doing: &str, object: &Value) -> Result<(), BudgetExceeded> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(doing) {
            Some(its) => *its += weight(object),
            None => drop(taken.insert(doing.to_owned(), weight(object))),
        }
        if taken.values().sum::<u64>() <= self.most {
            return Ok(());
        }
        let largest = taken.iter().max_by_key(|(_, bytes)| **bytes).map(|(doing, _)| doing.clone()).unwrap_or_default();
        Err(BudgetExceeded::Look { most: self.most, largest })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_a_look_share_their_room_and_the_largest_is_named() {
        let room = MemoryBudget::new(1 << 20);
        let object = json!("x".repeat(400_000));
        assert_eq!(room.take("list services", &object), Ok(()));
        assert_eq!(room.take("list services", &object), Ok(()));
        let error = room.take("list tasks", &object).unwrap_err().to_string();
        assert!(error.contains("take more than 1 MiB of memory, most of it \"list services\","), "{error}");
    }

    #[test]
    fn what_is_short_as_text_and_large_in_memory_weighs_what_it_takes() {
        let maps: Vec<Value> = (0..1_000).map(|_| json!({"a": 1})).collect();
        assert!(weight(&json!(maps)) > 640_000, "a map for each 8 bytes of text");
        assert!((1_000_000..1_000_100).contains(&weight(&json!("x".repeat(1_000_000)))));
    }

    #[test]
    fn a_size_that_is_no_whole_number_of_mebibytes_is_told_in_bytes() {
        assert_eq!((size(1 << 20), size(1_000_000), size((1 << 20) + 1)), ("1 MiB".into(), "1000000 bytes".into(), "1048577 bytes".into()));
    }
}
