//! Walks over everything that an operation, a commit or a value of the state reaches: for gc, verify, and writers that gc overtook.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::log::OperationLog;
use super::{ChunkError, HistoryError, Kind, Objects, View, load_commit, load_snapshot, short};
use crate::base::{CommitId, ObjectId, OperationId, SnapshotId, TableObjectId};
use crate::format::cbor::Reader;
use crate::format::node::{self, Live, Map, Slice, Spine, Values};
use crate::format::operation::{HeadRef, Operation, StateRef, Tag, Working};
use crate::format::table::TableObject;
use crate::format::{FormatError, cbor};
use crate::tree::{Reference, Rope, TreeError};

/// What a walk passes through on its way to an object: what is harmed if that object is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The operation whose state is being walked.
    pub operation: Option<OperationId>,
    /// The key of that state.
    pub key: Option<String>,
    /// The commit.
    pub commit: Option<CommitId>,
    /// The table.
    pub table: Option<String>,
    /// The column; `row ids` or `deleted rows` for what each table has besides.
    pub column: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.operation.map(|id| format!("operation {id:.8}")));
        parts.extend(self.key.as_ref().map(|key| super::name_of(key)));
        parts.extend(self.commit.map(|id| format!("commit {}", short(&id))));
        parts.extend(self.table.as_ref().map(|name| format!("table '{name}'")));
        parts.extend(self.column.as_ref().map(|name| format!("column '{name}'")));
        f.write_str(&parts.join(", "))
    }
}

/// What a place calls the hidden rope of row ids, and that of deleted rows.
pub const ROW_IDS: &str = "row ids";
/// See [`ROW_IDS`].
pub const DELETED_ROWS: &str = "deleted rows";

/// Who walks.
pub trait Visitor {
    /// Called with each object once. False passes over what lies below it; an error ends the walk.
    fn object(&mut self, kind: Kind, id: ObjectId, place: &Place) -> Result<bool, HistoryError>;
    /// Called where something does not read, so that what lies below cannot be reached. `Ok` goes on beside it, an error ends the walk.
    fn fault(&mut self, error: HistoryError, place: &Place) -> Result<(), HistoryError> {
        let _ = place;
        Err(error)
    }
    /// Asked after each operation of a log: true goes no further back.
    fn is_at_end(&mut self) -> bool {
        false
    }
}

/// True where an older operation, or what it reaches, is not there: then garbage collection has forgotten it.
pub fn is_forgotten(error: &HistoryError, place: &Place) -> bool {
    place.operation.is_some() && matches!(error, HistoryError::Objects(ChunkError::Missing { .. }))
}

/// A walk; what it has seen it does not enter again.
pub struct Reach<'a> {
    objects: &'a Arc<Objects>,
    visitor: &'a mut dyn Visitor,
    seen: HashSet<ObjectId>,
    place: Place,
}

impl<'a> Reach<'a> {
    /// A walk that has seen nothing yet.
    pub fn new(objects: &'a Arc<Objects>, visitor: &'a mut dyn Visitor) -> Self {
        Reach { objects, visitor, seen: HashSet::new(), place: Place::default() }
    }

    /// A walk that passes over what another has seen.
    pub fn beyond(objects: &'a Arc<Objects>, visitor: &'a mut dyn Visitor, seen: HashSet<ObjectId>) -> Self {
        Reach { seen, ..Reach::new(objects, visitor) }
    }

    /// Everything that was seen.
    pub fn into_seen(self) -> HashSet<ObjectId> {
        self.seen
    }

    /// Walks the newest operation, and those before it that are no older than `since_millis`.
    pub fn operations(&mut self, newest: &View, since_millis: i64) -> Result<(), HistoryError> {
        for (n, entry) in OperationLog::from(self.objects.clone(), newest).enumerate() {
            let (id, operation) = match entry {
                Ok(entry) => entry,
                Err(error) => return self.visitor.fault(error, &self.place),
            };
            if n > 0 && operation.millis < since_millis {
                break;
            }
            // Faults of the present state are told by its keys alone.
            self.place.operation = (n > 0).then_some(id);
            self.operation(id, &operation)?;
            self.place = Place::default();
            if self.visitor.is_at_end() {
                break;
            }
        }
        Ok(())
    }

