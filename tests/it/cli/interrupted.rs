//! Ctrl-C and SIGKILL at any moment: the old state or the new one, never a mixture.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::Sandbox;

fn signal(child: &Child, name: &str) {
    // A child that has ended already cannot be signalled: that is fine.
    let _ = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn ctrl_c_stops_an_import_and_changes_nothing() {
    let s = Sandbox::birds();
    let before = s.state();
    let mut child = s.command(["import", "big", "-", "--format", "csv"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a,b\n").unwrap();
    let rows: String = (0..20_000).map(|i| format!("{i},row number {i}\n")).collect();
    stdin.write_all(rows.as_bytes()).unwrap();
    signal(&child, "INT");
    // It stops at the next batch; what comes later may find the pipe closed.
    for _ in 0..20 {
        if stdin.write_all(rows.as_bytes()).is_err() {
            break;
        }
    }
    drop(stdin);
    let done = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(130), "{told}");
    assert_eq!(told, "error: interrupted: nothing was changed\n");
    assert_eq!(s.state(), before);
    s.ok(["verify"]);
}

#[test]
fn ctrl_c_stops_what_waits_or_computes() {
    let s = Sandbox::birds();
    let before = (s.files(), s.state());
    // The first waits for input that never comes; the second has years of work before it.
    let crosses: Vec<String> = (0..24).map(|i| format!("birds b{i}")).collect();
    let endless = format!("select count(*) from {} where b0.id + b1.id < b2.id", crosses.join(", "));
    for args in [&["import", "t", "-", "--format", "csv"][..], &["query", &endless]] {
        let mut child = s.command(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, "INT");
        let done = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(130), "error: interrupted: nothing was changed\n"), "{args:?}");
        assert_eq!((s.files(), s.state()), before);
    }
}

/// Runs verbs over and over, killing each after a random moment; after each kill nothing committed is lost and everything verifies.
fn kills(times: u32) {
    let s = Sandbox::birds();
    s.ok(["branch", "other"]);
    let mut x = 7u64;
    let mut random = move |below: u64| {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 33) % below
    };
    let mut commits: Vec<String> = vec![s.ok(["log", "--oneline"]).split(' ').next().unwrap().to_owned()];
    let mut killed = 0;
    // So that about half of the kills come in time, however fast the machine and the build are.
    let mut moment_max_us = 60_000;
    for round in 0..times {
        let rows: String = (0..2000).map(|i| format!("{i},{}\n", i * 31 % (7 + u64::from(round)))).collect();
        s.file("rows.csv", format!("id,n\n{rows}"));
        let message = format!("round {round}");
        let verb: &[&str] = match random(6) {
            0 | 1 => &["import", "rows", "rows.csv", "--key", "id"],
            2 => &["commit", "-q", "-m", &message],
            3 => &["switch", "-q", if random(2) == 0 { "main" } else { "other" }],
            4 => &["compact", "-q"],
            _ => &["gc", "-q", "--horizon", "0s", "--grace", "0s"],
        };
        let mut child = s.command(verb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random(moment_max_us)));
        // At once: another process that sends the signal would take longer than the verb.
        let _ = child.kill();
        if child.wait().unwrap().code().is_none() {
            killed += 1;
            moment_max_us = (moment_max_us * 11 / 10).min(60_000);
        } else {
            moment_max_us = (moment_max_us * 9 / 10).max(1000);
        }
        let verified = s.run(["verify", "--json"]);
        assert!(verified.code == 0 && verified.stdout.ends_with("\"faults\":0}\n"), "round {round}, {verb:?}: {}{}", verified.stdout, verified.stderr);
        let log = s.ok(["log", "--all", "--json"]);
        assert!(commits.iter().all(|id| log.contains(id.as_str())), "round {round}, {verb:?}: a commit is lost");
        for line in s.ok(["log", "--all", "--oneline"]).lines() {
            let id = line.split(' ').next().unwrap().to_owned();
            if !commits.contains(&id) {
                commits.push(id);
            }
        }
    }
    assert!(killed * 10 > times, "only {killed} of {times} were killed in time");
    assert_eq!(s.ok(["query", &format!("select count(*) as n from \"{}\".birds", commits[0]), "--format", "csv"]), "n\n5\n");
}

#[test]
fn kills_at_random_moments() {
    kills(40);
}

#[test]
#[ignore = "a thousand kills take minutes"]
fn a_thousand_kills() {
    kills(1000);
}
