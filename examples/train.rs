//! Trains a small model on a revision of a dataset, twice: in one go, and stopped half way and resumed. Both end with the same weights, bit for bit.
//!
//! ```text
//! cargo run --profile full --features candle --example train                     drawn scenes: which colour are the shapes?
//! cargo run --profile full --features candle --example train -- --mnist DIR      the folder of t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz
//! ```
//!
//! `--epochs N` (8), `--device cpu|cuda` (cpu), `--scenes N` (3000).

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use candle_core::{D, Device, Tensor, Var};
use dsv::format::Type;
use dsv::loader::random::{Draws, Use};
use dsv::loader::{Channels, DeviceBatch, DeviceLoader, Fit, Images, LastBatch, Normalize, Options, Selection, State, device};
use dsv::query::{self, Params, Session};
use dsv::repo::{CommitOptions, Repo, RepoError};
use dsv::table::write::RowWriter;

#[path = "../fixtures/scenes.rs"]
#[allow(dead_code)]
mod scenes;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is learnt: a file of pixels, and the name of its class.
struct Task {
    classes: Vec<String>,
    samples: Vec<(Vec<u8>, String)>,
    images: Images,
}

fn drawn(count: u32) -> Task {
    // Of scenes with two shapes the colours differ.
    let scenes = scenes::scenes(1, count).into_iter().filter(|scene| scene.count != 2);
    let normalize = Some(Normalize { mean: [0.5; 3], std: [0.25; 3] });
    Task {
        classes: scenes::COLORS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        samples: scenes.map(|scene| (scene.encode(), scene.color.to_owned())).collect(),
        images: Images { size: Some((24, 32)), fit: Fit::Stretch, normalize, ..Images::default() },
    }
}

fn mnist(folder: &Path) -> Result<Task> {
    let unpacked = |name: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(folder.join(name)).map_err(|e| format!("{}: {e}", folder.join(name).display()))?;
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let (pictures, labels) = (unpacked("t10k-images-idx3-ubyte.gz")?, unpacked("t10k-labels-idx1-ubyte.gz")?);
    let pixels = pictures.get(16..).ok_or("no pictures")?.chunks_exact(28 * 28);
    let file = |pixels: &[u8]| -> Result<Vec<u8>> {
        let mut file = std::io::Cursor::new(Vec::new());
        image::GrayImage::from_raw(28, 28, pixels.to_vec()).ok_or("no picture")?.write_to(&mut file, image::ImageFormat::Png)?;
        Ok(file.into_inner())
    };
    let named = pixels.zip(labels.get(8..).ok_or("no labels")?).map(|(pixels, label)| Ok((file(pixels)?, label.to_string())));
    Ok(Task {
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        samples: named.collect::<Result<_>>()?,
        images: Images { channels: Channels::Gray, normalize: Some(Normalize { mean: [0.13; 3], std: [0.31; 3] }), ..Images::default() },
    })
}

/// A repository with the samples as a table, a view of those to train on and one of those to test with, on a branch of their own.
fn repository(dir: &Path, task: &Task) -> Result<Arc<Repo>> {
    let repo = Arc::new(Repo::init(dir, "main")?);
    let columns = [("id".to_owned(), Type::INT64), ("picture".to_owned(), Type::Image), ("class".to_owned(), Type::Enum(task.classes.clone()))];
    repo.create_table("samples", &columns, &["id".to_owned()], "train")?;
    repo.edit_table("samples", "train", |table| -> std::result::Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for (at, part) in task.samples.chunks(500).enumerate() {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((at * 500..).take(part.len()).map(|id| id as i64)));
            let pictures: ArrayRef = Arc::new(BinaryArray::from_iter_values(part.iter().map(|(file, _)| file)));
            let classes: ArrayRef = Arc::new(StringArray::from_iter_values(part.iter().map(|(_, class)| class)));
            let batch = RecordBatch::try_from_iter([("id", ids), ("picture", pictures), ("class", classes)]).map_err(dsv::table::TableError::from)?;
            writer.push(&batch, &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    })?;
    let session = Session::new(repo.clone(), query::Options::default())?;
    for sql in [
        "CREATE VIEW train AS SELECT picture, class FROM samples WHERE id % 10 <> 0",
        "CREATE VIEW test AS SELECT picture, class FROM samples WHERE id % 10 = 0",
    ] {
        session.run(&repo, sql, &Params::new(), None, sql)?;
    }
    repo.commit(&CommitOptions { message: Some("Samples, and what to train on".into()), ..Default::default() })?;
    repo.create_branch("experiment", None, false)?;
    Ok(repo)
}

/// Two layers with a bend between them.
struct Model {
    weights: Vec<Var>,
    rate: f64,
}

const HIDDEN: usize = 128;

impl Model {
    fn new(inputs: usize, classes: usize, device: &Device) -> Result<Model> {
        let draws = Draws::new(7, 0, Use::Augment);
        let random = |from: u64, rows: usize, columns: usize| -> Result<Var> {
            let scale = (6.0 / rows as f64).sqrt();
            let numbers: Vec<f32> = (0..(rows * columns) as u64).map(|i| ((draws.unit(from + i) * 2.0 - 1.0) * scale) as f32).collect();
            Ok(Var::from_tensor(&Tensor::from_vec(numbers, (rows, columns), device)?)?)
        };
        let zeros = |n: usize| -> Result<Var> { Ok(Var::from_tensor(&Tensor::from_vec(vec![0f32; n], n, device)?)?) };
        let weights = vec![random(0, inputs, HIDDEN)?, zeros(HIDDEN)?, random(1 << 32, HIDDEN, classes)?, zeros(classes)?];
        Ok(Model { weights, rate: 0.05 })
    }

