//! `dsv git init`: Git learns of the data beside the code. What is there already is kept: hooks are chained, lines are added.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Code, failed};
use crate::repo::RepoError;
use crate::repo::pin::LOCK;

/// Git's hooks that dsv answers.
pub const HOOKS: [&str; 6] = ["pre-commit", "post-checkout", "post-commit", "post-merge", "post-rewrite", "pre-push"];

/// Those that read what Git tells them on stdin, which a hook that stood there before wants as well.
const READING: [&str; 2] = ["post-rewrite", "pre-push"];

/// Tells our hooks from others.
const MARK: &str = "# dsv: written by 'dsv git init'";

/// What a hook that stood there before is called now.
const BEFORE: &str = ".before-dsv";

/// What dsv reads and Git may compare with its help.
const COMPARED: [&str; 6] = ["*.parquet", "*.csv", "*.tsv", "*.jsonl", "*.arrow", "*.npy"];

/// What became of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is new.
    New,
    /// It was there.
    Same,
    /// An older one of dsv's was written anew.
    Renewed,
    /// Another one stood there: it was put aside, and runs first.
    Chained,
    /// Another tool's hook stands there, and runs dsv's.
    RunByAnother,
    /// It was taken out; one that had been put aside is back.
    Removed,
}

/// What was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The folder of the hooks.
    pub hooks_dir: PathBuf,
    /// True where that folder is within the worktree, so that hooks are committed and reach everybody.
    pub hooks_are_shared: bool,
    /// The hooks, and what became of each.
    pub hooks: Vec<(&'static str, Placed)>,
    /// The files of the worktree that were written.
    pub written: Vec<PathBuf>,
}

impl Code {
    /// The folder that Git runs hooks from: `core.hooksPath`, or that of the repository that all worktrees share.
    pub fn hooks_dir(&self) -> PathBuf {
        let set = self.git.config_snapshot().trusted_path("core.hooksPath").ok().flatten();
        match (set, self.git.workdir()) {
            (Some(path), _) if path.is_absolute() => path,
            (Some(path), Some(top)) => top.join(path),
            (Some(path), None) => self.git.git_dir().join(path),
            (None, _) => absolute(&self.git.common_dir().join("hooks")),
        }
    }

    /// Sets up hooks, the merge driver of pins, and the lines for Git in `folder`, which holds a dsv repository. `program` is how a shell runs dsv; with `compare`,
    /// Git shows changes of tables with its help as well.
    pub fn set_up(&self, folder: &Path, program: &str, compare: bool) -> Result<Setup, RepoError> {
        let top = self.require_top()?;
        let hooks_dir = self.hooks_dir();
        fs::create_dir_all(&hooks_dir).map_err(RepoError::io(&hooks_dir))?;
        let mut hooks = Vec::new();
        for name in HOOKS {
            hooks.push((name, place(&hooks_dir.join(name), &script(name, program))?));
        }
        let mut config = self.git.config_file_mut(self.git.common_dir().join("config")).map_err(failed("Git's settings cannot be changed"))?;
        let mut settings = vec![
            ("merge", "name", "the data that two pins name are merged by dsv".to_owned()),
            ("merge", "driver", format!("{program} git merge-driver %O %A %B %P")),
            // The bases of a criss-cross merge are no data that anybody wants.
            ("merge", "recursive", "binary".to_owned()),
        ];
        if compare {
            settings.push(("diff", "textconv", format!("{program} git textconv")));
            settings.push(("diff", "cachetextconv", "true".to_owned()));
            settings.push(("difftool", "cmd", format!("{program} git difftool \"$LOCAL\" \"$REMOTE\"")));
        }
        for (section, key, value) in settings {
            config.set_raw_value_by(section, "dsv", key, value.as_str()).map_err(failed("Git's settings cannot be changed"))?;
        }
        config.commit().map_err(failed("Git's settings cannot be changed"))?;
        let mut attributes = vec![format!("{LOCK} merge=dsv")];
        if compare {
            attributes.extend(COMPARED.iter().map(|pattern| format!("{pattern} diff=dsv")));
        }
        let mut written = Vec::new();
        for (file, lines) in [(".gitattributes", attributes), (".gitignore", vec![format!("/{}/", crate::repo::FOLDER)])] {
            let path = folder.join(file);
            if add_lines(&path, &lines)? {
                written.push(path);
            }
        }
        let hooks_are_shared = absolute(&hooks_dir).starts_with(&top) && !absolute(&hooks_dir).starts_with(absolute(self.git.common_dir()));
        Ok(Setup { hooks_dir, hooks_are_shared, hooks, written })
    }

