//! Whether a training step waits for its data: the same steps over one batch that stays on the device, and over batches that are loaded meanwhile. Steps take twice as long as loading does, so that decoding is not
//! the limit. On the CPU both want the same cores, and the figure only shows that it runs; on a GPU copies are measured as well.

use std::time::Instant;

use candle_core::{Device, Tensor};
use dsv::loader::{DeviceBatch, DeviceLoader, Images, Normalize, Options, Selection};

use super::{BATCH, SUBJECTS, Subject, made};

/// Numbers of a hidden layer.
const HIDDEN: usize = 512;
const ROUNDS: usize = 5;

struct Model {
    first: Tensor,
    other: Tensor,
    /// Products of a step.
    depth: usize,
}

impl Model {
    fn step(&self, batch: &DeviceBatch) -> candle_core::Result<()> {
        let pixels = batch.tensor("picture").ok_or_else(|| candle_core::Error::msg("no pictures"))?;
        let mut hidden = pixels.flatten_from(1)?.matmul(&self.first)?;
        for _ in 0..self.depth {
            hidden = hidden.matmul(&self.other)?.tanh()?;
        }
        // The step is over once its loss is known.
        hidden.sqr()?.mean_all()?.to_scalar::<f32>()?;
        Ok(())
    }
}

pub fn run(name: &str, part: u64) -> Result<(), Box<dyn std::error::Error>> {
    let device = dsv::loader::device(name)?;
    let subject: &Subject = &SUBJECTS[0];
    let dir = tempfile::tempdir()?;
    let (repo, _) = made(dir.path(), subject, (subject.count / part).max(BATCH * 8));
    let selection = Selection::of_table(&repo, "main", "pictures", Some(&["picture"]))?;
    let images = Images { size: subject.to.map(|side| (side, side)), normalize: Some(Normalize { mean: [0.5; 3], std: [0.25; 3] }), ..Images::default() };
    let options = Options { batch: BATCH, seed: Some(1), images: Some(images), ..Options::default() };
    let load = || DeviceLoader::new(selection.clone(), options.clone(), &device);

    let mut loader = load()?;
    let batch = loader.next().ok_or("no batch")??;
    let (batches, began) = (loader.batches_an_epoch() as usize - 1, Instant::now());
    for batch in loader {
        batch?;
        device.synchronize()?;
    }
    let loading = began.elapsed().as_secs_f64() / batches as f64;
    let inputs = batch.tensor("picture").ok_or("no pictures")?.flatten_from(1)?.dim(1)?;
    let random = |rows: usize| Tensor::randn(0f32, 1.0 / (rows as f32).sqrt(), (rows, HIDDEN), &device);
    let mut model = Model { first: random(inputs)?, other: random(HIDDEN)?, depth: 1 };
    let steps = |model: &Model, count: usize| -> Result<f64, Box<dyn std::error::Error>> {
        let began = Instant::now();
        (0..count).try_for_each(|_| model.step(&batch))?;
        Ok(began.elapsed().as_secs_f64() / count as f64)
    };
    steps(&model, 3)?;
    while steps(&model, 3)? < 2.0 * loading && model.depth < 1 << 20 {
        model.depth *= 2;
    }
    let (mut without, mut with, mut waited) = (f64::MAX, f64::MAX, 1.0);
    for _ in 0..ROUNDS {
        without = without.min(steps(&model, batches)?);
        let mut loader = load()?;
        model.step(&loader.next().ok_or("no batch")??)?;
        let began = Instant::now();
        for batch in loader.by_ref() {
            model.step(&batch?)?;
        }
        let time = began.elapsed().as_secs_f64() / batches as f64;
        if time < with {
            (with, waited) = (time, loader.report().waited_share());
        }
    }
    let ms = |seconds: f64| seconds * 1e3;
    println!("  {name}: loading alone {:.2} ms a batch of {BATCH}; a step {:.2} ms without loading, {:.2} ms with it", ms(loading), ms(without), ms(with));
    println!("  {:.1} % of the time waited for data, the first batch included", waited * 100.0);
    let ratio = with / without;
    println!("  {:<58} {ratio:>6.2}    aim at most 1.05: {}", "a step with loading / a step without", if ratio <= 1.05 { "met" } else { "MISSED" });
    copies(&device)
}

#[cfg(feature = "cuda")]
fn copies(device: &Device) -> Result<(), Box<dyn std::error::Error>> {
    if device.is_cuda() {
        for megabytes in [1, 10, 100] {
            let rates = dsv::loader::cuda::copy_rates(device, megabytes << 20, 20)?;
            println!(
                "  copies of {megabytes} MiB: pinned {:.1} GB/s, with the copy into that memory {:.1} GB/s, plain {:.1} GB/s",
                rates.pinned / 1e9,
                rates.staged / 1e9,
                rates.plain / 1e9
            );
        }
    }
    Ok(())
}

#[cfg(not(feature = "cuda"))]
fn copies(_: &Device) -> Result<(), Box<dyn std::error::Error>> {
    println!("  copies to a GPU were not measured: this build is without the feature `cuda`");
    Ok(())
}
