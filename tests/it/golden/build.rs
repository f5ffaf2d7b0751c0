//! Builds the golden repository, and beside it what must be read from it: a naive twin of rows, on which every edit is made too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::*;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::*;
use dsv::base::{TableId, TableObjectId};
use dsv::chunk::{ChunkError, Objects};
use dsv::format::Type;
use dsv::repo::{CommitOptions, Environment, OpenOptions, Repo, RepoError, SwitchOptions};
use dsv::table::arrange::Piece;
use dsv::table::edit::Fill;
use dsv::table::write::{NewRows, RowWriter};
use dsv::table::{Schema, Table, TableError};
use serde_json::{Map, Value, json};

use super::{cells, types};

/// Rows of the table `long` at first: several chunks, each of several blocks.
pub const LONG: usize = 100_000;

/// The rows of a table, each an object of cells by column name.
pub type Rows = Vec<Map<String, Value>>;

/// The rows of each table, by revision and table.
pub type Expected = BTreeMap<(String, String), Rows>;

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Objects(#[from] ChunkError),
}

struct Golden {
    repo: Repo,
    /// The twin of the working state.
    now: BTreeMap<String, Rows>,
    expected: Expected,
}

/// Makes the repository in `dir`, and says what must be read from it: at each tag, and as `working:main`. The clock is fixed, nonces are not.
pub fn build(dir: &Path) -> (Repo, Expected) {
    let clock = AtomicI64::new(1_767_225_600_000);
    let variables = [("DSV_AUTHOR_NAME", "Ada Lovelace"), ("DSV_AUTHOR_EMAIL", "ada@example.org"), ("USER", "ada"), ("HOSTNAME", "engine")];
    let environment = Environment::fixed(move || clock.fetch_add(60_000, Ordering::Relaxed), &variables);
    let repo = Repo::init_with(dir, "main", &OpenOptions { environment, ..Default::default() }).unwrap();
    let mut golden = Golden { repo, now: BTreeMap::new(), expected: BTreeMap::new() };
    golden.types();
    golden.commit("types", "every type, as literals, as chunks and as constants");
    golden.wide();
    golden.long();
    golden.commit("long", "many rows");
    golden.codecs();
    golden.media();
    golden.commit("codecs", "every codec, large values");
    golden.edits();
    golden.commit("edits", "cells edited, rows deleted and inserted");
    // More than one leaf of the state holds.
    for i in 0..14 {
        let name = format!("experiments/{i:02}-{}", "a-long-name-".repeat(9));
        golden.repo.create_branch(&name, Some(["types", "long", "codecs"][i % 3]), false).unwrap();
    }
    golden.edit("few", |objects, table, rows| {
        rows.remove(2);
        table.delete(objects, &[2])
    });
    golden.keep("working:main");
    (golden.repo, golden.expected)
}

