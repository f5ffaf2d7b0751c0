//! Pins: a small text file, `dsv.lock`, beside a repository, that says which data the code around it goes with. Code hosts keep the file; dsv keeps the data.

mod follow;
mod merge;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table as TomlTable, value};

use super::remotes::ORIGIN;
use super::{Repo, RepoError};
use crate::base::{CommitId, TableObjectId};
use crate::format::operation::HeadRef;
use crate::history::State;

pub use follow::Followed;
pub use merge::PinMerge;

/// The file's name.
pub const LOCK: &str = "dsv.lock";

/// The setting of a remote that pins never name: it is of this machine alone.
pub const PRIVATE: &str = "private";

/// The version of the file that is written; newer ones are refused.
const VERSION: i64 = 1;

/// The first line, for whoever opens the file.
const HEADING: &str = "# The data that goes with this code: 'dsv git pin' writes this file, 'dsv git follow' goes to what it names.\n";

/// Which data a state of the code goes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The address of the remote that others get the commit from.
    pub remote: Option<String>,
    /// The branch that the commit was on; none where none was checked out.
    pub branch: Option<String>,
    /// The commit.
    pub commit: CommitId,
    /// The content of each table, by name: a change of the file shows which tables differ.
    pub tables: BTreeMap<String, TableObjectId>,
}

impl Pin {
    /// The file's text. Equal pins have equal texts.
    pub fn to_text(&self) -> String {
        let mut document = DocumentMut::new();
        document["version"] = value(VERSION);
        for (key, text) in [("remote", &self.remote), ("branch", &self.branch)] {
            if let Some(text) = text {
                document[key] = value(text);
            }
        }
        document["commit"] = value(self.commit.to_string());
        let mut tables = TomlTable::new();
        for (name, id) in &self.tables {
            tables.insert(name, value(id.to_string()));
        }
        document["tables"] = Item::Table(tables);
        format!("{HEADING}{document}")
    }

    /// Reads a file's text; else why it is none, in one line.
    pub fn parse(text: &str) -> Result<Pin, String> {
        if text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")) {
            return Err("Git left both sides of a conflict in it".to_owned());
        }
        let document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| e.message().replace('\n', "; "))?;
        match document.get("version").and_then(Item::as_integer) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => return Err(format!("it is of version {newer}, which a newer dsv reads")),
            _ => return Err("it has no version".to_owned()),
        }
        let string = |key: &str| match document.get(key) {
            None => Ok(None),
            // Who wrote the file may mean a terminal.
            Some(item) => match item.as_str() {
                Some(text) if text.chars().any(char::is_control) => Err(format!("'{key}' has characters that no name has")),
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(format!("'{key}' is no text")),
            },
        };
        let commit = string("commit")?.ok_or("it names no commit")?;
        let commit = commit.parse().map_err(|_| format!("'{commit}' is no commit's id"))?;
        let mut tables = BTreeMap::new();
        if let Some(listed) = document.get("tables") {
            for (name, id) in listed.as_table_like().ok_or("'tables' is no table")?.iter() {
                let id = id.as_str().and_then(|id| id.parse().ok()).ok_or_else(|| format!("the id of table '{name}' is none"))?;
                tables.insert(name.to_owned(), id);
            }
        }
        Ok(Pin { remote: string("remote")?, branch: string("branch")?, commit, tables })
    }

    /// The pin in a file; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Pin>, RepoError> {
        match fs::read_to_string(path) {
            Ok(text) => Pin::parse(&text).map(Some).map_err(|why| damaged(path, why)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(damaged(path, "it is no text".to_owned())),
            Err(e) => Err(RepoError::io(path)(e)),
        }
    }

    /// Writes the file; a reader sees the old one or the new. False where it said so already.
    pub fn write(&self, path: &Path) -> Result<bool, RepoError> {
        let text = self.to_text();
        if fs::read_to_string(path).is_ok_and(|old| old == text) {
            return Ok(false);
        }
        let temporary = path.with_extension(format!("lock.{}", std::process::id()));
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path));
        written.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            RepoError::io(path)(e)
        })?;
        Ok(true)
    }
}

fn damaged(path: &Path, why: String) -> RepoError {
    RepoError::Refused {
        message: format!("{} is not a pin that can be read: {why}", path.display()),
        hint: Some(
            "'git checkout' brings back an earlier one, 'dsv git pin' writes it anew from the data that is checked out, 'dsv git merge' ends a conflict"
                .to_owned(),
        ),
    }
}

impl Repo {
    /// Where the pin of this repository stands: beside its folder. None for a repository that has no folder.
    pub fn pin_path(&self) -> Option<PathBuf> {
        Some(self.dir.as_deref()?.parent()?.join(LOCK))
    }

    /// The pin of what is checked out. Fails where there is no commit yet, and where the commit is on no branch and no tag: nobody could get it from here.
    pub fn pin(&self) -> Result<Pin, RepoError> {
        let view = self.view()?;
        let head = view.state.head()?;
        let commit = self.require_tip(&head, view.state.head_commit()?)?;
        let branch = match &head {
            HeadRef::Branch(name) => Some(name.clone()),
            HeadRef::Commit(_) if self.is_unnamed(&view.state, commit)? => {
                return Err(RepoError::refused_with(
                    format!("commit {} is on no branch, and could be collected one day", crate::history::short(&commit)),
                    "'dsv switch -c NAME' gives it one",
                ));
            }
            HeadRef::Commit(_) => None,
        };
        Ok(Pin { remote: self.pinned_remote(branch.as_deref())?, tables: self.snapshot_of(commit)?.tables, branch, commit })
    }