    /// Takes dsv's hooks and settings out of Git. The files of the worktree are left: others may share them.
    pub fn take_down(&self) -> Result<Setup, RepoError> {
        let hooks_dir = self.hooks_dir();
        let mut hooks = Vec::new();
        for name in HOOKS {
            let path = hooks_dir.join(name);
            let aside = beside(&path, BEFORE);
            if !is_ours(&path)? {
                continue;
            }
            let done = if aside.exists() { fs::rename(&aside, &path) } else { fs::remove_file(&path) };
            done.map_err(RepoError::io(&path))?;
            hooks.push((name, Placed::Removed));
        }
        let what = "Git's settings cannot be changed";
        let mut config = self.git.config_file_mut(self.git.common_dir().join("config")).map_err(failed(what))?;
        for section in ["merge", "diff", "difftool"] {
            while config.remove_section(section, Some("dsv".into())).is_some() {}
        }
        config.commit().map_err(failed(what))?;
        Ok(Setup { hooks_dir, hooks_are_shared: false, hooks, written: Vec::new() })
    }

    /// True where all hooks are set up, and the merge driver.
    pub fn is_set_up(&self) -> Result<bool, RepoError> {
        let dir = self.hooks_dir();
        for name in HOOKS {
            let path = dir.join(name);
            if !is_ours(&path)? && !is_ours(&beside(&path, ".legacy"))? {
                return Ok(false);
            }
        }
        Ok(self.setting("merge.dsv.driver").is_some())
    }
}

/// The hook of that name, as a script of the least shell.
fn script(name: &str, program: &str) -> String {
    let head =
        format!("#!/bin/sh\n{MARK}, taken out by 'dsv git init --remove'.\n# A hook that stood here before is beside it as {name}{BEFORE}, and runs first.\n");
    let found = format!("command -v {program} >/dev/null 2>&1 || {{ echo 'dsv is not on the PATH: the data stays as it is' >&2; exit 0; }}\n");
    let before = |told: &str| format!("if test -x \"$0{BEFORE}\"; then {told}\"$0{BEFORE}\" \"$@\" || exit $?; fi\n");
    if READING.contains(&name) {
        let told = "printf '%s\\n' \"$told\" | ";
        format!("{head}told=$(cat)\n{}{found}{told}{program} git hook {name} \"$@\"\n", before(told))
    } else {
        format!("{head}{}{found}exec {program} git hook {name} \"$@\"\n", before(""))
    }
}

/// Puts a hook in its place; one of somebody else's is put aside, and never lost.
fn place(path: &Path, script: &str) -> Result<Placed, RepoError> {
    let aside = beside(path, BEFORE);
    let placed = match fs::read(path) {
        Ok(old) if old == script.as_bytes() => Placed::Same,
        Ok(_) if is_ours(path)? => Placed::Renewed,
        Ok(_) if is_ours(&beside(path, ".legacy"))? => return Ok(Placed::RunByAnother),
        Ok(_) if aside.exists() => {
            return Err(RepoError::refused_with(
                format!("{} and {} are both there, and neither is dsv's", path.display(), aside.display()),
                "make one of them, or move one away",
            ));
        }
        Ok(_) => {
            fs::rename(path, &aside).map_err(RepoError::io(path))?;
            Placed::Chained
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Placed::New,
        Err(e) => return Err(RepoError::io(path)(e)),
    };
    if placed == Placed::Same {
        make_executable(path)?;
        return Ok(placed);
    }
    let written = fs::write(path, script).map_err(RepoError::io(path)).and_then(|()| make_executable(path));
    if written.is_err() && placed == Placed::Chained {
        // As it was.
        let _ = fs::rename(&aside, path);
    }
    written.map(|()| placed)
}

fn is_ours(path: &Path) -> Result<bool, RepoError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().take(5).any(|line| line.starts_with(MARK))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(RepoError::io(path)(e)),
    }
}

fn make_executable(path: &Path) -> Result<(), RepoError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(RepoError::io(path))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Adds the lines that a file has not; false where it has them all.
fn add_lines(path: &Path, lines: &[String]) -> Result<bool, RepoError> {
    let old = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(RepoError::io(path)(e)),
    };
    let text = String::from_utf8_lossy(&old);
    let missing: Vec<&String> = lines.iter().filter(|line| !text.lines().any(|there| there.trim() == line.as_str())).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let mut new = old.clone();
    if !new.is_empty() && !new.ends_with(b"\n") {
        new.push(b'\n');
    }
    for line in missing {
        new.extend_from_slice(line.as_bytes());
        new.push(b'\n');
    }
    fs::write(path, new).map_err(RepoError::io(path))?;
    Ok(true)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
