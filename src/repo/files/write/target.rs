//! The file that is being written: a temporary beside its target, renamed when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::error::FileError;
use super::super::temp::TempFile;
use super::{Compression, Target, Written};

/// Level of zstd in files that are written; Parquet's pages as well.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// Bytes go through this to the target, packed where its name says so.
pub(super) struct Output {
    pub name: String,
    packer: Option<Packer>,
    place: Place,
}

enum Place {
    File { temp: TempFile, target: PathBuf },
    Stream,
}

enum Packer {
    Plain(BufWriter<Raw>),
    Gzip(flate2::write::GzEncoder<BufWriter<Raw>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<Raw>>),
}

/// Counts what is written, as it is stored.
struct Raw {
    to: Box<dyn Write + Send>,
    /// The same file, to be synced.
    file: Option<File>,
    bytes: u64,
}

impl Write for Raw {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.to.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The folder of a path that may have none.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Output {
    pub fn create(target: Target, compression: Compression) -> Result<Output, FileError> {
        let (name, raw, place) = match target {
            Target::Path(target) => {
                let name = target.display().to_string();
                let failed = |e| FileError::io(&name, e);
                if target.is_dir() {
                    return Err(FileError::usage(format!("{name} is a folder")).with_hint("name a file in it"));
                }
                // What is no regular file, such as a pipe or /dev/null, is written in place.
                if std::fs::metadata(&target).is_ok_and(|m| !m.is_file()) {
                    let file = File::options().write(true).open(&target).map_err(failed)?;
                    (name, Raw { to: Box::new(file), file: None, bytes: 0 }, Place::Stream)
                } else {
                    // A link stays a link.
                    let target = std::fs::canonicalize(&target).unwrap_or(target);
                    let base = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                    let (temp, file) = TempFile::create(folder_of(&target), &format!(".{base}.dsv-")).map_err(failed)?;
                    let to = file.try_clone().map_err(failed)?;
                    (name, Raw { to: Box::new(to), file: Some(file), bytes: 0 }, Place::File { temp, target })
                }
            }
            Target::Writer(name, to) => (name, Raw { to, file: None, bytes: 0 }, Place::Stream),
        };
        let buffered = BufWriter::with_capacity(1 << 17, raw);
        let packer = match compression {
            Compression::Plain => Packer::Plain(buffered),
            Compression::Gzip => Packer::Gzip(flate2::write::GzEncoder::new(buffered, flate2::Compression::default())),
            Compression::Zstd => Packer::Zstd(zstd::stream::write::Encoder::new(buffered, ZSTD_LEVEL).map_err(|e| FileError::io(&name, e))?),
        };
        Ok(Output { name, packer: Some(packer), place })
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.write_all(bytes).map_err(|e| FileError::io(&self.name, e))
    }

    pub fn failed(&self, error: io::Error) -> FileError {
        FileError::io(&self.name, error)
    }

    /// Completes the file, makes it durable and gives it its name.
    pub fn finish(mut self) -> Result<Written, FileError> {
        let name = self.name.clone();
        let failed = |e: io::Error| FileError::io(&name, e);
        let buffered = match self.packer.take() {
            Some(Packer::Plain(buffered)) => buffered,
            Some(Packer::Gzip(packer)) => packer.finish().map_err(failed)?,
            Some(Packer::Zstd(packer)) => packer.finish().map_err(failed)?,
            None => return Err(failed(io::Error::other("was finished before"))),
        };
        let mut raw = buffered.into_inner().map_err(|e| failed(e.into_error()))?;
        raw.flush().map_err(failed)?;
        if let Some(file) = &raw.file {
            file.sync_all().map_err(failed)?;
        }
        let written = Written { rows: 0, files: 1, bytes: raw.bytes };
        drop(raw);
        if let Place::File { temp, target } = self.place {
            // A file that is replaced keeps its permissions.
            if let Ok(old) = std::fs::metadata(&target) {
                let _ = std::fs::set_permissions(temp.path(), old.permissions());
            }
            temp.rename(&target).map_err(failed)?;
            // The name is durable once its folder is.
            if let Ok(folder) = File::open(folder_of(&target)) {
                let _ = folder.sync_all();
            }
        }
        Ok(written)
    }
}

impl Write for Output {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.packer {
            Some(Packer::Plain(to)) => to.write(buffer),
            Some(Packer::Gzip(to)) => to.write(buffer),
            Some(Packer::Zstd(to)) => to.write(buffer),
            None => Err(io::Error::other("was finished before")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