/// Makes a repository in `dir` whose tables are large enough for many chunks (`wide`) and for trees of three levels (`scattered`).
pub fn build_large(dir: &Path) -> Repo {
    let repo = Repo::init(dir, "main").unwrap();
    let mut large = Golden { repo, now: BTreeMap::new(), expected: BTreeMap::new() };
    let hash = |i: usize| *blake3::hash(&i.to_le_bytes()).as_bytes();
    let texts = columns(&[
        ("text", "text"),
        ("few", "binary"),
        ("vector", "embedding(96)"),
        ("money", "decimal(30,2)"),
        ("list", "list<int32>"),
        ("row", "struct<a: text, b: list<int16>>"),
        ("digest", "binary(100)"),
        ("wide", "binary(5000)"),
    ]);
    let n = 5000;
    let null = |i: usize| i.is_multiple_of(13);
    let text = |i: usize| hash(i).iter().cycle().take(i % 300).map(|b| char::from(b % 26 + 97)).collect::<String>();
    let items = |i: usize| (0..i as i32 % 50).map(|k| Some(k * i as i32)).collect::<Vec<_>>();
    let short = ListArray::from_iter_primitive::<Int16Type, _, _>((0..n).map(|i| Some((0..(i % 90) as i16).map(Some))));
    let row: Fields = vec![dsv::format::types::child("a", DataType::Utf8), dsv::format::types::child("b", short.data_type().clone())].into();
    let row = StructArray::try_new(
        row,
        vec![Arc::new(StringArray::from_iter_values((0..n).map(|i| text(i / 3)))), Arc::new(short)],
        Some((0..n).map(|i| !null(i)).collect::<Vec<_>>().into()),
    );
    let fixed = |width: usize| {
        let values = (0..n).map(|i| (!null(i)).then(|| hash(i).iter().cycle().take(width).copied().collect::<Vec<u8>>()));
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, width as i32).unwrap())
    };
    let vectors = (0..n).map(|i| (!null(i)).then(|| (0..96).map(move |k| Some((i * k) as f32 / 7.0))));
    let values: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter((0..n).map(|i| (!null(i)).then(|| text(i))))),
        Arc::new(BinaryArray::from_iter_values((0..n).map(|i| text(250 + i / 100 % 3)))),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 96)),
        Arc::new(Decimal128Array::from_iter((0..n as i128).map(|i| (i % 5 > 0).then_some(i.pow(5) - 10i128.pow(15)))).with_precision_and_scale(30, 2).unwrap()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..n).map(|i| (!null(i)).then(|| items(i))))),
        Arc::new(row.unwrap()),
        fixed(100),
        fixed(5000),
    ];
    large.create("wide", &texts, &[], &batch(&texts, values));
    let numbers = columns(&[("n", "uint64")]);
    let values = UInt64Array::from_iter_values((0..LONG as u64).map(|i| i * i));
    large.create("numbers", &numbers, &[], &batch(&numbers, vec![Arc::new(values.clone())]));
    large.create("scattered", &numbers, &[], &batch(&numbers, vec![Arc::new(values)]));
    large.edit("scattered", |objects, table, _| {
        let slots: Vec<u64> = (0..LONG as u64).filter(|i| hash(*i as usize)[0] < 50).collect();
        let values: ArrayRef = Arc::new(UInt64Array::from_iter(slots.iter().map(|i| (i % 7 > 0).then_some(i * 3))));
        table.set_cells(objects, 0, &slots, &values)?.delete(objects, &slots[1000..])
    });
    large.commit("large", "many chunks, high trees");
    large.repo
}

fn columns(list: &[(&str, &str)]) -> Vec<(String, Type)> {
    list.iter().map(|(name, ty)| ((*name).to_owned(), ty.parse().unwrap())).collect()
}

fn batch(columns: &[(String, Type)], values: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, ty)| Field::new(name, ty.storage(), true)).collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), values).unwrap()
}

fn new_rows(objects: &Arc<Objects>, table: &Table, columns: &[(String, Type)], batch: &RecordBatch) -> NewRows {
    let mut writer = RowWriter::new(objects, table, columns).unwrap();
    // In uneven parts, as a reader of files gives them.
    let mut at = 0;
    for step in [1, 7, 40_000].into_iter().cycle() {
        let n = step.min(batch.num_rows() - at);
        if n == 0 {
            break;
        }
        writer.push(&batch.slice(at, n), &[]).unwrap();
        at += n;
    }
    writer.finish().unwrap()
}

impl Golden {
    /// Changes the working state by what `change` makes of its tables.
    fn update(&self, command: &str, change: impl FnOnce(&Arc<Objects>, &mut BTreeMap<String, TableObjectId>) -> Result<(), Fault>) {
        let update = self.repo.update_working(command, |snapshot| {
            let mut snapshot = snapshot.clone();
            change(self.repo.objects(), &mut snapshot.tables)?;
            snapshot.views.insert("dogs".into(), "SELECT * FROM few WHERE int8 > 0".into());
            Ok::<_, Fault>(snapshot)
        });
        update.unwrap();
    }

