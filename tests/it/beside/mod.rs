//! Code in Git, data in dsv, side by side: through the `git` program itself, with the hooks and the merge driver that `dsv git init` writes.

mod faults;
mod flow;
mod story;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{BIRDS, Ran, Sandbox, skip};

/// A Git repository with data beside the code.
pub struct Beside {
    pub s: Sandbox,
}

impl Beside {
    /// An empty folder in which git and dsv run as a person's do. None where git is missing, which is said.
    pub fn empty() -> Option<Beside> {
        if !Command::new("git").arg("--version").output().is_ok_and(|done| done.status.success()) {
            skip("git", "the program git is not here");
            return None;
        }
        let mut s = Sandbox::empty();
        let binary = Path::new(env!("CARGO_BIN_EXE_dsv")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(binary).chain(std::env::split_paths(&path))).unwrap();
        s.set("PATH", path);
        s.file(
            ".home/.gitconfig",
            "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n[protocol \"file\"]\n\tallow = always\n",
        );
        Some(Beside { s })
    }

    /// A line of the shell; both streams and the exit code.
    pub fn run(&self, line: &str) -> Ran {
        self.run_in("w", line)
    }

    pub fn run_in(&self, folder: &str, line: &str) -> Ran {
        // What the sandbox sets for dsv holds for git and its hooks as well.
        let dsv = self.s.command([""; 0]);
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.s.path(folder)).stdin(std::process::Stdio::null());
        for (name, value) in dsv.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Ran::from(shell.output().unwrap())
    }

    /// A line that must succeed: what it wrote, stdout first.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.ok_in("w", line)
    }

    #[track_caller]
    pub fn ok_in(&self, folder: &str, line: &str) -> String {
        let ran = self.run_in(folder, line);
        assert_eq!(ran.code, 0, "{line}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout + &ran.stderr
    }

    /// A line that must fail with that code, without a panic: what it wrote.
    #[track_caller]
    pub fn fails(&self, code: i32, line: &str) -> String {
        let ran = self.run(line);
        let told = ran.stdout.clone() + &ran.stderr;
        assert_eq!(ran.code, code, "{line}\n{told}");
        assert!(!told.contains("panicked"), "{told}");
        told
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.s.path(&format!("w/{name}"))
    }

    pub fn file(&self, name: &str, content: &str) {
        self.s.file(&format!("w/{name}"), content);
    }

    pub fn read(&self, name: &str) -> String {
        self.s.read(&format!("w/{name}"))
    }

    /// In `w`: code in Git and a table of birds in dsv, both committed on `main`, the data pinned.
    pub fn birds() -> Option<Beside> {
        let b = Beside::empty()?;
        std::fs::create_dir(b.path("")).unwrap();
        b.s.file("birds.csv", BIRDS);
        b.file("train.py", "print(1)\n");
        b.ok("git init -q && git add . && git commit -qm 'code alone'");
        b.ok("dsv init -q && dsv import birds ../birds.csv --key id && dsv commit -m birds");
        b.ok("dsv git init && git add . && git commit -qm 'the data is pinned'");
        Some(b)
    }

    /// Sets a bird's name, and commits that in dsv.
    #[track_caller]
    pub fn rename(&self, id: u32, name: &str) {
        self.ok(&format!("dsv query -q \"UPDATE birds SET name = '{name}' WHERE id = {id}\" && dsv commit -qm 'bird {id} is {name}'"));
    }

    /// Changes a file of code, and commits all in Git.
    #[track_caller]
    pub fn code(&self, name: &str) -> String {
        self.file(name, &format!("print('{name}')\n"));
        self.ok(&format!("git add . && git commit -m '{name}'"))
    }

    /// The name of a bird in the data that is checked out.
    #[track_caller]
    pub fn name(&self, id: u32) -> String {
        let out = self.ok(&format!("dsv query 'SELECT name FROM birds WHERE id = {id}' --format csv"));
        out.lines().nth(1).unwrap_or_default().to_owned()
    }

    /// The commit of dsv's that is checked out, and its branch.
    #[track_caller]
    pub fn data(&self) -> (String, Option<String>) {
        let status: serde_json::Value = serde_json::from_str(self.ok("dsv status --json").lines().next().unwrap()).unwrap();
        let commit = self.ok("dsv log -n 1 --json");
        let commit: serde_json::Value = serde_json::from_str(&commit).unwrap();
        (commit["commit"].as_str().unwrap().to_owned(), status["branch"].as_str().map(str::to_owned))
    }

    /// The commit that dsv.lock names.
    #[track_caller]
    pub fn pinned(&self) -> String {
        let text = self.read("dsv.lock");
        text.lines().find_map(|line| line.strip_prefix("commit = \"")).unwrap().trim_end_matches('"').to_owned()
    }
}
