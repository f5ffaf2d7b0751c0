//! What the storage costs, each figure beside a yardstick that is run on the same data in the same process, the two taking turns.
//!
//! ```text
//! cargo bench --profile full --no-default-features --bench storage                          everything, the memory of a table of 1 GB included
//! cargo bench --profile full --no-default-features --bench storage -- pictures --mb 400     one subject, at another size
//! ```
//!
//! Subjects: small, pictures, tabular, memory. Ratios travel between machines, times do not. Pictures come from the folder that DSV_TEST_DATA
//! names; without it they are drawn.

#[path = "../common/data.rs"]
mod data;
mod memory;
mod pictures;
#[path = "../common/report.rs"]
mod report;
mod small;
mod tabular;

use std::process::ExitCode;
use std::time::Duration;

/// What was asked for on the command line.
pub struct Options {
    subjects: Vec<String>,
    /// Size of the data, in MB; each subject has its own where it is not said.
    mb: Option<u64>,
    /// How often each side of a comparison is run.
    rounds: usize,
}

const SUBJECTS: [(&str, fn(&Options)); 4] = [("small", small::run), ("pictures", pictures::run), ("tabular", tabular::run), ("memory", memory::run)];

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { subjects: Vec::new(), mb: None, rounds: 5 };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--mb" => options.mb = Some(number()?),
            "--rounds" => options.rounds = number()?.max(1) as usize,
            // What cargo says to every benchmark.
            "--bench" => {}
            subject if SUBJECTS.iter().any(|(name, _)| *name == subject) => options.subjects.push(argument),
            other => return Err(format!("'{other}' is none of: {}, --mb N, --rounds N", SUBJECTS.map(|(name, _)| name).join(", "))),
        }
    }
    Ok(options)
}

/// As [`report::race_all`], of a number of sides that is known.
fn race<const N: usize>(rounds: usize, mut sides: [report::Side; N]) -> [Duration; N] {
    let best = report::race_all(rounds, &mut sides);
    std::array::from_fn(|i| best[i])
}

fn main() -> ExitCode {
    // A phase of `memory` is this program, started anew so that the peak is its own.
    if let Some(phase) = std::env::var_os(memory::PHASE) {
        memory::phase(&phase.to_string_lossy());
        return ExitCode::SUCCESS;
    }
    match parse(std::env::args().skip(1)) {
        Ok(options) => {
            for (name, run) in SUBJECTS {
                if options.subjects.is_empty() || options.subjects.iter().any(|subject| subject == name) {
                    println!("\n{name}");
                    run(&options);
                }
            }
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
