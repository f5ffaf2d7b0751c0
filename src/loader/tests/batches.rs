//! Whole loaders over real tables.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Int32Type, UInt8Type};

use super::gallery::*;
use crate::loader::*;
use crate::query::Params;
use crate::repo::Repo;

const ROWS: u64 = 311;

fn table(dir: &std::path::Path) -> Arc<Repo> {
    made(dir, &(0..ROWS).map(row).collect::<Vec<_>>())
}

fn all(repo: &Repo) -> Selection {
    Selection::of_table(repo, "main", "pictures", None).unwrap()
}

fn load(selection: &Selection, options: Options) -> Loader {
    Loader::new(selection.clone(), options).unwrap()
}

#[test]
fn samples_are_the_same_on_any_threads_and_ranks() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let selection = all(&repo);
    let alone = samples(vec![load(&selection, Options { threads: 1, ..options() })]);
    assert_eq!(alone.len() as u64, 2 * ROWS);
    for epoch in alone.chunks(ROWS as usize) {
        let ids: std::collections::BTreeSet<&str> = epoch.iter().map(|sample| sample.split("; ").next().unwrap()).collect();
        assert_eq!(ids.len() as u64, ROWS, "each row once an epoch");
    }
    assert_ne!(alone[0].split_once(' ').unwrap().1, alone[ROWS as usize].split_once(' ').unwrap().1, "epochs differ");
    for threads in [2, 8] {
        assert!(samples(vec![load(&selection, Options { threads, ..options() })]) == alone, "{threads} threads");
    }
    for world in [2, 3] {
        let ranks = (0..world).map(|rank| load(&selection, Options { rank, world, batch: 12 / world, threads: 1, ..options() })).collect();
        assert!(samples(ranks) == alone, "{world} ranks");
    }
    assert!(samples(vec![load(&selection, Options { seed: Some(6), ..options() })]) != alone);

    // After a compaction, and after a column that is not loaded was added.
    repo.compact(&[], true, "compact").unwrap();
    super::run(&repo, "ALTER TABLE pictures ADD COLUMN more DOUBLE");
    super::run(&repo, "UPDATE pictures SET more = id");
    commit(&repo);
    let names: Vec<String> = columns().into_iter().map(|(name, _)| name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let later = Selection::of_table(&repo, "main", "pictures", Some(&names)).unwrap();
    assert_ne!(later.commit(), selection.commit());
    assert!(samples(vec![load(&later, options())]) == alone);
}

#[test]
fn loading_goes_on_at_any_sample() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    // A filter, so that rows are not those of the table.
    let selection = Selection::of_query(&repo, "main", "SELECT * FROM pictures WHERE id % 5 <> 0", &Params::new()).unwrap();
    let whole = samples(vec![load(&selection, options())]);
    let batches = load(&selection, options()).count();
    for taken in [0, 1, 7, batches / 2, batches / 2 + 1, batches - 1, batches] {
        let mut first = load(&selection, options());
        let before: Vec<String> = first.by_ref().take(taken).flat_map(|batch| samples_of(&batch.unwrap())).collect();
        let state = State::from_json(&first.state().to_json()).unwrap();
        drop(first);
        for (batch, world) in [(12, 1), (5, 1), (1, 1), (2, 3)] {
            let rank = |rank| load(&selection, Options { batch, rank, world, resume: Some(state.clone()), ..options() });
            let after = samples((0..world).map(rank).collect());
            assert!([before.clone(), after].concat() == whole, "after {taken} batches, by {world} ranks in batches of {batch}");
        }
    }
    let state = load(&selection, options()).state();
    let refused =
        |selection: &Selection, options: Options| Loader::new(selection.clone(), Options { resume: Some(state.clone()), ..options }).err().unwrap().to_string();
    assert!(refused(&selection, Options { seed: Some(6), ..options() }).contains("another seed"));
    assert!(refused(&all(&repo), options()).contains("another selection"));
    super::run(&repo, "DELETE FROM pictures WHERE id = 0");
    commit(&repo);
    assert!(refused(&all(&repo), options()).contains("another commit"));
}