    /// A new table with the rows of a batch.
    fn create(&mut self, name: &str, columns: &[(String, Type)], key: &[&str], batch: &RecordBatch) {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
        let mut schema = Schema::of(TableId(id), columns);
        schema.key = key.iter().map(|key| schema.columns[schema.index(key).unwrap()].id).collect();
        self.update(&format!("import {name}"), |objects, tables| {
            let table = Table::create(objects, TableId(id), schema)?;
            let table = table.append(objects, new_rows(objects, &table, columns, batch))?;
            tables.insert(name.to_owned(), table.store(objects)?);
            Ok(())
        });
        self.now.insert(name.to_owned(), cells::rows(batch));
    }

    /// Changes a table, and its twin.
    fn edit(&mut self, name: &str, change: impl FnOnce(&Arc<Objects>, Table, &mut Rows) -> Result<Table, TableError>) {
        let mut rows = self.now.remove(name).unwrap();
        self.update(&format!("edit {name}"), |objects, tables| {
            let table = change(objects, Table::load(objects, tables[name])?, &mut rows)?;
            tables.insert(name.to_owned(), table.store(objects)?);
            Ok(())
        });
        self.now.insert(name.to_owned(), rows);
    }

    fn keep(&mut self, revision: &str) {
        self.expected.extend(self.now.iter().map(|(table, rows)| ((revision.to_owned(), table.clone()), rows.clone())));
    }

    fn commit(&mut self, tag: &str, message: &str) {
        let source = BTreeMap::from([("generator".to_owned(), "tests/it/golden".to_owned()), ("b".to_owned(), String::new())]);
        self.repo.commit(&CommitOptions { message: Some(message.to_owned()), source, ..Default::default() }).unwrap();
        self.repo.create_tag(tag, None, (tag != "long").then_some("a tag\nwith a message"), false).unwrap();
        self.keep(tag);
    }

    /// All types: few rows (which stand in the leaves), more rows (which are chunks), and each cell over and over.
    fn types(&mut self) {
        let (columns, rows) = types::batch();
        self.create("few", &columns, &["int16", "text"], &rows);
        let order: UInt64Array = (0..40).map(|i| (i * 7 + i / 12) % types::ROWS as u64).collect();
        self.create("more", &columns, &[], &take_record_batch(&rows, &order).unwrap());
        let numbers = super::build::columns(&[("n", "int64")]);
        let constants = batch(&numbers, vec![Arc::new(Int64Array::from_iter_values(0..1000))]);
        self.create("constants", &numbers, &[], &constants);
        self.edit("constants", |objects, mut table, twin| {
            for (i, (name, ty)) in columns.iter().enumerate() {
                let value = rows.column(i).slice(i % types::ROWS, 1);
                twin.iter_mut().for_each(|row| drop(row.insert(name.clone(), cells::cell(&value, 0))));
                table = table.add_column(objects, name, ty.clone(), Fill::Constant(value))?;
            }
            Ok(table)
        });
        self.create("empty", &columns, &[], &rows.slice(0, 0));
    }

