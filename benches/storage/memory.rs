//! The peak memory of importing, exporting and verifying a large table: a process for each, its high-water mark as Linux counts it (VmHWM),
//! in which the system's cache of files does not count.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field};
use dsv::repo::files::{Input, Target, WriteOptions};
use dsv::repo::{ImportOptions, Repo};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::Options;
use crate::data::draw;

/// The variable that makes this program run one phase and end.
pub const PHASE: &str = "DSV_BENCH_PHASE";
const FOLDER: &str = "DSV_BENCH_FOLDER";
const MEGABYTES: &str = "DSV_BENCH_MB";
const DIM: usize = 768;
const PICTURE_BYTES: usize = 30_000;
const BOUND_MB: f64 = 512.0;

/// Rows with a picture that does not compress, an embedding and a text.
fn rows(range: std::ops::Range<u64>) -> RecordBatch {
    let picture = |row: u64| {
        let words = (0..PICTURE_BYTES as u64 / 8).flat_map(move |word| draw(row << 16 | word, 50).to_le_bytes());
        words.collect::<Vec<u8>>()
    };
    let numbers = range.clone().flat_map(|row| (0..DIM as u64).map(move |i| draw(row * DIM as u64 + i, 51) as i32 as f32 / i32::MAX as f32));
    let item = Arc::new(Field::new_list_field(DataType::Float32, false));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(range.clone().map(|row| row as i64)))),
        ("caption", Arc::new(StringArray::from_iter_values(range.clone().map(|row| format!("a picture of number {}", draw(row, 52) % 1000))))),
        ("embedding", Arc::new(FixedSizeListArray::new(item, DIM as i32, Arc::new(Float32Array::from_iter_values(numbers)), None))),
        ("picture", Arc::new(BinaryArray::from_iter_values(range.clone().map(picture)))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn make(path: &Path, mb: u64) {
    let count = mb * 1_000_000 / (PICTURE_BYTES + 4 * DIM) as u64;
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_max_row_group_row_count(Some(2000)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), rows(0..1).schema(), Some(properties)).expect("a writer");
    for from in (0..count).step_by(1000) {
        writer.write(&rows(from..count.min(from + 1000))).expect("room");
    }
    writer.close().expect("room");
}

/// One phase, in a process of its own.
pub fn phase(name: &str) {
    let folder = std::env::var_os(FOLDER).expect("a folder");
    let folder = Path::new(&folder);
    let (table, repository) = (folder.join("table.parquet"), folder.join("repository"));
    let start = std::time::Instant::now();
    match name {
        "make" => make(&table, std::env::var(MEGABYTES).ok().and_then(|text| text.parse().ok()).expect("a size")),
        "import" => {
            let repo = Repo::init(&repository, "main").expect("a repository");
            repo.import("frames", &[Input::Path(table)], &ImportOptions::default(), "import").expect("an import");
        }
        "export" => {
            let repo = Repo::open(&repository).expect("the repository");
            let frames = repo.table("frames", None).expect("the table");
            repo.export(&frames, &[], Target::Path(folder.join("out.parquet")), &WriteOptions::default()).expect("an export");
        }
        _ => {
            let verified = Repo::open(&repository).expect("the repository").verify().expect("a look");
            assert!(verified.faults.is_empty());
        }
    }
    println!("{} {}", peak_kb(), start.elapsed().as_millis());
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

pub fn run(options: &Options) {
    if !cfg!(target_os = "linux") {
        println!("  skipped: needs /proc/self/status of Linux");
        return;
    }
    let mb = options.mb.unwrap_or(1000);
    let dir = tempfile::tempdir().expect("a folder");
    let program = std::env::current_exe().expect("this program");
    println!("  a table of {mb} MB");
    for name in ["make", "import", "export", "verify"] {
        let output = Command::new(&program).env(PHASE, name).env(FOLDER, dir.path()).env(MEGABYTES, mb.to_string()).output().expect("a process");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<f64>().ok());
        let (Some(kb), Some(ms)) = (numbers.next(), numbers.next()) else { panic!("{name} said {text}") };
        let peak = kb * 1.024 / 1e3;
        match name {
            "make" => {}
            _ => println!(
                "  {name:<10} peak {peak:>6.0} MB in {:>6.1} s    aim at most {BOUND_MB:.0} MB: {}",
                ms / 1e3,
                if peak <= BOUND_MB { "met" } else { "MISSED" }
            ),
        }
    }
}
