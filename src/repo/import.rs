//! `dsv import`: files become a table, or rows of one.

use std::sync::Arc;

use crate::base::TableId;
use crate::base::progress::Unit;
use crate::chunk::Objects;
use crate::format::Type;
use crate::format::snapshot::Snapshot;
use crate::table::key::KeyIndex;
use crate::table::replace::{Changes, Rewriter, RowPrinter, match_rows};
use crate::table::schema::{unify, widens};
use crate::table::write::RowWriter;
use crate::table::{Schema, Table, TableError};

use super::files::video::{VideoOptions, VideoRows};
use super::files::{self, Batch, Batches, FileError, Input, ReadOptions, Skipped};
use super::keys::Keys;
use super::{Repo, RepoError};

/// What to do with rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// There is no such table; make it.
    #[default]
    Create,
    /// Add the rows at the end.
    Append,
    /// Update rows whose key is known, add the others.
    Upsert,
    /// Make the table equal to the file.
    Replace,
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What to do with rows that are there.
    pub mode: ImportMode,
    /// The columns that become the table's key; empty for the key that it has, if any. A new table of videos gets [`VideoOptions::key`] then.
    pub key: Vec<String>,
    /// How to read the files.
    pub read: ReadOptions,
    /// Of videos: the table that the videos themselves are kept in, a row each. Its rows are matched by `video_id`; with [`ImportMode::Replace`] those of other
    /// videos are removed.
    pub keep: Option<String>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// True if the table is new.
    pub created: bool,
    /// Rows and cells that changed.
    pub changes: Changes,
    /// Rows of the table now.
    pub rows: u64,
    /// Columns of the table now.
    pub columns: usize,
    /// What was left out or made null.
    pub skipped: Vec<Skipped>,
    /// What became of the table of videos, if they are kept.
    pub kept: Option<Box<Imported>>,
}

impl Repo {
    /// Imports files into a table of the working state, as one operation logged as `command`. Memory stays bounded, whatever the files' size; where it fails, nothing has
    /// changed.
    pub fn import(&self, name: &str, inputs: &[Input], options: &ImportOptions, command: &str) -> Result<Imported, RepoError> {
        let videos = self.videos(name, options)?;
        for name in std::iter::once(name).chain(options.keep.as_deref()) {
            crate::base::name::check_label("table", name)?;
        }
        let mut done = None;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            let mut snapshot = snapshot.clone();
            let (options, keep) = videos.as_ref().map_or((options, None), |(frames, keep)| (frames, keep.as_ref()));
            let mut imported = self.import_into(&mut snapshot, name, inputs, options)?;
            if let Some((name, options)) = keep {
                imported.kept = Some(Box::new(self.import_into(&mut snapshot, name, inputs, options)?));
            }
            done = Some(imported);
            Ok(snapshot)
        })?;
        done.ok_or(RepoError::Interrupted)
    }

    fn import_into(&self, snapshot: &mut Snapshot, name: &str, inputs: &[Input], options: &ImportOptions) -> Result<Imported, RepoError> {
        if snapshot.views.contains_key(name) {
            return Err(super::working::no_table(snapshot, name, None));
        }
        let existing = match (snapshot.tables.get(name), options.mode) {
            (Some(_), ImportMode::Create) => {
                return Err(RepoError::refused_with(
                    format!("table '{name}' exists already"),
                    "add rows with --append, update them with --key COLUMN, or make the table equal to the file with --replace",
                ));
            }
            (Some(id), _) => Some(Table::load(self.objects(), *id)?),
            (None, ImportMode::Append) => return Err(super::working::no_table(snapshot, name, None)),
            (None, _) => None,
        };
        let import = Import { repo: self, inputs, options, seed: table_seed(name, self.working()?.base) };
        let (table, imported) = match existing {
            None => import.create()?,
            Some(table) => import.change_existing(table)?,
        };
        snapshot.tables.insert(name.to_owned(), table.store(self.objects())?);
        Ok(imported)
    }

    /// A table made equal to files, or a new one of that id: what an import does to the table alone. Nothing is published.
    #[cfg(feature = "git")]
    pub(super) fn replaced(&self, table: Option<Table>, seed: TableId, inputs: &[Input], options: &ImportOptions) -> Result<(Table, Imported), RepoError> {
        let options = ImportOptions { mode: ImportMode::Replace, ..options.clone() };
        let import = Import { repo: self, inputs, options: &options, seed };
        match table {
            None => import.create(),
            Some(table) => import.change_existing(table),
        }
    }

    /// Of an import of videos: how the frames are read, and how the videos themselves, into the table of that name.
    fn videos(&self, table: &str, options: &ImportOptions) -> Result<Option<Videos>, RepoError> {
        let Some(mut video) = options.read.video.clone() else { return Ok(None) };
        if options.keep.as_deref() == Some(table) {
            return Err(RepoError::refused_with(format!("'{table}' is to hold the frames and the videos"), "keep the videos in another table: --keep=TABLE"));
        }
        if video.ffmpeg.is_none() {
            video.ffmpeg = self.environment.variable("DSV_FFMPEG").map(Into::into);
        }
        let with = |video: VideoOptions, options: ImportOptions| ImportOptions { read: ReadOptions { video: Some(video), ..options.read.clone() }, ..options };
        let frames = with(video.clone(), options.clone());
        let keep = options.keep.clone().map(|name| {
            let mode = if options.mode == ImportMode::Replace { ImportMode::Replace } else { ImportMode::Upsert };
            let videos = VideoOptions { rows: VideoRows::Videos, ..video };
            let key = videos.key();
            let read = ReadOptions { types: vec![], schema: None, ..options.read.clone() };
            (name, with(videos, ImportOptions { mode, key, read, keep: None }))
        });
        Ok(Some((frames, keep)))
    }
}

