//! Rows that cannot be loaded, and options that cannot be.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, UInt8Type};

use super::gallery::*;
use crate::loader::*;
use crate::query::Params;
use crate::repo::Repo;

/// Of 60 rows some have a picture that is cut off, none, or no score.
fn damaged(dir: &std::path::Path) -> Arc<Repo> {
    let rows = (0..60).map(|id| match id {
        7 => Row { picture: row(id).picture.map(|file| file[..40].to_vec()), ..row(id) },
        20 => Row { picture: None, ..row(id) },
        33 => Row { score: None, ..row(id) },
        _ => row(id),
    });
    made(dir, &rows.collect::<Vec<_>>())
}

fn all(repo: &Repo) -> Selection {
    Selection::of_table(repo, "main", "pictures", None).unwrap()
}

fn fault(selection: &Selection, options: Options) -> String {
    match Loader::new(selection.clone(), options) {
        Err(error) => error.to_string(),
        Ok(loader) => loader.filter_map(Result::err).map(|error| error.to_string()).next().expect("a fault"),
    }
}

#[test]
fn loading_stops_at_a_bad_row_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let repo = damaged(dir.path());
    let in_order = Options { seed: None, threads: 3, batch: 4, ..options() };
    let mut loader = Loader::new(all(&repo), in_order.clone()).unwrap();
    loader.next().unwrap().unwrap();
    let error = loader.next().unwrap().unwrap_err();
    let table = repo.table("pictures", Some("main")).unwrap();
    let id = table.row_ids(repo.objects(), 7..8).unwrap()[0];
    assert!(error.to_string().starts_with(&format!("column 'picture' of row {id}: ")), "{error}");
    assert!(loader.next().is_none(), "nothing comes after a fault");
    assert_eq!((loader.state().delivered, loader.state().epoch), (4, 0));
    let of = |sql: &str| Selection::of_query(&repo, "main", sql, &Params::new()).unwrap();
    assert!(fault(&of("SELECT picture FROM pictures WHERE id = 20"), in_order.clone()).ends_with("there is no picture: it is null"));
    assert!(fault(&of("SELECT score FROM pictures WHERE id > 30"), in_order.clone()).ends_with("it is null, for which a tensor has no place"));
    assert!(fault(&of("SELECT score * 2 AS twice, sum(id) OVER () AS s FROM pictures WHERE id > 30"), in_order.clone()).contains("column 'twice' of row "));
    assert!(
        fault(&of("SELECT tags FROM pictures WHERE id > 30"), Options { lists: Lists::Length(2), ..in_order })
            .contains("it has 3 numbers, where there is room for 2")
    );
}

#[test]
fn nulls_are_told_by_a_mask_where_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let repo = damaged(dir.path());
    let masked = |bad_rows, sql: &str| {
        let selection = Selection::of_query(&repo, "main", sql, &Params::new()).unwrap();
        Loader::new(selection, Options { nulls: Nulls::Mask, bad_rows, seed: None, epochs: 1, batch: 60, ..options() }).unwrap()
    };
    // A picture that is damaged is no null.
    let error = masked(BadRows::Stop, "SELECT * FROM pictures").next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("column 'picture' of row "), "{error}");
    for (bad_rows, sql) in
        [(BadRows::Stop, "SELECT * FROM pictures WHERE id <> 7"), (BadRows::Skip, "SELECT * FROM pictures WHERE id IN (7, 20, 33) OR id > 40")]
    {
        let batch = masked(bad_rows, sql).next().unwrap().unwrap();
        let ids = numbers(&batch, "id");
        for (name, id) in [("picture", 20), ("score", 33)] {
            let field = batch.field(name).unwrap();
            let mask: Vec<bool> = field.mask.as_ref().unwrap().iter().collect();
            assert_eq!(mask, ids.iter().map(|other| *other != id).collect::<Vec<_>>(), "{name}");
            let Data::Tensor { values, shape, .. } = &field.data else { panic!("{name}") };
            let width: usize = shape[1..].iter().product();
            let row = ids.iter().position(|other| *other == id).unwrap();
            let zeros = values.slice(row * width, width);
            assert!(zeros.as_primitive_opt::<UInt8Type>().is_none_or(|bytes| bytes.values().iter().all(|byte| *byte == 0)), "{name}");
        }
        assert!(batch.field("vector").unwrap().mask.is_none());
    }
}

#[test]
fn others_take_the_place_of_bad_rows_the_same_ones_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let repo = damaged(dir.path());
    let options = Options { bad_rows: BadRows::Skip, ..options() };
    let load = |options: Options| Loader::new(all(&repo), options).unwrap();
    let mut loader = load(Options { threads: 1, ..options.clone() });
    let mut alone = Vec::new();
    for batch in loader.by_ref() {
        alone.extend(samples_of(&batch.unwrap()));
    }
    assert_eq!((alone.len(), loader.report().skipped), (120, 6));
    assert!(alone.iter().all(|sample| [" 7;", " 20;", " 33;"].iter().all(|id| !sample.contains(&format!("id{id}")))));
    assert!(samples(vec![load(Options { threads: 8, ..options.clone() })]) == alone);
    let ranks = (0..3).map(|rank| load(Options { rank, world: 3, batch: 4, ..options.clone() })).collect();
    assert!(samples(ranks) == alone);
    // Rows say which they are: those that came.
    for batch in load(options.clone()) {
        let batch = batch.unwrap();
        assert_eq!(batch.rows.iter().map(|row| *row as i64).collect::<Vec<_>>(), numbers(&batch, "id"));
    }
    let none = Selection::of_query(&repo, "main", "SELECT * FROM pictures WHERE id IN (7, 20)", &Params::new()).unwrap();
    assert!(fault(&none, options).starts_with("65 rows in turn could not be loaded, the last because of column 'picture': "));
}

