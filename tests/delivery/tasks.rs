//! The extensions and proxies that run on a stage. None may outlive its test, and none may fail to end without failing the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use swarmgate::extension::ExtensionError;
use swarmgate::proxy::{ProxyError, ProxySignal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a proxy may take to finish its requests.
const DRAIN: Duration = Duration::from_secs(20);

/// Everything that was started on a stage.
#[derive(Default)]
pub struct Tasks {
    extensions: Mutex<Vec<Extension>>,
    proxies: Mutex<Vec<RunningProxy>>,
}

impl Tasks {
    pub fn add_extension(&self, extension: Extension) -> Extension {
        self.extensions.lock().unwrap().push(extension.clone());
        extension
    }

    pub fn add_proxy(&self, proxy: RunningProxy) -> RunningProxy {
        self.proxies.lock().unwrap().push(proxy.clone());
        proxy
    }

    /// Drains the proxies that the test has not ended, then stops the extensions that it has not stopped.
    ///
    /// # Panics
    /// When one of them fails to end, or has ended by itself.
    pub async fn end(&self) {
        let proxies = std::mem::take(&mut *self.proxies.lock().unwrap());
        for proxy in proxies.iter().filter(|proxy| proxy.task.is_left()) {
            proxy.drain().await;
        }
        let extensions = std::mem::take(&mut *self.extensions.lock().unwrap());
        for extension in extensions.iter().filter(|extension| extension.task.is_left()) {
            extension.stop().await;
        }
    }
}

/// A task whose result is taken once.
struct Task<T>(Arc<Mutex<Option<JoinHandle<T>>>>);

impl<T> Task<T> {
    fn new(task: JoinHandle<T>) -> Self {
        Self(Arc::new(Mutex::new(Some(task))))
    }

    fn is_left(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    fn take(&self) -> JoinHandle<T> {
        self.0.lock().unwrap().take().expect("a test may end each task only once")
    }
}

impl<T> Clone for Task<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A running extension.
#[derive(Clone)]
pub struct Extension {
    stop: CancellationToken,
    task: Task<Result<(), ExtensionError>>,
}

impl Extension {
    pub fn new(stop: CancellationToken, task: JoinHandle<Result<(), ExtensionError>>) -> Self {
        Self { stop, task: Task::new(task) }
    }

    /// Stops the extension, and checks that it ends within a second.
    pub async fn stop(&self) {
        let task = self.task.take();
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), task).await;
        ended.expect("the extension did not end within a second").unwrap().unwrap();
    }
}

/// A running proxy agent with its engine.
#[derive(Clone)]
pub struct RunningProxy {
    signals: mpsc::Sender<ProxySignal>,
    task: Task<Result<(), ProxyError>>,
}

impl RunningProxy {
    pub fn new(signals: mpsc::Sender<ProxySignal>, task: JoinHandle<Result<(), ProxyError>>) -> Self {
        Self { signals, task: Task::new(task) }
    }

    pub async fn signal(&self, signal: ProxySignal) {
        self.signals.send(signal).await.expect("the agent has ended by itself");
    }

    /// Makes the agent disappear without notice; its engine continues.
    pub fn abort(&self) {
        self.task.take().abort();
    }

    /// Drains the proxy, and checks that it ends without an error.
    pub async fn drain(&self) {
        self.signal(ProxySignal::Drain).await;
        self.ended().await.unwrap();
    }

    /// Waits until the agent ends.
    pub async fn ended(&self) -> Result<(), ProxyError> {
        tokio::time::timeout(DRAIN, self.task.take()).await.expect("the agent did not end in time").unwrap()
    }
}
