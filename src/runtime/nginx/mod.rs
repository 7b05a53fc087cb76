//! nginx as a program: its command line, its master and workers, its messages, and the few edits of a rendered configuration that
//! depend on how nginx runs. Must not decide when a configuration changes; the proxy decides that.

mod certificate_faults;
mod disabled_servers;
mod kernel_limits;
mod load_counters;
mod master;
mod request_body_storage;
mod resolver_warmup;
mod time_limit;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::config_files::secret_files;
use super::message_redaction::{last_bytes, without_paths, without_secrets};
use super::{CertificateFault, ConfigFiles, Engine, EngineError, EngineProcess, ResolverWarmup};
use crate::protocol::container_contract::ENGINE_BODY_DIR;
use crate::types::EngineKind;
use master::Master;
use time_limit::time_limit;

/// The file of a bundle with which nginx starts: `nginx -p PREFIX -c DIR/nginx.conf -e stderr -g "daemon off;"`. So a rendered
/// `nginx.conf` has no `daemon` directive. Paths that nginx writes to (`pid`, `*_temp_path`) are relative, hence below the prefix
/// that extension and proxy choose in their run directory (absolute only for a stock image).
const MAIN_FILE: &str = EngineKind::Nginx.main_file();

/// How long a small configuration may take. One that takes longer hangs, or the machine has no time for it.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The nginx program, and the directory that it writes to (pid file, temporary files).
#[derive(Debug, Clone)]
pub struct NginxEngine {
    program: PathBuf,
    prefix: PathBuf,
}

impl NginxEngine {
    /// `program` is looked up in `PATH` unless it is a path. nginx writes below `prefix`.
    pub fn new(program: impl Into<PathBuf>, prefix: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), prefix: prefix.into() }
    }

    /// The start of every command line: where it writes, what it reads, and errors to standard error.
    fn command(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(&self.prefix).arg("-c").arg(directory.join(MAIN_FILE)).args(["-e", "stderr"]);
        command
    }

    fn start_error(&self, source: io::Error) -> EngineError {
        EngineError::Start { program: self.program.display().to_string(), source }
    }

    async fn output(&self, mut command: Command, limit: Duration) -> Result<std::process::Output, EngineError> {
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(limit, output).await;
        output.map_err(|_| EngineError::Timeout(limit))?.map_err(|source| self.start_error(source))
    }
}

#[async_trait]
impl Engine for NginxEngine {
    fn main_file(&self) -> &'static str {
        MAIN_FILE
    }

    async fn prepare(&self) -> Result<(), EngineError> {
        tokio::fs::create_dir_all(&self.prefix).await.map_err(|source| EngineError::write(&self.prefix, source))
    }

    async fn version(&self) -> Result<String, EngineError> {
        let mut command = Command::new(&self.program);
        command.arg("-v");
        let output = self.output(command, TEST_TIMEOUT).await?;
        let message = String::from_utf8_lossy(&output.stderr);
        Ok(message.trim().rsplit("version: ").next().unwrap_or_default().trim().to_owned())
    }

    async fn write_config(&self, directory: &Path, files: &ConfigFiles) -> Result<(), EngineError> {
        kernel_limits::write(directory, files).await
    }

    async fn test(&self, directory: &Path) -> Result<(), EngineError> {
        let mut command = self.command(directory);
        command.arg("-t");
        let output = self.output(command, time_limit(TEST_TIMEOUT, directory)).await?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = without_secrets(&message, &secret_files(directory));
        Err(EngineError::Refused(last_bytes(&without_paths(&message, &[directory, self.prefix.as_path()]))))
    }

    fn start(&self, directory: &Path, hidden: Vec<PathBuf>) -> Result<Arc<dyn EngineProcess>, EngineError> {
        Ok(Arc::new(Master::start(self, directory, hidden)?))
    }

    fn certificate_fault(&self, refusal: &str) -> CertificateFault {
        certificate_faults::parse_refusal(refusal)
    }

    fn keep_request_bodies_on(&self, volume: &Path) {
        request_body_storage::link_to_volume(volume, &self.prefix);
    }

    fn request_body_directory(&self) -> Option<PathBuf> {
        Some(self.prefix.join(ENGINE_BODY_DIR))
    }

    fn files_for_load(&self, files: &ConfigFiles, number: u64) -> ConfigFiles {
        edited(files, |text| load_counters::with_counters(text, number))
    }

    fn without_endpoints(&self, files: &ConfigFiles, endpoints: &BTreeSet<SocketAddr>) -> ConfigFiles {
        if endpoints.is_empty() {
            return files.clone();
        }
        edited(files, |text| disabled_servers::disable(text, endpoints))
    }

    fn resolving_beside_addresses(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> Option<ResolverWarmup> {
        let (text, names) = resolver_warmup::with_names_down(live.get(MAIN_FILE)?, by_name.get(MAIN_FILE)?);
        (names > 0).then(|| ResolverWarmup { files: edited(by_name, |_| text), names })
    }

    fn resolving_only(&self, by_name: &ConfigFiles) -> Option<ResolverWarmup> {
        let (text, names) = resolver_warmup::without_servers(by_name.get(MAIN_FILE)?);
        (names > 0).then(|| ResolverWarmup { files: edited(by_name, |_| text), names })
    }

    fn addresses_by_name(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> BTreeMap<String, BTreeSet<IpAddr>> {
        let main_files = live.get(MAIN_FILE).zip(by_name.get(MAIN_FILE));
        main_files.map(|(live, by_name)| resolver_warmup::addresses_by_name(live, by_name)).unwrap_or_default()
    }
}

/// The same files with another main file.
fn edited(files: &ConfigFiles, edit: impl FnOnce(&str) -> String) -> ConfigFiles {
    let mut files = files.clone();
    if let Some(text) = files.get_mut(MAIN_FILE) {
        *text = edit(text);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limit_grows_with_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let [main, other] = ["nginx.conf", "tls-a.conf"].map(|name| std::fs::File::create(directory.path().join(name)).unwrap());
        let minutes = |bytes: u64| {
            main.set_len(bytes / 2).unwrap();
            other.set_len(bytes / 2).unwrap();
            time_limit(Duration::from_secs(60), directory.path()).as_secs() / 60
        };
        assert_eq!([0, 1 << 20, 4 << 20].map(minutes), [1, 2, 5]);
        assert_eq!(time_limit(Duration::from_secs(60), Path::new("/nonexistent")).as_secs(), 60);
    }
}
