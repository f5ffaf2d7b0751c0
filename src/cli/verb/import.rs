//! `dsv import`.

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Read files into a table
///
/// FILE is CSV, TSV, JSON lines, a JSON array, Parquet, Arrow IPC, NumPy .npy, a folder of images, or a WebDataset .tar; plain, .gz or .zst. It may be a
/// glob (quote it), several files, or - for stdin. The rows go into the working state of the branch; `dsv commit` records them.
///
/// Without a mode the table is created, and a table that exists is refused. The types of text formats are found by looking at the whole file, and never
/// in a way that changes a value: a column with leading zeros, plus signs, too many digits or mixed kinds stays text. --types and --schema say them instead.
///
///   --append            add the rows at the end
///   --replace           make the table equal to the file, schema included; rows that are the same
///                       keep their identity, so few changes store little
///   --key COL[,COL]     the columns become the table's key: rows with a known key are updated,
///                       others are added; the key serves later imports
///   --key .. --replace  the same, and rows whose key is not in the file are removed
///
/// Examples:
///
///   dsv import birds birds.csv
///   dsv import birds more.csv.gz --append
///   dsv import birds fixed.csv --key id                      update rows by id, add new ones
///   dsv import birds birds.csv --replace                     the file was edited by hand: take it over
///   dsv import frames captions.jsonl --media path            `path` becomes the pictures' bytes
///   dsv import frames captions.csv --media path --on-error skip
///   dsv import faces photos/                                 a path and a media column
///   dsv import quakes quakes.geojson --records features
///   dsv import zips zips.csv --types zip=text,price='decimal(10,2)'
///   curl -s https://example.org/x.csv | dsv import x - --format csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Import {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// Files, folders, globs, or - for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Add the rows at the end of the table
    #[arg(long, conflicts_with = "replace", help_heading = "Mode")]
    append: bool,
    /// Make the table equal to the file
    #[arg(long, help_heading = "Mode")]
    replace: bool,
    /// Match rows by these columns: update and insert
    #[arg(long, value_name = "COL[,COL]", help_heading = "Mode")]
    key: Vec<String>,
    /// Turn a column of paths into the bytes of those files
    #[arg(long, value_name = "COL", help_heading = "Reading")]
    media: Vec<String>,
    /// The types of some columns
    #[arg(long, value_name = "COL=TYPE,...", help_heading = "Reading")]
    types: Vec<String>,
    /// The names and types of all columns: COL=TYPE,... or a file with one of them a line
    #[arg(long, value_name = "COL=TYPE,...|FILE", conflicts_with = "types", help_heading = "Reading")]
    schema: Option<String>,
    /// What the files are: csv, tsv, jsonl, json, parquet, arrow, npy, images or webdataset; found by name and content without it
    #[arg(long, value_name = "FORMAT", help_heading = "Reading")]
    format: Option<String>,
    /// The rows of a JSON document are in this member, as `features` in GeoJSON; a path a.b goes deeper
    #[arg(long, value_name = "PATH", help_heading = "Reading")]
    records: Option<String>,
    /// The character between the fields of a CSV file
    #[arg(long, value_name = "CHAR", help_heading = "Reading")]
    delimiter: Option<String>,
    /// Text that means null in a CSV file, besides the empty field; may be repeated
    #[arg(long = "null", value_name = "TEXT", help_heading = "Reading")]
    nulls: Vec<String>,
    /// What to do with a row whose media file is broken or missing: stop, skip the row, or make the cell null
    #[arg(long, value_name = "stop|skip|null", default_value = "stop", hide_default_value = true, help_heading = "Reading")]
    on_error: String,
}

impl Import {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("import")
    }
}
