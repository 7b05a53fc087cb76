//! The administrator's template: an explanation applies only if the template follows the table, and not at all if rendering
//! it fails.

use super::rendered_config::own_purpose;
use super::{Sources, runtime_state};
use crate::intent::cluster::Cluster;
use crate::render::{render, template_fault};
use crate::translate::Translation;

/// What an explanation about a cluster depends on, if its configuration comes from a template.
pub fn caveat(sources: &Sources<'_>, cluster: &Cluster, translation: &Translation) -> Option<String> {
    translation.table.settings.template()?;
    if runtime_state::is_template_left_out(sources, cluster) {
        return Some("with the built-in configuration, because the engine rejects the administrator's template".to_owned());
    }
    let bundle = render(&translation.table, own_purpose(cluster));
    Some(match template_fault(&bundle) {
        Some(fault) => format!("but the administrator's template fails to render, so proxies keep their current configuration: {fault}"),
        None => "if the administrator's template follows this".to_owned(),
    })
}
