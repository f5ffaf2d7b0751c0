//! Pages of files of far stores, in a folder of this machine that any number of processes share.
//!
//! A file of the cache is an *extent*: 16 pages of 64 KiB of one far file, and before them the hash of each. It is sparse: pages that were not read take no room. A page counts where its bytes have their hash, so that no process
//! waits for another, and one that dies in the middle of a write harms nothing. Extents that were used least recently go when all of them together take more than they may.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::local::read_range;

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 64 << 10;
/// Pages of an extent.
const PAGES: u64 = 16;
const HASH_BYTES: u64 = 32;
/// Where the first page of an extent starts: behind the hashes, at a page of the disk.
const BODY: u64 = 4096;
/// Pages of one version of this layout stand together.
const VERSION: &str = "v1";
const LOCK: &str = "lock";
/// That an extent was used is noted once in so many seconds.
const USED_SECONDS: u64 = 60;
/// A look at all that is kept is due each time that such a part of what may be kept was written.
const LOOK_PART: u64 = 32;

/// What names a far file in the cache: the hash of its store's address and its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// The key of a file of the store at `address`.
    pub fn new(address: &str, path: &str) -> FileKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(address.len() as u64).to_le_bytes()).update(address.as_bytes()).update(path.as_bytes());
        FileKey(*hasher.finalize().as_bytes())
    }
}

/// Pages kept in a folder, at most so many bytes of them, more or less a thirtieth.
#[derive(Debug)]
pub struct PageCache {
    dir: PathBuf,
    bytes_max: u64,
    /// Bytes written since the last look at all that is kept.
    written: AtomicU64,
    /// True once a write has failed: a disk that is full, or read-only, is left alone.
    broken: AtomicBool,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files, each with up to a mebibyte of a far file.
    pub files: u64,
    /// Bytes that they take on the disk.
    pub bytes: u64,
}

/// The bytes that page `page` of a file of `length` bytes has.
pub fn page_bytes(page: u64, length: u64) -> u64 {
    length.saturating_sub(page * PAGE_BYTES).min(PAGE_BYTES)
}

