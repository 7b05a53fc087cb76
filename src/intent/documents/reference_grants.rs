//! `spec.material`: converts it to rules, and reports lists that grant nothing.

use super::document_error::Mistakes;
use super::fields::Fields;
use crate::intent::reference_grants::{MaterialRule, MaterialRules};
use crate::intent::reference_grants_spec::{AllowSpec, MaterialRuleSpec, MaterialSpec};
use crate::report::cases;
use crate::types::{InvalidValue, ObjectGlob, ServiceGlob};

/// The checked rules.
pub(super) fn checked(spec: MaterialSpec) -> Result<MaterialRules, InvalidValue> {
    match spec.allow {
        None => Ok(MaterialRules::default()),
        // The schema allows no other value.
        Some(AllowSpec::Word(_)) => Ok(MaterialRules::Anyone),
        Some(AllowSpec::Rules(entries)) => entries.into_iter().map(rule).collect::<Result<_, _>>().map(MaterialRules::Rules),
    }
}

fn rule(spec: MaterialRuleSpec) -> Result<MaterialRule, InvalidValue> {
    match spec {
        MaterialRuleSpec::Pattern(name) => {
            Ok(MaterialRule { name: ObjectGlob::parse(&name)?, services: None, stacks: None, access_labels: None })
        }
        MaterialRuleSpec::Limited(spec) => Ok(MaterialRule {
            name: ObjectGlob::parse(&spec.name)?,
            services: patterns(spec.services)?,
            stacks: patterns(spec.stacks)?,
            access_labels: spec.access_labels.map(|labels| labels.iter().map(|label| label.trim().to_owned()).collect()),
        }),
    }
}

fn patterns(texts: Option<Vec<String>>) -> Result<Option<Vec<ServiceGlob>>, InvalidValue> {
    texts.map(|texts| texts.iter().map(|text| ServiceGlob::parse(text)).collect()).transpose()
}

/// An empty list is still a list: it grants nothing, which is rarely intended. The same applies to an access label that no
/// service can have.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let allow = "/spec/material/allow";
    for at in 0..fields.list(allow).len() {
        for pointer in ["services", "stacks", "accessLabels"].map(|name| format!("{allow}/{at}/{name}")) {
            if fields.any(&pointer).and_then(serde_json::Value::as_array).is_some_and(Vec::is_empty) {
                let message = "the list is empty, so this entry grants nothing";
                mistakes.add(cases::InvalidValue::EmptyList { items: "names" }, &pointer, message);
            }
        }
        let labels = format!("{allow}/{at}/accessLabels");
        for (item, label) in fields.list(&labels).iter().enumerate() {
            if label.as_str().is_some_and(|label| label.trim().is_empty()) {
                let message = "no service has an empty access label";
                mistakes.add(cases::InvalidValue::EmptyAccessLabel, &format!("{labels}/{item}"), message);
            }
        }
    }
}
