//! Files to read: found by name or glob, opened through their compression, and told apart by content and name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::error::{FileError, Place};
use super::temp::TempFile;
use super::{FileFormat, Input, Kept, ReadOptions};
use crate::base::Progress;
use crate::base::name::nearest;
use crate::base::progress::Unit;

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several.
    Zstd,
}

impl Compression {
    fn of(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A zstd file may start with a skippable frame.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::Plain,
        }
    }

    /// By the end of a name, for a file to be written.
    pub fn of_name(name: &str) -> Compression {
        let name = name.to_ascii_lowercase();
        if name.ends_with(".gz") || name.ends_with(".gzip") || name.ends_with(".tgz") {
            Compression::Gzip
        } else if name.ends_with(".zst") || name.ends_with(".zstd") {
            Compression::Zstd
        } else {
            Compression::Plain
        }
    }
}

impl FileFormat {
    /// By the end of a name, compression aside.
    pub fn of_name(name: &str) -> Option<FileFormat> {
        let name = name.to_ascii_lowercase();
        if name.ends_with(".tgz") {
            return Some(FileFormat::WebDataset);
        }
        let name = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        Some(match Path::new(name).extension()?.to_str()? {
            "csv" => FileFormat::Csv,
            "tsv" | "tab" => FileFormat::Tsv,
            "jsonl" | "ndjson" | "jsonlines" => FileFormat::JsonLines,
            "json" | "geojson" => FileFormat::Json,
            "parquet" | "pq" => FileFormat::Parquet,
            "arrow" | "arrows" | "ipc" | "feather" => FileFormat::Arrow,
            "npy" => FileFormat::Npy,
            "tar" => FileFormat::WebDataset,
            _ => return None,
        })
    }

    /// By the first kilobytes of the content, where these leave no doubt.
    fn of_magic(start: &[u8]) -> Option<FileFormat> {
        if start.starts_with(b"PAR1") || start.starts_with(b"PARE") {
            Some(FileFormat::Parquet)
        } else if start.starts_with(b"ARROW1") || start.starts_with(&[0xff, 0xff, 0xff, 0xff]) && start.get(8..12) == Some(&[0x10, 0, 0, 0]) {
            Some(FileFormat::Arrow)
        } else if start.starts_with(b"\x93NUMPY") {
            Some(FileFormat::Npy)
        } else if start.get(257..262) == Some(b"ustar") {
            Some(FileFormat::WebDataset)
        } else {
            None
        }
    }

    /// By a look at text: for standard input and files whose name says nothing.
    fn of_text(start: &[u8]) -> FileFormat {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        match start.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'[') => FileFormat::Json,
            Some(b'{') => json_layout(start),
            _ => {
                let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
                let tabs = line.iter().filter(|b| **b == b'\t').count();
                if tabs > 0 && tabs >= line.iter().filter(|b| **b == b',').count() { FileFormat::Tsv } else { FileFormat::Csv }
            }
        }
    }
}

/// One object a line, or one document? Text that starts with `{` is lines if its first line is a whole object.
fn json_layout(start: &[u8]) -> FileFormat {
    let mut lines = start.split_inclusive(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let first = lines.next().unwrap_or_default();
    let whole = std::str::from_utf8(first).is_ok_and(|text| super::json::node::parse(text).is_ok());
    let more = lines.next().is_some_and(|line| line.trim_ascii_start().starts_with(b"{"));
    if whole && more { FileFormat::JsonLines } else { FileFormat::Json }
}

/// Expands what was typed: `-` is standard input, names with `*`, `?` or `[` that name no file are globs, in sorted order.
pub fn inputs(names: &[String]) -> Result<Vec<Input>, FileError> {
    let mut found = Vec::new();
    for name in names {
        if name.is_empty() {
            return Err(FileError::usage("a file's name is empty"));
        }
        if name == "-" {
            if found.contains(&Input::Stdin) {
                return Err(FileError::usage("standard input can be read once"));
            }
            found.push(Input::Stdin);
        } else if !name.contains(['*', '?', '[']) || Path::new(name).exists() {
            found.push(Input::Path(PathBuf::from(name)));
        } else {
            let paths = glob::glob(name).map_err(|e| FileError::usage(format!("'{name}' is not a pattern: {}", e.msg)))?;
            let before = found.len();
            for path in paths {
                found.push(Input::Path(path.map_err(|e| FileError::io(e.path().display(), io::Error::from(e.error().kind())))?));
            }
            if found.len() == before {
                return Err(FileError::usage(format!("no file matches '{name}'")));
            }
        }
    }
    if found.is_empty() {
        return Err(FileError::usage("no file is given"));
    }
    Ok(found)
}

/// An existing file or folder whose format is known.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was given; for messages.
    pub name: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// The folder that paths in it are relative to.
    pub folder: PathBuf,
    pub format: FileFormat,
    pub compression: Compression,
    /// Bytes as stored; 0 for a folder.
    pub length: u64,
    /// The images that were named one by one, with their names relative to `folder`; none for a folder as a whole.
    pub images: Vec<(String, PathBuf)>,
    spool_folder: PathBuf,
    /// Keeps the copy of standard input.
    _spooled: Option<TempFile>,
    unpacked: OnceLock<TempFile>,
}