impl PageCache {
    /// The cache in a folder, which is made when something is kept.
    pub fn new(dir: impl Into<PathBuf>, bytes_max: u64) -> PageCache {
        PageCache { dir: dir.into(), bytes_max, written: AtomicU64::new(0), broken: AtomicBool::new(false) }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes that may be kept.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn path(&self, file: &FileKey, extent: u64) -> PathBuf {
        let name = blake3::Hash::from_bytes(file.0).to_hex();
        let (fan, rest) = name.split_at(2);
        self.dir.join(VERSION).join(fan).join(format!("{rest}-{extent}"))
    }

    /// Calls `found` with each of these pages of a file of `length` bytes that is kept and whole.
    pub fn read(&self, file: &FileKey, pages: Range<u64>, length: u64, found: &mut dyn FnMut(u64, Bytes)) {
        for (extent, pages) in extents(pages) {
            let path = self.path(file, extent);
            let Ok(kept) = File::open(&path) else { continue };
            let Ok(hashes) = read_range(&kept, &path, 0..PAGES * HASH_BYTES) else { continue };
            for page in pages {
                let at = page % PAGES;
                let Some(hash) = hash_of(&hashes, at) else { continue };
                let start = BODY + at * PAGE_BYTES;
                let bytes = read_range(&kept, &path, start..start + page_bytes(page, length));
                if let Ok(bytes) = bytes
                    && blake3::hash(&bytes).as_bytes() == hash
                {
                    found(page, bytes);
                }
            }
            used(&kept);
        }
    }

    /// Which of these pages there are, as far as can be seen without reading them.
    pub fn present(&self, file: &FileKey, pages: Range<u64>) -> Vec<u64> {
        let mut present = Vec::new();
        for (extent, pages) in extents(pages) {
            let path = self.path(file, extent);
            let Ok(kept) = File::open(&path) else { continue };
            let Ok(hashes) = read_range(&kept, &path, 0..PAGES * HASH_BYTES) else { continue };
            present.extend(pages.filter(|page| hash_of(&hashes, page % PAGES).is_some()));
        }
        present
    }

    /// Keeps a page; false where it could not be, which is no error: it will be read from afar again.
    pub fn write(&self, file: &FileKey, page: u64, bytes: &[u8]) -> bool {
        if self.broken.load(Ordering::Relaxed) || self.bytes_max == 0 {
            return false;
        }
        let kept = self.try_write(file, page, bytes);
        if kept.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        // Each process looks now and then, and by chance at its first page, so that many short ones keep the bound as well.
        let step = (self.bytes_max / LOOK_PART).max(1);
        let before = self.written.fetch_add(PAGE_BYTES, Ordering::Relaxed);
        let due = if before == 0 { drawn(step) } else { before / step != (before + PAGE_BYTES) / step };
        if due {
            // What cannot be looked at now is looked at the next time.
            let _ = self.trim(self.bytes_max);
        }
        kept.is_ok()
    }

    fn try_write(&self, file: &FileKey, page: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(file, page / PAGES);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let mut kept = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
                open()?
            }
            other => other?,
        };
        let at = page % PAGES;
        kept.seek(SeekFrom::Start(BODY + at * PAGE_BYTES))?;
        kept.write_all(bytes)?;
        kept.seek(SeekFrom::Start(at * HASH_BYTES))?;
        kept.write_all(blake3::hash(bytes).as_bytes())
    }

    /// Drops all pages of a file of `length` bytes; true where there were any.
    pub fn forget(&self, file: &FileKey, length: u64) -> bool {
        let extents = length.div_ceil(PAGE_BYTES * PAGES);
        (0..extents).fold(false, |any, extent| fs::remove_file(self.path(file, extent)).is_ok() || any)
    }

    /// Every extent: when it was used last, its bytes on the disk, its path.
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let mut files = Vec::new();
        let folders = match fs::read_dir(self.dir.join(VERSION)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(files),
            other => other?,
        };
        for folder in folders {
            let Ok(entries) = fs::read_dir(folder?.path()) else { continue };
            for entry in entries.flatten() {
                // One that another process removes meanwhile is gone.
                if let Ok(meta) = entry.metadata()
                    && meta.is_file()
                {
                    files.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), disk_bytes(&meta), entry.path()));
                }
            }
        }
        Ok(files)
    }

    /// What is kept.
    pub fn usage(&self) -> io::Result<Usage> {
        let files = self.files()?;
        Ok(Usage { files: files.len() as u64, bytes: files.iter().map(|(_, bytes, _)| bytes).sum() })
    }

    /// Drops what was used least recently until at most so many bytes are kept; returns what went. Nothing goes where another process is at it.
    pub fn trim(&self, bytes_max: u64) -> io::Result<Usage> {
        let mut gone = Usage::default();
        if !self.dir.is_dir() {
            return Ok(gone);
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(self.dir.join(LOCK))?;
        if lock.try_lock().is_err() {
            return Ok(gone);
        }
        let mut files = self.files()?;
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        files.sort();
        for (_, size, path) in files {
            if bytes <= bytes_max {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                bytes -= size;
                gone.files += 1;
                gone.bytes += size;
            }
        }
        Ok(gone)
    }
}

/// The extents of a run of pages, each with its part of them.
fn extents(pages: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
    (pages.start / PAGES..pages.end.div_ceil(PAGES)).map(move |extent| (extent, pages.start.max(extent * PAGES)..pages.end.min((extent + 1) * PAGES)))
}

/// The hash of a page, where one was written.
fn hash_of(hashes: &[u8], at: u64) -> Option<&[u8; 32]> {
    let hash = hashes.get((at * HASH_BYTES) as usize..)?.first_chunk::<32>()?;
    Some(hash).filter(|hash| hash.iter().any(|byte| *byte != 0))
}

/// Notes that an extent was used.
fn used(file: &File) {
    let now = SystemTime::now();
    let stale = |at: SystemTime| now.duration_since(at).is_ok_and(|since| since > Duration::from_secs(USED_SECONDS));
    if file.metadata().and_then(|meta| meta.modified()).is_ok_and(stale) {
        // Where that is not allowed, it goes a little earlier than it should.
        let _ = file.set_modified(now);
    }
}

