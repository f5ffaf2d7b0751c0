//! The story of docs/curation.md, run line by line over generated frames; each answer is compared with one worked out from the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Float32Type;

use crate::story::words;
use crate::support::Sandbox;

const FRAMES: usize = 200_000;
const DIM: usize = 32;
/// Frames of one video.
const LENGTH: usize = 100;

struct Frame {
    id: i64,
    resolution: &'static str,
    quality: f64,
    caption: &'static str,
    camera: &'static str,
    indoor: bool,
    mm: u64,
    embedding: Vec<f32>,
}

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }

    fn direction(&mut self) -> Vec<f32> {
        (0..DIM).map(|_| (self.unit() * 2.0 - 1.0) as f32).collect()
    }
}

/// Videos of one scene each, in which the camera moves slowly; every eighth is about cooking.
fn frames(numbers: &mut Numbers, cooking: &[f32]) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(FRAMES);
    while frames.len() < FRAMES {
        let about_cooking = numbers.next().is_multiple_of(8);
        let resolution = numbers.of(&["480p", "720p", "1080p", "4k"]);
        let (camera, indoor, mm) = (numbers.of(&["A7", "R5", "Z9"]), about_cooking || numbers.next().is_multiple_of(2), numbers.of(&[18, 24, 35, 50]));
        let mut at = numbers.direction();
        if about_cooking {
            at.iter_mut().zip(cooking).for_each(|(x, c)| *x = *x * 0.5 + c);
        }
        for _ in 0..LENGTH {
            at.iter_mut().for_each(|x| *x += (numbers.unit() as f32 - 0.5) * 0.05);
            let caption = match (about_cooking, numbers.next() % 10) {
                (_, 0) => "blurred",
                (true, 1..4) => "kitchen",
                (true, _) => "a pan on a stove",
                (false, _) => "a street, with people",
            };
            let quality = numbers.unit();
            frames.push(Frame { id: frames.len() as i64 + 1, resolution, quality, caption, camera, indoor, mm, embedding: at.clone() });
        }
    }
    frames
}

fn arrow_file(frames: &[Frame]) -> Vec<u8> {
    let texts = |of: fn(&Frame) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(frames.iter().map(of))) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(frames.iter().map(|f| f.id)))),
        ("video", texts(|f| format!("video {:04}", (f.id as usize - 1) / LENGTH))),
        ("second", Arc::new(Float64Array::from_iter_values(frames.iter().map(|f| ((f.id as usize - 1) % LENGTH) as f64 / 4.0)))),
        ("resolution", texts(|f| f.resolution.to_owned())),
        ("quality", Arc::new(Float64Array::from_iter_values(frames.iter().map(|f| f.quality)))),
        ("caption", texts(|f| f.caption.to_owned())),
        ("meta", texts(|f| format!("{{\"camera\": \"{}\", \"indoor\": {}, \"lens\": {{\"mm\": {}}}}}", f.camera, f.indoor, f.mm))),
        ("embedding", {
            let vectors = frames.iter().map(|f| Some(f.embedding.iter().copied().map(Some).collect::<Vec<_>>()));
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, DIM as i32))
        }),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for start in (0..batch.num_rows()).step_by(50_000) {
        writer.write(&batch.slice(start, 50_000.min(batch.num_rows() - start))).unwrap();
    }
    writer.into_inner().unwrap()
}