    fn operation(&mut self, id: OperationId, operation: &Operation) -> Result<(), HistoryError> {
        if !self.enter(Kind::Operation, id)? {
            return Ok(());
        }
        let reference = match &operation.state {
            StateRef::Node(id) => Reference::Node(*id),
            StateRef::Inline(node) => Reference::Inline(node.as_slice().into()),
        };
        let mut pairs = Vec::new();
        self.rope::<Map>(&reference, &mut |item| pairs.push((item.key.clone(), item.value.clone())))?;
        // What is checked out first: what is shared is told to belong to it.
        pairs.sort_by_key(|(key, _)| key != super::state::HEAD);
        for (key, value) in pairs {
            self.place.key = Some(key.clone());
            let walked = self.value(&key, &value);
            self.go_on(walked)?;
            self.place.key = None;
        }
        Ok(())
    }

    /// Walks what a value of the state names.
    pub fn value(&mut self, key: &str, value: &[u8]) -> Result<(), HistoryError> {
        let bad = |source: FormatError| HistoryError::Value { key: key.to_owned(), source };
        match key.split_once('/').map_or(key, |(kind, _)| kind) {
            super::state::HEAD => match HeadRef::decode(value).map_err(bad)? {
                HeadRef::Commit(id) => self.commits(id),
                HeadRef::Branch(_) => Ok(()),
            },
            "tags" => self.commits(Tag::decode(value).map_err(bad)?.commit),
            "working" => {
                let working = Working::decode(value).map_err(bad)?;
                if let Some(base) = working.base {
                    self.commits(base)?;
                }
                self.snapshot(working.snapshot)?;
                let Some(merging) = working.merging else { return Ok(()) };
                for commit in merging.parents.into_iter().chain(merging.todo).chain([merging.start]) {
                    self.commits(commit)?;
                }
                for snapshot in [merging.base, merging.ours, merging.theirs, merging.merged] {
                    self.snapshot(snapshot)?;
                }
                self.place.table = Some("conflicts".into());
                let walked = self.table(merging.conflicts);
                self.place.table = None;
                walked
            }
            "heads" | "remotes" => match CommitId::from_slice(value) {
                Some(id) => self.commits(id),
                None => Err(bad(FormatError::malformed("ref", "it is not an id"))),
            },
            // A value that this version does not know may reach what it does not know: nothing can be said of it.
            _ => Err(bad(FormatError::malformed("state", "a kind of entry that this dsv does not know"))),
        }
    }

    /// Walks a commit and all its ancestors.
    pub fn commits(&mut self, tip: CommitId) -> Result<(), HistoryError> {
        let mut next = vec![tip];
        while let Some(id) = next.pop() {
            self.place.commit = Some(id);
            if self.enter(Kind::Commit, id)? {
                match load_commit(self.objects, id) {
                    Ok(commit) => {
                        next.extend(commit.parents.iter().rev());
                        self.snapshot(commit.snapshot)?;
                    }
                    Err(error) => self.go_on(Err(error))?,
                }
            }
            self.place.commit = None;
        }
        Ok(())
    }

    /// Walks a snapshot.
    pub fn snapshot(&mut self, id: SnapshotId) -> Result<(), HistoryError> {
        if !self.enter(Kind::Snapshot, id)? {
            return Ok(());
        }
        match load_snapshot(self.objects, id) {
            Ok(snapshot) => {
                for (name, table) in snapshot.tables {
                    self.place.table = Some(name);
                    self.table(table)?;
                    self.place.table = None;
                }
                Ok(())
            }
            Err(error) => self.go_on(Err(error)),
        }
    }

