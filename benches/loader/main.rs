//! What loading costs, beside the bare decoder, PyTorch's DataLoader over a folder, Lance with Pillow, and Deep Lake. The sides take turns, with as many threads or workers each.
//!
//! ```text
//! make bench                                                everything
//! cargo bench --profile full --bench loader                 what needs no Python
//! cargo bench --profile full --bench loader -- small --rounds 5 --part 10
//! ```
//!
//! Subjects: small (20,000 JPEGs of 64 to 128 pixels a side, made 64 x 64), large (2,000 of 512 x 512, as they are). Shuffled, batches of 64, bytes. A round of a side is an epoch. `--part N` takes one in N.
//! With the feature `candle`, `steps` (`--device cpu` or `cuda`) shows whether a training step waits for its data.
//!
//! DSV_BENCH_PYTHON names a Python that has what benches/requirements.txt lists; a peer that it lacks is left out, with a word. Ratios travel between machines, times do not.

#[path = "../common/data.rs"]
#[allow(dead_code)]
mod data;
#[cfg(feature = "candle")]
mod steps;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use dsv::format::Type;
use dsv::loader::random::{Draws, Use};
use dsv::loader::{Images, Loader, Options, Selection};
use dsv::repo::{Repo, RepoError};
use dsv::table::write::RowWriter;
use serde_json::{Value, json};

/// The allocator of the `dsv` binary.
#[cfg(feature = "cli")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: u64 = 64;

struct Subject {
    name: &'static str,
    count: u64,
    /// The least and the greatest side.
    sides: (u32, u32),
    /// The side that all are made to have.
    to: Option<u32>,
}

const SUBJECTS: [Subject; 2] =
    [Subject { name: "small", count: 20_000, sides: (64, 128), to: Some(64) }, Subject { name: "large", count: 2_000, sides: (512, 512), to: None }];

/// A picture with shapes at several scales and some grain, as a JPEG file of quality 85.
fn picture(row: u64, (low, high): (u32, u32)) -> Vec<u8> {
    let draws = Draws::new(11, row, Use::Rows);
    let side = |at| low + draws.below(at, u64::from(high - low) + 1) as u32;
    let (width, height) = (side(0), side(1));
    let wave = |at: u64| (draws.unit(at) * 0.15 + 0.01, draws.unit(at + 1) * 0.15, draws.unit(at + 2) * 6.0);
    let waves: Vec<_> = (0..4).map(|i| wave(10 + 3 * i)).collect();
    let image = image::RgbImage::from_fn(width, height, |x, y| {
        let value: f64 = waves.iter().map(|(a, b, c)| (f64::from(x) * a + f64::from(y) * b + c).sin()).sum();
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 28;
        let channel = |shift: f64| (128.0 + 28.0 * (value + shift).sin() * 3.0 + f64::from(grain)).clamp(0.0, 255.0) as u8;
        image::Rgb([channel(0.0), channel(1.0), channel(2.0)])
    });
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 85).encode_image(&image).expect("a picture");
    file
}

/// The pictures as a table, and as files in a folder.
fn made(dir: &Path, subject: &Subject, count: u64) -> (Repo, Vec<Vec<u8>>) {
    let folder = dir.join("files");
    std::fs::create_dir_all(&folder).expect("a folder");
    let repo = Repo::init(&dir.join("repository"), "main").expect("a repository");
    let columns = [("id".to_owned(), Type::Plain(DataType::Int64)), ("picture".to_owned(), Type::Image)];
    repo.create_table("pictures", &columns, &[], "create").expect("a table");
    let files: Vec<Vec<u8>> = (0..count).map(|row| picture(row, subject.sides)).collect();
    for (row, file) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("{row:06}.jpg")), file).expect("room");
    }
    let filled = repo.edit_table("pictures", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for (at, part) in files.chunks(500).enumerate() {
            let ids: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values((at * 500..).take(part.len()).map(|id| id as i64)));
            let pictures: ArrayRef = std::sync::Arc::new(BinaryArray::from_iter_values(part));
            writer.push(&RecordBatch::try_from_iter([("id", ids), ("picture", pictures)]).expect("columns of one length"), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    data::commit(&repo);
    (repo, files)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor time of this process so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // The state is no number: user and system time are the 11th and 12th that are; in hundredths of a second on all Linux machines of today.
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

/// Samples a second, and samples a second of processor time.
#[derive(Clone, Copy, Default)]
struct Rate {
    wall: f64,
    cpu: f64,
}

impl Rate {
    fn of(count: u64, run: impl FnOnce()) -> Rate {
        let (began, before) = (Instant::now(), cpu());
        run();
        Rate { wall: count as f64 / began.elapsed().as_secs_f64(), cpu: count as f64 / (cpu() - before).max(0.01) }
    }

    fn best(self, other: Rate) -> Rate {
        Rate { wall: self.wall.max(other.wall), cpu: self.cpu.max(other.cpu) }
    }
}

/// All files decoded by all threads, and nothing else done.
fn decode_all(files: &[Vec<u8>], images: Option<&Images>) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                let mut tools = images.map(|images| (images, fast_image_resize::Resizer::new(), Draws::new(0, 0, Use::Augment), Vec::new()));
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let pixels = dsv::loader::images::decode(file, dsv::loader::Channels::Rgb).expect("a picture");
                    if let Some((images, resizer, draws, to)) = &mut tools {
                        to.resize(images.shape(&pixels).iter().product(), 0);
                        images.write(&pixels, resizer, draws, 0, to).expect("room");
                    }
                    std::hint::black_box(&pixels);
                }
            });
        }
    });
}

/// The peers, in a process of Python that answers one request after the other.
struct Peers {
    child: std::process::Child,
    from: BufReader<std::process::ChildStdout>,
}

