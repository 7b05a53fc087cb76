//! The shared libraries that a program needs, according to this machine's loader. It must never run the program itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The libraries of `program`, loader included; empty for a static program.
pub(super) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).stdin(Stdio::null()).output().context("run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("statically linked") || text.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !output.status.success() || text.contains("not found") {
        bail!("`ldd {}` failed: {}", program.display(), text.trim());
    }
    Ok(parse(&text))
}

/// On every line, the library's file is the only word that is an absolute path.
fn parse(text: &str) -> Vec<PathBuf> {
    text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/'))).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux.so.2 (0x3)\n";
        assert_eq!(parse(text), [Path::new("/lib/libc.so.6"), Path::new("/lib64/ld-linux.so.2")]);
    }
}
