//! `dsv import`.

use std::io::Write;

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::cli::verb::from_git::FromGit;
use crate::cli::verb::videos::Videos;
use crate::format::Type;
use crate::repo::files::{self, OnError, ReadOptions};
use crate::repo::{ImportMode, ImportOptions, Imported};

/// Read files into a table
///
/// FILE is CSV, TSV, JSON lines, a JSON array, Parquet, Arrow IPC, NumPy .npy, a folder of images, an image, or a WebDataset .tar; plain, .gz or .zst. It may
/// be a glob (quote it), several files, or - for stdin. The rows go into the working state of the branch; `dsv commit` records them.
///
/// With --fps, --every or --scene FILE is a video, or a folder of them, and the rows are frames: video_id (the file's name without its ending), frame_index
/// (from 0 among the frames taken; the two are the key), timestamp (seconds in the video, as float64: it compares and subtracts as it is in SQL and wherever it
/// is exported to), frame, width, height, and source, which links the video by its path. Subtitles beside it, clip.vtt or clip.srt, give a column caption: what
/// is shown at that moment, or null. --keep stores the videos too. ffmpeg does the work: it is found on PATH, or named in DSV_FFMPEG.
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
/// A pointer of Git LFS, and a .dvc file, stand for the file that they name, which is read from the cache of that tool; so does a file that is not there with
/// its .dvc file beside it.
///
/// With --from-git FILE is a path in a Git repository, relative to REPO, and each commit there that `git log -- FILE` lists becomes a commit here, with its author,
/// time and message: parents first, and of a merge the first parent's line before the others. The table is made equal to each version as by --replace, by --key if
/// that is given. Versions that cannot be read are left out and told; where the file was deleted the table is dropped. The same command again goes on with what is
/// new. Pointers of Git LFS and .dvc files in that history are followed.
///
/// Examples:
///
///   dsv import birds birds.csv
///   dsv import birds more.csv.gz --append
///   dsv import birds fixed.csv --key id                      update rows by id, add new ones
///   dsv import birds birds.csv --replace                     the file was edited by hand: take it over
///   dsv import frames captions.jsonl --media path            `path` becomes the pictures' bytes
///   dsv import frames captions.csv --media path --on-error skip
///   dsv import faces photos/                                 a folder: columns path and image
///   dsv import faces 'photos/**/*.jpg'                       the same of some of its images
///   dsv import frames clips/*.mp4 --fps 2                    two frames of each second
///   dsv import frames clips/ --every 5s --width 512 --keep   and the videos, in a table `videos`
///   dsv import shots film.mkv --scene --subtitles film.en.srt
///   dsv import quakes quakes.geojson --records features
///   dsv import zips zips.csv --types zip=text,price='decimal(10,2)'
///   dsv import birds data/birds.csv.dvc                      from DVC's cache
///   dsv import birds --from-git ../code data/birds.csv --key id
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
    /// The first line of a CSV file holds values, not names; columns are called column_1, column_2, ...
    #[arg(long, help_heading = "Reading")]
    no_header: bool,
    /// Text that means null in a CSV file, besides the empty field; may be repeated
    #[arg(long = "null", value_name = "TEXT", help_heading = "Reading")]
    nulls: Vec<String>,
    /// What to do with a row whose media file is broken or missing: stop, skip the row, or make the cell null. Of a broken video, skip takes what can be read
    #[arg(long, value_name = "stop|skip|null", default_value = "stop", hide_default_value = true, help_heading = "Reading")]
    on_error: String,
    #[command(flatten)]
    videos: Box<Videos>,
    #[command(flatten)]
    from_git: Box<FromGit>,
}