#[test]
fn fields_are_what_the_table_has() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let images = Images { size: Some((5, 6)), fit: Fit::Centre, layout: Layout::Hwc, ..Images::default() };
    let options = Options { batch: 4, images: Some(images), threads: 1, ..Options::default() };
    let mut loader = load(&all(&repo), options.clone());
    assert_eq!((loader.batches_an_epoch(), loader.labels("label").unwrap().len(), loader.labels("caption")), (78, 2, None));
    let batch = loader.next().unwrap().unwrap();
    assert_eq!((batch.epoch, batch.valid, batch.rows.as_slice(), batch.is_last), (0, 4, &[0, 1, 2, 3][..], false));
    assert_eq!((numbers(&batch, "id"), numbers(&batch, "label")), (vec![0, 1, 2, 3], vec![0, 1, 0, 1]));
    match &batch.field("picture").unwrap().data {
        Data::Tensor { values, shape, .. } => {
            assert_eq!(shape, &[4, 5, 6, 3]);
            let pixels = values.as_primitive::<UInt8Type>().values();
            // Row 0 is 6 wide and as it is; row 1 lost half a column on either side.
            assert_eq!((&pixels[..3], &pixels[3..6], &pixels[89..90]), (&[1, 2, 3][..], &[0, 0, 0][..], &[0][..]));
            assert_eq!(&pixels[90 + 45..90 + 48], &[1, 0, 7]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(&batch.field("caption").unwrap().data, Data::Text(texts) if texts.value(3) == "picture 3"));
    match &batch.field("tags").unwrap().data {
        Data::Lists { values, offsets } => {
            assert_eq!((values.as_primitive::<Int32Type>().values().as_ref(), offsets.as_slice()), (&[10, 10, 11, 10, 11, 12][..], &[0, 0, 1, 3, 6][..]))
        }
        other => panic!("{other:?}"),
    }
    match &batch.field("vector").unwrap().data {
        Data::Tensor { values, shape, .. } => assert_eq!((values.as_primitive::<Float32Type>().value(3), shape.as_slice()), (1.0, &[4, 3][..])),
        other => panic!("{other:?}"),
    }

    for (lists, length) in [(Lists::Longest, 3), (Lists::Length(5), 5)] {
        let batch = load(&all(&repo), Options { lists, ..options.clone() }).next().unwrap().unwrap();
        match &batch.field("tags").unwrap().data {
            Data::Tensor { values, shape, lengths } => {
                assert_eq!((shape.as_slice(), lengths.as_deref().unwrap()), (&[4, length][..], &[0, 1, 2, 3][..]));
                assert_eq!(&values.as_primitive::<Int32Type>().values()[2 * length..2 * length + 3], &[10, 11, 0]);
            }
            other => panic!("{other:?}"),
        }
    }
    let normalize = Some(Normalize { mean: [0.5; 3], std: [0.5; 3] });
    let floats =
        load(&all(&repo), Options { images: options.images.clone().map(|images| Images { normalize, ..images }), ..options.clone() }).next().unwrap().unwrap();
    match &floats.field("picture").unwrap().data {
        Data::Tensor { values, shape, .. } => {
            assert_eq!((shape.as_slice(), values.len()), (&[4, 5, 6, 3][..], 360));
            assert!((values.as_primitive::<Float32Type>().value(3) + 1.0).abs() < 1e-6);
        }
        other => panic!("{other:?}"),
    }
    // Without images the files come as they are.
    let files = load(&all(&repo), Options { images: None, ..options }).next().unwrap().unwrap();
    assert!(matches!(&files.field("picture").unwrap().data, Data::Bytes(files) if files.value(1) == picture(1, (7, 5))));
}

#[test]
fn a_last_batch_is_short_padded_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let of = |last, world| -> Vec<Vec<usize>> {
        let rank =
            |rank| load(&all(&repo), Options { last, batch: 100 / world, rank, world, epochs: 1, ..options() }).map(|batch| batch.unwrap().valid).collect();
        (0..world).map(rank).collect()
    };
    assert_eq!(of(LastBatch::Short, 1), [[100, 100, 100, 11]]);
    assert_eq!(of(LastBatch::Short, 2), [[50, 50, 50, 5], [50, 50, 50, 6]]);
    assert_eq!(of(LastBatch::Drop, 1), [[100, 100, 100]]);
    let last = load(&all(&repo), Options { last: LastBatch::Pad, batch: 100, epochs: 1, ..options() }).last().unwrap().unwrap();
    assert_eq!((last.valid, last.is_last), (11, true));
    for field in &last.fields {
        match &field.data {
            Data::Tensor { values, shape, .. } => {
                let n: usize = shape[1..].iter().product();
                assert_eq!((shape[0], values.len(), values.null_count()), (100, 100 * n, 0), "{}", field.name);
                let behind = arrow::compute::cast(&values.slice(11 * n, 89 * n), &arrow::datatypes::DataType::Float32).unwrap();
                assert!(behind.as_primitive::<Float32Type>().values().iter().all(|value| *value == 0.0), "{}", field.name);
            }
            Data::Text(texts) => assert_eq!(texts.len(), 100),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn epochs_come_one_by_one_and_their_ends_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut loader = load(&all(&table(dir.path())), options());
    let mut epochs = Vec::new();
    while let Some(epoch) = loader.epoch() {
        epochs.push(epoch.map(|batch| batch.unwrap().epoch).collect::<Vec<_>>());
    }
    assert_eq!(epochs, [vec![0; 26], vec![1; 26]]);
    let report = loader.report();
    assert_eq!((report.samples, report.batches, report.skipped), (2 * ROWS, 52, 0));
    assert!(report.read_bytes > 0 && report.elapsed >= report.waited && report.ceiling() > 0.0);
    assert_eq!((loader.state().epoch, loader.state().delivered), (2, 0));
}

#[test]
fn a_loader_keeps_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    super::run(&repo, "CREATE VIEW odd AS SELECT picture, id * 10 AS tenfold FROM pictures WHERE id % 2 = 1");
    commit(&repo);
    let view = Selection::of_relation(&repo, "main", "odd", None).unwrap();
    let expected = samples(vec![load(&view, options())]);
    assert_eq!(expected.len() as u64, 2 * (ROWS / 2));
    let mut loader = load(&view, options());
    let first = samples_of(&loader.next().unwrap().unwrap());
    super::run(&repo, "DELETE FROM pictures");
    super::run(&repo, "DROP VIEW odd");
    commit(&repo);
    assert_eq!([first, samples(vec![loader])].concat(), expected);
}

#[test]
fn queries_of_any_kind_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let ids = |sql: &str| -> Vec<i64> {
        let selection = Selection::of_query(&repo, "main", sql, &Params::new()).unwrap();
        load(&selection, Options { batch: 7, ..Options::default() }).flat_map(|batch| numbers(&batch.unwrap(), "n")).collect()
    };
    assert_eq!(ids("SELECT id AS n FROM pictures WHERE id < 20 ORDER BY id DESC"), (0..20).rev().collect::<Vec<_>>());
    assert_eq!(ids("SELECT id + 1 AS n FROM pictures WHERE id >= 300"), (301..=311).collect::<Vec<_>>());
    assert_eq!(ids("SELECT count(*) AS n FROM pictures GROUP BY label ORDER BY n"), [155, 156]);
    assert_eq!(ids("SELECT a.id * 1000 + b.id AS n FROM pictures a JOIN pictures b ON a.id = b.id + 300 WHERE b.id < 3"), [300_000, 301_001, 302_002]);
    // The columns computed in a query belong to what a state is of.
    let digest = |sql: &str| Selection::of_query(&repo, "main", sql, &Params::new()).unwrap().digest().to_owned();
    assert_eq!(digest("SELECT id, id * 2 AS twice FROM pictures"), digest("SELECT id, id + id AS twice FROM pictures"));
    assert_ne!(digest("SELECT id, id * 2 AS twice FROM pictures"), digest("SELECT id, id * 3 AS twice FROM pictures"));
    let selection =
        Selection::of_query(&repo, "main", "SELECT *, score > 9 AS good FROM pictures WHERE id < 40", &Params::new()).unwrap().only(&["good", "id"]).unwrap();
    let batch = load(&selection, Options::default()).next().unwrap().unwrap();
    let good: Vec<bool> = match &batch.field("good").unwrap().data {
        Data::Tensor { values, .. } => values.as_primitive::<UInt8Type>().values().iter().map(|one| *one == 1).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(good, (0..40).map(|id| id as f32 / 2.0 > 9.0).collect::<Vec<_>>());
}

#[test]
fn no_more_is_held_than_may_be_and_dropping_ends_all() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let images = Images { size: Some((100, 100)), ..Images::default() };
    // Batches of 360 kB, of which four fit into half of the read-ahead.
    let options = Options { images: Some(images), epochs: 50, read_ahead_bytes: 3 << 20, threads: 4, ..options() };
    let mut loader = load(&all(&repo), options);
    let mut most = 0;
    for _ in 0..12 {
        loader.next().unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        most = most.max(loader.waiting_bytes());
    }
    assert!((360_000..=(3 << 19)).contains(&most), "{most}");
    drop(loader);
}

