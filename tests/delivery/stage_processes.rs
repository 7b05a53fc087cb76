//! Starts the extensions and proxies of a stage, which ends them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use swarmgate::extension::{self, ExtensionOptions};
use swarmgate::pki::ChannelRole;
use swarmgate::proxy::{self, Follow, ProxyOptions};
use swarmgate::types::EngineKind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Stage;
use crate::listening::until_free;
use crate::operator_hub::cluster;
use crate::tasks::{Extension, RunningProxy};

impl Stage {
    pub fn start_extension(&self) -> Extension {
        self.start_extension_with(self.nginx.clone())
    }

    /// An extension whose engine gets an unknown directive in every configuration that contains this pattern: the renderer
    /// itself writes nothing that nginx refuses.
    pub fn start_spoiling_extension(&self, pattern: &str) -> Extension {
        self.start_extension_with(self.spoiling_engine(pattern))
    }

    /// An extension whose engine takes this many seconds to test each configuration that contains the pattern.
    pub fn start_slow_extension(&self, pattern: &str, seconds: u64) -> Extension {
        self.start_extension_with(self.slow_engine("slow-nginx", pattern, seconds))
    }

    /// A proxy whose engine takes this many seconds to test each configuration that contains the pattern.
    pub fn start_slow_proxy(&self, pattern: &str, seconds: u64) -> RunningProxy {
        let engine = self.slow_engine("slow-proxy-nginx", pattern, seconds);
        self.start_proxy_with(engine, Follow::Extension(self.extension_url()), &self.operator_url())
    }

    /// An extension whose engine can be removed ([`Stage::take_engine`]) and restored.
    pub fn start_extension_with_own_engine(&self) -> Extension {
        self.give_engine_back();
        self.start_extension_with(self.path("own-nginx"))
    }

    /// An extension at a different address from that of [`Stage::start_extension`].
    pub fn start_extension_elsewhere(&self) -> Extension {
        self.start_extension_at(self.ports.elsewhere, self.nginx.clone())
    }

    fn start_extension_with(&self, engine: PathBuf) -> Extension {
        self.start_extension_at(self.ports.extension, engine)
    }

    fn start_extension_at(&self, listen: SocketAddr, engine: PathBuf) -> Extension {
        let stop = CancellationToken::new();
        let options = ExtensionOptions {
            engine_kind: EngineKind::Nginx,
            cluster: cluster(),
            task: "extension".to_owned(),
            operator_url: self.operator_url(),
            follows_peers: false,
            bootstrap: self.bootstrap(ChannelRole::Extension),
            engine,
            run_dir: self.run_dir(),
            listen,
            layout: self.layout(),
            material_dir: self.path("extension-mounts"),
        };
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            until_free(options.listen).await;
            Box::pin(extension::run(options, stopped)).await
        });
        self.tasks.add_extension(Extension::new(stop, task))
    }

    pub fn start_proxy(&self) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Extension(self.extension_url()), &self.operator_url())
    }

    /// A proxy that knows only these managers.
    pub fn start_proxy_that_knows_operators(&self, operators: &str) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Operator, operators)
    }

    /// A proxy that knows these operators, and this address as that of its extension.
    pub fn start_proxy_that_knows(&self, extension: &str, operators: &str) -> RunningProxy {
        self.start_proxy_that_follows(Follow::Extension(extension.to_owned()), operators)
    }

    fn start_proxy_that_follows(&self, follow: Follow, operators: &str) -> RunningProxy {
        self.start_proxy_with(self.nginx.clone(), follow, operators)
    }

    fn start_proxy_with(&self, engine: PathBuf, follow: Follow, operators: &str) -> RunningProxy {
        let options = ProxyOptions {
            engine_kind: EngineKind::Nginx,
            cluster: cluster(),
            task: "proxy-task".to_owned(),
            node: "node-1".to_owned(),
            operator_url: operators.to_owned(),
            follow,
            bootstrap: self.bootstrap(ChannelRole::Proxy),
            engine,
            run_dir: self.run_dir(),
            state_dir: self.volume(),
            boot_file: self.boot_file(),
            material_dir: self.path("proxy-mounts"),
            health: self.ports.health,
            new_networks: None,
            names: self.names.clone(),
            reload_distance: Duration::from_millis(300),
        };
        let (signals, receiver) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            until_free(options.health).await;
            let ended = Box::pin(proxy::run(options, receiver)).await;
            if let Err(error) = &ended {
                eprintln!("the agent has ended: {error:?}");
            }
            ended
        });
        self.tasks.add_proxy(RunningProxy::new(signals, task))
    }
}
