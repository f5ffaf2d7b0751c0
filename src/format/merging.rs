//! Merges that wait for people: what a working state keeps besides its data (docs/format.md §9).

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::commit::Signature;
use crate::base::{CommitId, SnapshotId, TableObjectId};

/// A merge, or a commit being laid upon another one, that is not committed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merging {
    /// What is being done: `merge`, `cherry-pick`, `revert` or `rebase`.
    pub verb: String,
    /// What is merged, as it was typed.
    pub revision: String,
    /// The commits that the new one follows besides the one that it is made on.
    pub parents: Vec<CommitId>,
    /// The message that the commit gets unless another is given.
    pub message: String,
    /// Who made the change, where it was made before; else whoever commits.
    pub author: Option<Signature>,
    /// The state that both sides come from; where there were several, what they merge to.
    pub base: SnapshotId,
    /// The state merged into.
    pub ours: SnapshotId,
    /// The state merged.
    pub theirs: SnapshotId,
    /// What the merge made of them, before anybody settled anything.
    pub merged: SnapshotId,
    /// The table of the conflicts that are left.
    pub conflicts: TableObjectId,
    /// Where the branch was before, for giving up.
    pub start: CommitId,
    /// Commits that are to follow, in order.
    pub todo: Vec<CommitId>,
}

impl Merging {
    /// Writes it as one record.
    pub fn encode(&self, w: &mut Writer) {
        w.array(12).str(&self.verb).str(&self.revision);
        ids(w, &self.parents);
        w.str(&self.message);
        match &self.author {
            Some(author) => author.encode(w),
            None => w.null(),
        };
        for id in [&self.base, &self.ours, &self.theirs, &self.merged] {
            w.bytes(id.as_bytes());
        }
        w.bytes(self.conflicts.as_bytes()).bytes(self.start.as_bytes());
        ids(w, &self.todo);
    }

    /// Reads one record.
    pub fn decode(r: &mut Reader<'_>) -> Result<Merging, FormatError> {
        let commits = |r: &mut Reader<'_>| r.list(|r| Ok(CommitId(r.fixed()?)));
        r.record(12, |r| {
            Ok(Merging {
                verb: r.str()?.to_owned(),
                revision: r.str()?.to_owned(),
                parents: commits(r)?,
                message: r.str()?.to_owned(),
                author: r.optional(Signature::decode)?,
                base: SnapshotId(r.fixed()?),
                ours: SnapshotId(r.fixed()?),
                theirs: SnapshotId(r.fixed()?),
                merged: SnapshotId(r.fixed()?),
                conflicts: TableObjectId(r.fixed()?),
                start: CommitId(r.fixed()?),
                todo: commits(r)?,
            })
        })
    }
}

fn ids(w: &mut Writer, ids: &[CommitId]) {
    w.array(ids.len() as u64);
    for id in ids {
        w.bytes(id.as_bytes());
    }
}
