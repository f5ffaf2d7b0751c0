//! `dsv cat`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Write one cell's bytes to stdout
///
/// An image or a video comes out as the file it was; text as its bytes; other values as `dsv export` writes them in CSV. A null writes nothing and exits
/// with 1. Large values are streamed.
///
/// ROW is the row's key (its parts with commas between) where the table has a key, else its position, from 0.
///
/// Examples:
///
///   dsv cat frames image 17 > frame.jpg
///   dsv cat birds notes "Passer domesticus" --at v1.0
///   dsv cat frames image --position 0 -o first.jpg
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cat {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column
    #[arg(value_name = "COLUMN")]
    column: String,
    /// The row: its key, or its position without one
    #[arg(value_name = "ROW", required_unless_present = "position")]
    row: Option<String>,
    /// The row by its position from 0, also in a table with a key
    #[arg(long, value_name = "N", conflicts_with = "row")]
    position: Option<u64>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Into a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Cat {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("cat")
    }
}
