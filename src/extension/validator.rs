//! Renders tables and has the engine test them, with their secret files beside them in a memory-backed directory that goes
//! as soon as the engine has answered.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;

use super::bisect;
use super::material::Look;
use super::tls_test_tables::{self, Suspect};
use crate::engine::{Engine, EngineError, write_files, write_secret_files};
use crate::protocol::messages::{Bundle, Contents, Delivery, Desired};
use crate::protocol::size_limits::{self, TooLarge};
use crate::render::{Layout, Purpose, parts, render_in, template_fault};
use crate::route::RouteTable;
use crate::types::{Digest, EngineKind};

/// One table's configurations, not tested yet.
pub(super) struct Rendered {
    pub(super) live: Bundle,
    pub(super) boot: Bundle,
    pub(super) stock: Option<Bundle>,
    /// What `live` says, part by part, so that a reload can name its reason.
    pub(super) parts: BTreeMap<String, String>,
}

impl Rendered {
    /// Whether everybody who gets these can read them. It is no use asking the engine about what nobody takes.
    fn check_size(&self, contents: &Contents) -> Result<(), EngineError> {
        let to_proxies = size_limits::check_offer(&self.live, &self.boot, contents, &self.parts);
        let to_operator = size_limits::check_report(&self.boot, self.stock.as_ref());
        let told = |receiver: &'static str| move |fault: TooLarge| EngineError::Oversized(format!("for {receiver}, {fault}"));
        to_proxies.map_err(told("proxies")).and(to_operator.map_err(told("the operator")))
    }

    /// Why an administrator's own template gave no configuration.
    fn template_fault(&self) -> Option<String> {
        [Some(&self.live), Some(&self.boot), self.stock.as_ref()].into_iter().flatten().find_map(template_fault).map(str::to_owned)
    }
}

/// Which form of secret files a configuration is tested with: both are in use somewhere.
#[derive(Clone, Copy)]
enum Secrets<'a> {
    /// What running proxies are handed: written anew from what was understood.
    Handed(&'a Contents),
    /// What a proxy finds that starts alone, and a stock image always: as it was stored.
    Mounted,
}

/// What configurations are written and tested with.
pub(super) struct Bench {
    kind: EngineKind,
    engine: Engine,
    run_dir: PathBuf,
    layout: Layout,
    /// Where secrets are mounted, each under its id.
    mounts: PathBuf,
    /// What the engine accepted last: a boot snapshot rarely changes and is not tested again for every endpoint.
    known_good: Vec<Digest>,
}

impl Bench {
    pub(super) fn new(kind: EngineKind, engine: Engine, run_dir: PathBuf, layout: Layout, mounts: PathBuf) -> Self {
        Self { kind, engine, run_dir, layout, mounts, known_good: Vec::new() }
    }

    /// Why a table cannot be rendered here at all: it is for another engine.
    pub(super) fn foreign(&self, table: &RouteTable) -> Option<EngineError> {
        let words = || format!("the routes are for the engine {}, and this extension runs {}", table.engine, self.kind);
        (table.engine != self.kind).then(|| EngineError::Refused(words()))
    }

    /// A table in every form that is needed, with the material of a look.
    pub(super) fn render_table(&self, desired: &Desired, look: &Look, table: &RouteTable) -> Rendered {
        let write = |purpose| render_in(table, purpose, &self.layout, &look.materials);
        Rendered {
            live: write(Purpose::Live),
            boot: write(Purpose::Boot),
            // A stock image has its own user and paths, which cannot be tested here; all else in it is as in `live`.
            stock: (desired.delivery == Delivery::Replace).then(|| write(Purpose::Stock)),
            parts: parts(table, &look.materials),
        }
    }

    /// Asks the engine about them.
    pub(super) async fn test(&self, rendered: &Rendered, contents: &Contents) -> Result<(), EngineError> {
        if let Some(fault) = rendered.template_fault() {
            return Err(EngineError::Refused(fault));
        }
        rendered.check_size(contents)?;
        let (live, boot) = (self.test_one(&rendered.live, Secrets::Handed(contents)), self.test_one(&rendered.boot, Secrets::Mounted));
        tokio::try_join!(live, boot).map(|_| ())
    }

