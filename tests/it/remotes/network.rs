//! A bad network between dsv and a real server: connections that are slow, and that are cut at random, by fixed seeds. No commit is lost, no ref is torn, no cell is wrong, and the same verb again succeeds.

use std::time::{Duration, Instant};

use super::servers::{Server, seaweed};
use crate::proxy::{Proxy, Weather};
use crate::support::{Ran, Sandbox};

/// So often a verb is tried: of four exchanges one is cut, and a verb takes some three.
const TRIES_MAX: usize = 40;

/// A sandbox that reaches the server through a proxy.
fn through(proxy: &Proxy, server: &Server, sandbox: Sandbox) -> Sandbox {
    let mut sandbox = server.admit(sandbox);
    sandbox.set("AWS_ENDPOINT_URL", format!("http://{}", proxy.address()));
    sandbox
}

/// Tries a verb until it succeeds; what a failure must be is one line, with the exit code of a remote that is at fault. Returns the failures.
#[track_caller]
fn until_done(sandbox: &Sandbox, args: &[&str]) -> Vec<Ran> {
    let mut failed = Vec::new();
    loop {
        let ran = sandbox.run(args);
        if ran.code == 0 {
            return failed;
        }
        let lines = ran.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(ran.code == 3 && lines == 1 && !ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
        failed.push(ran);
        assert!(failed.len() < TRIES_MAX, "{args:?}: {failed:?}");
    }
}

#[test]
fn connections_that_are_cut_lose_nothing() {
    let Some(server) = seaweed() else { return };
    let (mut failures, mut cuts) = (0, 0);
    for seed in 1..=3u64 {
        let proxy = Proxy::start(&server.address, Weather { cut_one_in: Some(4), jitter_ms_max: 3, seed, ..Weather::default() }).unwrap();
        let url = format!("s3://data/cut-{seed}");
        let (ada, grace) = (through(&proxy, server, Sandbox::birds()), through(&proxy, server, Sandbox::empty()));
        // What is really there is seen by one whose line is good.
        let eye = server.admit(Sandbox::empty());
        // Without the client's own tries each cut is met by the verb; with one it seldom is.
        let quick = ["--retries", if seed < 3 { "0" } else { "1" }, "--timeout", "10"];
        ada.ok(["remote", "add", "origin", &url]);
        let verb = |sandbox: &Sandbox, args: &[&str]| until_done(sandbox, &[args, &quick].concat()).len();
        failures += verb(&ada, &["push"]);
        failures += verb(&grace, &["clone", &url, "work"]);
        let mut last = ada.ok(["log", "--oneline"]).lines().count();
        for round in 0..4 {
            let name = format!("bird {seed}.{round}");
            ada.ok(["query", &format!("UPDATE birds SET name = '{name}' WHERE id = 1")]);
            ada.ok(["commit", "-m", &name]);
            let before = if round == 0 { "sparrow".to_owned() } else { format!("bird {seed}.{}", round - 1) };
            // Each try by itself: whatever became of it, the branch there is the old one or the new one, whole.
            let args = [&["push"][..], &quick].concat();
            for tried in 0.. {
                let pushed = ada.run(&args);
                let seen = eye.ok(["query", "SELECT name FROM birds WHERE id = 1", "--at", &format!("{url}#main"), "--format", "csv"]);
                assert!([&name, &before].contains(&&seen.trim_start_matches("name\n").trim_end().to_owned()), "{seen}");
                if pushed.code == 0 {
                    assert!(seen.contains(&name), "told to be pushed, and is not: {seen}: {pushed:?}");
                    break;
                }
                assert!(pushed.code == 3 && tried < TRIES_MAX, "{pushed:?}");
                failures += 1;
            }
            failures += verb(&grace, &["-C", "work", "fetch"]);
            failures += verb(&grace, &["-C", "work", "pull"]);
            assert_eq!(grace.ok(["-C", "work", "log", "--oneline"]), ada.ok(["log", "--oneline"]));
            last += 1;
            assert_eq!(ada.ok(["log", "--oneline"]).lines().count(), last);
        }
        grace.ok(["-C", "work", "verify"]);
        eye.ok(["clone", &url, "all"]);
        eye.ok(["-C", "all", "verify"]);
        assert_eq!(
            eye.ok(["-C", "all", "query", "SELECT * FROM birds ORDER BY id", "--format", "csv"]),
            ada.ok(["query", "SELECT * FROM birds ORDER BY id", "--format", "csv"])
        );
        cuts += proxy.cuts();
    }
    assert!(cuts >= 8 && failures >= 4, "the network was too good: {cuts} cuts, {failures} failures");
}

#[test]
fn a_narrow_line_takes_longer_and_nothing_else() {
    let Some(server) = seaweed() else { return };
    let proxy = Proxy::start(&server.address, Weather { bytes_per_second: Some(200_000), jitter_ms_max: 20, seed: 4, ..Weather::default() }).unwrap();
    let (ada, grace) = (through(&proxy, server, Sandbox::birds()), through(&proxy, server, Sandbox::empty()));
    let rows: String = (0..20_000u64).map(|n| format!("{n},{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    ada.file("notes.csv", format!("id,note\n{rows}"));
    ada.ok(["import", "notes", "notes.csv", "--key", "id"]);
    ada.ok(["commit", "-m", "notes"]);
    ada.ok(["remote", "add", "origin", "s3://data/narrow"]);
    let began = Instant::now();
    ada.ok(["push", "--timeout", "20"]);
    let (up, _) = proxy.bytes();
    // Nearly all of it is one file, on one connection.
    let floor = Duration::from_secs_f64(up as f64 / 200_000.0 / 2.0);
    assert!(up > 100_000 && began.elapsed() > floor, "{up} bytes in {:?}", began.elapsed());
    grace.ok(["clone", "s3://data/narrow", "work", "--timeout", "20"]);
    let sum = "SELECT count(*), max(note) FROM notes";
    assert_eq!(grace.ok(["-C", "work", "query", sum, "--format", "csv"]), ada.ok(["query", sum, "--format", "csv"]));
    grace.ok(["-C", "work", "verify"]);
}

/// A long line: each exchange waits, and what follows in it does not.
#[test]
fn the_proxy_is_long_and_not_narrow() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    const BYTES: usize = 20 << 20;
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1];
        while stream.read_exact(&mut asked).is_ok() {
            stream.write_all(&vec![asked[0]; if asked[0] == 1 { 1 } else { BYTES }]).unwrap();
        }
    });
    let proxy = Proxy::start(&address, Weather { round_trip_ms: 30, ..Weather::default() }).unwrap();
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    let mut answer = vec![0; BYTES];
    let began = Instant::now();
    for _ in 0..10 {
        stream.write_all(&[1]).unwrap();
        stream.read_exact(&mut answer[..1]).unwrap();
    }
    let short = began.elapsed();
    assert!(short >= Duration::from_millis(330), "{short:?}");
    let began = Instant::now();
    stream.write_all(&[2]).unwrap();
    stream.read_exact(&mut answer).unwrap();
    // Piece by piece it would take 320 times 30 ms, on however busy a machine.
    assert!(began.elapsed() < Duration::from_millis(320 * 30) && began.elapsed() >= Duration::from_millis(30), "{:?}", began.elapsed());
    assert_eq!((proxy.connections(), proxy.exchanges(), proxy.cuts()), (1, 11, 0));
}