/// Finds what the inputs are. Images named one by one, as a glob finds them, are one source, in the place of the first.
pub(super) fn find(inputs: &[Input], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Vec<Arc<Source>>, FileError> {
    if let Some(video) = &options.video {
        let sources = videos(inputs, options)?;
        super::video::check(&sources, video)?;
        return Ok(sources);
    }
    let mut files = Vec::with_capacity(inputs.len());
    for input in inputs {
        match (input, stands_for(input)?) {
            (Input::Kept(kept), _) => files.extend(of_kept(kept, options)),
            (_, Some(kept)) => files.extend(of_kept(&kept, options)),
            (Input::Path(path), None) => files.push(Found::File { name: path.display().to_string(), at: path.clone(), named: path.clone() }),
            (Input::Stdin, None) => files.push(Found::Stdin),
        }
    }
    let image = |at: &Path, named: &Path| at.is_file() && options.format.map_or_else(|| super::images::is_image(named), |format| format == FileFormat::Images);
    let is_image = |found: &Found| matches!(found, Found::File { at, named, .. } if image(at, named));
    let mut images: Vec<(PathBuf, PathBuf)> = Vec::new();
    for found in files.iter().filter(|found| is_image(found)) {
        if let Found::File { at, named, .. } = found {
            images.push((named.clone(), at.clone()));
        }
    }
    let mut sources = Vec::with_capacity(files.len());
    for found in files {
        if is_image(&found) {
            if !images.is_empty() {
                sources.push(Arc::new(Source::of_images(&std::mem::take(&mut images), options)?));
            }
            continue;
        }
        sources.push(Arc::new(match found {
            Found::File { name, at, named } => Source::find(name, at, &named, options)?,
            Found::Stdin => Source::stdin(options, progress)?,
            Found::Images { folder, images } => Source { images, ..Source::new(folder.display().to_string(), folder.clone(), folder, options) },
        }));
    }
    Ok(sources)
}

/// An input, with what stands for files elsewhere taken apart.
enum Found {
    /// What it is called, where it is, and the path that its name, ending and folder are taken from.
    File {
        name: String,
        at: PathBuf,
        named: PathBuf,
    },
    Stdin,
    /// A folder of images that lie elsewhere.
    Images {
        folder: PathBuf,
        images: Vec<(String, PathBuf)>,
    },
}

/// What is kept elsewhere in the input's place.
#[cfg(feature = "git")]
fn stands_for(input: &Input) -> Result<Option<Kept>, FileError> {
    super::pointer::resolve(input)
}

/// Without Git every file stands for itself.
#[cfg(not(feature = "git"))]
fn stands_for(_: &Input) -> Result<Option<Kept>, FileError> {
    Ok(None)
}

/// The files that are kept elsewhere; of a folder with images those, as of any folder.
fn of_kept(kept: &Kept, options: &ReadOptions) -> Vec<Found> {
    let is_hidden = |name: &str| name.split('/').any(|part| part.starts_with('.'));
    if kept.is_folder && options.format.is_none_or(|format| format == FileFormat::Images) {
        let images = kept.files.iter().filter(|(name, _)| super::images::is_image(Path::new(name)) && !is_hidden(name));
        let images: Vec<(String, PathBuf)> = images.cloned().collect();
        if !images.is_empty() {
            return vec![Found::Images { folder: kept.folder.clone(), images }];
        }
    }
    let file = |(name, at): &(String, PathBuf)| {
        let path = PathBuf::from(name);
        let named = if kept.is_folder { kept.folder.join(&path) } else { path };
        Found::File { name: name.clone(), at: at.clone(), named }
    };
    kept.files.iter().map(file).collect()
}

/// Videos, and those of folders.
fn videos(inputs: &[Input], options: &ReadOptions) -> Result<Vec<Arc<Source>>, FileError> {
    let mut paths = Vec::with_capacity(inputs.len());
    for input in inputs {
        let Input::Path(path) = input else {
            return Err(FileError::usage("a video cannot be read from standard input: its name tells its frames from those of others").with_hint("name a file"));
        };
        let before = paths.len();
        if path.is_dir() {
            let mut files = Vec::new();
            super::images::walk(path, "", 0, &super::video::is_video_name, &mut files)?;
            files.sort();
            paths.extend(files.into_iter().map(|(_, path)| path));
            if paths.len() == before {
                return Err(FileError::bad(path.display(), Place::File, "the folder has no videos").with_hint("name the files"));
            }
        } else {
            paths.push(path.clone());
        }
    }
    let source = |path: PathBuf| {
        let length = std::fs::metadata(&path).map_err(|e| missing(&path, e))?.len();
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Arc::new(Source { format: FileFormat::Video, length, ..Source::new(path.display().to_string(), path, folder, options) }))
    };
    paths.into_iter().map(source).collect()
}

