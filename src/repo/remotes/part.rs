//! `fetch --table`: makes a part of a lazy clone local, and nothing else.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::super::{Repo, RepoError};
use super::fetch::condemned;
use crate::base::progress::Unit;
use crate::base::{ChunkId, ObjectId, Progress};
use crate::chunk::Objects;
use crate::format::cbor::Reader;
use crate::format::head::Head;
use crate::format::node::{Kind as _, Slice, Values};
use crate::format::pack::Kind;
use crate::history::reach::{DELETED_ROWS, Place, ROW_IDS, Reach, Visitor};
use crate::history::{HistoryError, StoreLedger};
use crate::table::expression::ExpressionError;
use crate::table::{Table, TableError};
use crate::tree::{Reference, Rope, TreeError};

/// How often it starts anew because another writer was faster.
const ATTEMPTS_MAX: u32 = 20;

/// What to make local.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub table: String,
    /// Columns of it; all without any.
    pub columns: Vec<String>,
    /// Only what holds rows for which this is true.
    pub filter: Option<String>,
    /// The revision; the working state without.
    pub at: Option<String>,
    /// Only tell what would come.
    pub dry_run: bool,
}

/// What came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchedPart {
    /// Objects that came.
    pub objects: u64,
    /// Bytes of them, as they are stored.
    pub bytes: u64,
}

impl Repo {
    /// Makes a part of a lazy clone local: the cells of some columns of a table, as far as they are on the remote alone.
    pub fn fetch_part(&self, part: &Part) -> Result<FetchedPart, RepoError> {
        let Some(far) = self.objects.beyond()? else {
            return Err(RepoError::refused_with("this is no lazy clone: all of it is here", "'dsv fetch' without --table brings what is new"));
        };
        let table = self.table(&part.table, part.at.as_deref())?;
        let columns = match part.columns.as_slice() {
            [] => (0..table.columns.len()).collect(),
            names => names.iter().map(|name| table.schema.index(name)).collect::<Result<Vec<_>, TableError>>()?,
        };
        let picks = part.filter.as_deref().map(|filter| self.picks(&table, &columns, filter)).transpose()?;
        let mut names: HashSet<String> = columns.iter().filter_map(|i| table.schema.columns.get(*i)).map(|column| column.name.clone()).collect();
        names.extend([ROW_IDS.to_owned(), DELETED_ROWS.to_owned()]);
        let mut finder = Finder { progress: &*self.progress, table: &part.table, columns: &names, picks: picks.as_ref(), wanted: HashSet::new() };
        self.progress.start("looking for what lacks", None, Unit::Objects);
        let snapshot = self.snapshot(part.at.as_deref())?;
        let id = *snapshot.tables.get(&part.table).ok_or_else(|| super::super::working::no_table(&snapshot, &part.table, part.at.as_deref()))?;
        let walked = Reach::new(&self.objects, &mut finder).table_named(&part.table, id);
        self.progress.finish();
        walked?;
        let mut wanted = HashSet::new();
        for id in finder.wanted {
            if !self.objects.contains(id)? {
                wanted.insert(id);
            }
        }
        let view = self.view()?;
        let cargo = far.plan_cargo(&wanted, &condemned(&view)?, &|_| true)?;
        let done = FetchedPart { objects: cargo.objects, bytes: cargo.bytes };
        if part.dry_run || wanted.is_empty() {
            return Ok(done);
        }
        self.bring(&far, &cargo)?;
        self.list_packs()?;
        Ok(done)
    }