#[test]
fn blocks_are_read_once_an_epoch_and_only_those_of_rows_selected() {
    let dir = tempfile::tempdir().unwrap();
    // Files of some 3 kB, some twenty of them a block of 64 KiB.
    let noise =
        |id: u64| (0..3000).map(|i| (crate::loader::random::Draws::new(id, 0, crate::loader::random::Use::Rows).pair(i)[0] >> 7) as u8).collect::<Vec<u8>>();
    let rows: Vec<Row> = (0..4000).map(|id| Row { id, picture: Some(noise(id)), score: None }).collect();
    let repo = made(dir.path(), &rows);
    drop(repo);
    let fresh = || Repo::open(dir.path()).unwrap();
    let blocks = |repo: &Repo, selection: &Selection, options: Options| {
        let before = repo.objects().reads().blocks;
        let samples: usize = load(selection, options).map(|batch| batch.unwrap().valid).sum();
        assert_eq!(samples as u64, selection.rows());
        repo.objects().reads().blocks - before
    };
    let in_order = {
        let repo = fresh();
        let before = repo.objects().reads().blocks;
        let table = repo.table("pictures", Some("main")).unwrap();
        table.take(repo.objects(), &(0..4000).collect::<Vec<_>>(), &[1]).unwrap();
        repo.objects().reads().blocks - before
    };
    assert!(in_order > 150, "{in_order}");
    // The table is twelve times the read-ahead.
    let repo = fresh();
    let all = Selection::of_table(&repo, "main", "pictures", Some(&["picture"])).unwrap();
    let shuffled = blocks(&repo, &all, Options { seed: Some(1), read_ahead_bytes: 1 << 20, ..Options::default() });
    assert!(shuffled as f64 <= in_order as f64 * 1.1, "{shuffled} of {in_order}");
    // A window of the usual read-ahead takes a while: the first batches, more of them on more threads, are read without it.
    let early = |threads| samples(vec![load(&all, Options { seed: Some(1), threads, ..Options::default() })]);
    assert!(early(1) == early(3));
    let repo = Arc::new(fresh());
    let few = Selection::of_query(&repo, "main", "SELECT picture FROM pictures WHERE id % 100 = 17", &Params::new()).unwrap();
    let few_blocks = blocks(&repo, &few, Options { seed: Some(1), ..Options::default() });
    assert!((1..=40).contains(&few_blocks), "{few_blocks} blocks for 40 rows");
}

#[cfg(target_os = "linux")]
#[test]
fn threads_stand_back_when_they_are_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path());
    let mut loader = load(&all(&repo), Options { nice: 7, epochs: 1 << 40, ..options() });
    loader.next().unwrap().unwrap();
    // The 19th field of a thread's line, of which the name is the 2nd.
    let niceness = |task: std::fs::DirEntry| {
        let line = std::fs::read_to_string(task.path().join("stat")).ok().filter(|line| line.contains("(dsv-load)"))?;
        line.rsplit(')').next()?.split_whitespace().nth(16)?.parse::<i32>().ok()
    };
    let all = || -> Vec<i32> { std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| niceness(task.unwrap())).collect() };
    let started = std::time::Instant::now();
    while all().iter().filter(|nice| **nice == 7).count() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", all());
        std::thread::sleep(Duration::from_millis(5));
    }
}
