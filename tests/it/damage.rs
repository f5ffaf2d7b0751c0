//! Damaged repositories: whatever byte is wrong, `verify` tells it, and reading fails or gives what was written; never other data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{Field, Schema as ArrowSchema};
use dsv::base::TableId;
use dsv::format::Type;
use dsv::format::head::Head;
use dsv::repo::{CommitOptions, Environment, OpenOptions, Repo, RepoError};
use dsv::table::write::RowWriter;
use dsv::table::{Schema, Table, TableError};

/// A small repository: two commits of one table with literals, a chunk with two codecs, deleted rows, a tag, and a working state.
struct Small {
    dir: tempfile::TempDir,
    rows: Vec<Vec<RecordBatch>>,
}

const REVISIONS: [&str; 2] = ["v1", "main"];

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Objects(#[from] dsv::chunk::ChunkError),
}

fn options() -> OpenOptions {
    let variables = [("DSV_AUTHOR_NAME", "Ada"), ("DSV_AUTHOR_EMAIL", "ada@example.org"), ("USER", "ada"), ("HOSTNAME", "engine")];
    OpenOptions { environment: Environment::fixed(|| 1_767_225_600_000, &variables), ..Default::default() }
}

fn batch(from: i64, rows: usize) -> (Vec<(String, Type)>, RecordBatch) {
    let columns: Vec<(String, Type)> = [("n", "int64"), ("s", "text"), ("x", "binary(4)")].map(|(n, t)| (n.to_owned(), t.parse().unwrap())).to_vec();
    let numbers = Int64Array::from_iter_values((from..).take(rows).map(|i| i * 1000));
    let texts = StringArray::from_iter((0..rows).map(|i| (i % 9 > 0).then_some(["cat", "dog", "cow"][i % 3])));
    let noise: Vec<[u8; 32]> = (0..rows as u64).map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
    let noise = FixedSizeBinaryArray::try_from_iter(noise.iter().map(|hash| &hash[..4])).unwrap();
    let fields: Vec<Field> = columns.iter().map(|(name, ty)| Field::new(name, ty.storage(), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), vec![Arc::new(numbers), Arc::new(texts), Arc::new(noise)]).unwrap();
    (columns, batch)
}

fn append(repo: &Repo, from: i64, rows: usize, delete: &[u64]) {
    let objects = repo.objects();
    let (columns, batch) = batch(from, rows);
    let update = repo.update_working("append", |snapshot| {
        let mut snapshot = snapshot.clone();
        let id = TableId([7; 16]);
        let table = match snapshot.tables.get("t") {
            Some(table) => Table::load(objects, *table)?,
            None => Table::create(objects, id, Schema::of(id, &columns))?,
        };
        let mut writer = RowWriter::new(objects, &table, &columns)?;
        writer.push(&batch, &[])?;
        let table = table.append(objects, writer.finish()?)?.delete(objects, delete)?;
        snapshot.tables.insert("t".into(), table.store(objects)?);
        Ok::<_, Fault>(snapshot)
    });
    update.unwrap();
}

fn small() -> Small {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repo::init_with(dir.path(), "main", &options()).unwrap();
    let commit = |message: &str| repo.commit(&CommitOptions { message: Some(message.into()), ..Default::default() }).unwrap();
    append(&repo, 0, 70, &[3, 5]);
    commit("first");
    repo.create_tag("v1", None, None, false).unwrap();
    append(&repo, 500, 6, &[]);
    commit("second");
    append(&repo, 900, 2, &[1]);
    let rows = REVISIONS.iter().map(|revision| read(&repo, revision).unwrap()).collect();
    Small { dir, rows }
}

fn read(repo: &Repo, revision: &str) -> Result<Vec<RecordBatch>, Fault> {
    let snapshot = repo.snapshot_at(revision)?;
    let table = Arc::new(Table::load(repo.objects(), snapshot.tables["t"])?);
    let batches = table.scan(repo.objects()).with_row_ids(true).open()?;
    Ok(batches.collect::<Result<_, _>>()?)
}

impl Small {
    fn path(&self) -> PathBuf {
        self.dir.path().join(".dsv")
    }

    fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<PathBuf> = fs::read_dir(self.path().join("packs")).unwrap().map(|e| e.unwrap().path()).collect();
        packs.sort();
        packs
    }

    fn open(&self) -> Result<Repo, RepoError> {
        Repo::open_with(self.dir.path(), &options())
    }

    /// Reads everything of the repository as it is now: each revision gives its rows or an error. Returns whether all were read.
    fn reads_right_or_not_at_all(&self, what: &str) -> bool {
        let Ok(repo) = self.open() else { return false };
        let mut all = true;
        for (revision, wanted) in REVISIONS.iter().zip(&self.rows) {
            match read(&repo, revision) {
                Ok(rows) => assert_eq!(rows, *wanted, "{what}: other rows at {revision}"),
                Err(error) => {
                    all = false;
                    assert_one_line(what, &error.to_string());
                }
            }
        }
        all
    }

    /// What `verify` has to say, an error included.
    fn faults(&self) -> Vec<String> {
        match self.open().and_then(|repo| repo.verify()) {
            Ok(verification) => verification.faults.into_iter().map(|fault| fault.why).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    fn assert_found(&self, what: &str) {
        let faults = self.faults();
        assert!(!faults.is_empty(), "{what}: verify finds nothing");
        faults.iter().for_each(|why| assert_one_line(what, why));
    }
}

fn assert_one_line(what: &str, message: &str) {
    assert!(!message.trim().is_empty() && !message.contains('\n'), "{what}: {message:?}");
}

/// Which part of a pack a byte is in.
fn region(pack: &[u8], at: usize) -> &'static str {
    let trailer = pack.len() - 48;
    let index = u64::from_le_bytes(pack[trailer..trailer + 8].try_into().unwrap()) as usize;
    match at {
        0..8 => "start",
        _ if at < trailer - index => "objects",
        _ if at < trailer => "index",
        _ if at < trailer + 8 => "index length",
        _ if at < trailer + 40 => "hash",
        _ => "end",
    }
}

