//! A plan under construction, and its first part: the control network, tokens and configs that services need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::cluster_of_service::cluster_of;
use super::planner_state::PlannerState;
use super::step::{Plan, PlanStep, RolloutNote, SecretContent};
use crate::fleet::{ConfigObject, Fleet, ObjectKind, Role, SealedObject, ServiceShape, TokenSecret};
use crate::protocol::container_contract::{LABEL_OWNER, LABEL_ROLE, LABEL_TOKEN_DIGEST};
use crate::report::{Finding, Subject, WaitingOn, cases};
use crate::swarm::{Secret, Service, Snapshot};

/// The label with which an access control system in front of the Docker API marks the owner of an object.
const LABEL_ACCESS: &str = "com.docker.ucp.access.label";

/// A plan under construction.
pub(super) struct PlanBuilder<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) snapshot: &'a Snapshot,
    pub(super) memory: &'a PlannerState,
    pub(super) steps: Vec<PlanStep>,
    pub(super) waiting: Vec<WaitingOn>,
    pub(super) findings: Vec<Finding>,
    pub(super) rollouts: Vec<RolloutNote>,
    /// Names of unavailable objects: no step may need them.
    pub(super) blocked: BTreeSet<String>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(fleet: &'a Fleet, snapshot: &'a Snapshot, memory: &'a PlannerState) -> Self {
        Self {
            fleet,
            snapshot,
            memory,
            steps: Vec::new(),
            waiting: fleet.waiting.clone(),
            findings: fleet.findings.clone(),
            rollouts: Vec::new(),
            blocked: BTreeSet::new(),
        }
    }

    pub(super) fn finish(self) -> Plan {
        let Self { fleet, steps, mut waiting, mut findings, rollouts, .. } = self;
        waiting.sort();
        waiting.dedup();
        findings.sort();
        findings.dedup();
        Plan { instance: fleet.instance.clone(), cluster: fleet.cluster.to_string(), steps, waiting, findings, rollouts }
    }

    /// All clusters share the control network, and usually the operator's own stack declares it: any overlay network of that
    /// name is used, and it is never changed.
    pub(super) fn network(&mut self) {
        let (fleet, snapshot) = (self.fleet, self.snapshot);
        let Some(name) = &fleet.control_network else { return };
        let found: Vec<_> = snapshot.networks.values().filter(|network| &network.name == name).collect();
        if found.is_empty() && !self.is_taken("network", name) {
            let mut body = json!({"Name": name, "Driver": "overlay", "CheckDuplicate": true, "Labels": fleet.network_labels()});
            if fleet.control_network_encrypted {
                body["Options"] = json!({"encrypted": ""});
            }
            self.steps.push(PlanStep::CreateNetwork { name: name.clone(), body });
        } else if !found.is_empty() && !found.iter().any(|network| network.driver == "overlay") {
            self.block("network", name, "it is not an overlay network");
        } else if fleet.control_network_encrypted && found.iter().any(|network| !network.encrypted) {
            self.findings.push(Finding::new(
                cases::NetworkNotEncrypted,
                Subject::Object(name.clone()),
                "The control network should be encrypted, but the existing network is not; it is used unencrypted.",
            ));
        }
    }

    /// The secrets with which tasks obtain their certificates. A secret that this operator did not create is not used.
    pub(super) fn tokens(&mut self) {
        let fleet = self.fleet;
        for token in &fleet.tokens {
            self.token(token);
        }
    }

    fn token(&mut self, token: &TokenSecret) {
        let name = &token.name;
        let found = self.snapshot.secrets.values().find(|secret| &secret.name == name);
        match found {
            None if self.is_taken("secret", name) => {}
            None => self.steps.push(PlanStep::CreateSecret {
                name: name.clone(),
                labels: token.labels.clone(),
                content: SecretContent::Token { role: token.role, cluster: self.fleet.cluster.clone() },
            }),
            Some(secret) if !self.is_sealed(token, secret) => {
                self.block("secret", name, "this operator did not create it: its label swarmgate.seal is missing or wrong");
            }
            Some(secret) if !secret.labels.contains_key(LABEL_TOKEN_DIGEST) => {
                self.block("secret", name, "its label swarmgate.token-sha256 is missing, so its token is unknown");
            }
            Some(_) => {}
        }
    }

    /// Whether this operator created the secret as this token.
    fn is_sealed(&self, token: &TokenSecret, secret: &Secret) -> bool {
        let described = SealedObject {
            kind: ObjectKind::Secret,
            instance: &self.fleet.instance,
            cluster: self.fleet.cluster.as_str(),
            role: token.labels.get(LABEL_ROLE).map_or("", String::as_str),
            name: &token.name,
        };
        described.is_sealed(&self.fleet.seals, &secret.labels)
    }

    /// Creates a config object that a spec names, unless its name is taken. Returns `false` if the object is unavailable.
    pub(super) fn config(&mut self, object: &ConfigObject) -> bool {
        let name = &object.name;
        let is_planned = self.steps.iter().any(|step| matches!(step, PlanStep::CreateConfig { name: planned, .. } if planned == name));
        if is_planned {
            return true;
        }
        if self.snapshot.configs.values().any(|config| &config.name == name) {
            self.block("config", name, "it does not belong to this operator");
        } else if !self.is_taken("config", name) {
            let data = object.data();
            let (name, labels, bytes) = (name.clone(), object.labels.clone(), data.len());
            self.steps.push(PlanStep::CreateConfig { name, labels, data, bytes });
        }
        !self.blocked.contains(name)
    }

    /// Whether Swarm recently refused the name although the snapshot shows no such object.
    pub(super) fn is_taken(&mut self, kind: &str, name: &str) -> bool {
        let taken = self.memory.is_taken(name, self.snapshot.taken_at);
        if taken {
            self.block(kind, name, "Swarm reports that it exists, but it does not have this operator's labels");
        }
        taken
    }

    /// Reports that a foreign object holds the name.
    pub(super) fn block(&mut self, kind: &str, name: &str, why: &str) {
        self.blocked.insert(name.to_owned());
        self.waiting.push(WaitingOn::ForeignObject { object: format!("{kind} {name}") });
        self.findings.push(Finding::new(
            cases::NameTaken { kind },
            if kind == "service" { Subject::Service(name.to_owned()) } else { Subject::Object(name.to_owned()) },
            format!("The {kind} {name} exists and cannot be used: {why}; steps that need it are held back."),
        ));
    }

    /// Whether this operator created the service. Only then are settings that the document leaves out trusted.
    pub(super) fn created_here(&self, service: &Service, role: Role) -> bool {
        let (instance, cluster) = (self.fleet.instance.as_str(), self.fleet.cluster.as_str());
        let described = SealedObject { kind: ObjectKind::Service, instance, cluster, role: role.as_str(), name: &service.name };
        described.is_sealed(&self.fleet.seals, &service.labels)
    }

    /// Whether an access control system assigns the service to another owner. The operator does not take over such a service
    /// if it did not create it, because the owner could change it again once keys are mounted. Does not apply if the
    /// document itself states that label.
    pub(super) fn belongs_to_others(&self, service: &Service, shape: &ServiceShape) -> bool {
        let label = service.labels.get(LABEL_ACCESS);
        let declares = |label: &String| shape.states_label(LABEL_ACCESS, label);
        !self.created_here(service, shape.role) && label.is_some_and(|label| !declares(label))
    }

    /// Whether a service belongs to this instance and cluster. Other labels may have been changed by anyone and are
    /// restored.
    pub(super) fn owns_service(&self, service: &Service) -> bool {
        let ours = service.labels.get(LABEL_OWNER).is_some_and(|owner| *owner == self.fleet.instance);
        ours && cluster_of(service) == Some(self.fleet.cluster.as_str())
    }

    /// Whether these labels mark an object of this cluster with this role.
    pub(super) fn owns(&self, labels: &BTreeMap<String, String>, role: Role) -> bool {
        self.fleet.owns(labels, role)
    }
}