fn npy(vector: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", vector.len());
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&(header.len() as u16).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend(Float32Array::from(vector.to_vec()).values().iter().flat_map(|x| x.to_le_bytes()));
    out
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The lines of an answer as CSV, without the heading.
fn lines(csv: &str) -> Vec<Vec<String>> {
    csv.lines().skip(1).map(|line| line.splitn(2, ',').map(str::to_owned).collect()).collect()
}

/// Rounding of float32 beside what is worked out here with float64.
const CLOSE: f64 = 1e-5;

#[test]
fn frames_are_curated() {
    let s = Sandbox::empty();
    let mut numbers = Numbers(7);
    let cooking = numbers.direction();
    let frames = frames(&mut numbers, &cooking);
    s.file("frames.arrow", arrow_file(&frames));
    s.file("cooking.npy", npy(&cooking));
    let reviews: BTreeMap<i64, &str> = (1..=FRAMES as i64).step_by(7).map(|id| (id, numbers.of(&["good", "bad", "unsure"]))).collect();
    s.file("reviews.csv", reviews.iter().fold("id,verdict\n".to_owned(), |csv, (id, verdict)| csv + &format!("{id},{verdict}\n")));
    let story = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/curation.md")).unwrap();
    let (_, sql) = story.split_once("```sql\n").unwrap();
    s.file("diverse.sql", sql.split_once("```").unwrap().0);

    let mut answers = Vec::new();
    for line in story.lines().filter_map(|line| line.strip_prefix("$ dsv ")) {
        let args = words(line);
        let answer = s.ok(&args);
        if args.iter().any(|arg| arg == "csv") {
            answers.push(lines(&answer));
        }
    }
    let mut answers = answers.into_iter();
    let mut answer = || answers.next().expect("the story has lost its lines");

    let is_good = |f: &&Frame| f.quality > 0.8 && matches!(f.resolution, "1080p" | "4k");
    let good: Vec<&Frame> = frames.iter().filter(is_good).collect();
    assert_eq!(answer(), [[good.len().to_string()]]);
    let by_resolution = answer();
    assert_eq!(by_resolution.len(), 4);
    for row in by_resolution {
        let of: Vec<f64> = frames.iter().filter(|f| f.resolution == row[0]).map(|f| f.quality).collect();
        let (n, mean) = row[1].split_once(',').unwrap();
        assert_eq!(n, of.len().to_string());
        assert!((mean.parse::<f64>().unwrap() - of.iter().sum::<f64>() / of.len() as f64).abs() < 1e-9);
    }

    let mut cameras: BTreeMap<&str, usize> = BTreeMap::new();
    good.iter().filter(|f| f.indoor && f.mm < 30).for_each(|f| *cameras.entry(f.camera).or_default() += 1);
    assert_eq!(answer(), cameras.iter().map(|(camera, n)| vec![(*camera).to_owned(), n.to_string()]).collect::<Vec<_>>());

    let mut near: Vec<(f64, &Frame)> = good.iter().map(|f| (distance(&f.embedding, &cooking), *f)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let found = answer();
    assert_eq!(found.len(), 10);
    for (row, (wanted, _)) in found.iter().zip(&near) {
        let frame = &frames[row[0].parse::<usize>().unwrap() - 1];
        assert!((distance(&frame.embedding, &cooking) - wanted).abs() < CLOSE, "{row:?}");
        assert_eq!(row[1].trim_matches('"'), frame.caption);
    }

    let taken: Vec<&Frame> = answer().iter().map(|row| &frames[row[0].parse::<usize>().unwrap() - 1]).collect();
    println!("curation: {} of the 2,000 nearest frames are taken", taken.len());
    assert!(taken.len() > 10 && taken.len() < 2000);
    assert!((distance(&taken[0].embedding, &cooking) - near[0].0).abs() < CLOSE, "the nearest comes first");
    for (i, one) in taken.iter().enumerate() {
        for other in &taken[..i] {
            assert!(distance(&one.embedding, &other.embedding) > 0.05 - CLOSE, "{} and {} are alike", one.id, other.id);
        }
    }
    for (at, frame) in near.iter().take(1990) {
        let covered = |one: &&&Frame| distance(&one.embedding, &frame.embedding) <= 0.05 + CLOSE && distance(&one.embedding, &cooking) <= at + CLOSE;
        assert!(taken.iter().any(|one| one.id == frame.id) || taken.iter().any(|one| covered(&one)), "{} is like none that is taken", frame.id);
    }

    let now = |id: i64, was: &'static str| match was {
        _ if id == 1 => "good",
        "unsure" if id % 2 == 0 => "bad",
        other => other,
    };
    let changed = reviews.iter().filter(|(id, was)| now(**id, was) != **was && frames[**id as usize - 1].quality > 0.5).count();
    assert_eq!(answer(), [[changed.to_string()]]);

    let blurred = good.iter().filter(|f| f.caption == "blurred").count();
    assert_eq!(answer(), [[(good.len() - blurred).to_string()]]);
    assert_eq!(answer(), [[(FRAMES - blurred).to_string()]]);
    let sample = answer();
    assert!(sample.len() < 100, "{} of 200,000 rows are no hundredth of a percent", sample.len());
    let again = s.ok(["query", "SELECT id FROM frames TABLESAMPLE BERNOULLI (0.01) REPEATABLE (7) ORDER BY id", "--format", "csv"]);
    assert_eq!(lines(&again).concat(), sample.iter().map(|row| row[0].clone()).collect::<Vec<_>>());

    // Hidden frames are as they were, and captions came back of the others alone.
    let captions = lines(&s.ok(["query", "SELECT id FROM frames WHERE caption = 'a kitchen' ORDER BY id", "--format", "csv"])).concat();
    let kitchens: Vec<String> = good.iter().filter(|f| f.caption == "kitchen").map(|f| f.id.to_string()).collect();
    assert_eq!(captions, kitchens);
    let left: BTreeSet<String> =
        lines(&s.ok(["query", "SELECT id FROM frames EXCEPT SELECT id FROM train.frames", "--format", "csv"])).concat().into_iter().collect();
    assert_eq!(left.len(), FRAMES - good.len());
    assert!(s.ok(["branch"]).contains("train") && s.ok(["branch"]).contains("(subset)"));
}
