//! What a repository asks of its surroundings: the clock, environment variables, other programs.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{Local, Offset, TimeZone};

/// The surroundings; replaced as a whole in tests.
#[derive(Clone)]
pub struct Environment {
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
    variable: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    git_user: Arc<dyn Fn() -> (Option<String>, Option<String>) + Send + Sync>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// This machine's clock, this process's variables, Git's settings as the `git` program reports them.
    pub fn system() -> Self {
        Environment {
            now: Arc::new(|| chrono::Utc::now().timestamp_millis()),
            variable: Arc::new(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty())),
            git_user: Arc::new(recent_git_user),
        }
    }

    /// Fixed surroundings: a clock and variables, and no Git.
    pub fn fixed(now: impl Fn() -> i64 + Send + Sync + 'static, variables: &[(&str, &str)]) -> Self {
        let variables: Vec<(String, String)> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment {
            now: Arc::new(now),
            variable: Arc::new(move |name| variables.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())),
            git_user: Arc::new(|| (None, None)),
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

/// [`git_user`], not asked again for some seconds in the same folder: another program takes most of the time of a small commit, and a notebook makes many.
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

/// One run of `git config`, so that its includes and the settings of a Git repository around count as they do for Git.
fn git_user() -> GitUser {
    let output = Command::new("git").args(["config", "--null", "--get-regexp", r"^user\.(name|email)$"]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let Ok(output) = output else { return (None, None) };
    let (mut name, mut email) = (None, None);
    // Each entry is the key, a line feed, the value; the last of several values counts.
    for entry in String::from_utf8_lossy(&output.stdout).split('\0') {
        match entry.split_once('\n') {
            Some(("user.name", value)) if !value.trim().is_empty() => name = Some(value.trim().to_owned()),
            Some(("user.email", value)) if !value.trim().is_empty() => email = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    (name, email)
}
