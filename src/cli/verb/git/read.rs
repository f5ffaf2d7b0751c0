//! Reading what Git hands over: a file of any format, or of none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::ui::format;

/// Copies a file that could not be read as a table: text as it is; of other bytes size and hash.
pub fn raw(path: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let told = |error: io::Error, out: &mut dyn Write| writeln!(out, "dsv: {error}");
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Ok(told(error, out)?),
    };
    let mut hasher = blake3::Hasher::new();
    let (mut length, mut is_text) = (0u64, true);
    let mut buffer = vec![0; 1 << 16];
    // Whether it is text is told by its start, as Git does.
    let mut first = true;
    loop {
        let n = match file.read(&mut buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(told(error, out)?),
        };
        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { break };
        if first {
            is_text = !part.iter().take(8000).any(|byte| *byte == 0);
            first = false;
        }
        length += n as u64;
        if is_text {
            out.write_all(part)?;
        } else {
            hasher.update(part);
        }
    }
    if !is_text {
        writeln!(out, "binary, {}, blake3 {}", format::plural(length, "byte"), hasher.finalize().to_hex())?;
    }
    Ok(())
}

/// What is wrong with a file, in a line that does not name the folder it is in: Git's temporary files have another one each time, and the text is compared.
pub fn about(error: &CliError, path: &Path) -> String {
    let line = error.message.lines().next().unwrap_or_default();
    match path.file_name() {
        Some(name) => line.replace(&path.display().to_string(), &name.to_string_lossy()),
        None => line.to_owned(),
    }
}

/// True for what Git names where a file is not there.
pub fn is_absent(path: &Path) -> bool {
    path.as_os_str() == "/dev/null" || path.as_os_str() == "nul"
}
