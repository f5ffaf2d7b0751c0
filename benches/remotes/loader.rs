//! An epoch of pictures over a way of 30 milliseconds, beside the same epoch from the disk.

use std::time::Instant;

use dsv::loader::{Images, Loader, Options as Loading, Selection};
use dsv::repo::remotes::{PushRequest, Remote, RemoteOptions};
use dsv::repo::{OpenOptions, Repo};

use crate::proxy::{Proxy, Weather};
use crate::server::{Server, variables};
use crate::{Options, data, pictures, report};

const ROUND_TRIP_MS: u64 = 30;
/// Until so many batches are taken the read-ahead fills.
const FILLING: usize = 16;

fn made(dir: &std::path::Path, count: u64) -> Repo {
    let files = tempfile::tempdir().expect("a folder");
    let mut paths = data::pictures(files.path(), count * 40_000);
    paths.truncate(count as usize);
    pictures::repository(dir, &paths)
}

/// Pictures a second of an epoch, once the read-ahead is full.
fn rate(repo: &Repo) -> f64 {
    let selection = Selection::of_table(repo, "main", "pictures", Some(&["picture"])).expect("pictures");
    let images = Images { size: Some((224, 224)), ..Images::default() };
    let mut loader = Loader::new(selection, Loading { batch: 64, seed: Some(3), images: Some(images), ..Loading::default() }).expect("a loader");
    let taken = loader.by_ref().take(FILLING).map(|batch| batch.expect("a batch").valid).sum::<usize>();
    assert!(taken > 0);
    let start = Instant::now();
    let count: usize = loader.map(|batch| batch.expect("a batch").valid).sum();
    count as f64 / start.elapsed().as_secs_f64()
}

/// The repository at `url`, with a cache of its own.
fn far(url: &str, address: &str, cache: &std::path::Path) -> Repo {
    let mut known: Vec<(&str, String)> = variables(address).to_vec();
    known.push(("DSV_CACHE_DIR", cache.to_string_lossy().into_owned()));
    let known: Vec<(&str, &str)> = known.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let open = OpenOptions { environment: dsv::repo::Environment::fixed(|| 0, &known), ..OpenOptions::default() };
    let remote = Remote::open(url, &RemoteOptions::default(), &open).expect("a remote");
    let view = remote.existing().expect("a repository");
    remote.into_reader(&view)
}

pub fn run(options: &Options) {
    let Some(server) = Server::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let near = made(dir.path(), options.pictures);
    near.add_remote("origin", "s3://data/pictures").expect("a remote");
    let remote = RemoteOptions { endpoint: Some(format!("http://{}", server.address)), region: Some("us-east-1".into()), ..RemoteOptions::default() };
    let pushed = {
        let known = variables(&server.address);
        let known: Vec<(&str, &str)> = known.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let open = OpenOptions { environment: dsv::repo::Environment::fixed(|| 0, &known), ..OpenOptions::default() };
        let again = Repo::open_with(dir.path(), &open).expect("the repository");
        again.push("origin", &PushRequest { branches: vec![("main".into(), "main".into())], remote, ..PushRequest::default() })
    };
    pushed.expect("a push");
    let proxy = Proxy::start(&server.address, Weather { round_trip_ms: ROUND_TRIP_MS, ..Weather::default() }).expect("a proxy");
    let (mut disk, mut cold, mut warm) = (0f64, 0f64, 0f64);
    for _ in 0..options.rounds {
        let cache = tempfile::tempdir().expect("a folder");
        disk = disk.max(rate(&near));
        let before = (proxy.exchanges(), proxy.bytes().1);
        cold = cold.max(rate(&far("s3://data/pictures", &proxy.address(), cache.path())));
        println!("  an epoch with nothing kept: {} requests, {} MB", proxy.exchanges() - before.0, (proxy.bytes().1 - before.1) / 1_000_000);
        warm = warm.max(rate(&far("s3://data/pictures", &proxy.address(), cache.path())));
    }
    println!(
        "  {} pictures made 224 x 224: {disk:.0} a second from the disk, {cold:.0} over {ROUND_TRIP_MS} ms, {warm:.0} with what is kept of it",
        options.pictures
    );
    report::ratio("its rate beside the disk's, nothing kept", cold / disk, 0.9, true);
    report::ratio("its rate beside the disk's, read before", warm / disk, 0.9, true);
}