impl Source {
    fn new(name: String, path: PathBuf, folder: PathBuf, options: &ReadOptions) -> Source {
        Source {
            name,
            path,
            folder,
            format: FileFormat::Images,
            compression: Compression::Plain,
            length: 0,
            images: vec![],
            spool_folder: options.spool_folder.clone().unwrap_or_else(std::env::temp_dir),
            _spooled: None,
            unpacked: OnceLock::new(),
        }
    }

    /// Images by name, each with the place of its bytes: a folder of images of which these are taken, the deepest that holds them all.
    fn of_images(paths: &[(PathBuf, PathBuf)], options: &ReadOptions) -> Result<Source, FileError> {
        let parent = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut folder = paths.first().map(|(path, _)| parent(path)).unwrap_or_default();
        for (path, _) in paths {
            while !path.starts_with(&folder) && folder.pop() {}
        }
        let mut images = Vec::with_capacity(paths.len());
        for (path, at) in paths {
            let relative = path.strip_prefix(&folder).unwrap_or(path);
            let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
            let name = parts.ok_or_else(|| FileError::bad(path.display(), Place::File, "its name is not UTF-8, which a path column holds"))?.join("/");
            images.push((name, at.clone()));
        }
        let shown = if folder.as_os_str().is_empty() { "the images".to_owned() } else { folder.display().to_string() };
        Ok(Source { images, ..Source::new(shown, folder.clone(), folder, options) })
    }

    /// A file of that name, whose bytes are at `at`; paths in it are relative to the folder of `named`.
    fn find(name: String, at: PathBuf, named: &Path, options: &ReadOptions) -> Result<Source, FileError> {
        let folder = named.parent().map(Path::to_path_buf).unwrap_or_default();
        Source::new(name, at, folder, options).looked_at(options)
    }

