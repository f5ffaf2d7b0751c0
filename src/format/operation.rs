//! Operations, and the values of the state map that each of them holds (docs/format.md §9).

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::merging::Merging;
use crate::base::{CommitId, NodeId, OperationId, SnapshotId};

/// A reference to the tree of the state map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRef {
    /// The tree's root is an object.
    Node(NodeId),
    /// The tree is this one small node.
    Inline(Vec<u8>),
}

/// One change of the repository's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The operation before; none for the one that made the repository.
    pub parent: Option<OperationId>,
    /// Random bytes, the same through all attempts to publish one change.
    pub nonce: [u8; 16],
    /// Who did it: the login name and machine.
    pub user: String,
    /// When, in milliseconds since 1970, UTC.
    pub millis: i64,
    /// What was done: the verb and its main arguments.
    pub command: String,
    /// All refs and working states after it.
    pub state: StateRef,
    /// The operation whose changes this one takes back.
    pub reverts: Option<OperationId>,
}

impl Operation {
    /// The content of the operation's object.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(7);
        optional(&mut w, self.parent.as_ref().map(OperationId::as_bytes));
        w.bytes(&self.nonce).str(&self.user).i64(self.millis).str(&self.command);
        match &self.state {
            StateRef::Node(id) => w.array(2).u64(0).bytes(id.as_bytes()),
            StateRef::Inline(node) => w.array(2).u64(1).bytes(node),
        };
        optional(&mut w, self.reverts.as_ref().map(OperationId::as_bytes));
        w.finish()
    }

    /// Reads the content of an operation's object.
    pub fn decode(bytes: &[u8]) -> Result<Operation, FormatError> {
        let mut r = Reader::new("operation", bytes);
        let operation = r.record(7, |r| {
            let parent = r.optional(|r| Ok(OperationId(r.fixed()?)))?;
            let (nonce, user, millis, command) = (r.fixed()?, r.str()?.to_owned(), r.i64()?, r.str()?.to_owned());
            let state = r.record(2, |r| match r.u64()? {
                0 => Ok(StateRef::Node(NodeId(r.fixed()?))),
                1 => Ok(StateRef::Inline(r.bytes()?.to_vec())),
                other => Err(r.fail(format!("a reference of kind {other}"))),
            })?;
            Ok(Operation { parent, nonce, user, millis, command, state, reverts: r.optional(|r| Ok(OperationId(r.fixed()?)))? })
        })?;
        r.end()?;
        Ok(operation)
    }
}

fn optional(w: &mut Writer, bytes: Option<&[u8; 32]>) {
    match bytes {
        Some(bytes) => w.bytes(bytes),
        None => w.null(),
    };
}

/// What the state says is checked out: the value of the key `HEAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadRef {
    /// A branch, which may have no commit yet.
    Branch(String),
    /// A commit, with no branch ("detached").
    Commit(CommitId),
}

impl HeadRef {
    /// The value in the state map.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            HeadRef::Branch(name) => w.array(2).str("branch").str(name),
            HeadRef::Commit(id) => w.array(2).str("commit").bytes(id.as_bytes()),
        };
        w.finish()
    }

    /// Reads the value in the state map.
    pub fn decode(bytes: &[u8]) -> Result<HeadRef, FormatError> {
        let mut r = Reader::new("HEAD", bytes);
        let head = r.record(2, |r| match r.str()? {
            "branch" => Ok(HeadRef::Branch(r.str()?.to_owned())),
            "commit" => Ok(HeadRef::Commit(CommitId(r.fixed()?))),
            other => Err(r.fail(format!("HEAD is a '{other}'"))),
        })?;
        r.end()?;
        Ok(head)
    }
}

/// A tag: the value of a key `tags/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The commit that it names.
    pub commit: CommitId,
    /// Why; empty for a plain tag.
    pub message: String,
    /// Who set it.
    pub name: String,
    /// That person's address.
    pub email: String,
    /// When it was set, in milliseconds since 1970, UTC.
    pub millis: i64,
}

impl Tag {
    /// The value in the state map.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(5).bytes(self.commit.as_bytes()).str(&self.message).str(&self.name).str(&self.email).i64(self.millis);
        w.finish()
    }

    /// Reads the value in the state map.
    pub fn decode(bytes: &[u8]) -> Result<Tag, FormatError> {
        let mut r = Reader::new("tag", bytes);
        let tag = r.record(5, |r| {
            Ok(Tag { commit: CommitId(r.fixed()?), message: r.str()?.to_owned(), name: r.str()?.to_owned(), email: r.str()?.to_owned(), millis: r.i64()? })
        })?;
        r.end()?;
        Ok(tag)
    }
}

/// The uncommitted snapshot of a branch: the value of a key `working/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// The commit that it was made from; none on a branch without a commit.
    pub base: Option<CommitId>,
    /// The data.
    pub snapshot: SnapshotId,
    /// The merge that it belongs to, if it is to end one.
    pub merging: Option<Merging>,
}

