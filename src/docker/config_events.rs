//! What happened to configs, as events and our own writes tell: a hint that what is known of them is out of date. A lost
//! hint costs time only.

use std::sync::{Arc, Mutex, PoisonError};

/// More changes between two looks are taken for very many.
const CHANGES_MAX: usize = 4_096;

/// What happened since somebody last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Whether events are followed now.
    pub following: bool,
    /// Whether something may have happened that nobody told.
    pub missed: bool,
    /// Ids and names of configs to which something happened. An id is empty where only the name is known.
    pub configs: Vec<(String, String)>,
}

/// The place where changes are told. Cheap to clone; all clones share one.
#[derive(Debug, Clone, Default)]
pub struct ConfigNews(Arc<Mutex<ConfigChanges>>);

/// That events are followed, for as long as it is held.
#[derive(Debug)]
pub struct EventSubscription(ConfigNews);

impl ConfigNews {
    /// Something happened to a config, or was tried.
    pub fn changed(&self, id: &str, name: &str) {
        self.edit(|changes| {
            if changes.configs.len() < CHANGES_MAX {
                changes.configs.push((id.to_owned(), name.to_owned()));
            } else {
                changes.missed = true;
            }
        });
    }

    /// Something shows that what is known is not so any more.
    pub fn doubt(&self) {
        self.edit(|changes| changes.missed = true);
    }

    /// Events tell of changes from now on. What happened before, nobody told.
    pub fn follow(&self) -> EventSubscription {
        self.edit(|changes| (changes.following, changes.missed) = (true, true));
        EventSubscription(self.clone())
    }

    /// Everything since the last call.
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