    fn stdin(options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Source, FileError> {
        let temp = spool_stdin(options.spool_folder.as_deref(), progress)?;
        let path = temp.path().to_path_buf();
        Source { _spooled: Some(temp), ..Source::new(STDIN.to_owned(), path, PathBuf::new(), options) }.looked_at(options)
    }

    /// Finds out its size, compression and format.
    fn looked_at(self, options: &ReadOptions) -> Result<Source, FileError> {
        let mut source = self;
        let metadata = std::fs::metadata(&source.path).map_err(|e| missing(&source.path, e))?;
        if metadata.is_dir() {
            if options.format.is_some_and(|f| f != FileFormat::Images) {
                return Err(FileError::usage(format!("{} is a folder", source.name)).with_hint(format!("name its files: {}/*", source.name)));
            }
            source.folder = source.path.clone();
            return Ok(source);
        }
        if options.format == Some(FileFormat::Images) {
            return Err(FileError::usage(format!("{} is not a folder of images", source.name)));
        }
        source.length = metadata.len();
        let mut start = Vec::new();
        let file = File::open(&source.path).map_err(|e| FileError::io(&source.name, e))?;
        file.take(4).read_to_end(&mut start).map_err(|e| FileError::io(&source.name, e))?;
        source.compression = Compression::of(&start);
        source.format = match options.format {
            Some(format) => format,
            None => source.detect()?,
        };
        Ok(source)
    }

    fn detect(&self) -> Result<FileFormat, FileError> {
        let mut start = Vec::new();
        let peeked = self.unpacking(File::open(&self.path).map_err(|e| FileError::io(&self.name, e))?)?.take(1 << 16).read_to_end(&mut start);
        // A torn file is reported where it is read.
        if peeked.is_err() && start.is_empty() && FileFormat::of_name(&self.name).is_none() {
            peeked.map_err(|e| self.read_error(e))?;
        }
        let named = FileFormat::of_name(&self.name);
        Ok(match (FileFormat::of_magic(&start), named) {
            (Some(magic), _) => magic,
            (None, Some(FileFormat::Json)) if start.trim_ascii_start().first() == Some(&b'{') => json_layout(&start),
            (None, Some(format)) => format,
            (None, None) => {
                if start.contains(&0) && !start.starts_with(&[0xff, 0xfe]) && !start.starts_with(&[0xfe, 0xff]) {
                    if let Some(media) = super::media::sniff(&start) {
                        if media.kind == super::media::MediaKind::Video {
                            return Err(FileError::bad(&self.name, Place::File, "is a video, not a table")
                                .with_hint("take frames of it with --fps 2, --every 5s or --scene"));
                        }
                        return Err(FileError::bad(&self.name, Place::File, "is a media file, not a table")
                            .with_hint("write its path into a column of a CSV file, and import that with --media COLUMN"));
                    }
                    return Err(FileError::bad(&self.name, Place::File, "neither its name nor its content tells its format")
                        .with_hint("say it: --format csv, tsv, jsonl, json, parquet, arrow, npy, images or webdataset"));
                }
                FileFormat::of_text(&start)
            }
        })
    }

    fn unpacking<R: Read + Send + 'static>(&self, raw: R) -> Result<Box<dyn Read + Send>, FileError> {
        Ok(match self.compression {
            Compression::Plain => Box::new(raw),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(raw)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(raw).map_err(|e| FileError::io(&self.name, e))?),
        })
    }

    /// What an error while reading means: the system's, or a torn archive.
    pub fn read_error(&self, error: io::Error) -> FileError {
        if error.raw_os_error().is_some() || self.compression == Compression::Plain {
            return FileError::io(&self.name, error);
        }
        let format = if self.compression == Compression::Gzip { "gzip" } else { "zstd" };
        let torn = error.kind() == io::ErrorKind::UnexpectedEof;
        let what = if torn { format!("its {format} data end early: the file is cut short") } else { format!("its {format} data are damaged: {error}") };
        FileError::bad(&self.name, Place::File, what).with_hint("fetch or write the file again")
    }

    /// The unpacked bytes from the start.
    pub fn open(self: &Arc<Self>, progress: &Arc<dyn Progress>) -> Result<Stream, FileError> {
        let file = File::open(&self.path).map_err(|e| FileError::io(&self.name, e))?;
        let counted = Counted { inner: file, progress: progress.clone() };
        let inner = BufReader::with_capacity(1 << 18, self.unpacking(BufReader::with_capacity(1 << 17, counted))?);
        Ok(Stream { inner, source: self.clone(), progress: progress.clone() })
    }

    /// A file of the unpacked bytes, for readers that jump about.
    pub fn seekable(&self) -> Result<File, FileError> {
        let path = match self.compression {
            Compression::Plain => &self.path,
            _ => match self.unpacked.get() {
                Some(temp) => temp.path(),
                None => {
                    let (temp, mut out) = TempFile::create(&self.spool_folder, "dsv-unpacked-").map_err(|e| FileError::io(self.spool_folder.display(), e))?;
                    let mut bytes = self.unpacking(File::open(&self.path).map_err(|e| FileError::io(&self.name, e))?)?;
                    let mut buffer = vec![0; 1 << 17];
                    loop {
                        let n = bytes.read(&mut buffer).map_err(|e| self.read_error(e))?;
                        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { break };
                        out.write_all(part).map_err(|e| FileError::io(temp.path().display(), e))?;
                    }
                    self.unpacked.get_or_init(|| temp).path()
                }
            },
        };
        File::open(path).map_err(|e| FileError::io(&self.name, e))
    }

    /// A new temporary file.
    pub fn spool(&self) -> Result<(TempFile, File), FileError> {
        TempFile::create(&self.spool_folder, "dsv-cell-").map_err(|e| FileError::io(self.spool_folder.display(), e))
    }

    pub fn bad(&self, place: Place, what: impl std::fmt::Display) -> FileError {
        FileError::bad(&self.name, place, what)
    }
}

