//! Push and clone beside a plain upload and download of the same files, and the push of a changed cell.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use dsv::base::NoProgress;
use dsv::repo::remotes::{CloneOptions, PushRequest};
use dsv::repo::{OpenOptions, Repo};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use crate::proxy::{Proxy, Weather};
use crate::server::{Server, variables};
use crate::{Options, data, pictures, report};

/// The variable that makes this program run one side and end.
pub const PHASE: &str = "DSV_BENCH_PHASE";
const FOLDER: &str = "DSV_BENCH_FOLDER";
const ROUND: &str = "DSV_BENCH_ROUND";
/// Files on their way at the same time, and parts of each.
const FILES: usize = 4;
const PARTS: usize = 4;
const PART_BYTES: usize = 8 << 20;
const BOUND_MB: f64 = 512.0;

fn made(dir: &Path, mb: u64) {
    let files = dir.join("files");
    std::fs::create_dir_all(&files).expect("a folder");
    let paths = data::pictures(&files, mb * 1_000_000);
    let repo = pictures::repository(&dir.join("repository"), &paths);
    std::fs::remove_dir_all(files).expect("a folder");
    repo.add_remote("origin", "s3://data/none").expect("a remote");
    // As they are now: those of later operations are folded into others.
    let (packs, same) = (dir.join("repository/.dsv/packs"), dir.join("packs"));
    std::fs::create_dir_all(&same).expect("a folder");
    for entry in std::fs::read_dir(packs).expect("packs").flatten() {
        std::fs::hard_link(entry.path(), same.join(entry.file_name())).expect("a link");
    }
}

/// The repository's packs: the files that a push sends and a clone brings.
fn packs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("packs")).expect("packs");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn client() -> Arc<dyn ObjectStore> {
    let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("an address");
    let builder = AmazonS3Builder::new().with_bucket_name("data").with_region("us-east-1").with_endpoint(endpoint);
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").expect("a key");
    let builder = builder.with_access_key_id(std::env::var("AWS_ACCESS_KEY_ID").expect("a key")).with_secret_access_key(secret);
    Arc::new(builder.with_allow_http(true).build().expect("a client"))
}

async fn upload(client: Arc<dyn ObjectStore>, path: PathBuf, to: Place) -> object_store::Result<()> {
    use std::io::Read;
    let mut upload = WriteMultipart::new_with_chunk_size(client.put_multipart(&to).await?, PART_BYTES);
    let mut file = std::fs::File::open(path).expect("a file");
    loop {
        let mut part = vec![0; PART_BYTES];
        let length = file.read(&mut part).expect("bytes");
        if length == 0 {
            break;
        }
        part.truncate(length);
        upload.wait_for_capacity(PARTS).await?;
        upload.put(part.into());
    }
    upload.finish().await.map(drop)
}

async fn download(client: Arc<dyn ObjectStore>, from: Place, path: PathBuf) -> object_store::Result<()> {
    use std::io::Write;
    let mut stream = client.get(&from).await?.into_stream();
    let mut file = std::fs::File::create(path).expect("a file");
    while let Some(part) = stream.try_next().await? {
        file.write_all(&part).expect("room");
    }
    Ok(())
}

/// One side, in a process of its own.
pub fn phase(name: &str) {
    let dir = PathBuf::from(std::env::var_os(FOLDER).expect("a folder"));
    let round = std::env::var(ROUND).expect("a round");
    let files = packs(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let start = Instant::now();
    let each = |work: &dyn Fn(PathBuf, Place) -> futures::future::BoxFuture<'static, object_store::Result<()>>| {
        let jobs = files.iter().map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            work(path.clone(), Place::from(format!("plain-{round}/{name}")))
        });
        runtime.block_on(futures::stream::iter(jobs).buffer_unordered(FILES).try_collect::<Vec<()>>()).expect("a transfer");
    };
    match name {
        "push" => {
            let repo = Repo::open(&dir.join("repository")).expect("the repository");
            repo.set_remote_url("origin", &format!("s3://data/push-{round}")).expect("a remote");
            repo.push("origin", &PushRequest { branches: vec![("main".into(), "main".into())], ..PushRequest::default() }).expect("a push");
        }
        "clone" => {
            let to = dir.join(format!("clone-{round}"));
            let url = format!("s3://data/push-{round}");
            Repo::clone_from(&url, &to, &CloneOptions::default(), &OpenOptions::default(), Arc::new(NoProgress)).expect("a clone");
        }
        "upload" => {
            let client = client();
            each(&|path, place| Box::pin(upload(client.clone(), path, place)));
        }
        _ => {
            let (client, to) = (client(), dir.join(format!("plain-{round}")));
            std::fs::create_dir_all(&to).expect("a folder");
            each(&|path, place| Box::pin(download(client.clone(), place, to.join(path.file_name().unwrap_or_default()))));
        }
    }
    println!("{} {}", start.elapsed().as_micros(), peak_kb());
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

