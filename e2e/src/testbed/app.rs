//! Labelled applications and requests to them through proxies. Cases create, query and load them in one line each. It must
//! never accept a response that came from another application.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Load, Response, Testbed, http_get};
use crate::wait::{eventually, throughout};

/// How long any promised change may take to become visible at a proxy on a busy machine. An engine that joins a network sometimes
/// takes 30 s (docs/decisions/network-attachment-rollouts.md).
const SHOWN: Duration = Duration::from_secs(100);
/// How long the last worker of an old configuration may go on accepting after the first worker of the new one does, on a busy
/// machine.
const OLD_WORKERS: Duration = Duration::from_millis(250);
/// The minimum duration of traffic.
const TRAFFIC_MIN: Duration = Duration::from_secs(2);
/// Requests per second of each stream of [`Steady`].
const RATE: u32 = 100;

/// A service of demo-app tasks that is not created yet, labelled for Swarmgate. Its responses contain its name as `version`
/// unless an image is chosen.
pub struct App {
    name: String,
    image: String,
    network: Option<String>,
    version: Option<String>,
    args: Vec<String>,
}

impl App {
    /// One task on the network `apps`, published as `NAME.test` on port 8080, in the cluster that needs no label.
    pub fn new(name: &str) -> Self {
        let (image, network) = ("demo-app:v1".into(), Some("apps".into()));
        let app = Self { name: name.into(), image, network, version: Some(name.into()), args: Vec::new() };
        app.label("hosts", &format!("{name}.test")).label("port", "8080")
    }

    /// Adds the label `com.docker.lb.KEY`; a second value replaces the first.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.without(key).args(&["--label", &format!("com.docker.lb.{key}={value}")])
    }

    /// Removes the label `com.docker.lb.KEY`.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        let label = format!("com.docker.lb.{key}=");
        if let Some(at) = self.args.iter().position(|arg| arg.starts_with(&label)) {
            self.args.drain(at - 1..=at);
        }
        self
    }

    /// Publishes it in the cluster with this label value.
    #[must_use]
    pub fn cluster(self, name: &str) -> Self {
        self.label("service_cluster", name)
    }

    /// Sets the number of tasks.
    #[must_use]
    pub fn replicas(self, count: usize) -> Self {
        self.args(&["--replicas", &count.to_string()])
    }

    /// Puts it on another network.
    #[must_use]
    pub fn network(mut self, name: &str) -> Self {
        self.network = Some(name.to_owned());
        self
    }

    /// Puts it on no Swarm network.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        self.network = None;
        self
    }

    /// Publishes its port 8080 on the nodes of its tasks, at `published` or at a port that Swarm chooses.
    #[must_use]
    pub fn on_node_ports(self, published: Option<u16>) -> Self {
        let at = published.map_or_else(String::new, |port| format!(",published={port}"));
        self.args(&["--publish", &format!("mode=host,target=8080{at}")])
    }

    /// Uses this image, whose own version the responses contain.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self.version = None;
        self
    }

    /// Runs it only on that node.
    #[must_use]
    pub fn on_node(self, k: usize) -> Self {
        self.args(&["--constraint", &format!("node.hostname==node{k}")])
    }

    /// Adds arguments of `docker service create`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Creates the service, and its network if that is missing, without waiting for the service.
    pub fn create(self, testbed: &Testbed) -> Result<()> {
        self.network.iter().try_for_each(|name| testbed.network(name))?;
        let version = self.version.map(|version| format!("VERSION={version}"));
        let mut args: Vec<&str> = self.network.iter().flat_map(|name| ["--network", name]).collect();
        args.extend(version.iter().flat_map(|version| ["--env", version]));
        args.extend(self.args.iter().map(String::as_str));
        args.push(&self.image);
        testbed.create(&self.name, &args)
    }
}

impl Testbed {
    /// The address of port `port` of node `k`.
    pub fn at(&self, k: usize, port: u16) -> String {
        format!("{}:{port}", self.lab.node_ip(k))
    }

    /// Waits until the application whose responses contain `version` answers a request. Returns what it reports about the
    /// request.
    pub fn await_answer(&self, address: &str, host: &str, path: &str, version: &str) -> Result<Value> {
        eventually(SHOWN, &format!("{version} answers http://{host}{path} at {address}"), || {
            let answer = http_get(address, host, path)?;
            ensure!(answer.status == 200, "status {} {:.200}", answer.status, answer.body);
            let about = answer.json()?;
            ensure!(about["version"] == version, "answered by {}", about["version"]);
            stays(address, host, path, 200)?;
            Ok(about)
        })
    }

