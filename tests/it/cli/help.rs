//! Help and wrong use.

use crate::support::Sandbox;

#[test]
fn the_verbs_are_grouped() {
    insta::assert_snapshot!(Sandbox::empty().run(["--help"]).redacted());
}

#[test]
fn a_verb_explains_itself() {
    insta::assert_snapshot!(Sandbox::empty().run(["import", "--help"]).redacted());
}

#[test]
fn wrong_use_exits_with_two() {
    let sandbox = Sandbox::repo();
    for args in [
        &["nonsense"][..],
        &["import"],
        &["import", "t", "x.csv", "--append", "--replace"],
        &["commit"],
        &["import", "t", "x.csv", "--types", "a"],
        &["import", "t", "x.csv", "--on-error", "explode"],
        &["query", "select 1", "--format", "docx"],
        &["log", "-n", "many"],
        &["gc", "--grace", "soon"],
        &["branch", "-d", "a", "b"],
    ] {
        let ran = sandbox.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}{}", ran.stdout, ran.stderr);
        let mut lines = ran.stderr.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("error: ")) && ran.stdout.is_empty(), "{args:?}: {}", ran.stderr);
        assert!(lines.all(|line| line.starts_with("hint: ")), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_slip_is_pointed_out() {
    let ran = Sandbox::empty().run(["comit"]);
    assert!(ran.stderr.contains("'commit'"), "{}", ran.stderr);
}

#[test]
fn outside_of_a_repository() {
    let sandbox = Sandbox::empty();
    for verb in [&["status"][..], &["log"], &["commit", "-m", "x"], &["query", "select 1"], &["head", "t"]] {
        let told = sandbox.refused(2, verb);
        assert!(told.contains("not in a dsv repository") && told.contains("hint: "), "{told}");
    }
}

#[test]
fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Sandbox::empty().ok(["completions", shell]);
        for verb in ["import", "operations", "compact"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        // The shell reads it whole, where it is there.
        let s = Sandbox::empty();
        let path = s.file("completions", &script);
        match std::process::Command::new(shell).arg("-n").arg(path).output() {
            Ok(read) => assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&read.stderr)),
            Err(_) => println!("{shell} is not there to read its completions"),
        }
    }
}