#[test]
fn zeros_take_the_place_of_bad_cells_and_a_mask_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let repo = damaged(dir.path());
    let options = Options { bad_rows: BadRows::Null, seed: None, batch: 60, epochs: 1, ..options() };
    let batch = Loader::new(all(&repo), options).unwrap().next().unwrap().unwrap();
    let masked = |name: &str| -> Vec<usize> {
        let mask = batch.field(name).unwrap().mask.as_ref();
        mask.map_or(vec![], |mask| (0..mask.len()).filter(|row| !mask.value(*row)).collect())
    };
    assert_eq!((masked("picture"), masked("score"), masked("id")), (vec![7, 20], vec![33], vec![]));
    let (pixels, scores) = match (&batch.field("picture").unwrap().data, &batch.field("score").unwrap().data) {
        (Data::Tensor { values: pixels, .. }, Data::Tensor { values: scores, .. }) => {
            (pixels.as_primitive::<UInt8Type>(), scores.as_primitive::<Float32Type>())
        }
        other => panic!("{other:?}"),
    };
    let blank: Vec<usize> = (0..60).filter(|row| pixels.values()[row * 48..(row + 1) * 48].iter().all(|pixel| *pixel == 0)).collect();
    // Row 0 is black but for its corner, which may be cut off.
    assert_eq!(blank.iter().filter(|row| **row > 0).copied().collect::<Vec<_>>(), [7, 20]);
    assert_eq!((scores.value(33), scores.null_count(), scores.value(34)), (0.0, 0, 17.0));
}

#[test]
fn what_cannot_be_loaded_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let repo = damaged(dir.path());
    let of = |sql: &str| Selection::of_query(&repo, "main", sql, &Params::new()).unwrap();
    assert_eq!(fault(&of("SELECT id FROM pictures WHERE id > 1000"), Options::default()), "there is nothing to load: no row is selected");
    assert!(
        fault(&of("SELECT id FROM pictures"), Options { batch: 100, last: LastBatch::Drop, ..Options::default() }).contains("60 rows make no full step of 100")
    );
    let no_tensor = fault(&of("SELECT id, ['a', caption] AS words FROM pictures"), Options::default());
    assert!(no_tensor.starts_with("column 'words' is list<text>, which cannot become a tensor: "), "{no_tensor}");
    let no_tensor = fault(&of("SELECT named_struct('x', id) AS box FROM pictures"), Options::default());
    assert!(no_tensor.contains("name the fields that are wanted"), "{no_tensor}");
    let ragged = fault(&of("SELECT picture FROM pictures WHERE id < 7"), Options { images: Some(Images::default()), ..Options::default() });
    assert!(ragged.contains("its pixels are [3, 5, 7], those of the pictures before it [3, 5, 6]: give a size"), "{ragged}");
    for (options, why) in [
        (Options { batch: 0, ..options() }, "a batch of 0 samples"),
        (Options { threads: 0, ..options() }, "0 threads"),
        (Options { nice: 20, ..options() }, "give 0 to 19"),
        (Options { rank: 2, world: 2, ..options() }, "rank 2 of 2"),
        (Options { lists: Lists::Length(0), ..options() }, "padded to 0"),
        (Options { images: Some(Images { size: Some((0, 4)), ..Images::default() }), ..options() }, "0 x 4 is no size"),
        (
            Options { images: Some(Images { normalize: Some(Normalize { mean: [0.0; 3], std: [0.0; 3] }), ..Images::default() }), ..options() },
            "standard deviation of 0",
        ),
        (Options { images: Some(Images { fit: Fit::Random { area: (0.0, 2.0), ratio: (1.0, 1.0) }, ..Images::default() }), ..options() }, "random part"),
    ] {
        let told = fault(&all(&repo), options);
        assert!(told.contains(why), "{told}");
    }
    let near = Selection::of_table(&repo, "main", "pictures", None).unwrap().only(&["captoin"]).unwrap_err().to_string();
    assert!(near.contains("captoin"), "{near}");
}

#[test]
fn a_panic_in_a_thread_is_told_in_the_place_of_its_batch() {
    use crate::loader::field::Kind;
    use crate::loader::make::{Counters, Maker, Task, Window};
    use crate::loader::pool::Pool;

    let dir = tempfile::tempdir().unwrap();
    let selection = all(&damaged(dir.path())).only(&["id"]).unwrap();
    let options = Options { batch: 4, ..Options::default() };
    let kinds = selection.columns().iter().map(|column| Kind::of(column, &options)).collect::<Result<Vec<_>, _>>().unwrap();
    let cells = selection.gather(&[0], &[0, 1, 2, 3]).unwrap();
    let maker = Maker { selection, options, kinds, direct: vec![], windowed: vec![0], floats: None, counters: Arc::new(Counters::default()) };
    let pool = Pool::new(1 << 20);
    // A window of four rows of which a batch asks for more: Arrow panics.
    let window = Arc::new(Window { rows: vec![0, 1, 2, 3], cells, _held: None });
    for (sequence, rows) in [(0, 0..4), (1, 2..9), (2, 1..2)] {
        assert!(pool.push(Task { sequence, epoch: 0, pieces: vec![(window.clone(), rows)], place: 0, delivered: 4, is_last: false }));
    }
    pool.end(3, None);
    pool.work(&maker);
    assert_eq!(pool.take().unwrap().unwrap().rows, [0, 1, 2, 3]);
    let told = pool.take().unwrap().unwrap_err().to_string();
    assert!(told.starts_with("a thread of the loader failed: "), "{told}");
    // The thread went on.
    assert_eq!(pool.take().unwrap().unwrap().rows, [1]);
    assert!(pool.take().is_none());
}
