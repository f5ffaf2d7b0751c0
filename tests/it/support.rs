//! What the tests share: a repository to run the binary in, real data, and a way to say that something was skipped.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The folder of real files: `DSV_TEST_DATA`, else `../shared/data` beside the project. Without it the test is skipped, and says so.
pub fn data(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DSV_TEST_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    // One reason for all that lack the folder, so that they are counted together.
    let what = if folder.is_dir() { format!("no {path} in {}", folder.display()) } else { format!("no real data at {}", folder.display()) };
    skip("data", &format!("{what} (DSV_TEST_DATA)"));
    None
}

/// Tells that the test which calls it lacks something. `scripts/test.py` counts these lines.
pub fn skip(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
}

/// The Python that the tests use: `DSV_TEST_PYTHON`, else that of the project's own environment, else the machine's.
pub fn python() -> PathBuf {
    let named = ["DSV_TEST_PYTHON", "DSV_PYTHON"].iter().find_map(std::env::var_os).map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(if cfg!(windows) { ".venv/Scripts/python.exe" } else { ".venv/bin/python" });
    named.unwrap_or_else(|| if own.exists() { own } else { "python3".into() })
}

/// ffmpeg: `DSV_TEST_FFMPEG`, else the one of Python's package imageio-ffmpeg, else the machine's. Without it the test is skipped, and says so.
pub fn ffmpeg() -> Option<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let runs = |program: &Path| Command::new(program).arg("-version").output().is_ok_and(|done| done.status.success());
        if let Some(named) = std::env::var_os("DSV_TEST_FFMPEG").map(PathBuf::from) {
            return if runs(&named) { Ok(named) } else { Err(format!("{} does not run (DSV_TEST_FFMPEG)", named.display())) };
        }
        let asked = Command::new(python()).args(["-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]).output();
        let of_python = asked.ok().filter(|done| done.status.success()).map(|done| String::from_utf8_lossy(&done.stdout).trim().into());
        let found = of_python.into_iter().chain([PathBuf::from("ffmpeg")]).find(|program| runs(program));
        found.ok_or_else(|| "neither imageio-ffmpeg (scripts/requirements.txt) nor ffmpeg is here".to_owned())
    };
    match FOUND.get_or_init(find) {
        Ok(program) => Some(program.clone()),
        Err(why) => {
            skip("ffmpeg", why);
            None
        }
    }
}

/// A folder in which the binary runs, with a home of its own, so that no settings of the machine count.
pub struct Sandbox {
    dir: TempDir,
    variables: Vec<(String, OsString)>,
}

/// What a run left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    /// An empty folder.
    pub fn empty() -> Sandbox {
        Sandbox { dir: tempfile::tempdir().unwrap(), variables: vec![] }
    }

    /// A folder with an empty repository.
    pub fn repo() -> Sandbox {
        let sandbox = Sandbox::empty();
        sandbox.ok(["init", "-q"]);
        sandbox
    }

    /// A repository with a small table `birds`, committed.
    pub fn birds() -> Sandbox {
        let sandbox = Sandbox::repo();
        sandbox.file("birds.csv", BIRDS);
        sandbox.ok(["import", "birds", "birds.csv", "--key", "id"]);
        sandbox.ok(["commit", "-m", "import birds"]);
        sandbox
    }

    /// Sets an environment variable for all that is run from now on.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with its arguments, to be run in the folder.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsv"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("DSV_") || name.starts_with("GIT_") || ["PAGER", "NO_COLOR", "CLICOLOR_FORCE", "EMAIL"].contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        let home = self.dir.path().join(".home");
        command.current_dir(self.dir.path()).env("HOME", &home).env("XDG_CONFIG_HOME", home.join(".config")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("DSV_AUTHOR_NAME", "Ada Lovelace").env("DSV_AUTHOR_EMAIL", "ada@example.org").env("USER", "ada").env("HOSTNAME", "engine");
        command.env("TZ", "UTC").env("RUST_BACKTRACE", "0").stdin(Stdio::null()).args(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// A run that is fed with `input`.
    pub fn feed(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A binary that refuses early closes its end.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::from(child.wait_with_output().unwrap())
    }

    /// A run that must succeed; what it wrote to stdout.
    #[track_caller]
    pub fn ok(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let args: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let ran = self.run(&args);
        assert_eq!(ran.code, 0, "dsv {args:?}\n{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// A run that must fail with that code, in one line of `error:` and perhaps hints, and change no byte of the repository.
    #[track_caller]
    pub fn refused(&self, code: i32, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let before = (self.files(), self.state());
        let args: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let ran = self.run(&args);
        let told = format!("dsv {args:?}\n{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{told}");
        assert!(ran.stderr.starts_with("error: "), "{told}");
        assert_eq!(ran.stderr.lines().filter(|l| !l.starts_with("hint: ")).count(), 1, "{told}");
        assert!(!ran.stderr.contains("panicked"), "{told}");
        assert_eq!(self.files(), before.0, "{told}: the repository's files changed");
        assert_eq!(self.state(), before.1, "{told}: the repository changed");
        ran.stderr
    }

    /// Every file of the repository, with a hash of its bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path(".dsv")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.clone(), blake3::hash(&std::fs::read(&path).unwrap()).to_string());
                }
            }
        }
        found
    }

    /// Everything that can be seen of the repository; empty without one.
    pub fn state(&self) -> String {
        if !self.path(".dsv").exists() {
            return String::new();
        }
        ["status", "branch", "tag", "operations"].iter().map(|verb| self.run([*verb, "--json"]).stdout).collect()
    }
}

