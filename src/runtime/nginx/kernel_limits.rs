//! Writes nginx configurations, adapted to this machine: nginx does not start if it has to listen on IPv6 and the kernel has none,
//! and each new worker complains if it cannot open as many files as the configuration asks for.

use std::borrow::Cow;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use crate::runtime::{ConfigFiles, EngineError};

/// Writes the files of a configuration into a new directory, without the lines that this machine cannot satisfy.
pub(super) async fn write(directory: &Path, files: &ConfigFiles) -> Result<(), EngineError> {
    tokio::fs::create_dir_all(directory).await.map_err(|source| EngineError::write(directory, source))?;
    let (has_ipv6, granted) = (has_ipv6(), open_files_granted());
    for (name, content) in files {
        let path = directory.join(name);
        let content = if has_ipv6 { Cow::Borrowed(content.as_str()) } else { Cow::Owned(without_ipv6(content)) };
        let content = within_open_files(&content, granted);
        tokio::fs::write(&path, content.as_bytes()).await.map_err(|source| EngineError::write(&path, source))?;
    }
    Ok(())
}

/// Whether sockets can listen on IPv6 addresses. Some kernels have no IPv6 at all.
fn has_ipv6() -> bool {
    std::net::TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// The start of a line that listens on all IPv6 addresses of a port.
const LISTENS_ON_IPV6: &str = "listen [::]:";

/// Removes the lines that listen on IPv6 and do nothing else.
fn without_ipv6(content: &str) -> String {
    let listens = |line: &str| {
        let line = line.trim();
        line.starts_with(LISTENS_ON_IPV6) && line.find(';') == Some(line.len() - 1)
    };
    content.split_inclusive('\n').filter(|line| !listens(line)).collect()
}

/// The number of files that a process may open here. Workers inherit it, and cannot raise it without a capability.
fn open_files_granted() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

/// The start of a line that sets the number of open files for workers. It is in the main context, so there is no indentation.
const OPEN_FILES: &str = "worker_rlimit_nofile ";

/// Removes the lines that ask for more open files than are granted.
fn within_open_files(content: &str, granted: u64) -> Cow<'_, str> {
    let exceeds_limit = |line: &str| {
        let number = line.strip_prefix(OPEN_FILES).and_then(|rest| rest.trim_end().strip_suffix(';'));
        number.and_then(|number| number.trim().parse::<u64>().ok()).is_some_and(|number| number > granted)
    };
    if content.lines().any(exceeds_limit) {
        content.split_inclusive('\n').filter(|line| !exceeds_limit(line)).collect::<String>().into()
    } else {
        content.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_listen_on_ipv6_are_removed_without_ipv6() {
        let text = "server {\n    listen 80 default_server;\n    listen [::]:80 default_server;\n    return 200 \"listen [::]:80;\";\n    \
                    listen [::]:81; return 503;\n}";
        let left = "server {\n    listen 80 default_server;\n    return 200 \"listen [::]:80;\";\n    listen [::]:81; return 503;\n}";
        assert_eq!(without_ipv6(text), left);
    }

    #[test]
    fn lines_that_set_more_open_files_than_permitted_are_removed() {
        let text = "worker_processes 1;\nworker_rlimit_nofile 65535;\nevents {\n    worker_connections 16384;\n}\n";
        let left = "worker_processes 1;\nevents {\n    worker_connections 16384;\n}\n";
        for (granted, expected) in [(65_535, text), (524_288, text), (65_534, left), (1024, left)] {
            assert_eq!(within_open_files(text, granted), expected, "{granted}");
        }
    }
}
