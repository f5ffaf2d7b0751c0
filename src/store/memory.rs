//! A store in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::{Listed, NewFile, Store, StoreError};

/// Keeps everything in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    head: Option<Vec<u8>>,
    files: BTreeMap<String, (Bytes, Option<Instant>)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Every change below is one assignment: a panic elsewhere leaves the contents whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file in, whole.
    pub fn put(&self, path: &str, bytes: Bytes) {
        self.contents().files.insert(path.to_owned(), (bytes, Some(Instant::now())));
    }

    /// Puts other bytes in the place of a file, as damage would.
    #[cfg(test)]
    pub fn overwrite(&self, path: &str, bytes: Vec<u8>) {
        self.contents().files.insert(path.to_owned(), (bytes.into(), Some(Instant::now())));
    }
}

fn cut(path: &str, bytes: &[u8], range: &Range<u64>) -> Result<Range<usize>, StoreError> {
    let short = || StoreError::Short { path: path.to_owned(), length: bytes.len() as u64, wanted: range.end };
    let (start, end) = (usize::try_from(range.start).map_err(|_| short())?, usize::try_from(range.end).map_err(|_| short())?);
    if start <= end && end <= bytes.len() { Ok(start..end) } else { Err(short()) }
}

impl Store for MemoryStore {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents().head.clone())
    }

    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let same = contents.head.as_deref() == expected;
        if same {
            contents.head = Some(new.to_vec());
        }
        Ok(same)
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let contents = self.contents();
        let (bytes, _) = contents.files.get(path).ok_or_else(|| StoreError::NotFound { path: path.to_owned() })?;
        Ok(bytes.slice(cut(path, bytes, &range)?))
    }

    fn length(&self, path: &str) -> Result<u64, StoreError> {
        let contents = self.contents();
        contents.files.get(path).map(|(bytes, _)| bytes.len() as u64).ok_or_else(|| StoreError::NotFound { path: path.to_owned() })
    }

    fn create(&self) -> Result<Box<dyn NewFile>, StoreError> {
        Ok(Box::new(MemoryFile { store: self.clone(), bytes: Vec::new() }))
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.contents().files.remove(path);
        Ok(())
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        let prefix = format!("{dir}/");
        let contents = self.contents();
        let files = contents.files.iter().filter_map(|(path, (bytes, written))| {
            let name = path.strip_prefix(&prefix).filter(|name| !name.contains('/'))?;
            let age_ms = written.map_or(0, |at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
            Some(Listed { name: name.to_owned(), length: bytes.len() as u64, age_ms })
        });
        Ok(files.collect())
    }

    fn clear_unfinished(&self, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
}

struct MemoryFile {
    store: MemoryStore,
    bytes: Vec<u8>,
}

impl NewFile for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let range = cut("an unfinished file", &self.bytes, &range)?;
        Ok(Bytes::copy_from_slice(&self.bytes[range]))
    }

    fn finish(self: Box<Self>, path: &str) -> Result<(), StoreError> {
        self.store.contents().files.entry(path.to_owned()).or_insert((self.bytes.into(), Some(Instant::now())));
        Ok(())
    }
}