impl Ran {
    fn of(command: &mut Command) -> Ran {
        Ran::from(command.output().unwrap())
    }

    /// Both streams, ids and times replaced, for snapshots.
    pub fn redacted(&self) -> String {
        let exit = if self.code == 0 { String::new() } else { format!("[exit {}]\n", self.code) };
        redact(&format!("{}{}{exit}", self.stdout, self.stderr))
    }
}

impl From<std::process::Output> for Ran {
    fn from(output: std::process::Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Ids become `ID`, moments `TIME`, folders of tests `DIR`.
pub fn redact(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut word = String::new();
        let flush = |word: &mut String, out: &mut String| {
            let hex = word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) && [8, 64].contains(&word.len());
            out.push_str(if hex { "ID" } else { word });
            word.clear();
        };
        let line = dates(line);
        for c in line.chars() {
            if c.is_ascii_alphanumeric() {
                word.push(c);
            } else {
                flush(&mut word, &mut out);
                out.push(c);
            }
        }
        flush(&mut word, &mut out);
        out.push('\n');
    }
    out
}

fn dates(line: &str) -> String {
    let mut line = line.to_owned();
    if let Some(at) = line.find("Date:   ") {
        line.truncate(at + 8);
        line.push_str("TIME");
    }
    for key in ["\"time\":\"", "\"authored\":\"", "\"committed\":\""] {
        if let Some(at) = line.find(key).map(|at| at + key.len()) {
            let end = line[at..].find('"').map_or(line.len(), |end| at + end);
            line.replace_range(at..end, "TIME");
        }
    }
    if let Some(ago) = line.find(" ago") {
        let start = line[..ago].rfind(['(', ' ']).and_then(|space| line[..space].rfind(['(', ' '])).map_or(0, |s| s + 1);
        line.replace_range(start..ago, "TIME");
    }
    // A day that stands alone.
    let is_day = |text: &str| text.starts_with("20") && text.chars().zip("0000-00-00".chars()).all(|(c, p)| if p == '0' { c.is_ascii_digit() } else { c == p });
    let days: Vec<usize> = line.match_indices(" 20").map(|(at, _)| at + 1).filter(|at| line.get(*at..at + 10).is_some_and(is_day)).collect();
    for at in days {
        if line[at + 10..].chars().next().is_none_or(|c| c == ' ') {
            line.replace_range(at..at + 10, "YYYY-MM-DD");
        }
    }
    line
}

/// A small table with a key, nulls, and values that are easily spoiled.
pub const BIRDS: &str = "id,name,weight,label,code
1,sparrow,24.5,small,007
2,wren,9.25,small,008
3,eagle,4300.0,large,009
4,\"owl, barn\",,large,010
5,swift,41.0,small,
";
