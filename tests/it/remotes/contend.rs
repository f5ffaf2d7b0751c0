//! Many processes that push to one remote at once.

use super::servers::seaweed;
use crate::support::Sandbox;

/// So many processes push so many commits each, half of them to `main` and half to branches of their own: each commit that was accepted is there, in order.
fn contend(writers: usize, commits: usize) {
    let Some(server) = seaweed() else { return };
    let url = format!("s3://data/contend-{writers}-{commits}");
    let ada = server.admit(Sandbox::birds());
    ada.ok(["remote", "add", "origin", &url]);
    ada.ok(["push"]);
    let sandboxes: Vec<Sandbox> = (0..writers).map(|_| server.admit(Sandbox::empty())).collect();
    std::thread::scope(|scope| {
        for (n, sandbox) in sandboxes.iter().enumerate() {
            let url = &url;
            scope.spawn(move || {
                sandbox.ok(["clone", url, "w", "-q"]);
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
                        assert!(pushed.code == 1 && pushed.stderr.contains("dsv pull"), "{pushed:?}");
                        let pulled = there(&["pull", "origin", &branch]);
                        assert_eq!(pulled.code, 0, "{pulled:?}");
                    }
                }
            });
        }
    });
    let all = server.admit(Sandbox::empty());
    all.ok(["clone", &url, "all"]);
    for n in 0..writers {
        let at = if n % 2 == 0 { "origin/main".to_owned() } else { format!("origin/own-{n}") };
        let log = all.ok(["-C", "all", "log", "--json", &at]);
        let own: Vec<&str> =
            log.lines().filter_map(|line| line.split_once(&format!(r#""message":"{n}."#))?.1.split_once('"').map(|(round, _)| round)).collect();
        assert_eq!(own, (0..commits).rev().map(|round| round.to_string()).collect::<Vec<_>>(), "{at}");
        // The rows are those that these commits brought, with no cell that is another's.
        let sum = format!("SELECT count(*) FROM birds WHERE name = concat('bird {n}.', id - {})", 1000 + n * 1000);
        assert_eq!(all.ok(["-C", "all", "query", &sum, "--at", &at, "--format", "csv"]), format!("count(*)\n{commits}\n"), "{at}");
    }
    let rows = all.ok(["-C", "all", "query", "SELECT count(*) FROM birds WHERE id >= 1000", "--format", "csv"]);
    assert_eq!(rows, format!("count(*)\n{}\n", writers.div_ceil(2) * commits));
    all.ok(["-C", "all", "verify"]);
    all.ok(["-C", "all", "verify", "--remote", "origin"]);
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
