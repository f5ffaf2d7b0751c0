//! `dsv export`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Write a table to a file
///
/// The format follows the name: .csv, .tsv, .jsonl, .json, .parquet, .arrow, .npy, .tar (WebDataset), each also .gz or .zst; a name that ends with / is a
/// folder, and images become files in it beside a table of the rest. - writes to stdout. The file appears whole or not at all.
///
/// Examples:
///
///   dsv export birds birds.csv
///   dsv export birds birds.parquet --at v1.0
///   dsv export birds big.jsonl.zst --where "weight > 2" --columns id,name,weight
///   dsv export frames frames/                     pictures back to files
///   dsv export birds - --format csv | head
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Export {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// Where to: a file, a folder with a / at its end, or - for stdout
    #[arg(value_name = "FILE")]
    file: String,
    /// From this revision, not the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only rows for which this SQL predicate is true
    #[arg(long, value_name = "SQL")]
    r#where: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B")]
    columns: Vec<String>,
    /// The format, where the name does not tell it
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Write over a file that exists
    #[arg(short, long)]
    force: bool,
}

impl Export {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("export")
    }
}