/// How frames are read, and how the videos that are kept, with the table's name.
type Videos = (ImportOptions, Option<(String, ImportOptions)>);

/// The id of a table that is made now: it follows from the name and the commit it is made on, so that the same table made twice from one commit is one table.
pub(super) fn table_seed(name: &str, base: Option<crate::base::CommitId>) -> TableId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"dsv table").update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    if let Some(base) = base {
        hasher.update(base.as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    TableId(id)
}

/// What the stage is called in which rows are stored.
const IMPORTING: &str = "importing";

struct Import<'a> {
    repo: &'a Repo,
    inputs: &'a [Input],
    options: &'a ImportOptions,
    seed: TableId,
}

impl Import<'_> {
    fn objects(&self) -> &Arc<Objects> {
        self.repo.objects()
    }

    fn open(&self, inputs: &[Input], hints: Vec<(String, Type)>, key: &[String], stage: &'static str) -> Result<Box<dyn Batches>, RepoError> {
        let mut read = ReadOptions { stage, ..self.options.read.clone() };
        // What is said counts before what the table has.
        read.hints.extend(hints);
        read.text_keys = key.to_vec();
        Ok(files::open(inputs, &read, self.repo.progress())?)
    }

    fn interrupted(&self) -> Result<(), RepoError> {
        if self.repo.progress().interrupted() { Err(RepoError::Interrupted) } else { Ok(()) }
    }

    fn create(&self) -> Result<(Table, Imported), RepoError> {
        let mut names = self.options.key.clone();
        if names.is_empty() {
            names = self.options.read.video.as_ref().map(VideoOptions::key).unwrap_or_default();
        }
        let mut batches = self.open(self.inputs, Vec::new(), &names, IMPORTING)?;
        let columns = batches.columns().to_vec();
        let mut schema = Schema::of(self.seed, &columns);
        let key = indices(&schema, &names)?;
        schema.key = key.iter().map(|i| schema.columns[*i].id).collect();
        let table = Table::create(self.objects(), self.seed, schema)?;
        let (table, added) = self.add(table, &mut *batches, &columns, None)?;
        let rows = table.rows(self.objects())?;
        let changes = Changes { added, ..Changes::default() };
        Ok((table, Imported { created: true, changes, rows, columns: columns.len(), skipped: batches.skipped().to_vec(), kept: None }))
    }

    /// Appends all rows. Keys are tested among the new rows, and against `known` where there are old ones.
    fn add(&self, table: Table, batches: &mut dyn Batches, columns: &[(String, Type)], known: Option<KeyIndex>) -> Result<(Table, u64), RepoError> {
        let mut keys = Keys::new(&table, columns, known)?;
        let mut writer = RowWriter::new(self.objects(), &table, columns)?;
        while let Some(batch) = batches.next()? {
            self.interrupted()?;
            keys.check_new(&batch.rows, writer.rows())?;
            check_labels(columns, &batch, writer.rows())?;
            writer.push(&batch.rows, &batch.large)?;
        }
        let new = writer.finish()?;
        let added = new.rows;
        let table = table.append(self.objects(), new)?;
        self.repo.progress().finish();
        Ok((table, added))
    }

    fn change_existing(&self, mut table: Table) -> Result<(Table, Imported), RepoError> {
        let objects = self.objects();
        if !self.options.key.is_empty() {
            let key = indices(&table.schema, &self.options.key)?;
            table.schema.key = key.iter().map(|i| table.schema.columns[*i].id).collect();
        }
        let key_names: Vec<String> = table.schema.key_indices().iter().map(|i| table.schema.columns[*i].name.clone()).collect();
        let known = |table: &Table| -> Result<Option<KeyIndex>, RepoError> {
            let table = Arc::new(table.clone());
            let columns = table.schema.key_indices();
            Ok(if columns.is_empty() { None } else { Some(KeyIndex::build(objects, &table, columns)?) })
        };
        if self.options.mode == ImportMode::Replace {
            return self.replace(table, &key_names);
        }
        let types: Vec<(String, Type)> = table.schema.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect();
        let mut batches = self.open(self.inputs, types, &key_names, IMPORTING)?;
        let columns = batches.columns().to_vec();
        for (name, ty) in &columns {
            let index = table.schema.index(name).map_err(|e| match e {
                TableError::NoColumn { name, near } => RepoError::refused_with(
                    format!("the file has a column '{name}' that the table has not"),
                    match near.first() {
                        Some(near) => format!("is it '{near}'? Otherwise add it first: dsv column add"),
                        None => "add it first with dsv column add, or take over the file's columns with --replace".into(),
                    },
                ),
                other => other.into(),
            })?;
            let have = &table.schema.columns[index].ty;
            if !widens(ty, have) {
                return Err(RepoError::refused_with(
                    format!("column '{name}' is {have} in the table, and {ty} in the file"),
                    format!("widen it first: dsv column retype TABLE {name} '{ty}'"),
                ));
            }
        }
        let (table, changes) = if self.options.mode == ImportMode::Append {
            let index = known(&table)?;
            let (table, added) = self.add(table, &mut *batches, &columns, index)?;
            (table, Changes { added, ..Changes::default() })
        } else {
            let index = known(&table)?.ok_or_else(|| RepoError::refused_with("the table has no key to match rows by", "name its columns with --key"))?;
            self.rewrite_by_key(table, &mut *batches, &columns, index, false)?
        };
        let rows = table.rows(objects)?;
        Ok((table.clone(), Imported { created: false, changes, rows, columns: table.columns.len(), skipped: batches.skipped().to_vec(), kept: None }))
    }

    fn rewrite_by_key(
        &self,
        table: Table,
        batches: &mut dyn Batches,
        columns: &[(String, Type)],
        index: KeyIndex,
        replace: bool,
    ) -> Result<(Table, Changes), RepoError> {
        let table = Arc::new(table);
        let mut keys = Keys::new(&table, columns, Some(index))?;
        let mut rewriter = Rewriter::new(self.objects(), &table, columns)?;
        let mut row = 0;
        while let Some(batch) = batches.next()? {
            self.interrupted()?;
            let slots = keys.match_slots(&batch.rows, row)?;
            check_labels(columns, &batch, row)?;
            rewriter.push(&batch.rows, &batch.large, &slots)?;
            row += batch.rows.num_rows() as u64;
        }
        let done = rewriter.finish(replace)?;
        self.repo.progress().finish();
        Ok(done)
    }

    /// Makes the table equal to the file: schema, rows and their order.
    fn replace(&self, table: Table, key: &[String]) -> Result<(Table, Imported), RepoError> {
        let spooled = Spooled::new(self.inputs, self.repo)?;
        let inputs = &spooled.inputs;
        let file_types = self.open(inputs, Vec::new(), key, IMPORTING)?.columns().to_vec();
        // First as the table's own types, which text files cannot tell; where a value does not fit those, wider ones.
        let mut own = Vec::new();
        let mut wider = Vec::new();
        for (name, file) in &file_types {
            let Ok(index) = table.schema.index(name) else { continue };
            let have = &table.schema.columns[index].ty;
            let both = unify(have, file);
            if both.as_ref() == Some(have) || *file == Type::TEXT || widens_by_text(have, file) {
                own.push((name.clone(), have.clone()));
            }
            wider.push((name.clone(), both.unwrap_or(Type::TEXT)));
        }
        match self.replace_as(table.clone(), inputs, own.clone(), key) {
            Err(RepoError::File(error)) if own != wider && error.is_value() => self.replace_as(table, inputs, wider, key),
            other => other,
        }
    }

    fn replace_as(&self, mut table: Table, inputs: &[Input], types: Vec<(String, Type)>, key: &[String]) -> Result<(Table, Imported), RepoError> {
        let objects = self.objects();
        let mut batches = self.open(inputs, types, key, if key.is_empty() { "comparing" } else { IMPORTING })?;
        let columns = batches.columns().to_vec();
        if let Some(name) = key.iter().find(|k| columns.iter().all(|(n, _)| n != *k)) {
            return Err(RepoError::refused(format!("the file has no column '{name}', which belongs to the table's key")));
        }
        let gone: Vec<String> = table.schema.columns.iter().filter(|c| columns.iter().all(|(n, _)| *n != c.name)).map(|c| c.name.clone()).collect();
        for name in gone {
            table = table.drop_column(&name)?;
        }
        let mut fresh = Vec::new();
        for (name, ty) in &columns {
            match table.schema.index(name) {
                Ok(index) if table.schema.columns[index].ty == *ty => {}
                Ok(index) if widens(&table.schema.columns[index].ty, ty) || *ty == Type::TEXT => table = table.retype_column(objects, name, ty.clone())?,
                Ok(_) if key.contains(name) => table = table.retype_column(objects, name, ty.clone())?,
                found => {
                    if found.is_ok() {
                        table = table.drop_column(name)?;
                    }
                    let null = arrow::array::new_null_array(&ty.storage(), 1);
                    table = table.add_column(objects, name, ty.clone(), crate::table::edit::Fill::Constant(null))?;
                    fresh.push(name.clone());
                }
            }
        }
        let order = columns.iter().map(|(name, _)| table.schema.index(name)).collect::<Result<Vec<_>, _>>()?;
        table = table.reorder_columns(&order)?;
        let (table, changes) = if key.is_empty() {
            let matches = self.match_by_content(&Arc::new(table.clone()), &mut *batches, &columns, &fresh)?;
            let skipped = self.open(inputs, columns.clone(), key, IMPORTING)?;
            batches = skipped;
            let mut rewriter = Rewriter::new(objects, &Arc::new(table), &columns)?;
            let mut rest = &matches[..];
            while let Some(batch) = batches.next()? {
                self.interrupted()?;
                let n = batch.rows.num_rows();
                let (now, later) = rest.split_at_checked(n).ok_or_else(|| RepoError::refused("the file changed while it was read"))?;
                check_labels(&columns, &batch, (matches.len() - rest.len()) as u64)?;
                rewriter.push(&batch.rows, &batch.large, now)?;
                rest = later;
            }
            let done = rewriter.finish(true)?;
            self.repo.progress().finish();
            done
        } else {
            let shared = Arc::new(table.clone());
            let index = KeyIndex::build(objects, &shared, shared.schema.key_indices())?;
            self.rewrite_by_key(table, &mut *batches, &columns, index, true)?
        };
        let rows = table.rows(objects)?;
        Ok((table, Imported { created: false, changes, rows, columns: columns.len(), skipped: batches.skipped().to_vec(), kept: None }))
    }

    /// For each row of the file the slot of the row it is, by content in order. Columns that the table did not have are left out of the comparison.
    fn match_by_content(
        &self,
        table: &Arc<Table>,
        batches: &mut dyn Batches,
        columns: &[(String, Type)],
        fresh: &[String],
    ) -> Result<Vec<Option<u64>>, RepoError> {
        let shared: Vec<usize> = (0..columns.len()).filter(|i| !fresh.contains(&columns[*i].0)).collect();
        let slots: Vec<u64> = table.live_slots(self.objects())?.collect();
        if shared.is_empty() {
            // Nothing to compare: rows are matched by their place.
            let mut matches = Vec::new();
            while let Some(batch) = batches.next()? {
                matches.extend((0..batch.rows.num_rows()).map(|i| slots.get(matches.len() + i).copied()).collect::<Vec<_>>());
            }
            return Ok(matches);
        }
        let types: Vec<Type> = shared.iter().map(|i| columns[*i].1.clone()).collect();
        let printer = RowPrinter::new(&types)?;
        let (mut old, mut new) = (Vec::with_capacity(slots.len()), Vec::new());
        self.repo.progress().start("reading the table", Some(slots.len() as u64), Unit::Rows);
        for batch in table.scan(self.objects()).columns(shared.clone()).open()? {
            self.interrupted()?;
            let batch = batch?;
            self.repo.progress().advance(batch.num_rows() as u64);
            old.extend(printer.print(batch.columns())?);
        }
        self.repo.progress().finish();
        while let Some(batch) = batches.next()? {
            self.interrupted()?;
            let cells: Vec<_> = shared.iter().map(|i| batch.rows.column(*i).clone()).collect();
            new.extend(printer.print(&cells)?);
        }
        self.repo.progress().finish();
        Ok(match_rows(&old, &new).into_iter().map(|m| m.and_then(|rank| slots.get(rank as usize).copied())).collect())
    }
}

