//! A store in a directory of this machine.
//!
//! Files are written under `tmp/`, synced, renamed into place, and the directory synced. The head pointer is swapped likewise,
//! under a lock of the operating system on the file `lock`, which a process that dies lets go.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::recycle::{RECYCLED_BYTES_MIN, Recycled};
use super::{Listed, NewFile, Store, StoreError};

const HEAD: &str = "head";
const LOCK: &str = "lock";
const TMP: &str = "tmp";
/// Directories that hold files.
const DIRECTORIES: [&str; 3] = ["packs", "catalogs", TMP];
/// Files held open for reading, at most.
const OPEN_FILES_MAX: usize = 128;
/// After so many bytes the disk starts to take in a file that is being written, so that little is left to wait for at its end.
const SYNC_BYTES: u64 = 8 << 20;

/// Less is copied: a mapping has costs of its own, system calls and page faults.
const MAPPED_BYTES_MIN: usize = 256 << 10;

/// Tells this process's unfinished files from one another.
static UNFINISHED: AtomicU64 = AtomicU64::new(0);

/// A store in a directory.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    /// Files are immutable: one opened before stays good, even when it is deleted.
    open: Mutex<HashMap<String, Arc<OpenFile>>>,
}

/// A file that is held open for reading.
#[derive(Debug)]
struct OpenFile {
    file: File,
    length: u64,
    /// Bytes that were gone through by [`Store::map`].
    gone_through: AtomicU64,
    /// The whole file as the system's cache has it, once all of it was gone through and it is read again: whoever reads once (an import, an export, a merge) maps parts and lets them go, so that its
    /// memory does not grow with the file; a table that is searched over and over costs no system calls and no page faults any more.
    whole: OnceLock<Bytes>,
}

impl LocalStore {
    /// Makes the directory, with what stands in it, where it is missing, and opens it.
    pub fn create(root: impl Into<PathBuf>) -> Result<LocalStore, StoreError> {
        let root = root.into();
        for dir in DIRECTORIES {
            let path = root.join(dir);
            fs::create_dir_all(&path).map_err(|e| StoreError::io(path.display(), e))?;
        }
        sync_directory(&root)?;
        LocalStore::open(root)
    }

    /// Opens a directory that is there.
    pub fn open(root: impl Into<PathBuf>) -> Result<LocalStore, StoreError> {
        let root = root.into();
        let kind = fs::metadata(&root).map_err(|e| StoreError::io(root.display(), e))?;
        if !kind.is_dir() {
            return Err(StoreError::io(root.display(), io::ErrorKind::NotADirectory.into()));
        }
        Ok(LocalStore { root, open: Mutex::default() })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn files(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenFile>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &str) -> Result<Arc<OpenFile>, StoreError> {
        if let Some(file) = self.files().get(path) {
            return Ok(file.clone());
        }
        let full = self.path(path);
        let file = File::open(&full).map_err(|e| StoreError::io(full.display(), e))?;
        let length = file.metadata().map_err(|e| StoreError::io(full.display(), e))?.len();
        let file = Arc::new(OpenFile { file, length, gone_through: AtomicU64::new(0), whole: OnceLock::new() });
        let mut files = self.files();
        if files.len() >= OPEN_FILES_MAX {
            // All are as good as each other: opening again costs microseconds.
            files.clear();
        }
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    /// Waits for the lock on the head pointer, which the file returned holds until it is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let path = self.path(LOCK);
        let fail = |e| StoreError::io(path.display(), e);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => file.lock().map_err(fail)?,
            Err(TryLockError::Error(e)) => return Err(fail(e)),
        }
        Ok(file)
    }

    fn unfinished(&self) -> Result<LocalFile, StoreError> {
        let number = UNFINISHED.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(TMP).join(format!("{}-{number}", std::process::id()));
        // A file of this name can only be one that a dead process with this id left.
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path);
        let file = match file {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.root.is_dir() => {
                // An empty directory is easily lost, by a copy through Git for instance.
                let tmp = self.root.join(TMP);
                fs::create_dir_all(&tmp).map_err(|e| StoreError::io(tmp.display(), e))?;
                OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)
            }
            other => other,
        };
        let file = file.map_err(|e| StoreError::io(path.display(), e))?;
        Ok(LocalFile { root: self.root.clone(), path, file, length: 0, unsynced: 0, syncing: None, finished: false })
    }
}

/// Addresses of what is read are multiples of this.
const ALIGN: usize = 64;