    /// The logarithm of each class's probability.
    fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let hidden = pixels.flatten_from(1)?.matmul(&self.weights[0])?.broadcast_add(&self.weights[1])?.relu()?;
        let scores = hidden.matmul(&self.weights[2])?.broadcast_add(&self.weights[3])?;
        Ok(scores.broadcast_sub(&scores.log_sum_exp(D::Minus1)?.unsqueeze(1)?)?)
    }

    /// One step of gradient descent.
    fn step(&self, pixels: &Tensor, classes: &Tensor) -> Result<()> {
        let loss = self.forward(pixels)?.gather(&classes.unsqueeze(1)?, 1)?.mean_all()?.neg()?;
        let gradients = loss.backward()?;
        for weight in &self.weights {
            if let Some(gradient) = gradients.get(weight) {
                weight.set(&(weight.as_tensor() - (gradient * self.rate)?)?)?;
            }
        }
        Ok(())
    }

    /// A digest of all weights.
    fn digest(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        for weight in &self.weights {
            for number in weight.flatten_all()?.to_vec1::<f32>()? {
                hasher.update(&number.to_le_bytes());
            }
        }
        Ok(hasher.finalize().to_hex()[..16].to_owned())
    }
}

fn tensors(batch: &DeviceBatch) -> Result<(&Tensor, &Tensor)> {
    let tensor = |name: &str| batch.tensor(name).ok_or_else(|| format!("no column {name}"));
    Ok((tensor("picture")?, tensor("class")?))
}

/// Trains on batches of a loader, so many at most, and says how fast.
fn train(model: &Model, loader: &mut DeviceLoader, most: usize) -> Result<()> {
    for batch in loader.by_ref().take(most) {
        let batch = batch?;
        let (pixels, classes) = tensors(&batch)?;
        model.step(pixels, classes)?;
    }
    println!("    {}", loader.report());
    Ok(())
}

fn accuracy(model: &Model, selection: Selection, options: &Options, device: &Device) -> Result<f64> {
    let (mut right, mut all) = (0, 0);
    for batch in DeviceLoader::new(selection, Options { seed: None, epochs: 1, last: LastBatch::Short, ..options.clone() }, device)? {
        let batch = batch?;
        let (pixels, classes) = tensors(&batch)?;
        let found = model.forward(pixels)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let classes = classes.to_vec1::<i64>()?;
        right += found.iter().zip(&classes).filter(|(found, class)| i64::from(**found) == **class).count();
        all += classes.len();
    }
    Ok(right as f64 / all.max(1) as f64)
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let (mut folder, mut epochs, mut count, mut name) = (None, 8, 3000, "cpu".to_owned());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--mnist" => folder = Some(value()?),
            "--epochs" => epochs = value()?.parse()?,
            "--scenes" => count = value()?.parse()?,
            "--device" => name = value()?,
            other => return Err(format!("'{other}' is none of --mnist DIR, --epochs N, --scenes N, --device NAME").into()),
        }
    }
    let device = device(&name)?;
    let task = match folder {
        Some(folder) => mnist(Path::new(&folder))?,
        None => drawn(count),
    };
    let dir = tempfile::tempdir()?;
    let repo = repository(dir.path(), &task)?;
    let of = |view: &str| Selection::of_relation(&repo, "experiment", view, None);
    let options = Options { batch: 32, seed: Some(1), epochs, images: Some(task.images.clone()), last: LastBatch::Drop, ..Options::default() };
    let selection = of("train")?;
    println!("{} samples to train on, {} to test with, {} classes", selection.rows(), of("test")?.rows(), task.classes.len());
    let inputs = {
        let first = DeviceLoader::new(selection.clone(), options.clone(), &device)?.next().ok_or("no batch")??;
        tensors(&first)?.0.flatten_from(1)?.dim(1)?
    };

    let began = Instant::now();
    println!("in one go, {epochs} epochs:");
    let model = Model::new(inputs, task.classes.len(), &device)?;
    let mut loader = DeviceLoader::new(selection.clone(), options.clone(), &device)?;
    let batches = (loader.batches_an_epoch() * epochs) as usize;
    train(&model, &mut loader, usize::MAX)?;
    println!(
        "    accuracy {:.1} %, weights {}, {:.1} s",
        accuracy(&model, of("test")?, &options, &device)? * 100.0,
        model.digest()?,
        began.elapsed().as_secs_f64()
    );

    println!("stopped after {} of {batches} batches, and resumed:", batches / 2);
    let again = Model::new(inputs, task.classes.len(), &device)?;
    let mut loader = DeviceLoader::new(selection.clone(), options.clone(), &device)?;
    train(&again, &mut loader, batches / 2)?;
    let state = loader.state().to_json();
    drop(loader);
    println!("    {state}");
    // As another process would, much later: the view as the commit of then has it.
    let mut loader = DeviceLoader::new(selection, Options { resume: Some(State::from_json(&state)?), ..options.clone() }, &device)?;
    train(&again, &mut loader, usize::MAX)?;
    println!("    accuracy {:.1} %, weights {}", accuracy(&again, of("test")?, &options, &device)? * 100.0, again.digest()?);
    if model.digest()? != again.digest()? {
        return Err("the weights differ".into());
    }
    println!("the same weights, bit for bit");
    Ok(())
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
    }
}