    /// Walks one table, which is told by its name.
    pub fn table_named(&mut self, name: &str, id: TableObjectId) -> Result<(), HistoryError> {
        self.place.table = Some(name.to_owned());
        let walked = self.table(id);
        self.place.table = None;
        walked
    }

    fn table(&mut self, id: TableObjectId) -> Result<(), HistoryError> {
        if !self.enter(Kind::Table, id)? {
            return Ok(());
        }
        let malformed = |source| HistoryError::Malformed { what: "table", id: id.into(), source };
        let object = match self.objects.get(Kind::Table, id).map_err(HistoryError::from).and_then(|c| TableObject::decode(&c).map_err(malformed)) {
            Ok(object) => object,
            Err(error) => return self.go_on(Err(error)),
        };
        let reference = |item: &[u8]| Reference::decode(&mut cbor::Reader::new("reference to a rope", item)).map_err(malformed);
        self.place.column = Some(ROW_IDS.into());
        let walked = reference(&object.spine).and_then(|spine| self.rope::<Spine>(&spine, &mut |_| {}));
        self.go_on(walked)?;
        self.place.column = Some(DELETED_ROWS.into());
        let walked = reference(&object.live).and_then(|live| self.rope::<Live>(&live, &mut |_| {}));
        self.go_on(walked)?;
        for (column, rope) in object.columns.iter().zip(&object.ropes) {
            self.place.column = Some(column.name.clone());
            let walked = reference(rope).and_then(|rope| self.values(&rope));
            self.go_on(walked)?;
        }
        self.place.column = None;
        Ok(())
    }

    fn values(&mut self, reference: &Reference) -> Result<(), HistoryError> {
        let (mut chunks, mut large) = (Vec::new(), Vec::new());
        self.rope::<Values>(reference, &mut |slice| match slice {
            Slice::Chunk { chunk, .. } => chunks.push(chunk.id),
            Slice::Large(value) => large.push(value.reference.clone()),
            Slice::Literal(_) | Slice::Constant { .. } => {}
        })?;
        chunks.dedup();
        for id in chunks {
            self.enter(Kind::Chunk, id)?;
        }
        for item in large {
            let reference = Reference::decode(&mut Reader::new("reference to a rope", &item)).map_err(TreeError::from)?;
            self.rope_of_bytes(&reference)?;
        }
        Ok(())
    }

    /// The rope of a large value; it holds chunks alone.
    fn rope_of_bytes(&mut self, reference: &Reference) -> Result<(), HistoryError> {
        let mut chunks = Vec::new();
        self.rope::<Values>(reference, &mut |slice| {
            if let Slice::Chunk { chunk, .. } = slice {
                chunks.push(chunk.id);
            }
        })?;
        for id in chunks {
            self.enter(Kind::Chunk, id)?;
        }
        Ok(())
    }

    fn rope<K: node::Kind>(&mut self, reference: &Reference, item: &mut dyn FnMut(&K::Item)) -> Result<(), HistoryError> {
        let mut failed = None;
        let (seen, visitor, place) = (&mut self.seen, &mut self.visitor, &self.place);
        let mut enter = |id: crate::base::NodeId| {
            if failed.is_some() || !seen.insert(id.into()) {
                return false;
            }
            match visitor.object(Kind::Node, id.into(), place) {
                Ok(below) => below,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        };
        let walked = Rope::<K>::reach(&**self.objects, reference, &mut enter, &mut |found| {
            item(found);
            Ok(())
        });
        match (failed, walked) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => self.go_on(Err(error.into())),
            (None, Ok(())) => Ok(()),
        }
    }

    fn enter(&mut self, kind: Kind, id: impl Into<ObjectId>) -> Result<bool, HistoryError> {
        let id = id.into();
        if !self.seen.insert(id) {
            return Ok(false);
        }
        self.visitor.object(kind, id, &self.place)
    }

    fn go_on(&mut self, result: Result<(), HistoryError>) -> Result<(), HistoryError> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.visitor.fault(error, &self.place),
        }
    }
}
