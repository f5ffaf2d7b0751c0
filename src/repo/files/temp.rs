//! Temporary files that vanish with their handle.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that is deleted when this is dropped, unless it was renamed to stay.
#[derive(Debug)]
pub struct TempFile {
    path: PathBuf,
    kept: bool,
}

impl TempFile {
    /// A new empty file in `folder`, readable by its owner alone, and the handle to write it.
    pub fn create(folder: &Path, prefix: &str) -> io::Result<(TempFile, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
            let path = folder.join(format!("{prefix}{:x}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed), now & 0xffff_ffff));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            match options.open(&path) {
                Ok(file) => return Ok((TempFile { path, kept: false }, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file another name, under which it stays.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, to)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