    /// Waits until a request is answered with that status.
    pub fn await_code(&self, address: &str, host: &str, path: &str, status: u16) -> Result<Response> {
        eventually(SHOWN, &format!("status {status} for http://{host}{path} at {address}"), || {
            let answer = http_get(address, host, path)?;
            ensure!(answer.status == status, "status {} {:.200}", answer.status, answer.body);
            stays(address, host, path, status)?;
            Ok(answer)
        })
    }

    /// Waits until exactly `count` different tasks answer.
    pub fn await_answering(&self, address: &str, host: &str, count: usize) -> Result<BTreeSet<String>> {
        eventually(SHOWN, &format!("{count} tasks answer http://{host}/ at {address}"), || {
            let tasks = answering(address, host)?;
            ensure!(tasks.len() == count, "{} tasks answer", tasks.len());
            Ok(tasks)
        })
    }
}

/// While nginx reloads, workers of the previous configuration still accept some of the new connections: a first response from a
/// new worker does not mean that all workers are new.
fn stays(address: &str, host: &str, path: &str, status: u16) -> Result<()> {
    throughout(OLD_WORKERS, &format!("status {status} for http://{host}{path} at {address}"), || {
        let answer = http_get(address, host, path)?;
        ensure!(answer.status == status, "status {}", answer.status);
        Ok(())
    })
}

/// The host names of the tasks that answer, from enough requests that no task is missed by chance.
fn answering(address: &str, host: &str) -> Result<BTreeSet<String>> {
    let one = || {
        let answer = http_get(address, host, "/")?;
        ensure!(answer.status == 200, "status {} {:.200}", answer.status, answer.body);
        Ok(answer.json()?["hostname"].as_str().unwrap_or_default().to_owned())
    };
    (0..24).map(|_| one()).collect()
}

/// Steady traffic for one host: kept connections to one address, and a new connection for each request to another, 100 requests
/// per second each.
pub struct Steady {
    loads: [Load; 2],
    since: Instant,
}

impl Steady {
    /// Starts once the application has answered at both addresses (`IP:PORT`) for a while: right after a reload, old workers of
    /// a proxy may still take a few requests, and they do not know a new route.
    pub fn start(addresses: [&str; 2], host: &str) -> Result<Self> {
        for address in addresses {
            await_unbroken(address, host)?;
        }
        let [kept, fresh] = addresses;
        Ok(Self { loads: [Load::start(kept, host, "/", RATE, true)?, Load::start(fresh, host, "/", RATE, false)?], since: Instant::now() })
    }

    /// Stops the traffic, and fails if a single request failed.
    pub fn stop_without_loss(self) -> Result<()> {
        // A quick change must not end the traffic before it has begun; late effects count as well.
        throughout(TRAFFIC_MIN.saturating_sub(self.since.elapsed()), "traffic", || Ok(()))?;
        let reports = self.loads.into_iter().map(Load::stop).collect::<Result<Vec<_>>>()?;
        let outcome = reports.iter().zip(["kept connections", "new connections"]).map(|(report, kind)| format!("{kind}: {report}"));
        let outcome = outcome.collect::<Vec<_>>().join("\n");
        eprintln!("e2e: {}", outcome.replace('\n', " | "));
        ensure!(reports.iter().all(|report| report.failed == 0), "requests were lost\n{outcome}");
        ensure!(reports.iter().all(|report| report.requests >= 50), "too few requests to judge\n{outcome}");
        Ok(())
    }
}

/// Waits until 20 responses in a row are right, spread over half a second or more.
fn await_unbroken(address: &str, host: &str) -> Result<()> {
    eventually(SHOWN, &format!("http://{host}/ is answered steadily at {address}"), || {
        let started = Instant::now();
        let mut answers = 0;
        while answers < 20 || started.elapsed() < Duration::from_millis(500) {
            let answer = http_get(address, host, "/")?;
            ensure!(answer.status == 200, "status {} after {answers} right answers", answer.status);
            answers += 1;
        }
        Ok(())
    })
}