impl Working {
    /// The value in the state map.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(2 + u64::from(self.merging.is_some()));
        optional(&mut w, self.base.as_ref().map(CommitId::as_bytes));
        w.bytes(self.snapshot.as_bytes());
        if let Some(merging) = &self.merging {
            merging.encode(&mut w);
        }
        w.finish()
    }

    /// Reads the value in the state map.
    pub fn decode(bytes: &[u8]) -> Result<Working, FormatError> {
        let mut r = Reader::new("working state", bytes);
        let items = r.array(2)?;
        let (base, snapshot) = (r.optional(|r| Ok(CommitId(r.fixed()?)))?, SnapshotId(r.fixed()?));
        let merging = if items > 2 { r.optional(Merging::decode)? } else { None };
        (3..items).try_for_each(|_| r.skip())?;
        let working = Working { base, snapshot, merging };
        r.end()?;
        Ok(working)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TableObjectId;
    use crate::format::commit::Signature;
    use proptest::prelude::*;

    fn sample() -> Operation {
        Operation {
            parent: Some(OperationId([6; 32])),
            nonce: [7; 16],
            user: "ada@laptop".into(),
            millis: 1_767_225_600_123,
            command: "commit -m 'relabel dogs'".into(),
            state: StateRef::Inline(vec![0x84, 3, 0, 0, 0x80]),
            reverts: None,
        }
    }

    fn merging(verb: &str, message: &str) -> Merging {
        Merging {
            verb: verb.into(),
            revision: "dev".into(),
            parents: vec![CommitId([2; 32])],
            message: message.into(),
            author: Some(Signature { name: "Ada".into(), email: "a@b".into(), millis: 5, offset_minutes: -60 }),
            base: SnapshotId([3; 32]),
            ours: SnapshotId([4; 32]),
            theirs: SnapshotId([5; 32]),
            merged: SnapshotId([6; 32]),
            conflicts: TableObjectId([7; 32]),
            start: CommitId([8; 32]),
            todo: vec![CommitId([9; 32]), CommitId([10; 32])],
        }
    }

    #[test]
    fn golden_bytes() {
        let pin = |bytes: Vec<u8>| blake3::hash(&bytes).to_hex().to_string();
        assert_eq!(pin(sample().encode()), "e49d96ecfdf471a6592183fee9ff0d918bd75b879a81b1d9cb8c4ffe35296d11");
        let undo = Operation { parent: None, state: StateRef::Node(NodeId([8; 32])), reverts: Some(OperationId([6; 32])), ..sample() };
        assert_eq!(pin(undo.encode()), "f3f78c4690507455695648a77cf6c6758f91df7af023153ea4a0de9b5b550970");
        assert_eq!(pin(HeadRef::Branch("main".into()).encode()), "68ff4d84ec7e07404b9d1c2d1622642a0b4fd4444c8057318962302c0780f535");
        assert_eq!(pin(HeadRef::Commit(CommitId([9; 32])).encode()), "ed37580d61745ad7e4a515eedc2dc43bc5bcac3bcf99e1a36b6da50fb141c28a");
        let tag = Tag { commit: CommitId([9; 32]), message: "first".into(), name: "Ada".into(), email: "a@b".into(), millis: 5 };
        assert_eq!(pin(tag.encode()), "f6eb9ad73a77b29ae2a4a1e837270780a9c7d8c45a9fa7e03eb06a1b5992f295");
        let working = Working { base: None, snapshot: SnapshotId([1; 32]), merging: None };
        assert_eq!(pin(working.encode()), "1245a76557dfc1c2797e899a3a00c9531a1685cfef04bdad3129dbe46c3d0bfe");
        assert_eq!(
            pin(Working { merging: Some(merging("merge", "Merge 'dev'")), ..working }.encode()),
            "58303698f617aaf0d7b31586051b87ed903cb264b51ff515924918ee21f53c2e"
        );
    }

    proptest! {
        #[test]
        fn operations_round_trip_and_survive_damage(
            parent in any::<Option<[u8; 32]>>(), nonce in any::<[u8; 16]>(), user in ".{0,9}", millis in any::<i64>(), command in ".{0,30}",
            node in any::<Option<[u8; 32]>>(), inline in prop::collection::vec(any::<u8>(), 0..40), reverts in any::<Option<[u8; 32]>>(),
            at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let state = node.map_or(StateRef::Inline(inline), |id| StateRef::Node(NodeId(id)));
            let operation = Operation { parent: parent.map(OperationId), nonce, user, millis, command, state, reverts: reverts.map(OperationId) };
            let mut bytes = operation.encode();
            prop_assert_eq!(Operation::decode(&bytes), Ok(operation));
            prop_assert!(Operation::decode(&bytes[..bytes.len() - 1]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = Operation::decode(&bytes);
        }

        #[test]
        fn values_round_trip(id in any::<[u8; 32]>(), base in any::<Option<[u8; 32]>>(), name in ".{1,12}", message in ".{0,20}", millis in any::<i64>()) {
            for head in [HeadRef::Branch(name.clone()), HeadRef::Commit(CommitId(id))] {
                prop_assert_eq!(HeadRef::decode(&head.encode()), Ok(head));
            }
            let tag = Tag { commit: CommitId(id), message: message.clone(), name: name.clone(), email: name.clone(), millis };
            prop_assert_eq!(Tag::decode(&tag.encode()), Ok(tag));
            for merging in [None, Some(merging(&name, &message))] {
                let working = Working { base: base.map(CommitId), snapshot: SnapshotId(id), merging };
                let bytes = working.encode();
                prop_assert!(Working::decode(&bytes[..bytes.len() - 1]).is_err());
                prop_assert_eq!(Working::decode(&bytes), Ok(working));
            }
        }
    }
}