/// Milliseconds and peak MB of a side.
fn side(dir: &Path, server: &Server, name: &str, round: usize) -> (f64, f64) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(PHASE, name).env(FOLDER, dir).env(ROUND, round.to_string()).envs(variables(&server.address));
    let output = command.output().expect("a process");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<f64>().ok());
    let (Some(micros), Some(kb)) = (numbers.next(), numbers.next()) else { panic!("{name} said {text}") };
    (micros / 1e3, kb * 1.024 / 1e3)
}

pub fn run(options: &Options) {
    let Some(server) = Server::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    made(dir.path(), options.mb);
    let bytes: u64 = packs(dir.path()).iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
    println!("  {} MB of pictures in {} packs", bytes / 1_000_000, packs(dir.path()).len());
    let names = ["upload", "push", "download", "clone"];
    let (mut best, mut peak) = ([f64::MAX; 4], [0f64; 4]);
    for round in 0..options.rounds {
        for (at, name) in names.iter().enumerate() {
            let (ms, mb) = side(dir.path(), &server, name, round);
            best[at] = best[at].min(ms);
            peak[at] = peak[at].max(mb);
            if *name == "download" || *name == "clone" {
                let made = if *name == "clone" { "clone" } else { "plain" };
                std::fs::remove_dir_all(dir.path().join(format!("{made}-{round}"))).expect("a folder");
            }
        }
    }
    for (at, name) in names.iter().enumerate() {
        println!("  {name:<10} {:>8.0} ms, {:>6.0} MB/s, peak {:>4.0} MB", best[at], bytes as f64 / 1e3 / best[at], peak[at]);
    }
    report::ratio("push: its rate beside a plain upload's", best[0] / best[1], 0.9, true);
    report::ratio("clone: its rate beside a plain download's", best[2] / best[3], 0.9, true);
    report::ratio("peak memory of the push, MB", peak[1], BOUND_MB, false);
    report::ratio("peak memory of the clone, MB", peak[3], BOUND_MB, false);
    changed_cell(dir.path(), &server);
}

/// What the pushes of changed cells send, one after the other.
fn changed_cell(dir: &Path, server: &Server) {
    let proxy = Proxy::start(&server.address, Weather::default()).expect("a proxy");
    let dsv = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsv"));
        let output = command.current_dir(dir.join("repository")).args(args).envs(variables(&proxy.address())).output().expect("a process");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let mut pushes = Vec::new();
    for id in 0..9 {
        dsv(&["query", &format!("UPDATE pictures SET id = {} WHERE id = {id}", 1_000_000 + id)]);
        dsv(&["commit", "-m", "a cell"]);
        let before = (proxy.exchanges(), proxy.bytes());
        dsv(&["push"]);
        let after = (proxy.exchanges(), proxy.bytes());
        pushes.push((after.0 - before.0, after.1.0 - before.1.0, after.1.1 - before.1.1));
    }
    // The first asks whether the store keeps conditions.
    for (requests, up, down) in pushes.iter().skip(1) {
        println!("  a changed cell: {requests:>3} requests, {up:>7} bytes sent, {down:>7} bytes received");
    }
    let most = pushes.iter().skip(1).map(|(_, up, _)| *up).max().unwrap_or_default();
    report::ratio("bytes sent for a changed cell, at most, kB", most as f64 / 1e3, 32.8, false);
}
