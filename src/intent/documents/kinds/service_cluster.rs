//! ServiceCluster documents: what they claim, and how they become clusters. Their fields are described in `cluster_spec`, and
//! checked and converted in the files beside this folder.

use std::sync::{Arc, LazyLock};

use serde::Deserialize as _;
use serde_json::Value;

use super::{DocumentKind, ParsedDocument};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::{KIND, ServiceCluster};
use crate::intent::documents::exclusive_claim::{ClaimType, ExclusiveClaim, HOST_PORT, MESH_PORT, PUBLISH, SWARM_SERVICE};
use crate::intent::documents::schema_validation::Schema;
use crate::intent::documents::{Declaration, DeclaredObject, conversion, field_dependencies};
use crate::intent::json_schema::cluster_schema;
use crate::intent::placement_constraint::Constraint;
use crate::report::cases::DuplicateDeclaration;
use crate::types::ClusterName;

/// Its row in the table.
pub(super) static ROW: DocumentKind = DocumentKind {
    name: KIND,
    short_name: "cluster",
    name_claim: CLUSTER_NAME,
    schema,
    checks: field_dependencies::CHECKS,
    claims,
    convert,
    broken,
};

/// One declared cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterDocument {
    /// The document is valid.
    Valid(Box<Cluster>),
    /// The document has mistakes, or conflicts with another one: the last good version, if there is one, remains in use.
    Broken {
        /// The cluster's name.
        name: ClusterName,
        /// The label value of the services it is for, empty for services without the label; `None` if that cannot be read.
        label: Option<String>,
    },
}

impl ClusterDocument {
    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        match self {
            Self::Valid(cluster) => &cluster.name,
            Self::Broken { name, .. } => name,
        }
    }

    /// The cluster, if the document is valid.
    pub fn valid(&self) -> Option<&Cluster> {
        match self {
            Self::Valid(cluster) => Some(cluster),
            Self::Broken { .. } => None,
        }
    }
}

impl DeclaredObject for ClusterDocument {
    fn is_valid(&self) -> bool {
        self.valid().is_some()
    }

    fn is_equal(&self, other: &dyn DeclaredObject) -> bool {
        other.of_type() == Some(self)
    }
}

impl Declaration {
    /// The clusters whose documents are valid, by name.
    pub fn valid(&self) -> impl Iterator<Item = &Cluster> {
        self.all().filter_map(ClusterDocument::valid)
    }
}

/// A cluster's name.
const CLUSTER_NAME: ClaimType = ClaimType { verbs: ("declares", "declare"), object: "cluster {}", case: DuplicateDeclaration::Name };

/// The services with a label value.
const LABEL: ClaimType = ClaimType { verbs: PUBLISH, object: "services with the label value {}", case: DuplicateDeclaration::LabelValue };

/// The services without the label, or with an empty one.
const UNLABELLED: ClaimType =
    ClaimType { object: "services without a service_cluster label", case: DuplicateDeclaration::NoLabelValue, ..LABEL };

fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new(cluster_schema()));
    &SCHEMA
}

fn claims(value: &Value) -> Vec<(ExclusiveClaim, String)> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let mut claims = Vec::new();
    if !value["spec"].is_object() {
        return claims;
    }
    match value.pointer("/spec/serviceCluster") {
        None => claims.push((ExclusiveClaim::new(UNLABELLED, ""), "/spec/serviceCluster".to_owned())),
        Some(Value::String(label)) => claims.push((label_claim(label.trim()), "/spec/serviceCluster".to_owned())),
        Some(_) => {}
    }
    for workload in ["extension", "proxy"] {
        let stated = format!("/spec/{workload}/serviceName");
        if let Some(service) = text(&stated) {
            claims.push((ExclusiveClaim::new(SWARM_SERVICE, service), stated));
        } else if let (Some(name), true) = (text("/metadata/name"), value["spec"][workload].is_object()) {
            claims.push((ExclusiveClaim::new(SWARM_SERVICE, format!("swarmgate-{workload}-{name}")), stated));
        }
    }
    claims.extend(port_claims(value));
    claims
}

fn label_claim(label: &str) -> ExclusiveClaim {
    if label.is_empty() { ExclusiveClaim::new(UNLABELLED, "") } else { ExclusiveClaim::new(LABEL, label) }
}

fn port_claims(value: &Value) -> Vec<(ExclusiveClaim, String)> {
    let proxy = &value["spec"]["proxy"];
    let Some(publish) = proxy.get("publish") else {
        // The default for a document that states none.
        let whole = proxy.is_object().then_some([80, 443]);
        return whole
            .into_iter()
            .flatten()
            .map(|port| (ExclusiveClaim::port(MESH_PORT, port, ""), "/spec/proxy/publish".to_owned()))
            .collect();
    };
    let mut constraints: Vec<String> =
        proxy["constraints"].as_array().into_iter().flatten().filter_map(Value::as_str).map(canonical).collect();
    constraints.sort();
    let nodes = Value::from(constraints).to_string();
    let ports = ["http", "https"].iter().filter_map(|side| Some((publish[side]["published"].as_u64()?, side)));
    let claim = |port| match publish["mode"].as_str() {
        Some("ingress") => Some(ExclusiveClaim::port(MESH_PORT, port, "")),
        Some("host") => Some(ExclusiveClaim::port(HOST_PORT, port, nodes.clone())),
        _ => None,
    };
    ports.filter_map(|(port, side)| Some((claim(port)?, format!("/spec/proxy/publish/{side}/published")))).collect()
}

fn canonical(constraint: &str) -> String {
    Constraint::parse(constraint).map_or_else(|_| constraint.to_owned(), |constraint| constraint.to_swarm())
}

fn convert(value: &Value) -> Result<Arc<dyn DeclaredObject>, String> {
    Ok(Arc::new(ClusterDocument::Valid(Box::new(cluster(value)?))))
}

fn broken(document: &ParsedDocument<'_>) -> Arc<dyn DeclaredObject> {
    Arc::new(ClusterDocument::Broken { name: document.name.clone(), label: label(document) })
}

/// The label value of the services that it is for, if readable.
fn label(document: &ParsedDocument<'_>) -> Option<String> {
    match document.value.get("spec")?.as_object()?.get("serviceCluster") {
        Some(Value::String(label)) => Some(label.trim().to_owned()),
        Some(_) => None,
        // It may have been in the part that a syntax error cut off.
        None => document.whole.then(String::new),
    }
}

/// The checked cluster. The schema has already reported everything; should the types ever disagree with it, that is an error
/// like any other.
fn cluster(value: &Value) -> Result<Cluster, String> {
    let read = ServiceCluster::deserialize(value).map_err(|error| error.to_string())?;
    conversion::cluster(read).map_err(|refused| refused.0)
}
