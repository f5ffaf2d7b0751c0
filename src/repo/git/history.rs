//! Which code used which data: the pins along a history in Git.

use std::path::Path;

use gix::bstr::ByteSlice;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use super::{Code, failed};
use crate::repo::RepoError;
use crate::repo::pin::Pin;

/// Which commits of Git's to tell of.
#[derive(Debug, Clone, Default)]
pub struct PinsOptions {
    /// Where to start; `HEAD` where it is none.
    pub revision: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Those also that left the pin as it was.
    pub unchanged: bool,
}

/// A commit of Git's, and the data that it goes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedBy {
    /// The commit, in hexadecimal.
    pub commit: String,
    /// The start of it that names it.
    pub short: String,
    /// The author's name.
    pub author: String,
    /// The author's time, in milliseconds since 1970, UTC.
    pub millis: i64,
    /// Minutes east of UTC of the author's clock.
    pub offset_minutes: i32,
    /// The first line of its message.
    pub subject: String,
    /// The pin there; none where there is none, or none that can be read.
    pub pin: Option<Pin>,
    /// True where no parent has the same.
    pub changed: bool,
}

impl Code {
    /// The commits of a history, newest first, with the pin at `path` (from the top of the worktree) in each. What a shallow clone does not have is left out.
    pub fn pinned(&self, path: &Path, options: &PinsOptions) -> Result<Vec<PinnedBy>, RepoError> {
        let what = "Git's history cannot be read";
        let start = match &options.revision {
            Some(revision) => {
                let unknown = |_| RepoError::refused(format!("'{revision}' is no revision of the Git repository"));
                let id = self.git.rev_parse_single(revision.as_str()).map_err(unknown)?;
                id.object().and_then(|object| object.peel_to_commit()).map_err(|_| RepoError::refused(format!("'{revision}' is no commit of Git's")))?.id
            }
            None => match self.git.head_id() {
                Ok(id) => id.detach(),
                Err(_) => return Ok(Vec::new()),
            },
        };
        let walk = self.git.rev_walk([start]).sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst)).all().map_err(failed(what))?;
        let mut found = Vec::new();
        for info in walk {
            if options.limit.is_some_and(|limit| found.len() >= limit) {
                break;
            }
            let commit = info.and_then(|info| info.object()).map_err(failed(what))?;
            let here = self.blob(&commit, path);
            // A parent that a shallow clone lacks is like none.
            let parents: Vec<_> = commit.parent_ids().filter_map(|id| id.object().ok()?.try_into_commit().ok()).collect();
            let same = |parent: &gix::Commit<'_>| self.blob(parent, path) == here;
            let changed = if parents.is_empty() { here.is_some() } else { !parents.iter().any(same) };
            if !changed && (!options.unchanged || here.is_none()) {
                continue;
            }
            let pin = match here {
                Some(id) => {
                    let object = self.git.find_object(id).map_err(failed(what))?;
                    std::str::from_utf8(&object.data).ok().and_then(|text| Pin::parse(text).ok())
                }
                None => None,
            };
            let author = commit.author().map_err(failed(what))?;
            let time = author.time().unwrap_or_default();
            found.push(PinnedBy {
                commit: commit.id.to_string(),
                short: commit.short_id().map_or_else(|_| commit.id.to_hex_with_len(7).to_string(), |id| id.to_string()),
                author: author.name.trim().to_str_lossy().into_owned(),
                millis: time.seconds.saturating_mul(1000),
                offset_minutes: time.offset / 60,
                subject: commit.message().map_or_else(|_| String::new(), |message| message.summary().to_str_lossy().into_owned()),
                pin,
                changed,
            });
        }
        Ok(found)
    }

    fn blob(&self, commit: &gix::Commit<'_>, path: &Path) -> Option<gix::ObjectId> {
        Some(commit.tree().ok()?.lookup_entry_by_path(path).ok()??.object_id())
    }
}