/// Exactly `range` of `file`, at an address that is a multiple of [`ALIGN`].
/// Exactly the bytes `range` of a file, into memory that is aligned. Any number of threads may read at once.
pub(super) fn read_range(file: &File, path: &Path, range: Range<u64>) -> Result<Bytes, StoreError> {
    let length = || file.metadata().map(|m| m.len()).map_err(|e| StoreError::io(path.display(), e));
    let short = |length| StoreError::Short { path: path.display().to_string(), length, wanted: range.end };
    let wanted = range.end.checked_sub(range.start).and_then(|n| usize::try_from(n).ok());
    // What is claimed is checked against the file before room is made for it, where it is worth a system call.
    if wanted.is_none_or(|n| n > 1 << 20) && length()? < range.end {
        return Err(short(length()?));
    }
    let wanted = wanted.ok_or_else(|| short(0))?;
    let room = wanted.saturating_add(ALIGN - 1);
    if room >= RECYCLED_BYTES_MIN {
        let mut buffer = Recycled::new(room);
        let padding = padding(buffer.as_ref());
        let mut done = 0;
        while done < wanted {
            match rustix::io::pread(file, &mut buffer.bytes_mut()[padding + done..padding + wanted], range.start + done as u64) {
                Ok(0) => return Err(short(length()?)),
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(StoreError::io(path.display(), e.into())),
            }
        }
        return Ok(Bytes::from_owner(buffer).slice(padding..padding + wanted));
    }
    // Into memory that nobody has cleared before: that would be one more pass over it.
    let mut buffer: Vec<u8> = Vec::with_capacity(room);
    let padding = padding(&buffer);
    buffer.resize(padding, 0);
    let end = padding + wanted;
    while buffer.len() < end {
        let at = range.start + (buffer.len() - padding) as u64;
        match rustix::io::pread(file, spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(short(length()?)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(StoreError::io(path.display(), e.into())),
        }
    }
    Ok(Bytes::from_owner(buffer).slice(padding..end))
}

/// The `n` bytes of `file` from `start` on, as they lie in the system's cache: nothing is copied. `None` where the file system cannot map files.
fn map_range(open: &OpenFile, start: u64, n: usize) -> Option<Bytes> {
    if start.checked_add(n as u64).is_none_or(|end| end > open.length) {
        return None;
    }
    // SAFETY: a store's files are never written again, nor cut, once they are there, and one that is deleted stays whole for whoever holds it: the bytes do not change while they are
    // borrowed. Somebody who cuts a pack by hand meanwhile ends the process, as with Git's packs.
    let mapped = unsafe { memmap2::MmapOptions::new().offset(start).len(n).map(&open.file) };
    mapped.ok().map(Bytes::from_owner)
}

/// How many bytes from the start of a buffer on are no multiple of [`ALIGN`].
fn padding(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(ALIGN).min(ALIGN - 1)
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io(path.display(), e))
}

impl Store for LocalStore {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(HEAD);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io(path.display(), e)),
        }
    }

    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        if self.read_head()?.as_deref() != expected {
            return Ok(false);
        }
        let mut file = self.unfinished()?;
        file.write(new)?;
        file.publish(&self.path(HEAD))?;
        Ok(true)
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        read_range(&self.file(path)?.file, &self.path(path), range)
    }

    fn map(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let open = self.file(path)?;
        let copied = || read_range(&open.file, &self.path(path), range.clone());
        let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok()).filter(|(start, end)| start <= end && range.end <= open.length);
        let Some((start, end)) = place else { return copied() };
        let n = end - start;
        if open.gone_through.fetch_add(n as u64, Ordering::Relaxed) >= open.length {
            let map = || usize::try_from(open.length).ok().and_then(|length| map_range(&open, 0, length)).unwrap_or_default();
            let whole = open.whole.get_or_init(map);
            if end <= whole.len() {
                return Ok(whole.slice(start..end));
            }
        }
        if n < MAPPED_BYTES_MIN {
            return copied();
        }
        map_range(&open, range.start, n).map_or_else(copied, Ok)
    }

    fn length(&self, path: &str) -> Result<u64, StoreError> {
        let full = self.path(path);
        fs::metadata(&full).map(|m| m.len()).map_err(|e| StoreError::io(full.display(), e))
    }

    fn create(&self) -> Result<Box<dyn NewFile>, StoreError> {
        Ok(Box::new(self.unfinished()?))
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.files().remove(path);
        let full = self.path(path);
        match fs::remove_file(&full) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io(full.display(), e)),
            _ => Ok(()),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        let full = self.path(dir);
        let fail = |e| StoreError::io(full.display(), e);
        let entries = match fs::read_dir(&full) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(fail)?,
        };
        let now = SystemTime::now();
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            // A file that is gone by now was deleted by another.
            let Ok(metadata) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            if metadata.is_file() {
                let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or(Duration::ZERO);
                files.push(Listed { name, length: metadata.len(), age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX) });
            }
        }
        Ok(files)
    }

    fn clear_unfinished(&self, age_ms: u64) -> Result<u64, StoreError> {
        let old: Vec<Listed> = self.list(TMP)?.into_iter().filter(|file| file.age_ms >= age_ms).collect();
        for file in &old {
            self.delete(&format!("{TMP}/{}", file.name))?;
        }
        Ok(old.len() as u64)
    }
}