#[test]
fn a_sound_repository_has_no_faults() {
    let small = small();
    assert_eq!(small.faults(), Vec::<String>::new());
    assert!(small.reads_right_or_not_at_all("sound"));
}

#[test]
fn a_flipped_bit_in_the_head_is_told() {
    let small = small();
    let path = small.path().join("head");
    let sound = fs::read(&path).unwrap();
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at * 3 % 8);
        fs::write(&path, &bytes).unwrap();
        let error = small.open().expect_err("a damaged head was read").to_string();
        assert_one_line("head", &error);
        assert!(error.contains("head") || at < 8, "byte {at}: {error}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_pack_is_told_and_never_read_as_data() {
    let small = small();
    let mut regions = std::collections::BTreeMap::<&str, (usize, usize)>::new();
    for (number, path) in small.packs().into_iter().enumerate() {
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << ((at * 5 + number) % 8);
            fs::write(&path, &bytes).unwrap();
            let what = format!("pack {number}, byte {at} of {} ({})", sound.len(), region(&sound, at));
            small.assert_found(&what);
            let counts = regions.entry(region(&sound, at)).or_default();
            counts.0 += 1;
            counts.1 += usize::from(!small.reads_right_or_not_at_all(&what));
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(small.faults(), Vec::<String>::new());
    // Each region was there, and flips in the objects and the index do harm: the test would show nothing otherwise.
    assert_eq!(regions.keys().copied().collect::<Vec<_>>(), ["end", "hash", "index", "index length", "objects", "start"]);
    assert!(regions["objects"].1 > 100 && regions["index"].1 > 100, "{regions:?}");
}

#[test]
fn files_that_are_short_long_swapped_or_gone_are_told() {
    let small = small();
    let packs = small.packs();
    for path in packs.iter().chain([&small.path().join("head")]) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let sound = fs::read(path).unwrap();
        for length in [0, 1, 7, 8, 47, 48, 49, sound.len() / 2, sound.len() - 49, sound.len() - 33, sound.len() - 1] {
            let what = format!("{name} cut to {length} of {} bytes", sound.len());
            fs::write(path, &sound[..length.min(sound.len())]).unwrap();
            small.assert_found(&what);
            small.reads_right_or_not_at_all(&what);
        }
        for extra in [&b"\0"[..], b"DSVPEND\x01", &[0; 4096]] {
            fs::write(path, [&sound, extra].concat()).unwrap();
            let what = format!("{name} with {} bytes more", extra.len());
            small.assert_found(&what);
            small.reads_right_or_not_at_all(&what);
        }
        fs::remove_file(path).unwrap();
        small.assert_found(&format!("{name} gone"));
        small.reads_right_or_not_at_all(&format!("{name} gone"));
        fs::write(path, &sound).unwrap();
    }
    for pair in packs.windows(2) {
        swap(&pair[0], &pair[1]);
        small.assert_found("two packs swapped");
        small.reads_right_or_not_at_all("two packs swapped");
        swap(&pair[0], &pair[1]);
    }
    assert_eq!(small.faults(), Vec::<String>::new());
}

fn swap(a: &Path, b: &Path) {
    let (x, y) = (fs::read(a).unwrap(), fs::read(b).unwrap());
    fs::write(a, y).unwrap();
    fs::write(b, x).unwrap();
}

/// A stretch of zeros, as a file system leaves it after a crash, or of another file's bytes.
#[test]
fn torn_stretches_are_told() {
    let small = small();
    let largest = small.packs().into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let sound = fs::read(&largest).unwrap();
    for start in (0..sound.len()).step_by(64) {
        for fill in [0u8, 0xff] {
            let mut bytes = sound.clone();
            let end = (start + 64).min(bytes.len());
            bytes[start..end].fill(fill);
            fs::write(&largest, &bytes).unwrap();
            let what = format!("bytes {start} to {end} filled with {fill}");
            small.assert_found(&what);
            small.reads_right_or_not_at_all(&what);
        }
    }
}

#[test]
fn a_newer_version_is_refused_in_one_line() {
    let small = small();
    let path = small.path().join("head");
    let sound = fs::read(&path).unwrap();
    let head = Head::decode(&sound).unwrap();
    let signed = |mut body: Vec<u8>| {
        let hash = blake3::hash(&body);
        body.extend_from_slice(hash.as_bytes());
        body
    };
    let body = &sound[..sound.len() - 32];
    assert_eq!(signed(body.to_vec()), head.encode());
    // The version stands in the eighth byte, and again as the first element.
    let mut eighth = body.to_vec();
    eighth[7] = 2;
    let mut element = body.to_vec();
    assert_eq!((element[8], element[9]), (0x86, 1));
    element[9] = 2;
    // Of a later version nothing but the first eight bytes is known.
    let later = b"DSVHEAD\x07laid out in some other way".to_vec();
    for (version, bytes) in [(2, signed(eighth)), (2, signed(element)), (7, later)] {
        fs::write(&path, bytes).unwrap();
        let error = small.open().unwrap_err().to_string();
        assert_one_line("newer version", &error);
        assert!(error.contains(&format!("version {version}")) && error.contains('1'), "{error}");
        assert!(!small.reads_right_or_not_at_all("newer version"));
    }
}
