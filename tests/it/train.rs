//! The example that trains a model runs to its end, on drawn scenes and on real digits: it is what a newcomer copies.

#![cfg(feature = "candle")]

use std::path::Path;
use std::process::Command;

use crate::support::{data, skip};

/// What the example says.
fn train(arguments: &[&str]) -> Option<String> {
    let example = Path::new(env!("CARGO_BIN_EXE_dsv")).with_file_name("examples").join("train");
    if !example.exists() {
        // `cargo test --test it` builds no examples.
        skip("train", "the example that trains a model is not built");
        return None;
    }
    let done = Command::new(example).args(arguments).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{told}");
    assert!(told.ends_with("the same weights, bit for bit\n"), "{told}");
    Some(told)
}

/// The accuracies that it says, in percent.
fn accuracies(told: &str) -> Vec<f64> {
    told.split("accuracy ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn on_drawn_scenes() {
    let Some(told) = train(&["--scenes", "900", "--epochs", "6"]) else { return };
    let found = accuracies(&told);
    // Six colours: one in six would be right by chance.
    assert!(found.len() == 2 && found[0] == found[1] && found[0] > 25.0, "{told}");
}

#[test]
fn on_real_digits() {
    let Some(folder) = data("mnist-t10k") else { return };
    let Some(told) = train(&["--mnist", folder.to_str().unwrap(), "--epochs", "1"]) else { return };
    let found = accuracies(&told);
    assert!(found.len() == 2 && found[0] == found[1] && found[0] > 80.0, "{told}");
}

#[test]
fn what_it_cannot_do_it_says() {
    let example = Path::new(env!("CARGO_BIN_EXE_dsv")).with_file_name("examples").join("train");
    if !example.exists() {
        return skip("train", "the example that trains a model is not built");
    }
    for (arguments, why) in
        [(["--device", "tpu"], "'tpu' names no device"), (["--mnist", "/nowhere"], "error: /nowhere/t10k-images"), (["--epoch", "3"], "is none of --mnist DIR")]
    {
        let done = Command::new(&example).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && told.starts_with("error: ") && told.contains(why), "{told}");
    }
}
