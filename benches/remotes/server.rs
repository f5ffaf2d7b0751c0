//! SeaweedFS, started for a benchmark and ended with it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object_store::aws::AmazonS3Builder;
use object_store::signer::Signer;

const KEY: &str = "ada";
const SECRET: &str = "lovelace";
const CONFIG: &str = r#"{"identities": [{"name": "ada", "credentials": [{"accessKey": "ada", "secretKey": "lovelace"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;

/// A server of S3's protocol with a bucket `data`, which runs while this is kept.
pub struct Server {
    child: Child,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The status of the answer to a request without a body.
fn ask(address: &str, line: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{line} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_whitespace().nth(1)?.parse().ok()
}

impl Server {
    /// Starts it; none, with a word, where there is no such program.
    pub fn start() -> Option<Server> {
        let program = std::env::var_os("DSV_BENCH_WEED").unwrap_or_else(|| "weed".into());
        if !Command::new(&program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("  skipped: SeaweedFS is not here (DSV_BENCH_WEED)");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let address = format!("127.0.0.1:{}", free_port());
        let config = dir.path().join("s3.json");
        std::fs::write(&config, CONFIG).expect("room");
        // Left alone, each part takes a second port ten thousand above its own, and some take fixed ones.
        let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port.grpc"];
        let mut command = Command::new(program);
        command.arg("server").arg(format!("-dir={}", dir.path().display())).args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=200"]);
        command.args(["-master.volumeSizeLimitMB=1024", "-s3.port.iceberg=0", "-s3.port.lance=0", "-metricsPort=0"]);
        command
            .arg(format!("-s3.config={}", config.display()))
            .args(names.map(|name| format!("-{name}={}", free_port())))
            .arg(format!("-s3.port={}", address.rsplit(':').next().unwrap_or_default()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
        let server = Server { child, address, _dir: dir };
        let began = Instant::now();
        let bucket = bucket_url(&server.address);
        while ask(&server.address, &format!("PUT {bucket}")) != Some(200) {
            assert!(began.elapsed() < Duration::from_secs(90), "SeaweedFS does not start");
            std::thread::sleep(Duration::from_millis(300));
        }
        Some(server)
    }
}

/// The path, signed, by which the bucket is made: dsv makes none.
fn bucket_url(address: &str) -> String {
    let builder = AmazonS3Builder::new().with_bucket_name("data").with_region("us-east-1").with_endpoint(format!("http://{address}")).with_allow_http(true);
    let client = builder.with_access_key_id(KEY).with_secret_access_key(SECRET).build().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
    let url =
        runtime.block_on(client.signed_url(axum::http::Method::PUT, &object_store::path::Path::default(), Duration::from_secs(600))).expect("a signature");
    url.as_str().trim_start_matches(&format!("http://{address}")).to_owned()
}

/// What a process needs to know to speak with the server at `address`.
pub fn variables(address: &str) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ACCESS_KEY_ID", KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
        ("AWS_REGION", "us-east-1".into()),
    ]
}