    /// Lists what was written in the head, without an operation: nothing that anybody sees has changed.
    fn list_packs(&self) -> Result<(), RepoError> {
        let ledger = StoreLedger::new(self.objects.clone());
        for _ in 0..ATTEMPTS_MAX {
            let token = self.view()?.mark.token;
            let mut head = Head::decode(&token).map_err(HistoryError::Head)?;
            match ledger.swap_packs(Some(&token), &mut head, &HashSet::new()) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.objects.abandon();
                    return Err(error.into());
                }
            }
        }
        self.objects.abandon();
        Err(HistoryError::Contended(ATTEMPTS_MAX).into())
    }

    /// The chunks that hold the cells of rows for which a predicate is true.
    fn picks(&self, table: &Arc<Table>, columns: &[usize], filter: &str) -> Result<HashSet<ChunkId>, RepoError> {
        let expressions = self.expressions().ok_or_else(|| RepoError::refused("this build of dsv understands no SQL"))?;
        // What makes the opposite false.
        let opposite = expressions.predicate(table, &format!("NOT ({filter})")).map_err(unfit)?;
        let slots = table.slots(&self.objects)?;
        let rows = opposite.false_rows(&self.objects, std::iter::once(0..slots).filter(|all| !all.is_empty()).collect(), &self.progress).map_err(unfit)?;
        let ranges = ranges_of(&rows);
        let mut picks = HashSet::new();
        for rope in columns.iter().filter_map(|column| table.columns.get(*column)) {
            let rope = rope.get(&*self.objects).map_err(TableError::from)?;
            // From slot to slot: a chunk that is passed is not entered again.
            let mut at = 0;
            for range in &ranges {
                let start = range.start.max(at);
                if start >= range.end {
                    continue;
                }
                for item in rope.items(&*self.objects, start, range.end).map_err(TableError::from)? {
                    let (first, slice) = item.map_err(TableError::from)?;
                    at = first + Values::rows(&slice);
                    pick(&self.objects, &slice, &mut picks)?;
                }
            }
        }
        Ok(picks)
    }
}

fn unfit(error: ExpressionError) -> RepoError {
    match error {
        ExpressionError::Unfit { why, hint: Some(hint) } => RepoError::refused_with(why, hint),
        ExpressionError::Interrupted => RepoError::Interrupted,
        ExpressionError::Table(error) => error.into(),
        other => RepoError::refused(other.to_string()),
    }
}

fn pick(objects: &Objects, slice: &Slice, picks: &mut HashSet<ChunkId>) -> Result<(), RepoError> {
    match slice {
        Slice::Chunk { chunk, .. } => drop(picks.insert(chunk.id)),
        Slice::Literal(_) | Slice::Constant { .. } => {}
        Slice::Large(value) => {
            let bad = |e| RepoError::from(TableError::from(TreeError::from(e)));
            let reference = Reference::decode(&mut Reader::new("reference to a rope", &value.reference)).map_err(bad)?;
            let mut parts = |slice: &Slice| {
                if let Slice::Chunk { chunk, .. } = slice {
                    picks.insert(chunk.id);
                }
                Ok(())
            };
            Rope::<Values>::reach(objects, &reference, &mut |_| true, &mut parts).map_err(TableError::from)?;
        }
    }
    Ok(())
}

/// Slots, which ascend, as ranges.
fn ranges_of(slots: &[u64]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for slot in slots {
        match ranges.last_mut() {
            Some(last) if last.end == *slot => last.end += 1,
            _ => ranges.push(*slot..slot + 1),
        }
    }
    ranges
}

/// Collects what a part of a table reaches.
struct Finder<'a> {
    progress: &'a dyn Progress,
    table: &'a str,
    columns: &'a HashSet<String>,
    picks: Option<&'a HashSet<ChunkId>>,
    wanted: HashSet<ObjectId>,
}

impl Visitor for Finder<'_> {
    fn object(&mut self, kind: Kind, id: ObjectId, place: &Place) -> Result<bool, HistoryError> {
        if self.progress.interrupted() {
            return Err(HistoryError::Interrupted);
        }
        self.progress.advance(1);
        let is_wanted = match kind {
            Kind::Chunk | Kind::Node => place.column.as_ref().is_some_and(|column| self.columns.contains(column)),
            _ => place.table.as_deref() == Some(self.table),
        };
        if is_wanted && (kind != Kind::Chunk || self.picks.is_none_or(|picks| picks.contains(&id.into()))) {
            self.wanted.insert(id);
        }
        Ok(is_wanted)
    }
}