    /// True where no branch, tag or remote-tracking ref leads to a commit.
    fn is_unnamed(&self, state: &State, id: CommitId) -> Result<bool, RepoError> {
        let tips = state.branches()?.into_values().chain(state.remotes()?.into_values());
        let tips: Vec<CommitId> = tips.chain(state.tags()?.into_values().map(|tag| tag.commit)).collect();
        Ok(!self.graph.ancestors(tips)?.contains(&id))
    }

    /// The address of the remote that a branch's commits go to; without one, of the remote that is meant where none is named.
    fn pinned_remote(&self, branch: Option<&str>) -> Result<Option<String>, RepoError> {
        let mut remotes = self.remotes()?;
        for (n, remote) in remotes.clone().iter().enumerate().rev() {
            if self.config().get_at(&["remote", &remote.name, PRIVATE])?.as_deref() == Some("true") {
                remotes.remove(n);
            }
        }
        let followed = branch.map(|branch| self.upstream(branch)).transpose()?.flatten().map(|(remote, _)| remote);
        let named = match followed {
            Some(name) => name,
            None if remotes.is_empty() => return Ok(None),
            None if remotes.len() == 1 => return Ok(remotes.first().map(|remote| without_secrets(&remote.url))),
            // Of several none is meant, but for the usual one.
            None => ORIGIN.to_owned(),
        };
        Ok(remotes.into_iter().find(|remote| remote.name == named).map(|remote| without_secrets(&remote.url)))
    }

    /// True where the repository has the commit itself.
    pub fn has_commit(&self, id: CommitId) -> Result<bool, RepoError> {
        // What another handle wrote meanwhile is found once the head was looked at.
        self.view()?;
        Ok(self.objects.contains(id)? && self.commit_of(id).is_ok())
    }

    /// True where a branch that was fetched from, or pushed to, the remote at that address has the commit.
    pub fn is_pushed(&self, id: CommitId, url: &str) -> Result<bool, RepoError> {
        let names: Vec<String> = self.remotes()?.into_iter().filter(|remote| without_secrets(&remote.url) == url).map(|remote| remote.name).collect();
        let tracked = self.view()?.state.remotes()?;
        let tips: Vec<CommitId> = tracked
            .into_iter()
            .filter(|(tracked, _)| names.iter().any(|name| tracked.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))))
            .map(|(_, tip)| tip)
            .collect();
        Ok(self.graph.ancestors(tips)?.contains(&id))
    }
}

/// An address without a user's name and password in it.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin {
            remote: Some("s3://team/data".into()),
            branch: Some("main".into()),
            commit: CommitId([0xab; 32]),
            tables: BTreeMap::from([("boxes".into(), TableObjectId([1; 32])), ("o'dd \"näme\"".into(), TableObjectId([2; 32]))]),
        }
    }

    #[test]
    fn texts_are_stable_and_read_back() {
        let text = pin().to_text();
        assert_eq!(Pin::parse(&text), Ok(pin()));
        assert_eq!(Pin::parse(&text).unwrap().to_text(), text);
        let lines: Vec<&str> = text.lines().skip(1).take(5).collect();
        assert_eq!(lines[..3], ["version = 1", "remote = \"s3://team/data\"", "branch = \"main\""]);
        assert_eq!(lines[3], format!("commit = \"{}\"", "ab".repeat(32)));
        let bare = Pin { remote: None, branch: None, tables: BTreeMap::new(), ..pin() };
        assert_eq!(Pin::parse(&bare.to_text()), Ok(bare));
    }

    #[test]
    fn damage_is_told_in_a_line() {
        let text = pin().to_text();
        let told = |text: &str| Pin::parse(text).unwrap_err();
        assert!(told(&format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")).contains("conflict"));
        assert!(told(&text.replace("version = 1", "version = 2")).contains("newer"));
        assert!(told(&text.replace("version = 1\n", "")).contains("no version"));
        assert!(told(&text.replace("commit = \"ab", "commit = \"xy")).contains("no commit's id"));
        assert!(told("version = 1\n").contains("names no commit"));
        assert!(told("version = 1\ncommit = 3\n").contains("no text"));
        assert!(told(&text.replace("\"main\"", "\"\\u001b[2Jmain\"")).contains("no name has"));
        for cut in 0..text.len() {
            if text.is_char_boundary(cut) {
                let read = Pin::parse(&text[..cut]);
                assert!(read.as_ref().map_or_else(|why| !why.is_empty() && !why.contains('\n'), |cut| cut.commit == pin().commit), "{cut}: {read:?}");
            }
        }
    }

    #[test]
    fn addresses_keep_no_secrets() {
        assert_eq!(without_secrets("https://ada:secret@host/a@b"), "https://host/a@b");
        assert_eq!(without_secrets("s3://bucket/a@b"), "s3://bucket/a@b");
        assert_eq!(without_secrets("/mnt/a@b"), "/mnt/a@b");
    }
}
