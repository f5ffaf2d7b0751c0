//! Commits (docs/format.md §8).

use std::collections::BTreeMap;

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::snapshot::ascending;
use crate::base::{CommitId, SnapshotId};

/// Who made a commit, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The person's name.
    pub name: String,
    /// The person's address.
    pub email: String,
    /// Milliseconds since 1970, UTC.
    pub millis: i64,
    /// Minutes east of UTC of the author's clock.
    pub offset_minutes: i32,
}

impl Signature {
    /// Writes it as one record.
    pub fn encode<'w>(&self, w: &'w mut Writer) -> &'w mut Writer {
        w.array(4).str(&self.name).str(&self.email).i64(self.millis).i64(i64::from(self.offset_minutes))
    }

    /// Reads one record.
    pub fn decode(r: &mut Reader<'_>) -> Result<Signature, FormatError> {
        r.record(4, |r| {
            let (name, email, millis) = (r.str()?.to_owned(), r.str()?.to_owned(), r.i64()?);
            let offset_minutes = i32::try_from(r.i64()?).map_err(|e| r.fail(e))?;
            Ok(Signature { name, email, millis, offset_minutes })
        })
    }
}

/// A snapshot with its place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// All the data.
    pub snapshot: SnapshotId,
    /// The commits that this one follows, in order; none for a first commit.
    pub parents: Vec<CommitId>,
    /// Who made the change, and when.
    pub author: Signature,
    /// When this commit object was made (amending keeps the author's time and renews this one), in milliseconds since 1970, UTC.
    pub committed_millis: i64,
    /// Why.
    pub message: String,
    /// Where the data came from.
    pub source: BTreeMap<String, String>,
    /// The sum of the `FLAG_` constants that apply.
    pub flags: u64,
}

impl Commit {
    /// The commit holds a subset of its parent: rows missing from it are hidden, not deleted.
    pub const FLAG_SUBSET: u64 = 1;
    /// The commit stands on a subset branch: it is marked with [`Commit::FLAG_SUBSET`], or its first parent stands on one.
    pub const FLAG_ON_SUBSET: u64 = 2;

    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or("")
    }

    /// The content of the commit's object. Equal commits have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(7).bytes(self.snapshot.as_bytes()).array(self.parents.len() as u64);
        for parent in &self.parents {
            w.bytes(parent.as_bytes());
        }
        self.author.encode(&mut w).i64(self.committed_millis).str(&self.message).map(self.source.len() as u64);
        for (key, value) in &self.source {
            w.str(key).str(value);
        }
        w.u64(self.flags);
        w.finish()
    }

    /// Reads the content of a commit's object.
    pub fn decode(bytes: &[u8]) -> Result<Commit, FormatError> {
        let mut r = Reader::new("commit", bytes);
        let commit = r.record(7, |r| {
            let snapshot = SnapshotId(r.fixed()?);
            let parents = r.list(|r| Ok(CommitId(r.fixed()?)))?;
            let author = Signature::decode(r)?;
            let committed_millis = r.i64()?;
            let message = r.str()?.to_owned();
            let mut source = Vec::new();
            for _ in 0..r.map()? {
                source.push((r.str()?.to_owned(), r.str()?.to_owned()));
            }
            Ok(Commit { snapshot, parents, author, committed_millis, message, source: ascending(r, source)?, flags: r.u64()? })
        })?;
        r.end()?;
        Ok(commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Commit {
        Commit {
            snapshot: SnapshotId([3; 32]),
            parents: vec![CommitId([4; 32]), CommitId([5; 32])],
            author: Signature { name: "Ada".into(), email: "ada@example.org".into(), millis: 1_767_225_600_123, offset_minutes: -90 },
            committed_millis: 1_767_225_601_000,
            message: "relabel dogs\n\nby hand".into(),
            source: BTreeMap::from([("file".into(), "dogs.csv".into())]),
            flags: Commit::FLAG_SUBSET,
        }
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(blake3::hash(&sample().encode()).to_hex().as_str(), "35c67dff810663dd6f44aaf725517d94713bfbf86bef0aeefe077ad9868ab528");
        assert_eq!(sample().subject(), "relabel dogs");
    }

    proptest! {
        #[test]
        fn round_trips_and_survives_damage(
            parents in prop::collection::vec(any::<[u8; 32]>(), 0..4),
            millis in any::<i64>(), offset_minutes in any::<i32>(), message in ".{0,40}",
            source in prop::collection::btree_map(".{0,6}", ".{0,6}", 0..4), flags in any::<u64>(),
            at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let mut commit = sample();
            commit.parents = parents.into_iter().map(CommitId).collect();
            commit.author.millis = millis;
            commit.author.offset_minutes = offset_minutes;
            (commit.message, commit.source, commit.flags) = (message, source, flags);
            let mut bytes = commit.encode();
            prop_assert_eq!(Commit::decode(&bytes), Ok(commit));
            prop_assert!(Commit::decode(&bytes[..bytes.len() - 1]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = Commit::decode(&bytes);
        }
    }
}
