//! The Git repository that code is kept in, beside a dsv repository: what is checked out there, and whether it differs from what was committed. All by the crate gix:
//! no `git` program is needed to read.

mod history;
mod setup;

use std::path::{Path, PathBuf};

use gix::bstr::{BStr, BString, ByteSlice};
use gix::status::{Item, UntrackedFiles};

use super::RepoError;
use super::pin::{LOCK, Pin};

pub use history::{PinnedBy, PinsOptions};
pub use setup::{HOOKS, Placed, Setup};

/// A Git repository.
pub struct Code {
    git: gix::Repository,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("git_dir", &self.git.git_dir()).finish()
    }
}

/// What Git is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Commits are written anew one after the other: what is checked out comes and goes until it ends.
    Rewriting,
    /// A merge is to be committed.
    Merging,
    /// Commits are tried for a fault.
    Bisecting,
}

/// The state of the code at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeState {
    /// The commit that is checked out, in hexadecimal.
    pub commit: String,
    /// True where tracked files differ from it, pins aside.
    pub dirty: bool,
}

/// A pin that Git has under more than one stage: a merge has not settled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmerged {
    /// Its path from the top of the worktree.
    pub path: PathBuf,
    /// The texts of base, ours and theirs, where they have one.
    pub texts: [Option<Vec<u8>>; 3],
}

/// Takes an error of gix for one of this floor.
pub(super) fn failed(what: &str) -> impl FnOnce(gix::Error) -> RepoError + '_ {
    move |error| RepoError::Git { what: what.to_owned(), why: error.to_string() }
}

impl Code {
    /// The Git repository that `dir` is in; none where it is in none. `GIT_DIR` and its like are not looked at.
    pub fn around(dir: &Path) -> Result<Option<Code>, RepoError> {
        let above = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        // Most folders are in none, and that is not worth an error's text.
        if !above.ancestors().any(|folder| folder.join(".git").exists() || folder.join("HEAD").is_file() && folder.join("objects").is_dir()) {
            return Ok(None);
        }
        match gix::discover(&above) {
            Ok(git) => Ok(Some(Code { git })),
            // One that is not ours to open, or none after all.
            Err(error) => Err(RepoError::Git { what: format!("the Git repository around {} cannot be opened", dir.display()), why: error.to_string() }),
        }
    }

    /// The Git repository that a hook or a driver runs for: the one that Git's variables name, else the one around `dir`.
    pub fn called(dir: &Path) -> Result<Code, RepoError> {
        let found = gix::ThreadSafeRepository::discover_with_environment_overrides(dir).map_err(|error| RepoError::Refused {
            message: format!("{} is in no Git repository: {error}", dir.display()),
            hint: Some("'git init' makes one".to_owned()),
        })?;
        Ok(Code { git: found.to_thread_local() })
    }

