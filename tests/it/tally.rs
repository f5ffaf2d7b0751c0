//! What `make test` counts: its last line says what ran and what was skipped, with reasons, and `DSV_REQUIRE` turns skips into failures. A stand-in for
//! cargo prints what a run would.

use std::path::Path;
use std::process::Command;

use crate::support::{Ran, Sandbox, skip};

const RUN: &str = "
running 5 tests
test plain ... ok
test lacks_data ... ok
test lacks_more_data ... ok
test panics - should panic ... ok
test slow ... ignored, takes minutes

successes:

---- lacks_data stdout ----
skipped: data: no real data at /nowhere (DSV_TEST_DATA)
skipped: data: no real data at /nowhere (DSV_TEST_DATA)

---- lacks_more_data stdout ----
some words
skipped: data: no real data at /nowhere (DSV_TEST_DATA)

successes:
    lacks_data
    lacks_more_data
    plain

test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

running 2 tests
test lacks_a_terminal ... ok
test golden::write ... ignored, writes a fixture

successes:

---- lacks_a_terminal stdout ----
skipped: script: no terminal to test on

successes:
    lacks_a_terminal

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

const FAILED: &str = "
running 2 tests
test good ... ok
test bad ... FAILED

successes:

successes:
    good

failures:

---- bad stdout ----
skipped: data: it says, and fails all the same

failures:
    bad

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

/// Runs the script over what `cargo` is to print; its exit code and last line.
fn counted(prints: &str, code: i32, require: &str) -> Option<(i32, String)> {
    let s = Sandbox::empty();
    s.file("prints", prints);
    let cargo = s.file("bin/cargo", format!("#!/bin/sh\ncat '{}'\nexit {code}\n", s.path("prints").display()));
    #[cfg(unix)]
    std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", cargo.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--rust").env("PATH", path).env("DSV_REQUIRE", require);
    // Nothing is to be fetched.
    command.env("DSV_TEST_PYTHON", "python3").env("DSV_TEST_SLT", ".").env("DSV_TEST_PGVECTOR", ".").env("DSV_TEST_TPCH", ".");
    match command.output() {
        Ok(done) => {
            let ran = Ran::from(done);
            Some((ran.code, ran.stdout.lines().last().unwrap_or_default().to_owned()))
        }
        Err(e) => {
            skip("python", &format!("python3: {e}"));
            None
        }
    }
}

#[test]
fn the_last_line_counts_and_gives_reasons() {
    let Some((code, line)) = counted(RUN, 0, "") else { return };
    assert_eq!(
        line,
        "2 passed, 0 failed, 4 skipped (2 data: no real data at /nowhere (DSV_TEST_DATA); 1 long: run by `make test-full`; 1 script: no terminal to test on)"
    );
    assert_eq!(code, 0);
}

#[test]
fn what_is_required_and_skipped_fails() {
    let Some((code, line)) = counted(RUN, 0, "data, python") else { return };
    assert_eq!(line, "2 passed, 2 failed, 2 skipped (1 long: run by `make test-full`; 1 script: no terminal to test on)");
    assert_eq!(code, 1);
}

#[test]
fn failures_are_counted_once() {
    let Some((code, line)) = counted(FAILED, 101, "") else { return };
    assert_eq!((code, line.as_str()), (1, "1 passed, 1 failed, 0 skipped"));
    // A build that fails, or a test process that dies, leaves no line of its own.
    let Some((code, line)) = counted("error: could not compile\n", 101, "") else { return };
    assert_eq!((code, line.as_str()), (1, "0 passed, 1 failed, 0 skipped"));
}