    /// A branch on which columns are added, dropped, renamed, put in another order, and widened.
    fn wide(&mut self) {
        let widenings = [
            ("int8", "int64"),
            ("int16", "float32"),
            ("int32", "float64"),
            ("uint8", "int16"),
            ("uint16", "uint64"),
            ("uint32", "float64"),
            ("float32", "float64"),
            ("decimal(10,2)", "decimal256(40,6)"),
            ("decimal(8,-3)", "decimal(20,1)"),
            ("list<uint8>", "list<float32>"),
            ("image", "binary"),
            ("json", "text"),
            ("enum", "text"),
            ("list<int32>", "list<int64>"),
        ];
        let main = self.now.clone();
        self.repo.switch("wide", &SwitchOptions { create: true, ..Default::default() }).unwrap();
        for table in ["few", "more", "constants"] {
            self.edit(table, |objects, mut table, twin| {
                for (name, wider) in widenings {
                    let index = table.schema.index(name)?;
                    table = table.retype_column(objects, name, wider.parse().unwrap())?;
                    let storage = table.schema.columns[index].ty.storage();
                    let (_, rows) = types::batch();
                    let narrow = rows.column_by_name(name).unwrap();
                    let wide = arrow::compute::cast(narrow, &storage).unwrap();
                    let cast: BTreeMap<String, Value> = (0..types::ROWS).map(|i| (cells::cell(narrow, i).to_string(), cells::cell(&wide, i))).collect();
                    twin.iter_mut().for_each(|row| row[name] = cast[&row[name].to_string()].clone());
                }
                // Written after widening, these cells have the wide type from the start.
                let index = table.schema.index("int8")?;
                let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1 << 40), None]));
                table = table.set_cells(objects, index, &[3, 4], &values)?;
                twin[3]["int8"] = json!(1u64 << 40);
                twin[4]["int8"] = Value::Null;
                table = table.rename_column("text", "words, \"renamed\"")?.drop_column("bool")?;
                for row in twin.iter_mut() {
                    *row = std::mem::take(row)
                        .into_iter()
                        .filter(|(name, _)| name != "bool")
                        .map(|(name, cell)| (if name == "text" { "words, \"renamed\"".into() } else { name }, cell))
                        .collect();
                }
                let marks: ArrayRef = Arc::new(StringArray::from_iter((0..twin.len()).map(|i| (i % 5 > 0).then(|| format!("mark {}", i % 4)))));
                twin.iter_mut().enumerate().for_each(|(i, row)| drop(row.insert("marks".into(), cells::cell(&marks, i))));
                let fill = Fill::Values(Box::new([Ok(marks.slice(0, 5)), Ok(marks.slice(5, twin.len() - 5))].into_iter()));
                table = table.add_column(objects, "marks", "enum".parse().unwrap(), fill)?;
                // The new column first.
                let last = table.columns.len() - 1;
                let order: Vec<usize> = std::iter::once(last).chain(0..last).collect();
                for row in twin.iter_mut() {
                    let mark = row.remove("marks").unwrap();
                    *row = std::iter::once(("marks".to_owned(), mark)).chain(std::mem::take(row)).collect();
                }
                table.reorder_columns(&order)
            });
        }
        self.commit("wide", "columns added, dropped, renamed, widened");
        self.now = main;
        self.repo.switch("main", &SwitchOptions::default()).unwrap();
    }

    fn long(&mut self) {
        let columns = columns(&[("n", "int32")]);
        let values = Int32Array::from_iter_values((0..LONG as i32).map(|i| i * 5 - 1000));
        self.create("long", &columns, &["n"], &batch(&columns, vec![Arc::new(values)]));
    }

    /// A table whose columns each suit another codec.
    fn codecs(&mut self) {
        let columns = columns(&[
            ("noise", "uint16"),
            ("flags", "bool"),
            ("steps", "int64"),
            ("days", "date"),
            ("half", "float16"),
            ("wave", "float32"),
            ("wide", "float64"),
            ("money", "decimal(20,3)"),
            ("words", "text"),
            ("many", "text"),
            ("paths", "binary"),
            ("points", "embedding(4)"),
        ]);
        let n = 2500;
        let noise: Vec<u64> = (0..n as u64).map(|i| u64::from_le_bytes(blake3::hash(&i.to_le_bytes()).as_bytes()[..8].try_into().unwrap())).collect();
        let points = (0..n).map(|i| Some([i % 9, 0, i % 2, 3].map(|x| Some(x as f32 / 2.0))));
        let values: Vec<ArrayRef> = vec![
            Arc::new(UInt16Array::from_iter_values(noise.iter().map(|x| *x as u16))),
            Arc::new(BooleanArray::from_iter((0..n).map(|i| (i % 100 > 3).then_some(i % 16 > 3)))),
            Arc::new(Int64Array::from_iter((0..n as i64).map(|i| (i % 64 != 9).then_some(1_700_000_000_000 + i * 1000 + i % 3)))),
            Arc::new(Date32Array::from_iter_values((0..n as i32).map(|i| 19_000 + i / 3))),
            Arc::new(Float16Array::from_iter_values((0..n).map(|i| half::f16::from_f32((i % 300) as f32 / 8.0)))),
            Arc::new(Float32Array::from_iter_values((0..n).map(|i| (i as f32) * 0.25))),
            Arc::new(Float64Array::from_iter_values((0..n).map(|i| 1.0 + (i as f64) / 1024.0))),
            Arc::new(Decimal128Array::from_iter_values((0..n as i128).map(|i| i * 1_000_003)).with_precision_and_scale(20, 3).unwrap()),
            Arc::new(StringArray::from_iter((0..n).map(|i| (i % 11 > 0).then_some(["cat", "dog", "", "ein Pferd", "🐢"][(noise[i] % 5) as usize])))),
            Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("a label of its own, number {}", noise[i] % 500)))),
            Arc::new(BinaryArray::from_iter_values((0..n).map(|i| format!("images/{:06}.{}", i, if i % 7 == 0 { "jpeg" } else { "png" })))),
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(points, 4)),
        ];
        self.create("codecs", &columns, &[], &batch(&columns, values));
    }

    /// Values of more than 4 MiB, beside small ones and nulls.
    fn media(&mut self) {
        let columns = columns(&[("clip", "video"), ("note", "text")]);
        let clip: Vec<u8> = (0..5 << 20).map(|i: u32| (i / 1000 % 256) as u8).collect();
        let note = "eine lange Notiz — ".repeat(230_000);
        let values: Vec<ArrayRef> = vec![
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b"small"), Some(&clip), None, Some(b""), Some(&clip)])),
            Arc::new(StringArray::from(vec![Some(note.as_str()), None, Some("short"), Some(""), Some(&note)])),
        ];
        self.create("media", &columns, &[], &batch(&columns, values));
    }

    fn edits(&mut self) {
        self.edit("long", |objects, table, rows| {
            // Scattered cells, then a stretch of them.
            let slots: Vec<u64> = (0..600).map(|i| i * 149 + 17).chain(90_000..91_500).collect();
            let values: ArrayRef = Arc::new(Int32Array::from_iter(slots.iter().map(|s| (s % 4 > 0).then_some(-(*s as i32)))));
            for (i, slot) in slots.iter().enumerate() {
                rows[*slot as usize]["n"] = cells::cell(&values, i);
            }
            let table = table.set_cells(objects, 0, &slots, &values)?;
            // New rows between the old ones.
            let columns = columns(&[("n", "int32")]);
            let new = batch(&columns, vec![Arc::new(Int32Array::from(vec![Some(-7), None, Some(i32::MIN)]))]);
            let pieces = [Piece::Old(0..70_000), Piece::New(0..2), Piece::Old(70_000..LONG as u64), Piece::New(2..3)];
            let table = table.arrange(objects, &pieces, new_rows(objects, &table, &columns, &new))?;
            let new = cells::rows(&new);
            rows.splice(70_000..70_000, new[..2].iter().cloned());
            rows.push(new[2].clone());
            // Every other row of a stretch (a bitmap), then a few runs.
            let deleted: Vec<u64> = (20_000..50_000).filter(|i| i % 2 == 0 || i % 101 == 0).chain(80_000..80_777).chain([LONG as u64 + 2]).collect();
            let mut at = 0;
            rows.retain(|_| {
                at += 1;
                deleted.binary_search(&(at - 1)).is_err()
            });
            table.delete(objects, &deleted)
        });
        self.edit("more", |objects, table, rows| {
            // A cell of each column takes another row's value; the rows 5 to 8 go.
            let (_, values) = types::batch();
            let mut table = table.delete(objects, &[5, 6, 7, 8])?;
            rows.drain(5..9);
            for i in 0..table.columns.len() {
                let slots = [2, 10 + i as u64 % 30];
                let cell = concat_batches(&values.schema(), [&values.slice(i % types::ROWS, 1), &values.slice((i + 5) % types::ROWS, 1)]).unwrap();
                let name = table.schema.columns[i].name.clone();
                for (k, slot) in slots.iter().enumerate() {
                    let row = if *slot > 8 { slot - 4 } else { *slot };
                    rows[row as usize][&name] = cells::cell(cell.column(i), k);
                }
                table = table.set_cells(objects, i, &slots, cell.column(i))?;
            }
            Ok(table)
        });
        self.update("drop empty", |_, tables| {
            tables.remove("empty");
            Ok(())
        });
        self.now.remove("empty");
    }
}