impl Import {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let options = self.options(context)?;
        if self.from_git.run(context, &self.table, &self.files, &options, &self.command())? {
            return Ok(());
        }
        let names: Vec<String> = self.files.iter().map(|f| if f == "-" { f.clone() } else { context.path(f).display().to_string() }).collect();
        let inputs = files::inputs(&names)?;
        for beside in names.iter().filter_map(|name| files::dvc_beside(name.as_ref())) {
            context.ui.note(format!("Read from DVC's cache: {}", beside.display()));
        }
        let repo = context.working_repo()?;
        let done = repo.import(&self.table, &inputs, &options, &self.command())?;
        report(context, &self.table, &done)?;
        match (&self.videos.keep, &done.kept) {
            (Some(table), Some(kept)) => report(context, table, kept),
            _ => Ok(()),
        }
    }

    /// What the operation log says.
    fn command(&self) -> String {
        let mut words = vec!["import", &self.table];
        words.extend(self.files.iter().map(String::as_str));
        for (said, word) in [(self.append, "--append"), (self.replace, "--replace")] {
            if said {
                words.push(word);
            }
        }
        let (key, media) = (self.key.join(","), self.media.join(","));
        for (option, value) in [("--key", &key), ("--media", &media)] {
            if !value.is_empty() {
                words.extend([option, value]);
            }
        }
        let more = [self.videos.words(), self.from_git.words()].concat();
        words.extend(more.iter().map(String::as_str));
        args::command(words)
    }

    fn options(&self, context: &Context) -> Result<ImportOptions, CliError> {
        let key = args::names("--key", &self.key)?;
        let mode = match (self.append, self.replace, key.is_empty()) {
            (true, ..) => ImportMode::Append,
            (_, true, _) => ImportMode::Replace,
            (_, _, false) => ImportMode::Upsert,
            _ => ImportMode::Create,
        };
        let mut read = ReadOptions {
            format: self.format.as_deref().map(str::parse).transpose()?,
            types: args::types("--types", &self.types)?,
            records: self.records.clone(),
            media: args::names("--media", &self.media)?,
            null_values: self.nulls.clone(),
            header: !self.no_header,
            ..ReadOptions::default()
        };
        read.schema = self.schema.as_deref().map(|text| schema(context, text)).transpose()?;
        read.on_error = match self.on_error.as_str() {
            "stop" => OnError::Stop,
            "skip" => OnError::Skip,
            "null" => OnError::Null,
            other => return Err(CliError::usage(format!("--on-error: '{other}' is none of stop, skip, null"))),
        };
        read.delimiter = self.delimiter.as_deref().map(delimiter).transpose()?;
        read.video = self.videos.options(context)?;
        if read.video.is_some() && read.on_error == OnError::Null {
            return Err(CliError::usage("--on-error null: of a broken video no cell can be made null").hint("--on-error skip takes what can be read of it"));
        }
        Ok(ImportOptions { mode, key, read, keep: self.videos.keep.clone() })
    }
}

/// One ASCII character, or `tab` or `\\t`.
fn delimiter(text: &str) -> Result<u8, CliError> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err(CliError::usage(format!("--delimiter: '{text}' is not one character"))),
    }
}

/// `--schema`: the columns themselves, or a file with one of them a line.
fn schema(context: &Context, text: &str) -> Result<Vec<(String, Type)>, CliError> {
    let path = context.path(text);
    if !path.is_file() {
        return args::types("--schema", &[text.to_owned()]);
    }
    let lines = std::fs::read_to_string(&path).map_err(|e| CliError::fault(format!("{}: {e}", path.display())))?;
    let columns: Vec<String> =
        lines.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.trim_end_matches(',').to_owned()).collect();
    args::types("--schema", &columns)
}

/// Rows left out that are told one by one.
const SKIPPED_TOLD: usize = 10;

fn report(context: &Context, table: &str, done: &Imported) -> Result<(), CliError> {
    let changes = &done.changes;
    if context.ui.json {
        let skipped: Vec<_> = done.skipped.iter().map(|s| json!({"file": s.file, "row": s.row, "why": s.why})).collect();
        let line = json!({
            "table": table, "created": done.created, "rows": done.rows, "columns": done.columns, "rows_added": changes.added,
            "rows_removed": changes.removed, "rows_changed": changes.changed, "cells_changed": changes.cells, "skipped": skipped,
        });
        let mut out = context.ui.out();
        writeln!(out, "{line}")?;
        return Ok(out.finish()?);
    }
    for skipped in done.skipped.iter().take(SKIPPED_TOLD) {
        let row = if skipped.row > 0 { format!(", row {}", skipped.row) } else { String::new() };
        context.ui.warn(format!("{}{row}: {}", skipped.file, skipped.why));
    }
    if done.skipped.len() > SKIPPED_TOLD {
        context.ui.warn(format!("and {} more", format::count((done.skipped.len() - SKIPPED_TOLD) as u64)));
    }
    let size = format!("{}, {}", format::plural(done.rows, "row"), format::plural(done.columns as u64, "column"));
    if done.created {
        context.ui.note(format!("Created table {table}: {size}"));
        return Ok(());
    }
    let mut parts = Vec::new();
    for (n, word) in [(changes.added, "added"), (changes.removed, "removed")] {
        if n > 0 {
            parts.push(format!("{} {word}", format::plural(n, "row")));
        }
    }
    if changes.changed > 0 {
        parts.push(format!("{} changed ({})", format::plural(changes.changed, "row"), format::plural(changes.cells, "cell")));
    }
    let what = if parts.is_empty() { "no row differs".to_owned() } else { parts.join(", ") };
    context.ui.note(format!("Table {table}: {what}; now {size}"));
    Ok(())
}
