//! Draws the demo's pictures: `cargo run --example scenes -- DIR [COUNT [SEED]]`.

use std::path::Path;
use std::process::ExitCode;

#[path = "../fixtures/scenes.rs"]
#[allow(dead_code)]
mod scenes;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(dir), count, seed) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: scenes DIR [COUNT [SEED]]");
        return ExitCode::from(2);
    };
    let count = count.map_or(Ok(200), |n| n.parse::<u32>());
    let seed = seed.map_or(Ok(1), |n| n.parse::<u64>());
    let (Ok(count), Ok(seed)) = (count, seed) else {
        eprintln!("error: COUNT and SEED are whole numbers");
        return ExitCode::from(2);
    };
    match scenes::write(Path::new(&dir), seed, count) {
        Ok(scenes) => {
            println!("{} pictures in {dir}/pictures, their captions in {dir}/captions.jsonl and .csv", scenes.len());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {dir}: {e}");
            ExitCode::from(3)
        }
    }
}
