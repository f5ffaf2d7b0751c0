//! `dsv git no-data`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::size::bytes_of;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::repo::files::media::sniff;

/// Keep data out of Git
///
/// Refuses files that are data by their name or content, and all files over a size, and says how to import them. For the hook dsv-no-data of the pre-commit framework,
/// which gives it the files that are to be committed. Pointers of Git LFS and DVC are no data. The exit code is 1 where one is refused.
///
/// With --json, a line for each: {"file", "bytes", "format", "import"}.
///
/// Examples:
///
///   dsv git no-data $(git diff --cached --name-only)
///   dsv git no-data --max-size 2MB --allow 'tests/fixtures/*' *.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct NoData {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Files of other formats are refused over this size
    #[arg(long, value_name = "SIZE", default_value = "1MB", value_parser = size)]
    max_size: u64,
    /// Files that may be in Git all the same; * goes across folders
    #[arg(long, value_name = "PATTERN")]
    allow: Vec<String>,
}

fn size(text: &str) -> Result<u64, String> {
    bytes_of(&text.to_lowercase()).ok_or_else(|| "write a size such as 500kB or 2MB".to_owned())
}

/// Formats of data by the end of a name.
const NAMES: [(&str, &str); 20] = [
    ("parquet", "Parquet"),
    ("arrow", "Arrow"),
    ("feather", "Arrow"),
    ("ipc", "Arrow"),
    ("csv", "CSV"),
    ("tsv", "TSV"),
    ("jsonl", "JSON lines"),
    ("ndjson", "JSON lines"),
    ("npy", "NumPy"),
    ("npz", "NumPy"),
    ("h5", "HDF5"),
    ("hdf5", "HDF5"),
    ("orc", "ORC"),
    ("avro", "Avro"),
    ("tfrecord", "TFRecord"),
    ("lance", "Lance"),
    ("safetensors", "safetensors"),
    ("sqlite", "SQLite"),
    ("duckdb", "DuckDB"),
    ("mds", "MDS"),
];

/// Formats of data by how a file begins.
const STARTS: [(&[u8], &str); 6] =
    [(b"PAR1", "Parquet"), (b"ARROW1", "Arrow"), (b"\x93NUMPY", "NumPy"), (b"\x89HDF\r\n", "HDF5"), (b"ORC", "ORC"), (b"SQLite format 3\0", "SQLite")];

/// Formats that `dsv import` reads into a table.
const IMPORTED: [&str; 6] = ["Parquet", "Arrow", "CSV", "TSV", "JSON lines", "NumPy"];

/// Endings that a compressed file has behind its own.
const PACKED: [&str; 4] = [".gz", ".zst", ".bz2", ".xz"];

struct Refused {
    file: PathBuf,
    bytes: u64,
    format: Option<&'static str>,
}

impl NoData {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let allowed = self.allow.iter().map(|text| glob::Pattern::new(text).map_err(|e| CliError::usage(format!("'{text}' is no pattern: {e}"))));
        let allowed = allowed.collect::<Result<Vec<_>, _>>()?;
        let mut refused = Vec::new();
        for file in &self.files {
            if allowed.iter().any(|pattern| pattern.matches_path(file)) {
                continue;
            }
            refused.extend(judge(&context.path(file), file, self.max_size)?);
        }
        let mut out = context.ui.out();
        for Refused { file, bytes, format } in &refused {
            let import = import(file, *format);
            if context.ui.json {
                writeln!(out, "{}", json!({ "file": file.display().to_string(), "bytes": bytes, "format": format, "import": import }))?;
            } else {
                let what = format.map(|format| format!(" of {format}")).unwrap_or_default();
                let how = import.map(|import| format!(": {import}")).unwrap_or_default();
                writeln!(out, "{}: {}{what}{how}", file.display(), format::bytes(*bytes))?;
            }
        }
        out.finish()?;
        if refused.is_empty() {
            return Ok(());
        }
        let files = format::plural(refused.len() as u64, "file");
        Err(CliError::no(format!("{files} should be kept in dsv, not in Git")).hint("import and ignore it, or let it pass by its name: --allow PATTERN"))
    }
}

/// A file, if it is data or too large. What is no regular file passes, and so does what is gone.
fn judge(path: &Path, name: &Path, max: u64) -> Result<Option<Refused>, CliError> {
    let Ok(meta) = path.symlink_metadata() else { return Ok(None) };
    if !meta.is_file() {
        return Ok(None);
    }
    let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", path.display()));
    let mut start = Vec::new();
    File::open(path).map_err(failed)?.take(512).read_to_end(&mut start).map_err(failed)?;
    // A pointer is what belongs here.
    if start.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Ok(None);
    }
    let lower = name.to_string_lossy().to_lowercase();
    let plain = PACKED.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    let by_name = NAMES.iter().find(|(end, _)| plain.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')));
    let format = STARTS.iter().find(|(bytes, _)| start.starts_with(bytes)).or(None).map(|(_, format)| *format).or(by_name.map(|(_, format)| *format));
    Ok((format.is_some() || meta.len() > max).then(|| Refused {
        file: name.to_owned(),
        bytes: meta.len(),
        format: format.or_else(|| sniff(&start).map(|media| media.media_type)),
    }))
}

/// The command that imports a file, if dsv reads its format.
fn import(file: &Path, format: Option<&str>) -> Option<String> {
    let format = format?;
    if !IMPORTED.contains(&format) && !format.contains('/') {
        return None;
    }
    let stem = file.file_name()?.to_string_lossy().split('.').next()?.to_owned();
    let table: String = stem.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let table = if table.is_empty() { "data".to_owned() } else { table };
    Some(format!("dsv import {table} {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_told_by_name_content_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let judged = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            judge(&path, Path::new(name), 100).unwrap().map(|refused| (refused.format, import(Path::new(name), refused.format)))
        };
        assert_eq!(judged("a.py", b"print(1)"), None);
        assert_eq!(judged("a.py", &[b'x'; 101]), Some((None, None)));
        assert_eq!(judged("my data.CSV.gz", b"").unwrap(), (Some("CSV"), Some("dsv import my_data my data.CSV.gz".into())));
        assert_eq!(judged("weights.bin", b"PAR1....").unwrap().0, Some("Parquet"));
        assert_eq!(judged("x.h5", b"").unwrap(), (Some("HDF5"), None));
        assert_eq!(judged("notcsv", b""), None);
        assert_eq!(judged("p.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), None);
        assert_eq!(judge(&dir.path().join("gone.csv"), Path::new("gone.csv"), 1).unwrap().map(|r| r.bytes), None);
    }
}
