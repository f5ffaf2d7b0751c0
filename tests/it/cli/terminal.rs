//! Colour, cutting and paging: on a terminal only. `script` makes one.

use std::process::Command;

use crate::support::{Ran, Sandbox, skip};

/// Runs the binary on a terminal of 60 columns; `None`, and a skip, where there is no `script`.
fn on_terminal(s: &Sandbox, args: &str, variables: &[(&str, &str)]) -> Option<String> {
    let plain = s.command([""; 0]);
    let line = format!("stty cols 60 rows 20; {} {args}", env!("CARGO_BIN_EXE_dsv"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(s.path("")).env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("COLUMNS");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(variables.iter().copied());
    match command.output() {
        Ok(done) => Some(Ran::from(done).stdout.replace('\r', "")),
        Err(e) => {
            skip("script", &format!("no terminal to test on: {e}"));
            None
        }
    }
}

#[test]
fn a_pipe_gets_no_escapes() {
    let s = Sandbox::birds();
    for args in [&["log"][..], &["status"], &["branch"], &["head", "birds"], &["stats", "birds"], &["log", "--graph", "--oneline"]] {
        let ran = s.run(args);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{args:?}");
    }
    assert!(s.ok(["log", "--color", "always"]).contains("\u{1b}[33mcommit "));
}

#[test]
fn a_terminal_gets_colour_and_is_not_overrun() {
    let s = Sandbox::birds();
    s.ok(["column", "add", "birds", "note", "text", "--default", &"long ".repeat(50)]);
    let Some(shown) = on_terminal(&s, "head birds", &[("DSV_PAGER", "")]) else { return };
    assert!(shown.contains("\u{1b}[1mname"), "{shown}");
    for line in anstream::adapter::strip_str(&shown).to_string().lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
    let plain = on_terminal(&s, "log", &[("DSV_PAGER", ""), ("NO_COLOR", "1")]).unwrap_or_default();
    assert!(plain.starts_with("commit ") && !plain.contains('\u{1b}'), "{plain}");
}

#[test]
fn a_terminal_gets_the_pager() {
    let s = Sandbox::birds();
    let Some(shown) = on_terminal(&s, "log --oneline", &[("DSV_PAGER", "sed s/^/paged:/")]) else { return };
    assert!(shown.starts_with("paged:"), "{shown}");
    for args in ["--no-pager log --oneline", "log --json"] {
        let shown = on_terminal(&s, args, &[("DSV_PAGER", "sed s/^/paged:/")]).unwrap_or_default();
        assert!(!shown.contains("paged:"), "{shown}");
    }
    let missing = on_terminal(&s, "log --oneline", &[("DSV_PAGER", "no-such-pager-here")]).unwrap_or_default();
    assert!(missing.contains("import birds"), "{missing}");
    assert!(!s.ok(["log"]).contains("paged:"));
}

#[test]
fn long_work_tells_its_progress_on_a_terminal_only() {
    let s = Sandbox::repo();
    let rows: String = (0..200_000).map(|i| format!("{i},{},row number {i}\n", i * 7919 % 10_007)).collect();
    s.file("long.csv", format!("id,n,words\n{rows}"));
    s.file("first.csv", "id,n,words\n0,0,row number 0\n");
    let Some(shown) = on_terminal(&s, "import long long.csv", &[]) else { return };
    let shown = anstream::adapter::strip_str(&shown).to_string();
    let (inferring, importing) = (shown.find("inferring types"), shown.find("importing"));
    assert!(inferring.is_some() && inferring < importing, "{shown:?}");
    // One stage follows the other, and each has its unit, its rate and the time left.
    assert!(shown.rfind("inferring types") < importing, "{shown:?}");
    let bar = shown.get(importing.unwrap()..shown.find("Created").unwrap()).unwrap_or_default();
    assert!(bar.contains("B/5.8 MB, ") && bar.contains("/s, ") && bar.contains(" left") && !bar.contains(" rows, "), "{bar:?}");
    assert!(shown.trim_end().ends_with("Created table long: 200,000 rows, 3 columns"), "{shown:?}");
    s.ok(["import", "other", "first.csv"]);
    let shown = anstream::adapter::strip_str(&on_terminal(&s, "import other long.csv --replace", &[]).unwrap_or_default()).to_string();
    assert!(shown.find("inferring types") < shown.find("comparing") && shown.rfind("comparing") < shown.rfind("importing"), "{shown:?}");
    // Piped it is silent.
    let ran = s.run(["import", "piped", "long.csv"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "Created table piped: 200,000 rows, 3 columns\n"));
    assert_eq!(s.run(["-q", "import", "quiet", "long.csv"]).stderr, "");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let s = Sandbox::birds();
    let mut child = s
        .command(["query", "select * from birds, birds b, birds c, birds d", "--format", "csv"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
}

#[cfg(unix)]
#[test]
fn a_hook_does_not_move_the_cursor() {
    let s = Sandbox::birds();
    let hook = s.file(".dsv/hooks/post-commit", "#!/bin/sh\nprintf 'a\\033[2Jb\\n'\n");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let Some(shown) = on_terminal(&s, "commit --allow-empty -m x", &[]) else { return };
    assert!(shown.contains("a\u{241b}[2Jb\n") && !shown.contains("\u{1b}[2J"), "{shown:?}");
}
