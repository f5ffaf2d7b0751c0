//! `dsv git textconv`.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::read::{about, is_absent, raw};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::value;
use crate::repo::files::{self, Input, ReadOptions};

/// Print a data file as text that Git can compare
///
/// A line for each column, `column NAME: TYPE`, an empty line, and a line for each row, as JSON; of bytes their type, length and hash. The same data gives the same text,
/// whatever the file's format, so that `git diff`, `git log -p` and `git show` tell what changed in a Parquet file. It reads what `dsv import` reads, pointers of Git LFS
/// included.
///
/// Git would stop where this failed: of what cannot be read it prints why, then the file as it is if it is text, or its length and hash.
///
/// To let Git use it, name the files in .gitattributes and the command in Git's settings; the third line keeps the text of each version, so that it is made once:
///
///   echo '*.parquet diff=dsv' >> .gitattributes
///   git config diff.dsv.textconv 'dsv git textconv'
///   git config diff.dsv.cachetextconv true
///
/// Examples:
///
///   dsv git textconv birds.parquet
///   git log -p -- birds.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Textconv {
    /// The file
    #[arg(value_name = "FILE")]
    file: String,
    /// The types of some columns
    #[arg(long, value_name = "COL=TYPE,...")]
    types: Vec<String>,
}

impl Textconv {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let types = args::types("--types", &self.types)?;
        let path = context.path(&self.file);
        let mut out = context.ui.out();
        if !is_absent(&path)
            && let Err(error) = print(context, &path, types, &mut out)
        {
            // A reader that went away, or was told to stop.
            if error.message.is_empty() || error.exit == crate::cli::ui::progress::INTERRUPTED_EXIT {
                return Err(error);
            }
            writeln!(out, "dsv: cannot be read as a table: {}", about(&error, &path))?;
            raw(&path, &mut out)?;
        }
        Ok(out.finish()?)
    }
}

fn print(context: &Context, path: &Path, types: Vec<(String, crate::format::Type)>, out: &mut dyn Write) -> Result<(), CliError> {
    let options = ReadOptions { hints: types, ..ReadOptions::default() };
    let mut batches = files::open(&[Input::Path(path.to_owned())], &options, &context.ui.progress())?;
    let columns = batches.columns().to_vec();
    for (name, ty) in &columns {
        writeln!(out, "column {}: {ty}", Value::from(name.as_str()))?;
    }
    writeln!(out)?;
    while let Some(batch) = batches.next()? {
        for row in 0..batch.rows.num_rows() {
            let mut cells = Map::new();
            for ((name, ty), array) in columns.iter().zip(batch.rows.columns()) {
                cells.insert(name.clone(), value::json(ty, array, row)?);
            }
            for cell in batch.large.iter().filter(|cell| cell.row == row as u64) {
                if let Some((name, ty)) = columns.get(cell.column) {
                    let bytes = std::fs::metadata(&cell.source).map_or(0, |file| file.len());
                    cells.insert(name.clone(), serde_json::json!({ "type": ty.to_string(), "bytes_total": bytes }));
                }
            }
            writeln!(out, "{}", Value::Object(cells))?;
        }
    }
    Ok(())
}
