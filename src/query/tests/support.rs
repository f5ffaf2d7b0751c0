//! Tables, and repositories in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Float32Type;
use proptest::prelude::*;

use crate::base::name::nearest;
use crate::base::{CommitId, TableId, TableObjectId};
use crate::chunk::{ChunkLimits, Limits, Objects};
use crate::format::Type;
use crate::format::snapshot::Snapshot;
use crate::query::*;
use crate::store::MemoryStore;
use crate::table::write::RowWriter;
use crate::table::{Schema, Table};

/// Objects in memory, with chunks and blocks so small that tables of a few hundred rows have many.
pub fn small() -> Arc<Objects> {
    let chunk =
        ChunkLimits { block_bytes: 64, block_rows_max: 64, bytes_min: 128, bytes_mean: 256, bytes_max: 1024, rows_min: 16, rows_mean: 32, rows_max: 128 };
    Arc::new(Objects::new(Arc::new(MemoryStore::new()), Limits { chunk, ..Limits::default() }))
}

/// Objects in memory, with the format's own sizes.
pub fn full() -> Arc<Objects> {
    Arc::new(Objects::new(Arc::new(MemoryStore::new()), Limits::default()))
}

/// A row of the tables that tests make.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub id: i64,
    pub n: Option<i32>,
    pub f: Option<f64>,
    pub ok: Option<bool>,
    pub at: Option<i64>,
    pub s: Option<String>,
    pub label: Option<String>,
    pub blob: Option<Vec<u8>>,
    pub vector: Option<[f32; 2]>,
}

/// The columns' names and types.
pub fn columns() -> Vec<(String, Type)> {
    let columns = [
        ("id", Type::INT64),
        ("n", Type::Plain(arrow::datatypes::DataType::Int32)),
        ("f", Type::FLOAT64),
        ("ok", Type::BOOL),
        ("at", "timestamp(us,UTC)".parse().unwrap()),
        ("s", Type::TEXT),
        ("label", Type::Enum(vec!["cat".into(), "dog".into()])),
        ("blob", Type::Image),
        ("vector", Type::Embedding { dim: 2, half: false }),
    ];
    columns.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect()
}

/// The rows as a batch with the columns' own fields.
pub fn batch(rows: &[Row]) -> RecordBatch {
    let vectors = rows.iter().map(|r| r.vector.map(|v| v.map(Some)));
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.id))),
        Arc::new(Int32Array::from_iter(rows.iter().map(|r| r.n))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.f))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|r| r.ok))),
        Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(|r| r.at)).with_timezone("UTC")),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.s.clone()))),
        Arc::new(StringArray::from_iter(rows.iter().map(|r| r.label.clone()))),
        Arc::new(BinaryArray::from_iter(rows.iter().map(|r| r.blob.clone()))),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2)),
    ];
    let schema = Schema::of(TableId([0; 16]), &columns());
    RecordBatch::try_new(schema.arrow(&(0..arrays.len()).collect::<Vec<_>>()), arrays).unwrap()
}

pub fn row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![
        4 => (-4i32..4).prop_map(|x| f64::from(x) / 2.0),
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0]),
    ];
    let text = prop_oneof![3 => "[a-c]{0,3}", 1 => "k{31,33}[a-bé]{0,2}"];
    let often = prop::option::weighted::<BoxedStrategy<_>>;
    (
        prop::option::weighted(0.9, -20i32..20),
        prop::option::weighted(0.9, float),
        prop::option::weighted(0.8, any::<bool>()),
        often(0.9, (0i64..50).prop_map(|x| x * 1_000_000).boxed()),
        prop::option::weighted(0.9, text),
        prop::option::weighted(0.9, prop::sample::select(vec!["cat".to_owned(), "dog".to_owned()])),
        prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..200)),
        prop::option::weighted(0.8, [-2f32..2.0, -2f32..2.0]),
    )
        .prop_map(|(n, f, ok, at, s, label, blob, vector)| Row { id: 0, n, f, ok, at, s, label, blob, vector })
}

/// A table and the rows it holds.
#[derive(Debug)]
pub struct Twin {
    pub objects: Arc<Objects>,
    pub table: Arc<Table>,
    pub rows: Vec<Row>,
}

/// How a table comes to be: rows appended in writes, then some deleted, then some cells set.
#[derive(Debug, Clone)]
pub struct Making {
    pub writes: Vec<Vec<Row>>,
    pub deleted: Vec<prop::sample::Index>,
    pub edited: Vec<(prop::sample::Index, Row)>,
}

pub fn making() -> impl Strategy<Value = Making> {
    let index = any::<prop::sample::Index>;
    // Runs of values that differ little, so that statistics have something to rule out.
    let run = (-20i32..20, prop::collection::vec(row(), 0..120)).prop_map(|(base, rows)| {
        rows.into_iter()
            .map(|row| Row { n: row.n.map(|n| base + n % 3), at: row.at.map(|at| at / 10 + i64::from(base) * 10_000_000), ..row })
            .collect::<Vec<_>>()
    });
    (prop::collection::vec(run, 0..5), prop::collection::vec(index(), 0..40), prop::collection::vec((index(), row()), 0..12))
        .prop_map(|(writes, deleted, edited)| Making { writes, deleted, edited })
}

