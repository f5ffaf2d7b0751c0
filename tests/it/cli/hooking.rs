//! Hooks: what they are told, what they stop, and what they cannot harm.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ran, Sandbox, python, skip};

/// Writes an executable script.
pub(super) fn script(s: &Sandbox, name: &str, text: &str) -> PathBuf {
    let path = s.file(&format!(".dsv/hooks/{name}"), text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub(super) fn shell(s: &Sandbox, name: &str, body: &str) -> PathBuf {
    script(s, name, &format!("#!/bin/sh\n{body}\n"))
}

/// What was said, with the test's folder and the binary's name replaced.
fn told(s: &Sandbox, ran: &Ran) -> String {
    ran.redacted().replace(s.path("").to_str().unwrap().trim_end_matches('/'), "DIR").replace(env!("CARGO_BIN_EXE_dsv"), "DSV")
}

/// Changes one cell, not committed.
pub(super) fn edit(s: &Sandbox, weight: u32) {
    s.ok(["query", &format!("UPDATE birds SET weight = {weight} WHERE id = 1")]);
}

/// A commit that a hook must stop, with nothing changed.
#[track_caller]
pub(super) fn stopped(s: &Sandbox, args: &[&str]) -> Ran {
    let before = (s.files(), s.state());
    let ran = s.run(args);
    assert_eq!(ran.code, 1, "{args:?}: {}{}", ran.stdout, ran.stderr);
    assert_eq!((s.files(), s.state()), before, "{args:?}: something changed");
    ran
}

pub(super) fn subject(s: &Sandbox) -> String {
    let log: serde_json::Value = serde_json::from_str(&s.ok(["log", "-n", "1", "--json"])).unwrap();
    log["message"].as_str().unwrap().to_owned()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_alive(process: &str) -> bool {
    // One that waits to be reaped by nobody is gone all the same.
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|text| !text.contains(") Z "))
}

#[test]
fn a_day_with_hooks() {
    let s = Sandbox::birds();
    let mut all = String::new();
    let mut step = |args: &[&str]| {
        let ran = s.run(args);
        all.push_str(&format!("$ dsv {}\n{}", args.join(" "), told(&s, &ran)));
    };
    step(&["hooks", "list"]);
    step(&["hooks", "path"]);
    step(&["hooks", "run", "pre-commit"]);
    step(&["hooks", "new", "pre-comit"]);
    step(&["hooks", "new", "pre-commit"]);
    step(&["hooks", "new", "pre-commit"]);
    step(&["hooks", "run", "pre-commit"]);
    edit(&s, 25);
    step(&["commit", "-m", "passes"]);
    shell(&s, "pre-commit", "echo 'labels are missing'; echo more >&2; exit 3");
    edit(&s, 26);
    step(&["commit", "-m", "stopped"]);
    step(&["hooks", "run", "pre-commit"]);
    step(&["commit", "-n", "-m", "past the hook"]);
    let path = shell(&s, "pre-commit", "exit 3");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    edit(&s, 27);
    step(&["hooks", "list"]);
    step(&["hooks", "run", "pre-commit"]);
    step(&["commit", "-m", "not executable"]);
    shell(&s, "post-commit", "echo 'told of it'; exit 7");
    edit(&s, 28);
    step(&["commit", "-m", "after", "--json"]);
    shell(&s, "post-commit", "kill -9 $$");
    edit(&s, 29);
    step(&["commit", "-m", "after"]);
    step(&["commit", "-m", "nothing"]);
    insta::assert_snapshot!(all);
}

#[test]
fn a_hook_that_fails_stops_the_commit() {
    let s = Sandbox::birds();
    edit(&s, 25);
    for (text, expected) in [
        ("#!/bin/sh\nexit 1\n", "error: hook 'pre-commit' ended with exit status 1: nothing was changed\nhint: --no-verify goes on without it\n"),
        ("#!/bin/sh\nkill -9 $$\n", "error: hook 'pre-commit' was ended by signal SIGKILL (9): nothing was changed\nhint: --no-verify goes on without it\n"),
        (
            "#!/no/such/thing -x\n",
            "error: hook 'pre-commit' cannot be run: there is no '/no/such/thing -x', which its first line names: nothing was changed\nhint: --no-verify goes on without it\n",
        ),
        (
            "#!/bin/sh\r\nexit 0\r\n",
            "error: hook 'pre-commit' cannot be run: there is no '/bin/sh\\r', which its first line names: nothing was changed\nhint: --no-verify goes on without it\n",
        ),
        // Without a first line that says what runs it, it is the shell's.
        ("exit 4\n", "error: hook 'pre-commit' ended with exit status 4: nothing was changed\nhint: --no-verify goes on without it\n"),
    ] {
        script(&s, "pre-commit", text);
        assert_eq!(stopped(&s, &["commit", "-m", "x"]).stderr, expected, "{text}");
        assert_eq!(stopped(&s, &["commit", "--amend", "-m", "x"]).stderr, expected, "{text}");
    }
    // A binary that is none ends somehow, and is told.
    script(&s, "pre-commit", "\u{1}\u{2}\u{3}\n");
    let ran = stopped(&s, &["commit", "-m", "x"]);
    assert!(ran.stderr.contains("error: hook 'pre-commit' ended with exit status 127: nothing was changed"), "{}", ran.stderr);
    // A folder of that name is no hook.
    fs::remove_file(s.path(".dsv/hooks/pre-commit")).unwrap();
    fs::create_dir(s.path(".dsv/hooks/pre-commit")).unwrap();
    s.ok(["commit", "-m", "x"]);
}

#[test]
fn hooks_are_given_the_change() {
    let s = Sandbox::birds();
    s.file("nests.csv", "id,bird\n1,2\n2,2\n");
    s.ok(["import", "nests", "nests.csv"]);
    s.ok(["view", "create", "heavy", "SELECT * FROM birds WHERE weight > 40"]);
    edit(&s, 25);
    let keep = |name: &str| {
        format!(
            "cat > {name}.json\nenv | grep '^DSV_\\(DIR\\|HOOK\\|BRANCH\\|HEAD\\|COMMIT\\|TABLES\\)=' | sort > {name}.env\necho \"$DSV_TABLES\" > {name}.tables\npwd > {name}.pwd\necho \"$#\" > {name}.args"
        )
    };
    shell(
        &s,
        "pre-commit",
        &format!(
            "{}\n\"$DSV\" diff --stat > within\n\"$DSV\" query 'SELECT count(*) AS n FROM nests' --format csv >> within\n\"$DSV\" status --json >> within",
            keep("pre")
        ),
    );
    shell(&s, "post-commit", &format!("{}\n\"$DSV\" status --json > after", keep("post")));
    let (diff, stat, status) = (s.ok(["diff", "--json"]), s.ok(["diff", "--stat"]), s.ok(["status", "--json"]));
    let head = s.ok(["log", "-n", "1", "--json"]);
    let id = |log: &str| log.split("\"commit\":\"").nth(1).unwrap()[..64].to_owned();
    s.ok(["commit", "-m", "more"]);
    assert_eq!((s.read("pre.json"), s.read("post.json")), (diff.clone(), diff));
    assert!(s.read("pre.json").contains("\"heavy\"") && s.read("pre.json").lines().count() > 4);
    assert_eq!(s.read("within"), format!("{stat}n\n2\n{status}"));
    assert!(s.read("after").contains("\"clean\":true"), "{}", s.read("after"));
    let (head, made) = (id(&head), id(&s.ok(["log", "-n", "1", "--json"])));
    let dir = s.path("").canonicalize().unwrap();
    let env = |hook: &str, commit: &str| {
        format!("DSV_BRANCH=main\n{commit}DSV_DIR={}\nDSV_HEAD={head}\nDSV_HOOK={hook}\nDSV_TABLES=birds\n", dir.join(".dsv").display())
    };
    assert_eq!(s.read("pre.env"), env("pre-commit", ""));
    assert_eq!(s.read("post.env"), env("post-commit", &format!("DSV_COMMIT={made}\n")));
    assert_eq!((s.read("pre.tables"), s.read("pre.pwd"), s.read("pre.args")), ("birds\nnests\n".to_owned(), format!("{}\n", dir.display()), "0\n".to_owned()));
    // Of an amended commit, all that it will change of its parent.
    s.ok(["commit", "--amend", "-m", "more, again"]);
    assert_eq!(s.read("pre.json"), s.ok(["diff", "--json", "HEAD~1", "HEAD"]));
    // Without a commit before there is no head.
    let new = Sandbox::repo();
    new.file("a.csv", "a\n1\n");
    new.ok(["import", "a", "a.csv"]);
    shell(&new, "pre-commit", "cat > seen; echo \"<$DSV_HEAD>\" >> seen");
    new.ok(["commit", "-m", "first"]);
    assert!(new.read("seen").lines().count() == 3 && new.read("seen").ends_with("<>\n"), "{}", new.read("seen"));
}

#[test]
fn what_a_hook_changes_is_committed_and_checked() {
    let s = Sandbox::birds();
    shell(&s, "pre-commit", "cat > seen\n\"$DSV\" query -q \"UPDATE birds SET label = 'tiny' WHERE id = 2\"");
    edit(&s, 25);
    s.ok(["commit", "-m", "mended by the hook"]);
    assert!(!s.read("seen").contains("tiny"));
    assert!(s.ok(["diff", "--json", "HEAD~1", "HEAD"]).contains("\"after\":\"tiny\""));
    assert!(s.ok(["status", "--json"]).contains("\"clean\":true"));
    // Checks are tested on what it leaves.
    s.ok(["check", "add", "light", "--table", "birds", "weight < 5000"]);
    s.ok(["commit", "-n", "-m", "a check"]);
    shell(&s, "pre-commit", "\"$DSV\" query -q 'UPDATE birds SET weight = 9999 WHERE id = 2'");
    edit(&s, 26);
    let ran = s.run(["commit", "-m", "x"]);
    assert!(ran.code == 1 && ran.stderr.contains("check 'light'"), "{}", ran.stderr);
    assert_eq!(subject(&s), "a check");
    // A hook that goes elsewhere with the branch stops the commit.
    shell(&s, "pre-commit", "\"$DSV\" commit -q -n -m 'of the hook'");
    s.ok(["restore", "birds"]);
    edit(&s, 27);
    let ran = s.run(["commit", "-m", "x"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "error: a hook moved the branch, or went to another one: nothing was committed\n"));
    assert_eq!(subject(&s), "of the hook");
    // One that commits after a commit is not run for its own.
    fs::remove_file(s.path(".dsv/hooks/pre-commit")).unwrap();
    shell(&s, "post-commit", "echo x >> times; \"$DSV\" commit -q --allow-empty -m 'of the hook after it'");
    edit(&s, 28);
    s.ok(["commit", "-m", "mine"]);
    assert_eq!((subject(&s).as_str(), s.read("times").as_str()), ("of the hook after it", "x\n"));
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_that_it_started() {
    let s = Sandbox::birds();
    edit(&s, 25);
    s.ok(["config", "hooks.timeout", "1s"]);
    shell(&s, "pre-commit", "sleep 300 & echo $! > pid; wait");
    let began = Instant::now();
    let ran = stopped(&s, &["commit", "-m", "x"]);
    assert_eq!(ran.stderr, "error: hook 'pre-commit' took longer than 1s, and was ended: nothing was changed\nhint: --no-verify goes on without it\n");
    assert!(began.elapsed() < Duration::from_secs(10));
    let pid = s.read("pid").trim().to_owned();
    wait_for("what the hook started goes on", || !is_alive(&pid));
    // One that does not listen is killed.
    shell(&s, "pre-commit", "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done");
    stopped(&s, &["commit", "-m", "x"]);
    let pid = s.read("pid").trim().to_owned();
    wait_for("a hook that ignores SIGTERM goes on", || !is_alive(&pid));
    // A hook has its own time: by its settings, or by its own word.
    s.ok(["config", "hooks.pre-commit.timeout", "0s"]);
    shell(&s, "pre-commit", "# dsv-hook: timeout=1s\nsleep 1.5");
    s.ok(["commit", "-m", "in its own time"]);
    s.ok(["config", "--unset", "hooks.pre-commit.timeout"]);
    s.ok(["config", "hooks.timeout", "10m"]);
    edit(&s, 26);
    assert!(stopped(&s, &["commit", "-m", "x"]).stderr.contains("took longer than 1s"));
    // What makes no sense is wrong use.
    for (key, value, expected) in
        [("hooks.timeout", "soon", "hooks.timeout: 'soon' is not a time"), ("hooks.stdin", "xml", "hooks.stdin: 'xml' is not json, arrow or none")]
    {
        s.ok(["config", key, value]);
        assert!(s.refused(2, ["commit", "-m", "x"]).contains(expected));
        s.ok(["config", "--unset", key]);
    }
    shell(&s, "pre-commit", "# dsv-hook: stdout=arrow");
    assert!(s.refused(2, ["commit", "-m", "x"]).contains("'dsv-hook: stdout=arrow' says nothing that is known"));
}

#[test]
fn ctrl_c_ends_a_hook() {
    let s = Sandbox::birds();
    edit(&s, 25);
    shell(&s, "pre-commit", "sleep 300 & echo $! > pid; wait");
    let before = (s.files(), s.state());
    let child = s.command(["commit", "-m", "x"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the hook does not start", || s.path("pid").exists() && !s.read("pid").is_empty());
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(130), "error: interrupted: nothing was changed\n"));
    let pid = s.read("pid").trim().to_owned();
    wait_for("what the hook started goes on", || !is_alive(&pid));
    assert_eq!((s.files(), s.state()), before);
}

#[test]
fn a_large_change_is_read_or_not() {
    let s = Sandbox::repo();
    let rows: String = (0..100_000).map(|i| format!("{i},a text that takes some room {i}\n")).collect();
    s.file("big.csv", format!("id,words\n{rows}"));
    s.ok(["import", "big", "big.csv"]);
    s.ok(["commit", "--allow-empty", "-m", "big"]);
    // It reads all, a part, nothing; it closes its end early; it leaves something behind that holds the pipes.
    for (n, body) in ["wc -l > lines", "head -n 3 > lines", "exit 0", "exec <&-; sleep 0.3", "exec 3<&0; sleep 30 <&3 & exit 0"].into_iter().enumerate() {
        shell(&s, "post-commit", body);
        let began = Instant::now();
        let ran = s.run(["commit", "--amend", "-m", &format!("round {n}")]);
        assert_eq!((ran.code, ran.stderr.contains("warning")), (0, false), "{body}: {}", ran.stderr);
        assert!(began.elapsed() < Duration::from_secs(25), "{body}");
        match n {
            0 => assert_eq!(s.read("lines").trim(), "100001"),
            1 => assert_eq!(s.read("lines").lines().count(), 3),
            _ => {}
        }
    }
    s.ok(["config", "hooks.stdin", "none"]);
    shell(&s, "post-commit", "cat > lines");
    s.ok(["commit", "--amend", "-m", "nothing to read"]);
    assert_eq!(s.read("lines"), "");
}

#[test]
fn what_a_hook_says_is_passed_on_and_bounded() {
    let s = Sandbox::birds();
    shell(&s, "post-commit", "printf 'a\\000b\\377\\033[2J\\n'; printf 'c\\n' >&2");
    let done = s.command(["commit", "--allow-empty", "-q", "-m", "x"]).output().unwrap();
    assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b""[..], &b"a\0b\xff\x1b[2J\nc\n"[..]));
    shell(&s, "post-commit", "yes | head -c 50000000");
    let done = s.command(["commit", "--allow-empty", "-q", "-m", "x"]).output().unwrap();
    let end = String::from_utf8_lossy(&done.stderr[done.stderr.len() - 100..]).into_owned();
    assert!(done.status.success() && done.stderr.len() < 9 << 20 && end.ends_with("(it says more than 8.4 MB; the rest is not shown)\n"), "{end}");
    // Words without end are cut off with the hook.
    s.ok(["config", "hooks.timeout", "1s"]);
    shell(&s, "post-commit", "yes");
    let done = s.command(["commit", "--allow-empty", "-q", "-m", "x"]).output().unwrap();
    let end = String::from_utf8_lossy(&done.stderr[done.stderr.len() - 100..]).into_owned();
    assert!(done.status.success() && end.ends_with("warning: hook 'post-commit' took longer than 1s, and was ended\n"), "{end}");
}

#[test]
fn arrow_is_a_stream_for_each_table() {
    let s = Sandbox::birds();
    s.file("nests.csv", "id,bird\n1,2\n2,2\n");
    s.ok(["import", "nests", "nests.csv"]);
    edit(&s, 25);
    shell(&s, "pre-commit", "# dsv-hook: stdin=arrow\ncat > change.arrow");
    s.ok(["hooks", "run", "pre-commit"]);
    let mut bytes = std::io::Cursor::new(fs::read(s.path("change.arrow")).unwrap());
    let mut seen = Vec::new();
    while bytes.position() < bytes.get_ref().len() as u64 {
        let mut stream = arrow::ipc::reader::StreamReader::try_new(&mut bytes, None).unwrap();
        let (schema, mut rows) = (stream.schema(), 0);
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["change", "row", "columns", "before", "after"]);
        for batch in stream.by_ref() {
            rows += batch.unwrap().num_rows();
        }
        seen.push((schema.metadata()["dsv.table"].clone(), rows));
    }
    assert_eq!(seen, [("birds".to_owned(), 1), ("nests".to_owned(), 2)]);

    let Some(python) = pyarrow() else { return };
    let text = format!(
        "#!{}\n# dsv-hook: stdin=arrow\nimport io, sys\nimport pyarrow as pa\nfrom_dsv = io.BufferedReader(sys.stdin.buffer)\nout = open('seen', 'w')\nwhile from_dsv.peek(1):\n    with pa.ipc.open_stream(from_dsv) as stream:\n        name = stream.schema.metadata[b'dsv.table'].decode()\n        rows = stream.read_all()\n    for row in rows.to_pylist():\n        print(name, row['change'], row['columns'], row['after'], file=out)\n",
        python.display()
    );
    script(&s, "pre-commit", &text);
    s.ok(["commit", "-m", "x"]);
    let expected = "birds changed ['weight'] {'id': 1, 'name': 'sparrow', 'weight': 25.0, 'label': 'small', 'code': '007'}\nnests added None {'id': 1, 'bird': 2}\nnests added None {'id': 2, 'bird': 2}\n";
    assert_eq!(s.read("seen"), expected);
}

