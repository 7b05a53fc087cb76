//! Changes to configs, as reported by events and by our own writes: a hint that known metadata is out of date. A lost hint
//! costs only time.

use std::sync::{Arc, Mutex, PoisonError};

/// If more configs change between two observations, all are treated as changed.
const CHANGES_MAX: usize = 4_096;

/// The changes since the last call of [`ConfigNews::take`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Whether events are being followed now.
    pub following: bool,
    /// Whether changes may have been missed.
    pub missed: bool,
    /// Ids and names of configs that may have changed. The id is empty if only the name is known.
    pub configs: Vec<(String, String)>,
}

/// Collects changes. Cheap to clone; all clones share one state.
#[derive(Debug, Clone, Default)]
pub struct ConfigNews(Arc<Mutex<ConfigChanges>>);

/// Marks events as followed until it is dropped.
#[derive(Debug)]
pub struct EventSubscription(ConfigNews);

impl ConfigNews {
    /// Records that a config changed, or that a change was attempted.
    pub fn changed(&self, id: &str, name: &str) {
        self.edit(|changes| {
            if changes.configs.len() < CHANGES_MAX {
                changes.configs.push((id.to_owned(), name.to_owned()));
            } else {
                changes.missed = true;
            }
        });
    }

    /// Records evidence that the known configs are out of date.
    pub fn mark_uncertain(&self) {
        self.edit(|changes| changes.missed = true);
    }

    /// Records that events report changes from now on. Changes before that may have been missed.
    pub fn follow(&self) -> EventSubscription {
        self.edit(|changes| (changes.following, changes.missed) = (true, true));
        EventSubscription(self.clone())
    }

    /// Takes all changes since the last call.
    pub fn take(&self) -> ConfigChanges {
        let mut taken = ConfigChanges::default();
        self.edit(|changes| {
            let following = changes.following;
            taken = std::mem::take(changes);
            changes.following = following;
        });
        taken
    }

    fn edit(&self, edit: impl FnOnce(&mut ConfigChanges)) {
        edit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        self.0.edit(|changes| (changes.following, changes.missed) = (false, true));
    }
}
