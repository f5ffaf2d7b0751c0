//! Timing, and how figures are told.

use std::any::Any;
use std::time::{Duration, Instant};

/// One side of a comparison.
pub struct Side<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> Box<dyn Any> + 'a>,
}

/// A side by its name and what it does. What it returns is dropped after the clock has stopped.
pub fn side<'a, T: 'static>(name: &'static str, mut run: impl FnMut() -> T + 'a) -> Side<'a> {
    Side { name, run: Box::new(move || Box::new(run())) }
}

/// The best time of each side in `rounds` rounds in which the sides take turns, so that what else the machine does hits all of them alike.
pub fn race_all(rounds: usize, sides: &mut [Side]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; sides.len()];
    for _ in 0..rounds {
        for (side, best) in sides.iter_mut().zip(&mut best) {
            let start = Instant::now();
            let left = (side.run)();
            *best = start.elapsed().min(*best);
            drop(left);
        }
    }
    for (side, time) in sides.iter().zip(&best) {
        println!("  {:<58} {:>10.1} ms", side.name, time.as_secs_f64() * 1e3);
    }
    best
}

/// Tells a ratio and whether it is what was aimed at.
pub fn ratio(what: &str, ratio: f64, aim: f64, at_least: bool) {
    let met = if at_least { ratio >= aim } else { ratio <= aim };
    let bound = if at_least { "at least" } else { "at most" };
    println!("  {what:<58} {ratio:>10.2}    aim {bound} {aim}: {}", if met { "met" } else { "MISSED" });
}

/// How many times as long `a` takes as `b`.
pub fn over(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
