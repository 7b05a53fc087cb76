//! A template of the administrator's own: an explanation applies only as far as the template follows the table, and not at
//! all if rendering it fails.

use super::rendered_config::own_purpose;
use super::{Sources, runtime_state};
use crate::intent::cluster::Cluster;
use crate::render::{render, template_fault};
use crate::translate::Translation;

/// What an explanation about a cluster depends on, if its configuration comes from a template.
pub fn caveat(sources: &Sources<'_>, cluster: &Cluster, translation: &Translation) -> Option<String> {
    translation.table.settings.template.as_ref()?;
    if runtime_state::is_template_left_out(sources, cluster) {
        return Some("by the built-in configuration: the engine refuses the administrator's own template".to_owned());
    }
    let bundle = render(&translation.table, own_purpose(cluster));
    Some(match template_fault(&bundle) {
        Some(fault) => format!("but nothing comes of the administrator's own template, and proxies keep what they have: {fault}"),
        None => "as far as the administrator's own template keeps to it".to_owned(),
    })
}
