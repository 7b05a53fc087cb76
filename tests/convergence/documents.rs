//! The documents of the simulated world, as their authors write and change them.

use std::fmt::Write as _;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use swarmgate::intent::documents::SourceFile;

use super::user_actions::BAD_IMAGE;

/// A document, and the ways in which it may vary.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is something that its author changes by itself")]
pub struct TestDocument {
    pub name: &'static str,
    /// Host ports must differ between clusters; otherwise two documents contradict each other.
    port: u16,
    replicas: Option<u32>,
    pub global: bool,
    pub host_mode: bool,
    image: &'static str,
    env: Option<u32>,
    constraint: Option<&'static str>,
    networks: Option<&'static str>,
    /// Whether every change of the routes replaces the proxies.
    pub replace: bool,
    /// Whether a mistake makes the document unusable.
    pub broken: bool,
}

/// The names of clusters in this world. Each cluster publishes services whose label value is its own name.
pub const NAMES: [&str; 3] = ["default", "dev", "shop"];

impl TestDocument {
    /// A plain document.
    pub fn new(at: usize) -> Self {
        Self {
            name: NAMES[at],
            port: 8080 + u16::try_from(at).unwrap(),
            replicas: None,
            global: false,
            host_mode: false,
            image: "proxy:1",
            env: None,
            constraint: None,
            networks: None,
            replace: false,
            broken: false,
        }
    }

    /// Changes the document as its author might.
    pub fn change(&mut self, rng: &mut StdRng) {
        match rng.random_range(0..10) {
            0 => self.replicas = [None, Some(1), Some(2)].choose(rng).copied().flatten(),
            1 => self.host_mode = !self.host_mode,
            2 => self.image = ["proxy:1", "proxy:2", BAD_IMAGE].choose(rng).unwrap(),
            3 => self.env = [None, Some(rng.random_range(0..3))].choose(rng).copied().flatten(),
            4 => self.constraint = [None, Some("node.role==worker"), Some("node.labels.none!=x")].choose(rng).copied().flatten(),
            5 => self.networks = [None, Some("[app1]"), Some("[app1, app2]")].choose(rng).copied().flatten(),
            6 => self.port = (self.port + 10) % 100 + 8080,
            7 => self.replace = !self.replace,
            8 => self.global = !self.global,
            _ => self.broken = !self.broken,
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata:\n  name: {}\nspec:\n  engine: {}\n",
            self.name,
            if self.broken { "apache" } else { "nginx" }
        );
        if self.name != "default" {
            writeln!(text, "  serviceCluster: {}", self.name).unwrap();
        }
        if let Some(networks) = self.networks {
            writeln!(text, "  networks: {networks}").unwrap();
        }
        write!(text, "  extension:\n    image: proxy:1\n  proxy:\n    image: {}\n", self.image).unwrap();
        if self.global {
            writeln!(text, "    mode: global").unwrap();
        } else if let Some(replicas) = self.replicas {
            writeln!(text, "    replicas: {replicas}").unwrap();
        }
        if let Some(value) = self.env {
            writeln!(text, "    env: {{SETTING: \"{value}\"}}").unwrap();
        }
        if let Some(constraint) = self.constraint {
            writeln!(text, "    constraints: [\"{constraint}\"]").unwrap();
        }
        if self.replace {
            writeln!(text, "    rollout: replace").unwrap();
        }
        let mode = if self.host_mode { "host" } else { "ingress" };
        write!(text, "    publish:\n      mode: {mode}\n      http: {{published: {}, target: 80}}\n", self.port).unwrap();
        writeln!(text, "      https: {{published: {}, target: 443}}", self.port + 400).unwrap();
        text
    }
}

/// The files that the operator reads.
pub fn files(documents: &[TestDocument]) -> Vec<SourceFile> {
    documents.iter().map(|document| SourceFile::new(format!("{}.yaml", document.name), document.text())).collect()
}