#[cfg(unix)]
fn disk_bytes(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn disk_bytes(meta: &fs::Metadata) -> u64 {
    meta.len()
}

/// True once in `step / PAGE_BYTES` times.
fn drawn(step: u64) -> bool {
    let mut bytes = [0; 8];
    // Without chance it is looked now.
    getrandom::fill(&mut bytes).is_err() || u64::from_le_bytes(bytes) % step < PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u8) -> Vec<u8> {
        vec![number; PAGE_BYTES as usize]
    }

    fn kept(cache: &PageCache, file: &FileKey, pages: Range<u64>, length: u64) -> Vec<u64> {
        let mut found = Vec::new();
        cache.read(file, pages, length, &mut |page, bytes| {
            assert!(bytes.iter().all(|byte| u64::from(*byte) == page) && bytes.len() as u64 == page_bytes(page, length));
            found.push(page);
        });
        found
    }

    #[test]
    fn a_page_is_kept_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(dir.path().join("cache"), 1 << 30);
        let (file, other) = (FileKey::new("s3://a", "packs/x"), FileKey::new("s3://b", "packs/x"));
        let length = 40 * PAGE_BYTES + 7;
        assert!(kept(&cache, &file, 0..41, length).is_empty() && cache.usage().unwrap() == Usage::default());
        for number in [0, 1, 15, 16, 33] {
            assert!(cache.write(&file, number, &page(number as u8)));
        }
        assert!(cache.write(&file, 40, &[40; 7]));
        assert_eq!(kept(&cache, &file, 0..41, length), [0, 1, 15, 16, 33, 40]);
        assert_eq!(kept(&cache, &file, 1..16, length), [1, 15]);
        assert_eq!(cache.present(&file, 0..41), [0, 1, 15, 16, 33, 40]);
        assert!(kept(&cache, &other, 0..41, length).is_empty());
        // Of another length, the last page is another.
        assert!(kept(&cache, &file, 40..41, length - 1).is_empty());
        // A byte of one page, and a file that ends early: those count as never read.
        let path = cache.path(&file, 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes[BODY as usize + 5] ^= 1;
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(kept(&cache, &file, 0..41, length), [1, 16, 33, 40]);
        assert!(cache.forget(&file, length) && !cache.forget(&file, length));
        assert!(kept(&cache, &file, 0..41, length).is_empty());
    }

    #[test]
    fn what_was_used_least_recently_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(dir.path(), 1 << 30);
        let files: Vec<FileKey> = (0..6).map(|number| FileKey::new("s3://a", &format!("packs/{number}"))).collect();
        for (age, file) in files.iter().enumerate() {
            assert!(cache.write(file, 0, &page(0)));
            let written = File::options().write(true).open(cache.path(file, 0)).unwrap();
            written.set_modified(SystemTime::now() - Duration::from_secs(3600 - 600 * age as u64)).unwrap();
        }
        let usage = cache.usage().unwrap();
        // It was written first, and is used now.
        assert_eq!(kept(&cache, &files[0], 0..1, PAGE_BYTES), [0]);
        let gone = cache.trim(usage.bytes / 2).unwrap();
        assert_eq!(gone.files, 3);
        let left: Vec<usize> = (0..6).filter(|n| !kept(&cache, &files[*n], 0..1, PAGE_BYTES).is_empty()).collect();
        assert_eq!(left, [0, 4, 5]);
        // A small one holds itself to its bound while it is written.
        let small = PageCache::new(dir.path().join("small"), 20 * PAGE_BYTES);
        for number in 0..100 {
            assert!(small.write(&FileKey::new("s3://a", &format!("{number}")), 0, &page(0)));
        }
        let bytes = small.usage().unwrap().bytes;
        assert!((10 * PAGE_BYTES..=22 * PAGE_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_keeps_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "x").unwrap();
        let cache = PageCache::new(&blocked, 1 << 30);
        let file = FileKey::new("s3://a", "x");
        assert!(!cache.write(&file, 0, &page(0)) && kept(&cache, &file, 0..1, PAGE_BYTES).is_empty());
        assert!(!PageCache::new(dir.path(), 0).write(&file, 0, &page(0)));
    }
}