impl Making {
    pub fn make(&self, objects: &Arc<Objects>) -> Twin {
        let id = TableId([7; 16]);
        let mut table = Table::create(objects, id, Schema::of(id, &columns())).unwrap();
        let mut rows: Vec<Row> = Vec::new();
        for write in &self.writes {
            let write: Vec<Row> = write.iter().zip(rows.len() as i64..).map(|(row, id)| Row { id, ..row.clone() }).collect();
            if write.is_empty() {
                continue;
            }
            let mut writer = RowWriter::new(objects, &table, &columns()).unwrap();
            for part in write.chunks(50) {
                writer.push(&batch(part), &[]).unwrap();
            }
            table = table.append(objects, writer.finish().unwrap()).unwrap();
            rows.extend(write);
        }
        if !rows.is_empty() {
            let slots: BTreeMap<u64, &Row> = self.edited.iter().map(|(i, row)| (i.index(rows.len()) as u64, row)).collect();
            let new: Vec<Row> = slots.iter().map(|(slot, row)| Row { id: *slot as i64, ..(*row).clone() }).collect();
            let places: Vec<u64> = slots.into_keys().collect();
            let cells = batch(&new);
            for column in 0..cells.num_columns() {
                table = table.set_cells(objects, column, &places, cells.column(column)).unwrap();
            }
            for row in new {
                let place = row.id as usize;
                rows[place] = row;
            }
            let dead: std::collections::BTreeSet<u64> = self.deleted.iter().map(|i| i.index(rows.len()) as u64).collect();
            let places: Vec<u64> = dead.iter().copied().collect();
            table = table.delete(objects, &places).unwrap();
            rows.retain(|row| !dead.contains(&(row.id as u64)));
        }
        Twin { objects: objects.clone(), table: Arc::new(table), rows }
    }
}

/// Tables by revision, `None` being the working state.
pub struct Memory {
    pub objects: Arc<Objects>,
    pub revisions: BTreeMap<Option<String>, Vec<(String, TableObjectId)>>,
}

impl Memory {
    /// One table, called `t`, in the working state.
    pub fn of(twin: &Twin) -> Memory {
        let id = twin.table.store(&twin.objects).unwrap();
        Memory { objects: twin.objects.clone(), revisions: BTreeMap::from([(None, vec![("t".to_owned(), id)])]) }
    }

    pub fn with(mut self, revision: &str, table: &str, twin: &Twin) -> Memory {
        let id = twin.table.store(&twin.objects).unwrap();
        self.revisions.entry(Some(revision.to_owned())).or_default().push((table.to_owned(), id));
        self
    }

    pub fn session(self) -> Session {
        self.session_with(Options { threads: 3, ..Options::default() })
    }

    pub fn session_with(self, options: Options) -> Session {
        Session::new(Arc::new(self), options).unwrap()
    }
}

impl Revisions for Memory {
    fn snapshot(&self, revision: Option<&str>) -> Result<Snapshot, QueryError> {
        match self.revisions.get(&revision.map(str::to_owned)) {
            Some(tables) => Ok(Snapshot { tables: tables.iter().cloned().collect(), ..Snapshot::default() }),
            None => {
                let name = revision.unwrap_or_default().to_owned();
                let near = nearest(&name, self.revisions.keys().flatten().map(String::as_str)).into_iter().map(str::to_owned).collect();
                Err(QueryError::NoRevision { name, near })
            }
        }
    }

    fn objects(&self) -> Arc<Objects> {
        self.objects.clone()
    }

    fn commits(&self) -> Result<Vec<CommitRow>, QueryError> {
        let row = |id: &str, parents: &[&str]| CommitRow {
            id: id.into(),
            parents: parents.iter().map(|p| p.to_string()).collect(),
            author: "Ada".into(),
            email: "ada@example.org".into(),
            authored_millis: 1_767_225_600_000,
            committed_millis: 1_767_225_601_000,
            message: "a commit".into(),
        };
        Ok(vec![row("c2", &["c1"]), row("c1", &[])])
    }

    fn refs(&self) -> Result<Vec<RefRow>, QueryError> {
        let row = |kind, name: &str, current| RefRow { kind, name: name.into(), commit: Some("c2".into()), current, message: None };
        Ok(vec![row(RefKind::Branch, "main", true), row(RefKind::Branch, "try", false), row(RefKind::Tag, "v1.0", false)])
    }

    fn blame(&self, _: &str, _: Option<&str>, columns: &[usize], slots: &[u64]) -> Result<Vec<Vec<Option<CommitId>>>, QueryError> {
        Ok(vec![vec![None; slots.len()]; columns.len()])
    }

    fn conflicts(&self) -> Result<Vec<ConflictRow>, QueryError> {
        Ok(Vec::new())
    }
}

/// All batches of an answer as one.
pub fn whole(answer: Answer) -> RecordBatch {
    let schema = answer.schema();
    let batches: Vec<RecordBatch> = answer.collect::<Result<_, _>>().unwrap();
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
    }
    concat_batches(&schema, &batches).unwrap()
}

/// The answer to a query, all in one.
pub fn ask(session: &Session, sql: &str) -> RecordBatch {
    whole(session.query(sql, &Params::new(), None).unwrap_or_else(|e| panic!("{sql}: {e}")))
}

/// Why a query is refused.
pub fn refusal(session: &Session, sql: &str) -> QueryError {
    match session.query(sql, &Params::new(), None) {
        Ok(mut answer) => answer.try_for_each(|batch| batch.map(drop)).expect_err(sql),
        Err(error) => error,
    }
}

/// A batch drawn as text, for short answers.
pub fn drawn(batch: &RecordBatch) -> String {
    let mut lines = vec![batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>().join("|")];
    for row in 0..batch.num_rows() {
        let cells = batch.columns().iter().map(|c| arrow::util::display::array_value_to_string(c, row).unwrap());
        lines.push(cells.collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}
