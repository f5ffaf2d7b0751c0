//! What a repository asks of its surroundings: the clock, environment variables, other programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{Local, Offset, TimeZone};

/// The surroundings; replaced as a whole in tests.
#[derive(Clone)]
pub struct Environment {
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    variable: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    git_user: Arc<dyn Fn() -> (Option<String>, Option<String>) + Send + Sync>,
    code: Arc<dyn Fn(&Path) -> BTreeMap<String, String> + Send + Sync>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// This machine's clock, this process's variables, Git's settings, and the code in Git around a folder.
    pub fn system() -> Self {
        Environment {
            now: Arc::new(|| chrono::Utc::now().timestamp_millis()),
            variable: Arc::new(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty())),
            git_user: Arc::new(recent_git_user),
            code: Arc::new(code_around),
        }
    }

    /// Fixed surroundings: a clock and variables, and no Git.
    pub fn fixed(now: impl Fn() -> i64 + Send + Sync + 'static, variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(String, String)> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment {
            now: Arc::new(now),
            variable: Arc::new(move |name| variables.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())),
            git_user: Arc::new(|| (None, None)),
            code: Arc::new(|_| BTreeMap::new()),
        }
    }

    /// The present, in milliseconds since 1970 UTC.
    pub fn now_millis(&self) -> i64 {
        (self.now)()
    }

    /// Minutes east of UTC of the local clock at that time.
    pub fn offset_minutes(&self, millis: i64) -> i32 {
        Local.timestamp_millis_opt(millis).earliest().map_or(0, |time| time.offset().fix().local_minus_utc() / 60)
    }

    /// An environment variable that is set and not blank.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// Git's `user.name` and `user.email`.
    pub fn git_user(&self) -> (Option<String>, Option<String>) {
        (self.git_user)()
    }

    /// The state of the code that a folder lies in, as a commit keeps it: `code.commit` is the commit of Git's that is checked out, `code.dirty` is there where tracked files
    /// differ from it. Empty outside Git, before its first commit, and where Git's repository cannot be read.
    pub fn code(&self, dir: &Path) -> BTreeMap<String, String> {
        (self.code)(dir)
    }

    /// The login name and machine.
    pub fn login(&self) -> (String, String) {
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| self.variable(name)).or_else(login_of_process);
        let file = || std::fs::read_to_string("/etc/hostname").ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let machine = self.variable("HOSTNAME").or_else(|| self.variable("COMPUTERNAME")).or_else(file);
        (user.unwrap_or_else(|| "unknown".into()), machine.unwrap_or_else(|| "localhost".into()))
    }
}

/// Services and containers often set no variable: the system's list of users knows the name.
fn login_of_process() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.filter(|user| user.get(2) == Some(&uid)).find_map(|user| user.first().map(|name| (*name).to_owned()))
}

/// What Git's settings say of the person.
type GitUser = (Option<String>, Option<String>);

/// [`git_user`], not asked again for some seconds in the same folder: Git's settings are several files, and a notebook makes many small commits.
fn recent_git_user() -> GitUser {
    const FRESH: Duration = Duration::from_secs(5);
    static LAST: Mutex<Option<(PathBuf, Instant, GitUser)>> = Mutex::new(None);
    let Ok(folder) = std::env::current_dir() else { return git_user() };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((asked_in, at, user)) = &*last
        && *asked_in == folder
        && at.elapsed() < FRESH
    {
        return user.clone();
    }
    let user = git_user();
    *last = Some((folder, Instant::now(), user.clone()));
    user
}

#[cfg(feature = "git")]
fn git_user() -> GitUser {
    super::git::git_user(Path::new("."))
}

#[cfg(not(feature = "git"))]
fn git_user() -> GitUser {
    (None, None)
}

#[cfg(feature = "git")]
fn code_around(dir: &Path) -> BTreeMap<String, String> {
    // A commit of data must not fail because of what is the matter with the code.
    let state = super::git::Code::around(dir).ok().flatten().and_then(|code| code.state().ok().flatten());
    let mut found = BTreeMap::new();
    if let Some(state) = state {
        found.insert("code.commit".to_owned(), state.commit);
        if state.dirty {
            found.insert("code.dirty".to_owned(), "yes".to_owned());
        }
    }
    found
}

#[cfg(not(feature = "git"))]
fn code_around(_: &Path) -> BTreeMap<String, String> {
    BTreeMap::new()
}