/// Whether a text file's column of type `file` may have been written from one of type `have`.
fn widens_by_text(have: &Type, file: &Type) -> bool {
    use arrow::datatypes::DataType::{Date32, Decimal128, Decimal256, Float16, Float32, Timestamp};
    match (have, file) {
        (Type::Plain(Float16 | Float32 | Decimal128(..) | Decimal256(..)), Type::Plain(f)) => f.is_numeric(),
        (Type::Plain(h), Type::Plain(f)) if h.is_integer() => f.is_integer(),
        (Type::Plain(Timestamp(..)), Type::Plain(Timestamp(..) | Date32)) => true,
        (Type::Json | Type::Embedding { .. } | Type::Tensor { .. } | Type::List(_) | Type::Map(..), Type::Json | Type::List(_) | Type::Struct(_)) => true,
        _ => false,
    }
}

fn indices(schema: &Schema, names: &[String]) -> Result<Vec<usize>, TableError> {
    names.iter().map(|name| schema.index(name)).collect()
}

fn check_labels(columns: &[(String, Type)], batch: &Batch, before: u64) -> Result<(), TableError> {
    columns.iter().zip(batch.rows.columns()).try_for_each(|((name, ty), values)| crate::table::edit::check_labels(ty, values, name, before))
}

/// Inputs that can be read more than once: stdin goes into a file first.
struct Spooled {
    inputs: Vec<Input>,
    _held: Vec<files::TempFile>,
}

impl Spooled {
    fn new(inputs: &[Input], repo: &Repo) -> Result<Self, RepoError> {
        let (mut out, mut held) = (Vec::new(), Vec::new());
        for input in inputs {
            match input {
                Input::Path(_) | Input::Kept(_) => out.push(input.clone()),
                Input::Stdin => {
                    let file = files::spool_stdin(None, repo.progress())?;
                    out.push(Input::Path(file.path().to_owned()));
                    held.push(file);
                }
            }
        }
        Ok(Spooled { inputs: out, _held: held })
    }
}

impl FileError {
    /// True where a value does not fit its type: wider types may help.
    pub fn is_value(&self) -> bool {
        matches!(self, FileError::Value { .. })
    }
}
