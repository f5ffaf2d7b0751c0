//! Writes the batches of an epoch as safetensors files, one for each batch: to feed another program, or to see that two machines, releases or languages load the same, bit for bit.
//!
//! ```text
//! cargo run --features candle --example batches -- REPOSITORY TABLE FOLDER [--batch N] [--seed N] [--size N]
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dsv::loader::{DeviceData, DeviceLoader, Fit, Images, Lists, Normalize, Nulls, Options, Selection};
use dsv::repo::Repo;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut places = Vec::new();
    let (mut options, mut size): (_, Option<u32>) = (Options { epochs: 1, lists: Lists::Longest, nulls: Nulls::Mask, ..Options::default() }, None);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u32>().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--batch" => options.batch = u64::from(number()?),
            "--seed" => options.seed = Some(u64::from(number()?)),
            "--size" => size = Some(number()?),
            _ => places.push(argument),
        }
    }
    let [dir, table, folder] = &places[..] else { return Err("a repository, a table and a folder are needed".into()) };
    let normalize = Some(Normalize { mean: [0.5; 3], std: [0.25; 3] });
    options.images = Some(Images {
        size: size.map(|side| (side, side)),
        fit: Fit::Random { area: (0.08, 1.0), ratio: (0.75, 4.0 / 3.0) },
        flip: true,
        normalize,
        ..Images::default()
    });
    let selection = Selection::of_relation(&Arc::new(Repo::open(Path::new(dir))?), "HEAD", table, None)?;
    std::fs::create_dir_all(folder)?;
    for (number, batch) in DeviceLoader::new(selection, options, &Device::Cpu)?.enumerate() {
        let tensors: HashMap<String, Tensor> = batch?
            .fields
            .into_iter()
            .filter_map(|field| match field.data {
                DeviceData::Tensor { tensor, .. } | DeviceData::Lists { values: tensor, .. } => Some((field.name, tensor)),
                DeviceData::Text(_) | DeviceData::Bytes(_) => None,
            })
            .collect();
        candle_core::safetensors::save(&tensors, Path::new(folder).join(format!("{number:05}.safetensors")))?;
    }
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
