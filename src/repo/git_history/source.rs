//! A Git repository to read from: found, a revision and a path in it.

use std::path::{Component, Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::EntryMode;

use super::super::RepoError;
use crate::base::name::{did_you_mean, nearest};

/// Names that are looked through for one that comes near.
const NAMES_MAX: usize = 100_000;

/// A Git repository, and where paths in it begin.
pub(super) struct Source {
    pub repository: gix::Repository,
    /// As it was given; for messages.
    name: PathBuf,
    /// The folder within the worktree that was given: paths are relative to it.
    prefix: PathBuf,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub mode: EntryMode,
    pub id: ObjectId,
    /// It is the `.dvc` file beside the path.
    pub is_dvc: bool,
}

impl Source {
    /// The repository that a folder is in: a worktree, a folder of one, a `.git` or a bare repository.
    pub fn open(path: &Path) -> Result<Source, RepoError> {
        let shown = path.display().to_string();
        let is_scp = !path.exists() && shown.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
        if shown.contains("://") || is_scp {
            return Err(RepoError::refused_with(
                format!("'{shown}' is an address, and histories are read from this machine"),
                format!("clone it first: git clone --bare {shown}"),
            ));
        }
        if !path.exists() {
            return Err(RepoError::refused(format!("there is no folder {shown}")));
        }
        let mut repository = gix::discover(path).map_err(|e| {
            let missing = RepoError::refused_with(format!("{shown} is not in a Git repository"), "name a folder of one, or a bare repository");
            // One that is there, and cannot be read, tells why.
            if path.ancestors().any(|above| above.join(".git").exists()) || path.join("HEAD").exists() { fault(path)(e) } else { missing }
        })?;
        repository.object_cache_size_if_unset(16 << 20);
        let prefix = prefix(&repository, path).unwrap_or_default();
        Ok(Source { repository, name: path.to_owned(), prefix })
    }

    /// The commit that a revision names.
    pub fn commit(&self, revision: &str) -> Result<ObjectId, RepoError> {
        if self.repository.head().is_ok_and(|head| head.is_unborn()) && revision == "HEAD" {
            return Err(RepoError::refused(format!("{} has no commit on its branch yet", self.name.display())));
        }
        let found = self.repository.rev_parse_single(revision).and_then(|id| id.object()?.peel_to_commit());
        found.map(|commit| commit.id).map_err(|_| {
            let message = format!("'{revision}' is no commit of {}", self.name.display());
            let mut names = vec!["HEAD".to_owned()];
            if let Ok(platform) = self.repository.references()
                && let Ok(all) = platform.all()
            {
                names.extend(all.flatten().take(NAMES_MAX).map(|reference| reference.name().shorten().to_string()));
            }
            match did_you_mean(&nearest(revision, names.iter().map(String::as_str))) {
                Some(hint) => RepoError::refused_with(message, hint),
                None => RepoError::refused(message),
            }
        })
    }

    /// A path as it stands in trees: relative to the top, with `/` between its parts.
    pub fn path(&self, path: &str) -> Result<String, RepoError> {
        let outside = || RepoError::refused(format!("'{path}' is not a path in {}", self.name.display()));
        let given = Path::new(path);
        let within = match self.repository.workdir().filter(|_| given.is_absolute()) {
            Some(top) => {
                let (folder, name) = given.parent().zip(given.file_name()).ok_or_else(outside)?;
                let top = std::fs::canonicalize(top).map_err(RepoError::io(top))?;
                let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
                folder.strip_prefix(&top).map_err(|_| outside())?.join(name)
            }
            None => self.prefix.join(given),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in within.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(parts.pop().ok_or_else(outside)?),
                Component::Normal(part) => parts.push(part.to_str().ok_or_else(outside)?),
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        if parts.is_empty() { Err(outside()) } else { Ok(parts.join("/")) }
    }

    /// What stands at a path in a tree: itself, or else a `.dvc` file beside it.
    pub fn entry(&self, tree: ObjectId, path: &str) -> Result<Option<Entry>, RepoError> {
        let mut at = tree;
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        for folder in folders.into_iter().flat_map(|folders| folders.split('/')) {
            let tree = self.repository.find_tree(at).map_err(self.fault())?;
            match tree.find_entry(folder) {
                Some(entry) if entry.mode().is_tree() => at = entry.object_id(),
                _ => return Ok(None),
            }
        }
        let tree = self.repository.find_tree(at).map_err(self.fault())?;
        let find = |name: &str, is_dvc| tree.find_entry(name).map(|entry| Entry { mode: entry.mode(), id: entry.object_id(), is_dvc });
        Ok(find(name, name.ends_with(".dvc")).or_else(|| find(&format!("{name}.dvc"), true)))
    }

    /// Refuses a path at which no file can be: a folder, or what is in a submodule.
    pub fn check(&self, tree: ObjectId, path: &str) -> Result<(), RepoError> {
        let mut above = String::new();
        for part in path.split('/') {
            if !above.is_empty() {
                above.push('/');
            }
            above.push_str(part);
            if self.entry(tree, &above)?.is_some_and(|entry| entry.mode.is_commit()) {
                return Err(RepoError::refused_with(
                    format!("'{above}' is a submodule: what is in it has a history of its own"),
                    format!("name the submodule's repository: --from-git {}", self.name.join(&above).display()),
                ));
            }
        }
        match self.entry(tree, path)? {
            Some(entry) if entry.mode.is_tree() => {
                let mut names = Vec::new();
                self.names(entry.id, &format!("{path}/"), &mut names)?;
                let message = format!("'{path}' is a folder, and the history of one file is replayed");
                let some: Vec<&str> = names.iter().map(String::as_str).take(3).collect();
                Err(if some.is_empty() { RepoError::refused(message) } else { RepoError::refused_with(message, format!("name a file: {}", some.join(", "))) })
            }
            _ => Ok(()),
        }
    }

    /// That no version of a file is there, with names of files that come near.
    pub fn no_file(&self, tree: ObjectId, path: &str, revision: &str) -> RepoError {
        let mut names = Vec::new();
        // A tree that does not read has no names to tell.
        let _ = self.names(tree, "", &mut names);
        let message = format!("no commit of '{revision}' in {} has a file '{path}'", self.name.display());
        let last = path.rsplit('/').next().unwrap_or(path);
        let elsewhere = names.iter().filter(|name| name.rsplit('/').next() == Some(last)).map(String::as_str);
        let mut near: Vec<&str> = elsewhere.take(3).collect();
        near.extend(nearest(path, names.iter().map(String::as_str)));
        near.truncate(3);
        match did_you_mean(&near) {
            Some(hint) => RepoError::refused_with(message, hint),
            None => RepoError::refused(message),
        }
    }

    /// The names of files below a tree, as far as there are not too many.
    fn names(&self, tree: ObjectId, prefix: &str, names: &mut Vec<String>) -> Result<(), RepoError> {
        let mut trees = vec![(tree, prefix.to_owned())];
        while let Some((tree, prefix)) = trees.pop() {
            let tree = self.repository.find_tree(tree).map_err(self.fault())?;
            for entry in tree.iter() {
                let entry = entry.map_err(self.fault())?;
                let name = format!("{prefix}{}", entry.filename());
                if entry.mode().is_tree() {
                    trees.push((entry.object_id(), format!("{name}/")));
                } else if names.len() < NAMES_MAX {
                    names.push(name);
                }
            }
            if names.len() >= NAMES_MAX {
                break;
            }
        }
        names.sort();
        Ok(())
    }

    /// A path other than `path` at which a tree has that content, and another tree has it not: where the file was before it was moved.
    pub fn moved_from(&self, before: ObjectId, now: ObjectId, content: ObjectId) -> Result<Option<String>, RepoError> {
        let mut pairs = vec![(before, Some(now), String::new())];
        while let Some((before, now, prefix)) = pairs.pop() {
            if Some(before) == now {
                continue;
            }
            let old = self.repository.find_tree(before).map_err(self.fault())?;
            let new = now.map(|now| self.repository.find_tree(now)).transpose().map_err(self.fault())?;
            for entry in old.iter() {
                let entry = entry.map_err(self.fault())?;
                let Ok(name) = std::str::from_utf8(entry.filename()) else { continue };
                let there = new.as_ref().and_then(|new| new.find_entry(name));
                if entry.mode().is_tree() {
                    let there = there.filter(|there| there.mode().is_tree()).map(|there| there.object_id());
                    pairs.push((entry.object_id(), there, format!("{prefix}{name}/")));
                } else if entry.object_id() == content && there.is_none() {
                    return Ok(Some(format!("{prefix}{name}")));
                }
            }
        }
        Ok(None)
    }

    /// The bytes of a file; `None` where this clone has them not.
    pub fn blob(&self, id: ObjectId) -> Result<Option<Vec<u8>>, RepoError> {
        let found = self.repository.try_find_object(id).map_err(self.fault())?;
        Ok(found.map(|object| object.detach().data))
    }

    /// The tops of the worktree and of the main one, where there are any.
    pub fn tops(&self) -> Vec<PathBuf> {
        let own = self.repository.workdir().map(Path::to_path_buf);
        let common = self.repository.common_dir();
        let main = common.ends_with(".git").then(|| common.parent().map(Path::to_path_buf)).flatten();
        let mut tops: Vec<PathBuf> = own.into_iter().chain(main).collect();
        tops.dedup();
        tops
    }

    /// What the repository is called: the address that it was cloned from, without credentials, else the name of its folder.
    pub fn called(&self) -> String {
        if let Some(url) = self.repository.config_snapshot().string("remote.origin.url") {
            return without_credentials(&url.to_string());
        }
        let common = std::fs::canonicalize(self.repository.common_dir()).unwrap_or_else(|_| self.repository.common_dir().to_owned());
        let folder = if common.ends_with(".git") { common.parent().unwrap_or(&common) } else { &common };
        folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What Git's objects say of themselves, where they do not read.
    pub fn fault(&self) -> impl Fn(gix::Error) -> RepoError + use<> {
        fault(&self.name)
    }
}

fn fault(path: &Path) -> impl Fn(gix::Error) -> RepoError + use<> {
    let path = path.to_owned();
    move |error| {
        // Each error quotes little of the one beneath.
        let mut words: Vec<String> = Vec::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            let line = error.to_string().lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
            if !line.is_empty() && !words.iter().any(|known| known.contains(&line)) {
                words.push(line);
            }
            next = error.source();
        }
        RepoError::Io { path: path.clone(), source: std::io::Error::other(words.join(": ")) }
    }
}

fn prefix(repository: &gix::Repository, path: &Path) -> Option<PathBuf> {
    let top = std::fs::canonicalize(repository.workdir()?).ok()?;
    let given = std::fs::canonicalize(path).ok()?;
    let within = given.strip_prefix(&top).ok()?;
    // The folder of Git itself stands for the whole worktree.
    (!within.starts_with(".git")).then(|| within.to_owned())
}

/// An address without the user's name and password, query and fragment; of ssh the user stays, who is part of it.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if scheme == "file" { path } else { path.split(['?', '#']).next().unwrap_or(path) };
    let (user, host) = host.rsplit_once('@').map_or((None, host), |(user, host)| (Some(user), host));
    let user = user.and_then(|user| user.split(':').next()).filter(|_| scheme.ends_with("ssh"));
    match user {
        Some(user) => format!("{scheme}://{user}@{host}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_secrets() {
        for (url, shown) in [
            ("https://ada:secret@example.org/a/b.git", "https://example.org/a/b.git"),
            ("https://token@example.org/b.git?x=secret", "https://example.org/b.git"),
            ("https://ada:se@cret@example.org/b.git", "https://example.org/b.git"),
            ("ssh://git:secret@example.org:22/b.git", "ssh://git@example.org:22/b.git"),
            ("git@example.org:a/b.git", "git@example.org:a/b.git"),
            ("../upstream", "../upstream"),
            ("file:///a?b", "file:///a?b"),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }
}
