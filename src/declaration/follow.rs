//! Follows a source of documents: notices changes, reads it, and publishes which versions are used. Watching is only a hint; a
//! timer also rereads the source, because bind mounts and network file systems do not always notify.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::document_source::DocumentSource;
use super::last_good::Declared;
use crate::intent::documents::{DocumentKind, SourceFile, document_kinds};
use crate::telemetry::finding_log;

/// An editor that writes a file in place leaves it empty or incomplete for a moment: content is accepted only if two
/// readings, this far apart, are identical.
const SETTLE: Duration = Duration::from_millis(200);
/// After this many different readings in a row the newest is accepted anyway.
const SETTLE_READINGS_MAX: u32 = 10;

/// What a source declares now, without any earlier good versions.
pub async fn read_once(source: &dyn DocumentSource) -> Declared {
    Declared::default().after(&source.read().await)
}

/// Follows a source forever. `declared` receives every new state.
pub async fn follow(source: impl DocumentSource, period: Duration, declared: watch::Sender<Arc<Declared>>) {
    follow_kinds(document_kinds(), source, period, declared).await;
}

/// The same, with documents of these kinds.
pub(crate) async fn follow_kinds(
    kinds: &'static [&'static DocumentKind],
    source: impl DocumentSource,
    period: Duration,
    declared: watch::Sender<Arc<Declared>>,
) {
    let changed = Arc::new(Notify::new());
    let _watch = source.watch(changed.clone());
    let mut known: Option<Vec<SourceFile>> = None;
    loop {
        let files = settled(&source, known.as_ref()).await;
        if known.as_ref() != Some(&files) {
            let before = declared.borrow().clone();
            let after = before.after_kinds(kinds, &files);
            log_changes(&before, &after);
            declared.send_replace(Arc::new(after));
            known = Some(files);
        }
        let _ = timeout(period, changed.notified()).await;
    }
}

/// Reads the source; twice if the result differs from what is known.
async fn settled(source: &impl DocumentSource, known: Option<&Vec<SourceFile>>) -> Vec<SourceFile> {
    let mut newest = source.read().await;
    for _ in 0..SETTLE_READINGS_MAX {
        if known.is_none_or(|known| *known == newest) {
            break;
        }
        sleep(SETTLE).await;
        let again = source.read().await;
        if again == newest {
            break;
        }
        newest = again;
    }
    newest
}

fn log_changes(before: &Declared, after: &Declared) {
    finding_log::appeared("documents", &before.findings, &after.findings);
    for (name, cluster) in &after.clusters {
        if before.clusters.get(name) != Some(cluster) {
            tracing::info!(cluster = %name, generation = cluster.generation, accepted = cluster.accepted, "cluster declared");
        }
    }
    for name in before.clusters.keys().filter(|name| !after.clusters.contains_key(*name)) {
        tracing::info!(cluster = %name, "cluster no longer declared");
    }
    for ((kind, name), _) in after.objects.iter().filter(|(key, object)| before.objects.get(*key) != Some(*object)) {
        tracing::info!(kind, %name, "object declared");
    }
    for (kind, name) in before.objects.keys().filter(|key| !after.objects.contains_key(*key)) {
        tracing::info!(kind, %name, "object no longer declared");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::declaration::WatchGuard;

    const GOOD: &str = "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {name: a}\nspec:\n  engine: nginx\n  extension: {image: e:1}\n  proxy: {image: p:1}\n";

    /// A source that returns one reading after the other, and then the last one forever.
    struct Readings(Mutex<Vec<&'static str>>);

    #[async_trait]
    impl DocumentSource for Readings {
        async fn read(&self) -> Vec<SourceFile> {
            let mut texts = self.0.lock().unwrap();
            let text = if texts.len() > 1 { texts.remove(0) } else { texts[0] };
            vec![SourceFile::new("a.yaml", text)]
        }

        fn watch(&self, _: Arc<Notify>) -> Option<WatchGuard> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_is_accepted_if_repeated_and_a_broken_document_keeps_its_last_good_version() {
        let half = &GOOD[..30];
        let readings = Readings(Mutex::new(vec![GOOD, half, GOOD, GOOD, "kind: [", "kind: ["]));
        let (sender, mut declared) = watch::channel(Arc::new(Declared::default()));
        let following = tokio::spawn(follow(readings, Duration::from_secs(1), sender));
        let mut seen = Vec::new();
        for _ in 0..2 {
            declared.changed().await.unwrap();
            let state = declared.borrow_and_update().clone();
            seen.push((state.in_force().count(), state.findings.is_empty()));
        }
        assert_eq!(seen, [(1, true), (1, false)], "the incomplete file was not accepted");
        following.abort();
    }
}
