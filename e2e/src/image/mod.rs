//! Builds container images without a Docker engine, a registry or root: archives that `docker load` accepts. The same input
//! gives the same bytes, so an image has the same id on every node. It must never read a clock, nor write an owner, a name or a
//! time of the machine it runs on.

mod layer;
mod libraries;
pub mod recipes;
pub mod sbom;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Serialize, Serializer};
use serde_json::json;
use sha2::{Digest as _, Sha256};

pub use layer::{Layer, Owner};

/// A fixed time for every field that must have one.
const CREATED: &str = "2024-01-01T00:00:00Z";

/// How containers of an image start and stop; the terms are those of a Dockerfile.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Name or numbers, `USER:GROUP`; root when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The command that always runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The default arguments, or the command when there is no entry point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value`; a `PATH` is added.
    pub env: Vec<String>,
    /// The working directory of the process.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// The signal that asks the process to end; SIGTERM when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// How the engine checks the container's health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Paths that get an anonymous volume.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_empty_objects")]
    pub volumes: BTreeSet<String>,
    /// Ports such as `80/tcp`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_empty_objects")]
    pub exposed_ports: BTreeSet<String>,
}

/// How the image format represents a set: an object with empty members.
fn as_empty_objects<S: Serializer>(set: &BTreeSet<String>, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_map(set.iter().map(|member| (member, json!({}))))
}

/// A health check; times are in nanoseconds, as the format requires.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["CMD", PROGRAM, ARGUMENT...]`.
    pub test: Vec<String>,
    /// Time between two checks.
    pub interval: u64,
    /// Time after which a check counts as failed.
    pub timeout: u64,
    /// How many failures in a row make the container unhealthy.
    pub retries: u32,
}

/// An image with one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// `NAME:TAG`.
    pub tag: String,
    /// How its containers run.
    pub config: ImageConfig,
    /// Its files.
    pub layer: Layer,
}

impl Image {
    /// Writes the archive to `path` and returns the image's id.
    pub fn save(&self, path: &Path) -> Result<String> {
        let layer = self.layer.to_tar()?;
        let config = self.config_json(&layer)?;
        let id = hex_digest(&config);
        let manifest = serde_json::to_vec(&json!([{
            "Config": format!("{id}.json"),
            "RepoTags": [self.tag],
            "Layers": ["layer.tar"],
        }]))?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        }
        let archive = archive(&[(&format!("{id}.json"), &config), ("layer.tar", &layer), ("manifest.json", &manifest)])?;
        // Written next to its place and then moved, so that half an archive is never loaded.
        let half = path.with_extension("part");
        fs::write(&half, archive).with_context(|| format!("write {}", half.display()))?;
        fs::rename(&half, path).with_context(|| format!("write {}", path.display()))?;
        Ok(format!("sha256:{id}"))
    }

    fn config_json(&self, layer: &[u8]) -> Result<Vec<u8>> {
        let mut config = self.config.clone();
        config.env.insert(0, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        let document = json!({
            "architecture": architecture(),
            "os": "linux",
            "created": CREATED,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex_digest(layer))]},
            "history": [{"created": CREATED, "created_by": "bake"}],
        });
        serde_json::to_vec(&document).context("write an image's configuration")
    }
}

/// The image format's name for this machine's processor architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn archive(members: &[(&str, &Vec<u8>)]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len().try_into()?);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_slice()).with_context(|| format!("archive {name}"))?;
    }
    let mut bytes = builder.into_inner().context("close an archive")?;
    bytes.flush()?;
    Ok(bytes)
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_image_has_the_same_bytes() {
        let directory = std::env::temp_dir().join(format!("bake-test-{}", std::process::id()));
        let bake = |name: &str| {
            let mut layer = Layer::default();
            layer.file("/etc/hello", "hello\n", 0o644).directory("/var/own", 0o750, Owner::NONROOT);
            let image = Image { tag: "hello:dev".into(), config: ImageConfig::default(), layer };
            let path = directory.join(name);
            (image.save(&path).unwrap(), fs::read(&path).unwrap())
        };
        assert_eq!(bake("a.tar"), bake("b.tar"));
        fs::remove_dir_all(directory).unwrap();
    }
}