const STDIN: &str = "standard input";

/// All of standard input, in a temporary file of `folder` or of the system's, so that it can be read more than once.
pub fn spool_stdin(folder: Option<&Path>, progress: &Arc<dyn Progress>) -> Result<TempFile, FileError> {
    let folder = folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let (temp, mut file) = TempFile::create(&folder, "dsv-stdin-").map_err(|e| FileError::io(folder.display(), e))?;
    // Read on a thread of its own: a pipe, or a person, may keep silent for long, and the work must stop when it is told to.
    let (sender, parts) = sync_channel::<io::Result<Vec<u8>>>(4);
    let read = move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut part = vec![0; 1 << 16];
            let part = match stdin.read(&mut part) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => return,
                Ok(n) => {
                    part.truncate(n);
                    Ok(part)
                }
                Err(e) => Err(e),
            };
            if sender.send(part).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("dsv-stdin".to_owned()).spawn(read).map_err(|e| FileError::io(STDIN, e))?;
    progress.start("reading standard input", None, Unit::Bytes);
    loop {
        let part = parts.recv_timeout(Duration::from_millis(100));
        if progress.interrupted() {
            return Err(FileError::Interrupted);
        }
        match part {
            Ok(part) => {
                let part = part.map_err(|e| FileError::io(STDIN, e))?;
                file.write_all(&part).map_err(|e| FileError::io(temp.path().display(), e))?;
                progress.advance(part.len() as u64);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    progress.finish();
    Ok(temp)
}

/// A file that cannot be looked at; where it is not there, with the names beside it that come near.
fn missing(path: &Path, error: io::Error) -> FileError {
    if error.kind() != io::ErrorKind::NotFound {
        return FileError::io(path.display(), error);
    }
    let missing = FileError::bad(path.display(), Place::File, "there is no such file");
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match nearest(&wanted, names.iter().map(String::as_str)).as_slice() {
        [] => missing,
        near => missing.with_hint(format!("did you mean '{}'?", near.join("' or '"))),
    }
}

/// Reports the bytes that pass.
struct Counted<R> {
    inner: R,
    progress: Arc<dyn Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.advance(n as u64);
        Ok(n)
    }
}

/// The unpacked bytes of a source; its errors name the file.
pub(super) struct Stream {
    inner: BufReader<Box<dyn Read + Send>>,
    pub source: Arc<Source>,
    progress: Arc<dyn Progress>,
}

impl Stream {
    /// The bytes that are at hand, at least one unless the file is at its end.
    pub fn fill(&mut self) -> Result<&[u8], FileError> {
        if self.inner.buffer().is_empty() {
            if self.progress.interrupted() {
                return Err(FileError::Interrupted);
            }
            // A retry where a signal came between is BufRead's callers' to do.
            loop {
                match self.inner.fill_buf() {
                    Ok(_) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(self.source.read_error(error)),
                }
            }
        }
        Ok(self.inner.buffer())
    }

    pub fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.interrupted() {
            return Err(io::Error::other("interrupted"));
        }
        self.inner.read(buffer)
    }
}