/// A Python that has pyarrow; without one the rest of the test is skipped, and says so.
pub(super) fn pyarrow() -> Option<PathBuf> {
    let python = python();
    if Command::new(&python).args(["-c", "import pyarrow"]).output().is_ok_and(|done| done.status.success()) {
        return Some(python);
    }
    skip("pyarrow", &format!("{}: no pyarrow (see scripts/requirements.txt)", python.display()));
    None
}

#[test]
fn hooks_of_dsv_toml_run_once_they_are_trusted() {
    let s = Sandbox::birds();
    let toml = "[hooks.pre-commit.weights]\nrun = \"cat > weights.json; echo weights\"\ntables = [\"birds\"]\n\n[hooks.pre-commit.nests]\nrun = \"echo nests\"\ntables = [\"nests\"]\n\n[hooks.pre-commit.all]\nrun = \"if true; then echo all; fi\"\nstdin = \"none\"\ntimeout = \"30s\"\n\n[hooks.commit-msg.words]\nrun = \"wc -w <\"\n";
    let mut all = String::new();
    let step = |all: &mut String, args: &[&str]| {
        let ran = s.run(args);
        all.push_str(&format!("$ dsv {}\n{}", args.join(" "), told(&s, &ran)));
    };
    step(&mut all, &["hooks", "trust"]);
    s.file("dsv.toml", toml);
    step(&mut all, &["hooks", "list"]);
    edit(&s, 25);
    step(&mut all, &["commit", "-m", "not trusted"]);
    step(&mut all, &["hooks", "run", "pre-commit"]);
    step(&mut all, &["hooks", "trust"]);
    step(&mut all, &["hooks", "list", "--json"]);
    shell(&s, "pre-commit", "echo the script");
    edit(&s, 26);
    step(&mut all, &["hooks", "run", "pre-commit"]);
    step(&mut all, &["commit", "-m", "all of them"]);
    assert_eq!(s.read("weights.json").lines().count(), 1);
    // What the hooks say may stand elsewhere in the file.
    s.file("dsv.toml", format!("# a comment\n[other]\nx = 1\n{toml}"));
    edit(&s, 27);
    step(&mut all, &["commit", "-q", "-m", "as it was"]);
    s.file("dsv.toml", toml.replace("echo all", "exit 5"));
    edit(&s, 28);
    step(&mut all, &["commit", "-m", "changed"]);
    step(&mut all, &["switch", "-c", "side"]);
    step(&mut all, &["hooks", "trust"]);
    edit(&s, 29);
    step(&mut all, &["commit", "-m", "stopped"]);
    step(&mut all, &["hooks", "untrust"]);
    step(&mut all, &["hooks", "untrust"]);
    s.file("dsv.toml", "[hooks.pre-commit.a]\nrun = 1\n");
    step(&mut all, &["commit", "-m", "x"]);
    step(&mut all, &["hooks", "trust"]);
    insta::assert_snapshot!(all);
    // The user's own file trusts nothing.
    s.file("dsv.toml", toml);
    s.ok(["hooks", "trust"]);
    let mark = s.ok(["config", "hooks.trusted"]);
    s.ok(["hooks", "untrust"]);
    s.ok(["config", "--global", "hooks.trusted", mark.trim()]);
    assert!(s.ok(["hooks", "list", "--json"]).contains("\"state\":\"not trusted\""));
}

#[test]
fn a_program_is_told_what_the_hook_said() {
    let s = Sandbox::birds();
    edit(&s, 25);
    shell(&s, "pre-commit", "echo 'row 3 has no label'; exit 1");
    let commit = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        dsv::cli::within(&words, &s.path(""), None, std::sync::Arc::new(dsv::base::NoProgress))
    };
    let error = commit(&["commit", "-m", "x"]).unwrap_err();
    assert_eq!(error.message, "hook 'pre-commit' ended with exit status 1: nothing was changed");
    assert_eq!(error.hints, ["--no-verify goes on without it", "it said: row 3 has no label"]);
    shell(&s, "pre-commit", "echo fine");
    shell(&s, "post-commit", "echo 'no room'; exit 4");
    let said = commit(&["commit", "-m", "x"]).unwrap();
    assert_eq!(said.warnings, ["hook 'post-commit' ended with exit status 4; it said: no room"]);
}