impl Peers {
    fn start() -> Option<Peers> {
        let Some(python) = std::env::var_os("DSV_BENCH_PYTHON").map(PathBuf::from) else {
            println!("  DSV_BENCH_PYTHON is not set: PyTorch, Lance and Deep Lake are left out");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/loader/peers.py");
        let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the Python that DSV_BENCH_PYTHON names");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        Some(Peers { child, from })
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{request}").expect("a process that listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("a process that answers");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PEERS: [(&str, &str); 3] = [("PyTorch's DataLoader over a folder", "torch"), ("Lance with Pillow", "lance"), ("Deep Lake", "deeplake")];

fn run(subject: &Subject, rounds: usize, part: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let count = (subject.count / part).max(BATCH);
    let (repo, files) = made(dir.path(), subject, count);
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("  {count} JPEGs of {} to {} pixels a side, {:.1} MB, {} threads", subject.sides.0, subject.sides.1, bytes as f64 / 1e6, threads());
    let images = Images { size: subject.to.map(|side| (side, side)), ..Images::default() };
    let selection = Selection::of_table(&repo, "main", "pictures", Some(&["picture"])).expect("a table");
    let mut peers = Peers::start();
    let mut there = Vec::new();
    for (name, key) in PEERS {
        let request = json!({"do": "prepare", "side": key, "folder": dir.path().join("files"), "to": dir.path().join(key)});
        match peers.as_mut().map(|peers| peers.ask(&request)) {
            Some(answer) if answer.get("error").is_none() => there.push((name, key)),
            Some(answer) => println!("  {name} is left out: {}", answer["error"].as_str().unwrap_or("?")),
            None => {}
        }
    }
    let (mut dsv, mut bare, mut fitted) = (Rate::default(), Rate::default(), Rate::default());
    let mut others = vec![Rate::default(); there.len()];
    let mut report = None;
    for round in 0..rounds as u64 {
        dsv = dsv.best(Rate::of(count, || {
            let options = Options { batch: BATCH, seed: Some(round), images: Some(images.clone()), ..Options::default() };
            let mut loader = Loader::new(selection.clone(), options).expect("a loader");
            let loaded: usize = loader.by_ref().map(|batch| batch.expect("a batch").valid).sum();
            assert_eq!(loaded as u64, count);
            report = Some(loader.report());
        }));
        bare = bare.best(Rate::of(count, || decode_all(&files, None)));
        fitted = fitted.best(Rate::of(count, || decode_all(&files, Some(&images))));
        if let Some(peers) = &mut peers {
            for ((_, key), best) in there.iter().zip(&mut others) {
                let request = json!({"do": "epoch", "side": key, "to": dir.path().join(key), "folder": dir.path().join("files"), "size": subject.to, "batch": BATCH, "workers": threads()});
                let answer = peers.ask(&request);
                let number = |name: &str| answer[name].as_f64().unwrap_or_else(|| panic!("{answer}"));
                assert_eq!(number("samples") as u64, count);
                *best = best.best(Rate { wall: count as f64 / number("seconds"), cpu: count as f64 / number("cpu") });
            }
        }
    }
    let line = |name: &str, rate: Rate| println!("  {name:<44} {:>9.0} a second {:>9.0} a second of processor time", rate.wall, rate.cpu);
    line("dsv", dsv);
    line("the decoder alone, files in memory", bare);
    if subject.to.is_some() {
        line("the decoder and the same resizing, no loader", fitted);
    }
    let aim = |what: &str, ratio: f64, aim: f64| println!("  {what:<58} {ratio:>6.2}    aim at least {aim}: {}", if ratio >= aim { "met" } else { "MISSED" });
    for ((name, _), rate) in there.iter().zip(&others) {
        line(name, *rate);
    }
    aim("dsv / the decoder alone", dsv.wall / bare.wall, 0.9);
    if subject.to.is_some() {
        println!("  {:<58} {:>6.2}", "dsv / the decoder and the same resizing", dsv.wall / fitted.wall);
    }
    for ((name, _), rate) in there.iter().zip(&others) {
        aim(&format!("dsv / {name}, by processor time"), dsv.cpu / rate.cpu, 3.0);
    }
    if let Some(report) = report {
        println!("  the last epoch: {report}; the first batch after {:.1} ms", report.first.min(Duration::from_secs(60)).as_secs_f64() * 1e3);
    }
}

fn main() -> ExitCode {
    let (mut subjects, mut rounds, mut part) = (Vec::new(), 3, 1);
    let mut device = "cpu".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).filter(|n| *n > 0);
        match argument.as_str() {
            "--rounds" => rounds = number().unwrap_or(3) as usize,
            "--part" => part = number().unwrap_or(1),
            "--device" => device = arguments.next().unwrap_or_default(),
            // What cargo says to every benchmark.
            "--bench" => {}
            "steps" => subjects.push(argument),
            name if SUBJECTS.iter().any(|subject| subject.name == name) => subjects.push(argument),
            other => {
                eprintln!("error: '{other}' is none of: small, large, steps, --rounds N, --part N, --device NAME");
                return ExitCode::from(2);
            }
        }
    }
    for subject in &SUBJECTS {
        if subjects.is_empty() || subjects.iter().any(|name| name == subject.name) {
            println!("\n{}", subject.name);
            run(subject, rounds, part);
        }
    }
    if subjects.is_empty() || subjects.iter().any(|name| name == "steps") {
        println!("\nsteps");
        #[cfg(feature = "candle")]
        if let Err(why) = steps::run(&device, part) {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
        #[cfg(not(feature = "candle"))]
        println!("  left out on '{device}': this build is without the feature `candle`");
    }
    ExitCode::SUCCESS
}