struct LocalFile {
    root: PathBuf,
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes written since the disk was last told to take in what there is.
    unsynced: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
    finished: bool,
}

impl LocalFile {
    /// Counts what was written, and sets a thread to sync it where it is enough.
    fn written(&mut self, bytes: u64) -> Result<(), StoreError> {
        self.length += bytes;
        self.unsynced += bytes;
        if self.unsynced < SYNC_BYTES || self.syncing.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.join()?;
        self.unsynced = 0;
        // Where there is no thread or no handle to be had, all is synced at the end.
        if let Ok(file) = self.file.try_clone() {
            self.syncing = std::thread::Builder::new().name("dsv-sync".to_owned()).spawn(move || file.sync_data()).ok();
        }
        Ok(())
    }

    /// Waits for the thread that syncs. Its error is ours: the system tells each failure once.
    fn join(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.syncing.take() else { return Ok(()) };
        let synced = thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that synced it ended early")));
        synced.map_err(|e| StoreError::io(self.path.display(), e))
    }

    /// Syncs the file, gives it the name `to` in place of what has it, and syncs the directory.
    fn publish(mut self, to: &Path) -> Result<(), StoreError> {
        self.join()?;
        self.file.sync_all().map_err(|e| StoreError::io(self.path.display(), e))?;
        fs::rename(&self.path, to).map_err(|e| StoreError::io(to.display(), e))?;
        self.finished = true;
        sync_directory(to.parent().unwrap_or(&self.root))
    }
}

impl NewFile for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|e| StoreError::io(self.path.display(), e))?;
        self.written(bytes.len() as u64)
    }

    fn write_parts(&mut self, parts: &[&[u8]]) -> Result<(), StoreError> {
        let mut slices: Vec<IoSlice> = parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match self.file.write_vectored(left) {
                Ok(0) => return Err(StoreError::io(self.path.display(), io::ErrorKind::WriteZero.into())),
                Ok(n) => IoSlice::advance_slices(&mut left, n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(StoreError::io(self.path.display(), e)),
            }
        }
        self.written(parts.iter().map(|part| part.len() as u64).sum())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        if range.end > self.length {
            return Err(StoreError::Short { path: self.path.display().to_string(), length: self.length, wanted: range.end });
        }
        read_range(&self.file, &self.path, range)
    }

    fn finish(self: Box<Self>, path: &str) -> Result<(), StoreError> {
        let to = self.root.join(path);
        let parent = to.parent().unwrap_or(&self.root);
        if !parent.is_dir() {
            fs::create_dir_all(parent).map_err(|e| StoreError::io(parent.display(), e))?;
            sync_directory(&self.root)?;
        }
        // A file of this name holds these very bytes: putting them in its place changes nothing, whoever reads it now; and should it be
        // damaged, it heals.
        self.publish(&to)
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if !self.finished {
            // Left behind, it would be cleared later; nothing else can be done about it here.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_through_again_stays_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::create(dir.path()).unwrap();
        let bytes: Vec<u8> = (0..(3u32 << 18)).map(|i| (i * 7 + (i >> 8)) as u8).collect();
        let mut file = store.create().unwrap();
        file.write(&bytes).unwrap();
        file.finish("packs/a").unwrap();
        let (half, whole) = (1 << 18..2 << 18, 0..3 << 18);
        let read = |range: Range<u64>| {
            let found = store.map("packs/a", range.clone()).unwrap();
            assert_eq!(found, bytes[range.start as usize..range.end as usize]);
            found
        };
        let (first, again) = (read(half.clone()), read(half.clone()));
        assert_ne!(first.as_ptr(), again.as_ptr(), "mapped for each, while not all was gone through");
        read(whole.clone());
        let (part, all) = (read(half.start + 5..half.start + 9), read(whole));
        assert_eq!(part.as_ptr() as usize, all.as_ptr() as usize + half.start as usize + 5);
        // Deleted, it is there for whoever holds it open.
        std::fs::remove_file(dir.path().join("packs/a")).unwrap();
        assert_eq!(read(half.clone()).as_ptr() as usize, all.as_ptr() as usize + half.start as usize);
        assert!(matches!(store.map("packs/a", 5..(3 << 18) + 1), Err(StoreError::Short { .. })));
        #[allow(clippy::reversed_empty_ranges)]
        let turned = store.map("packs/a", 9..5);
        assert!(matches!(turned, Err(StoreError::Short { .. })));
    }
}
