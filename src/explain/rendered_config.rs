//! The whole configuration of a cluster, for reading.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NAMES_MAX, NotFound, Sources, runtime_state};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::render::{ConfigPurpose, Layout, render_in, template_fault};
use crate::translate::translate;

/// The configuration of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Configuration")]
pub struct RenderedConfig {
    /// The cluster.
    pub cluster: String,
    /// File name to content. The content names certificates and keys, and never contains them.
    pub files: BTreeMap<String, String>,
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no such cluster.
    #[error(transparent)]
    Unknown(#[from] NotFound),
    /// No cluster is named, and there are several.
    #[error("several clusters are declared; select one with --cluster NAME (in a URL: cluster=NAME); the declared clusters are {0}")]
    Ambiguous(String),
    /// The administrator's template fails to render.
    #[error("cluster {cluster} has no configuration: {fault}")]
    Template {
        /// The cluster.
        cluster: String,
        /// What is wrong with its template, and in which line.
        fault: String,
    },
}

/// Renders the configuration of a cluster: the one that its proxies get, as far as a running operator reports what is left
/// out; without an operator, as if all certificates were valid. The name may be omitted if there is only one cluster; the
/// default purpose is the one that its proxies run.
pub fn configuration(sources: &Sources<'_>, cluster: Option<&str>, purpose: Option<ConfigPurpose>) -> Result<RenderedConfig, RenderError> {
    let cluster = the_one(sources, cluster)?;
    let (table, materials) = runtime_state::in_force(sources, cluster, translate(cluster, sources.snapshot).table);
    let bundle = render_in(&table, purpose.unwrap_or_else(|| own_purpose(cluster)), &Layout::default(), &materials);
    let name = cluster.name.to_string();
    match template_fault(&bundle).map(str::to_owned) {
        Some(fault) => Err(RenderError::Template { cluster: name, fault }),
        None => Ok(RenderedConfig { cluster: name, files: bundle.files }),
    }
}

/// The purpose of the configuration that a cluster's proxies run.
pub(super) fn own_purpose(cluster: &Cluster) -> ConfigPurpose {
    if cluster.proxy.rollout == RolloutStrategy::Replace { ConfigPurpose::Stock } else { ConfigPurpose::Live }
}

fn the_one<'a>(sources: &Sources<'a>, name: Option<&str>) -> Result<&'a Cluster, RenderError> {
    let chosen = match (name, sources.clusters) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), clusters) => clusters.iter().find(|cluster| cluster.name.as_str() == name),
    };
    let names = sources.clusters.iter().map(|cluster| cluster.name.as_str());
    chosen.ok_or_else(|| match name {
        Some(name) => NotFound::new("cluster", name, names).into(),
        None if sources.clusters.is_empty() => NotFound::any_cluster().into(),
        None => RenderError::Ambiguous(listed(&names.collect::<Vec<_>>())),
    })
}

/// "a and b", "a, b, and c"; truncated if there are very many.
fn listed(names: &[&str]) -> String {
    match names {
        [_, ..] if names.len() > NAMES_MAX => format!("{}, and {} more", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX),
        [first @ .., last] if first.len() > 1 => format!("{}, and {last}", first.join(", ")),
        few => few.join(" and "),
    }
}

/// A single file is printed unchanged; several are separated by comments, so that the output reads as one text.
impl fmt::Display for RenderedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, content) in &self.files {
            if self.files.len() > 1 {
                writeln!(f, "# --- {name}")?;
            }
            write!(f, "{content}")?;
        }
        Ok(())
    }
}