    /// What the engine has against a table; none: nothing.
    pub(super) async fn refusal(&self, desired: &Desired, look: &Look, table: &RouteTable) -> Result<Option<String>, EngineError> {
        match self.test(&self.render_table(desired, look, table), &look.contents).await {
            Ok(()) => Ok(None),
            Err(EngineError::Refused(words) | EngineError::Oversized(words)) => Ok(Some(words)),
            Err(error) => Err(error),
        }
    }

    /// Whether a table is small enough for everybody who gets it; the engine is not asked.
    pub(super) fn fits(&self, desired: &Desired, look: &Look, table: &RouteTable) -> bool {
        self.render_table(desired, look, table).check_size(&look.contents).is_ok()
    }

    /// Those of the suspects that the engine refuses by themselves, with its words. A few among thousands are found with few
    /// questions; of many each is asked about alone.
    pub(super) async fn culprits(&self, look: &Look, suspects: BTreeSet<Suspect>) -> Vec<(Suspect, String)> {
        let refusal = |left_out: BTreeSet<Suspect>| {
            let others: Vec<Suspect> = suspects.difference(&left_out).cloned().collect();
            async move { Ok::<_, Infallible>(self.words_about(look, &others).await) }
        };
        // Most often it is none of them, which one test tells.
        if self.words_about(look, &suspects.iter().cloned().collect::<Vec<_>>()).await.is_none() {
            return Vec::new();
        }
        let Ok(found) = bisect::find(suspects.clone(), refusal).await;
        if let Some(found) = found {
            return found;
        }
        let mut each = Vec::new();
        for suspect in suspects {
            each.extend(self.words_about(look, std::slice::from_ref(&suspect)).await.map(|words| (suspect, words)));
        }
        each
    }

    /// What the engine has against these and nothing else, as proxies are handed them or as they are mounted.
    async fn words_about(&self, look: &Look, suspects: &[Suspect]) -> Option<String> {
        let table = tls_test_tables::table(&look.table, suspects);
        if suspects.is_empty() {
            return None;
        }
        for (purpose, secrets) in [(Purpose::Live, Secrets::Handed(&look.contents)), (Purpose::Boot, Secrets::Mounted)] {
            let bundle = render_in(&table, purpose, &self.layout, &look.materials);
            if let Err(EngineError::Refused(words)) = self.test_one(&bundle, secrets).await {
                return Some(words);
            }
        }
        None
    }

    /// The secret files that a bundle needs.
    fn secret_files(&self, bundle: &Bundle, secrets: Secrets<'_>) -> BTreeMap<String, String> {
        let content = |name: &str, id: &str| match secrets {
            Secrets::Handed(contents) => contents.0.get(name).cloned(),
            Secrets::Mounted => Some(String::from_utf8_lossy(&std::fs::read(self.mounts.join(id)).ok()?).into_owned()),
        };
        bundle.material.iter().filter_map(|(name, material)| Some((name.clone(), content(name, &material.secret)?))).collect()
    }

    /// Notes what the engine accepted.
    pub(super) fn remember_good(&mut self, bundles: [&Bundle; 2]) {
        self.known_good = bundles.map(|bundle| bundle.digest.clone()).into();
    }

    async fn test_one(&self, bundle: &Bundle, secrets: Secrets<'_>) -> Result<(), EngineError> {
        if self.known_good.contains(&bundle.digest) {
            return Ok(());
        }
        let in_run_dir = |source| EngineError::Write { path: self.run_dir.display().to_string(), source };
        let directory = tempfile::Builder::new().prefix("check-").tempdir_in(&self.run_dir).map_err(in_run_dir)?;
        write_files(directory.path(), &bundle.files).await?;
        write_secret_files(directory.path(), &self.secret_files(bundle, secrets)).await?;
        self.engine.test(&directory.path().join(bundle.engine.main_file())).await
    }
}
