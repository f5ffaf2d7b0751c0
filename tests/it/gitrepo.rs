//! Git repositories that tests make with the program `git`: fixed authors and dates, no settings of the machine.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::skip;

/// The authors, in turn, each with the offset of a clock.
pub const AUTHORS: [(&str, &str, &str); 3] =
    [("Grace Hopper", "grace@example.org", "+0545"), ("Ada Lovelace", "ada@example.org", "-0330"), ("Zoë Müller", "zoe@example.org", "+0000")];

/// The moment of the first commit; each that follows is a minute later.
pub const FIRST_SECONDS: i64 = 1_600_000_000;

pub struct GitRepo {
    pub dir: PathBuf,
    commits: Cell<usize>,
}

impl GitRepo {
    /// An empty repository in a new folder; without the program the test is skipped, and says so.
    pub fn init(dir: impl Into<PathBuf>) -> Option<GitRepo> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        if !*FOUND.get_or_init(|| Command::new("git").arg("--version").output().is_ok_and(|done| done.status.success())) {
            skip("git", "the program git is not here");
            return None;
        }
        let repo = GitRepo::at(dir);
        std::fs::create_dir_all(&repo.dir).unwrap();
        repo.git(["init", "-q", "-b", "main"]);
        Some(repo)
    }

    /// One that is there.
    pub fn at(dir: impl Into<PathBuf>) -> GitRepo {
        GitRepo { dir: dir.into(), commits: Cell::new(0) }
    }

    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        let at = self.commits.get();
        let (name, email, offset) = AUTHORS[at % AUTHORS.len()];
        let date = format!("{} {offset}", FIRST_SECONDS + 60 * at as i64);
        command.current_dir(&self.dir).env("HOME", self.dir.join("no-home")).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_AUTHOR_NAME", name).env("GIT_AUTHOR_EMAIL", email).env("GIT_AUTHOR_DATE", &date);
        command.env("GIT_COMMITTER_NAME", "C. Mitter").env("GIT_COMMITTER_EMAIL", "c@example.org").env("GIT_COMMITTER_DATE", &date);
        // The binary, as `dsv`.
        let binary = Path::new(env!("CARGO_BIN_EXE_dsv")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(binary.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths).unwrap()).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).args(args);
        command
    }

    /// What `git` prints; it must succeed.
    #[track_caller]
    pub fn git(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let args: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let done = self.command(&args).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "git {args:?}\n{out}{err}");
        out.into_owned()
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Commits all that is in the worktree; returns the commit's id.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
        self.commits.set(self.commits.get() + 1);
        self.head()
    }

    /// A commit with that content of one file.
    #[track_caller]
    pub fn version(&self, name: &str, content: impl AsRef<[u8]>, message: &str) -> String {
        self.file(name, content);
        self.commit(message)
    }

    #[track_caller]
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Feeds `git fast-import`, on the branch `main`.
    pub fn fast_import(&self, stream: &[u8]) {
        let mut child = self.command(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stream).unwrap();
        assert!(child.wait().unwrap().success());
    }
}