    /// The top of the worktree; none for a bare repository.
    pub fn top(&self) -> Option<PathBuf> {
        self.git.workdir().map(|dir| std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()))
    }

    /// The top of the worktree, or an error that says that there is none.
    pub fn require_top(&self) -> Result<PathBuf, RepoError> {
        self.top().ok_or_else(|| {
            RepoError::refused_with(
                format!("{} is a bare Git repository: nothing is checked out there", self.git.git_dir().display()),
                "run this in a clone, or in a worktree of it",
            )
        })
    }

    /// The worktree of the repository that this one is linked to by `git worktree`; none for the main one.
    pub fn main_worktree(&self) -> Option<PathBuf> {
        if self.git.git_dir() == self.git.common_dir() {
            return None;
        }
        self.git.main_repo().ok()?.workdir().map(Path::to_owned)
    }

    /// What Git is in the middle of.
    pub fn doing(&self) -> Option<Doing> {
        use gix::state::InProgress as P;
        self.git.state().map(|state| match state {
            P::Merge => Doing::Merging,
            P::Bisect => Doing::Bisecting,
            P::ApplyMailbox | P::ApplyMailboxRebase | P::Rebase | P::RebaseInteractive => Doing::Rewriting,
            P::CherryPick | P::CherryPickSequence | P::Revert | P::RevertSequence => Doing::Rewriting,
        })
    }

    /// The commit that is checked out, in hexadecimal; none before the first.
    pub fn head(&self) -> Option<String> {
        self.git.head_id().ok().map(|id| id.to_string())
    }

    /// True where the history ends at commits whose parents were not brought.
    pub fn is_shallow(&self) -> bool {
        self.git.is_shallow().unwrap_or(false)
    }

    /// The state of the code; none before the first commit and in a bare repository. Files that Git does not track are not looked at, nor what is within submodules.
    pub fn state(&self) -> Result<Option<CodeState>, RepoError> {
        if self.git.workdir().is_none() {
            return Ok(None);
        }
        let Ok(head) = self.git.head_id() else { return Ok(None) };
        Ok(Some(CodeState { commit: head.to_string(), dirty: self.is_dirty()? }))
    }

    fn is_dirty(&self) -> Result<bool, RepoError> {
        let what = "Git's status cannot be told";
        let items = self
            .git
            .status(gix::progress::Discard)
            .map_err(failed(what))?
            .untracked_files(UntrackedFiles::None)
            .index_worktree_submodules(gix::status::Submodule::AsConfigured { check_dirty: false })
            .into_iter(Vec::<BString>::new())
            .map_err(failed(what))?;
        for item in items {
            if !is_lock(match &item.map_err(failed(what))? {
                Item::IndexWorktree(item) => item.rela_path(),
                Item::TreeIndex(change) => change.location(),
            }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The pins that Git tracks: their paths from the top of the worktree.
    pub fn pins(&self) -> Result<Vec<PathBuf>, RepoError> {
        let index = self.git.index_or_empty().map_err(failed("Git's index cannot be read"))?;
        let paths = index.entries().iter().map(|entry| entry.path(&index)).filter(|path| is_lock(path));
        let mut paths: Vec<PathBuf> = paths.map(native).collect();
        paths.dedup();
        Ok(paths)
    }

    /// True where Git tracks a file below a folder.
    pub fn tracks_below(&self, folder: &Path) -> Result<bool, RepoError> {
        let Some(top) = self.top() else { return Ok(false) };
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let Ok(path) = folder.strip_prefix(&top) else { return Ok(false) };
        let index = self.git.index_or_empty().map_err(failed("Git's index cannot be read"))?;
        Ok(index.entries().iter().any(|entry| native(entry.path(&index)).starts_with(path)))
    }

    /// The pins that a merge in Git has not settled.
    pub fn unmerged(&self) -> Result<Vec<Unmerged>, RepoError> {
        let index = self.git.index_or_empty().map_err(failed("Git's index cannot be read"))?;
        let mut found: Vec<Unmerged> = Vec::new();
        for entry in index.entries().iter().filter(|entry| is_lock(entry.path(&index))) {
            let Some(stage) = (entry.stage_raw() as usize).checked_sub(1).filter(|stage| *stage < 3) else { continue };
            let path = native(entry.path(&index));
            let text = self.git.find_object(entry.id).map_err(failed("Git's objects cannot be read"))?.data.clone();
            match found.last_mut().filter(|last| last.path == path) {
                Some(last) => last.texts[stage] = Some(text),
                None => {
                    let mut texts = [None, None, None];
                    texts[stage] = Some(text);
                    found.push(Unmerged { path, texts });
                }
            }
        }
        Ok(found)
    }

    /// The pin at a path in a revision; none where either is not there. A file that is no pin is none as well.
    pub fn pin_at(&self, revision: &str, path: &Path) -> Result<Option<Pin>, RepoError> {
        let Ok(id) = self.git.rev_parse_single(revision) else { return Ok(None) };
        let Ok(tree) = id.object().and_then(|object| object.peel_to_tree()) else { return Ok(None) };
        self.pin_in(&tree, path)
    }

    fn pin_in(&self, tree: &gix::Tree<'_>, path: &Path) -> Result<Option<Pin>, RepoError> {
        let Ok(Some(entry)) = tree.lookup_entry_by_path(path) else { return Ok(None) };
        let object = entry.object().map_err(failed("Git's objects cannot be read"))?;
        Ok(std::str::from_utf8(&object.data).ok().and_then(|text| Pin::parse(text).ok()))
    }

    /// The pin at a path in the index: what the next commit has. None where there is none, or none that can be read.
    pub fn staged_pin(&self, path: &Path) -> Result<Option<Pin>, RepoError> {
        let index = self.git.index_or_empty().map_err(failed("Git's index cannot be read"))?;
        let name = path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
        let Some(entry) = index.entry_by_path(name.as_str().into()) else { return Ok(None) };
        let object = self.git.find_object(entry.id).map_err(failed("Git's objects cannot be read"))?;
        Ok(std::str::from_utf8(&object.data).ok().and_then(|text| Pin::parse(text).ok()))
    }

    /// The commit at which two revisions of Git's part; `HEAD` where one is empty.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String, RepoError> {
        let find = |revision: &str| {
            let revision = if revision.is_empty() { "HEAD" } else { revision };
            self.git.rev_parse_single(revision).map_err(|_| RepoError::refused(format!("'{revision}' is no revision of the Git repository")))
        };
        let base = self.git.merge_base(find(a)?, find(b)?);
        base.ok().flatten().map(|id| id.to_string()).ok_or_else(|| {
            RepoError::refused_with(
                format!("'{a}' and '{b}' have no commit of Git's in common here"),
                "a shallow clone ends too early: 'git fetch --unshallow'",
            )
        })
    }

    /// A commit's short name and the first line of its message; none where Git has it not.
    pub fn subject(&self, commit: &str) -> Option<(String, String)> {
        let id = gix::ObjectId::from_hex(commit.as_bytes()).ok()?;
        let commit = self.git.find_commit(id).ok()?;
        let subject = commit.message().ok()?.summary().to_str_lossy().into_owned();
        Some((commit.short_id().ok()?.to_string(), subject))
    }

    /// A setting of Git's.
    pub fn setting(&self, key: &str) -> Option<String> {
        self.git.config_snapshot().string(key).map(|value| value.to_str_lossy().into_owned())
    }
}

/// A path of Git's as one of this system's.
fn native(path: &BStr) -> PathBuf {
    gix::path::from_bstr(path).map_or_else(|_| PathBuf::from(path.to_str_lossy().into_owned()), |path| path.into_owned())
}

fn is_lock(path: &BStr) -> bool {
    path.rsplit_once_str("/").map_or(path.as_bytes(), |(_, name)| name) == LOCK.as_bytes()
}

/// Git's `user.name` and `user.email` as they count in `dir`; none where nobody set them.
pub fn git_user(dir: &Path) -> (Option<String>, Option<String>) {
    let said = |text: BString| Some(text.to_str_lossy().trim().to_owned()).filter(|text| !text.is_empty());
    match Code::around(dir) {
        Ok(Some(code)) => {
            let settings = code.git.config_snapshot();
            (settings.string("user.name").and_then(said), settings.string("user.email").and_then(said))
        }
        _ => {
            let Ok(settings) = gix::config::File::from_globals() else { return (None, None) };
            (settings.string("user.name").and_then(said), settings.string("user.email").and_then(said))
        }
    }
}
