//! Packs that are being written: in memory while small, then in an unfinished file; readable all the while.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::ChunkError;
use super::catalogue::PackFile;
use crate::base::ObjectId;
use crate::format::head::{PackEntry, pack_path};
use crate::format::pack::{CHUNK_ALIGN, IndexEntry, Kind, MAGIC, encode_index, trailer};
use crate::store::{NewFile, Store, StoreError};

/// A pack that takes in objects until it is finished. What was read from it before stays readable after.
pub struct OpenPack(Mutex<State>);

enum State {
    Open(Builder),
    Done(Arc<PackFile>),
    /// Its objects went into another pack, so many bytes further on.
    Moved(Arc<OpenPack>, u64),
    /// It was dropped, unfinished.
    Gone,
    /// A write failed in the middle: where it ends is not known, and what it held is lost.
    Failed,
}

/// What every later use of a failed pack is told: nothing that was in it may be published.
fn failed() -> StoreError {
    StoreError::Io { path: "an unfinished pack".to_owned(), source: Arc::new(std::io::Error::other("an earlier write to it failed")) }
}

struct Builder {
    sink: Sink,
    length: u64,
    entries: HashMap<ObjectId, IndexEntry>,
}

enum Sink {
    Memory(Vec<u8>),
    File(Box<dyn NewFile>),
}

impl Builder {
    fn append(&mut self, store: &dyn Store, memory_max: u64, entry: &mut IndexEntry, parts: &[&[u8]]) -> Result<(), StoreError> {
        if let Sink::Memory(all) = &self.sink
            && self.length.saturating_add(entry.stored) > memory_max
        {
            let mut file = store.create()?;
            file.write(all)?;
            self.sink = Sink::File(file);
        }
        const ZEROS: [u8; CHUNK_ALIGN as usize] = [0; CHUNK_ALIGN as usize];
        entry.offset = if entry.kind == Kind::Chunk { self.length.next_multiple_of(CHUNK_ALIGN) } else { self.length };
        let padding = &ZEROS[..(entry.offset - self.length) as usize];
        match &mut self.sink {
            Sink::Memory(_) => [padding].iter().chain(parts).try_for_each(|part| self.write(part))?,
            Sink::File(file) => {
                file.write_parts(&[&[padding], parts].concat())?;
                self.length = entry.offset + entry.stored;
            }
        }
        self.entries.insert(entry.id, entry.clone());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        match &mut self.sink {
            Sink::Memory(all) => all.extend_from_slice(bytes),
            Sink::File(file) => file.write(bytes)?,
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match &self.sink {
            Sink::File(file) => file.read(range),
            Sink::Memory(all) => {
                let bytes = all.get(range.start as usize..range.end as usize);
                bytes.map(Bytes::copy_from_slice).ok_or_else(|| StoreError::Short {
                    path: "a pack in memory".to_owned(),
                    length: all.len() as u64,
                    wanted: range.end,
                })
            }
        }
    }
}

impl OpenPack {
    /// An empty pack in memory.
    pub fn new() -> Arc<OpenPack> {
        let length = MAGIC.len() as u64;
        Arc::new(OpenPack(Mutex::new(State::Open(Builder { sink: Sink::Memory(MAGIC.to_vec()), length, entries: HashMap::new() }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in the middle of a write leaves a pack whose length may be wrong; its objects' hashes would tell.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while another thread writes to it.
    pub fn is_busy(&self) -> bool {
        matches!(self.0.try_lock(), Err(std::sync::TryLockError::WouldBlock))
    }

    /// Appends an object of these parts (chunks aligned), unless it has it; returns its entry and the pack's length. `None` once it takes no
    /// more. A pack in memory that would pass `memory_max` goes into a file of `store`.
    pub fn append(&self, store: &dyn Store, memory_max: u64, mut entry: IndexEntry, parts: &[&[u8]]) -> Result<Option<(IndexEntry, u64)>, StoreError> {
        let mut state = self.state();
        let builder = match &mut *state {
            State::Open(builder) => builder,
            State::Failed => return Err(failed()),
            State::Done(_) | State::Moved(..) | State::Gone => return Ok(None),
        };
        if let Some(known) = builder.entries.get(&entry.id) {
            return Ok(Some((known.clone(), builder.length)));
        }
        entry.stored = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let appended = builder.append(store, memory_max, &mut entry, parts);
        let length = builder.length;
        match appended {
            Ok(()) => Ok(Some((entry, length))),
            Err(e) => {
                *state = State::Failed;
                Err(e)
            }
        }
    }

    /// Bytes of the pack, wherever they are by now.
    pub fn read(&self, store: &dyn Store, range: Range<u64>) -> Result<Bytes, ChunkError> {
        let (store_path, moved) = match &*self.state() {
            State::Open(builder) => return Ok(builder.read(range)?),
            State::Done(pack) => (Some(pack.entry.path()), None),
            State::Moved(pack, shift) => (None, Some((pack.clone(), *shift))),
            State::Failed => return Err(failed().into()),
            State::Gone => (None, None),
        };
        match (store_path, moved) {
            (Some(path), _) => Ok(store.read(&path, range)?),
            (_, Some((pack, shift))) => pack.read(store, range.start + shift..range.end + shift),
            _ => Err(StoreError::NotFound { path: "a pack that was dropped".to_owned() }.into()),
        }
    }

    /// Moves all objects of `self`, none of them a chunk, behind those of `other`, if both are in memory; false if one is not.
    pub fn move_into(self: &Arc<Self>, other: &Arc<OpenPack>) -> Result<bool, StoreError> {
        if Arc::ptr_eq(self, other) {
            return Ok(false);
        }
        let mut from = self.state();
        let mut into = other.state();
        let (State::Open(source), State::Open(target)) = (&*from, &mut *into) else { return Ok(false) };
        let (Sink::Memory(bytes), Sink::Memory(_)) = (&source.sink, &target.sink) else { return Ok(false) };
        let shift = target.length - MAGIC.len() as u64;
        target.write(bytes.get(MAGIC.len()..).unwrap_or_default())?;
        for entry in source.entries.values() {
            let moved = IndexEntry { offset: entry.offset + shift, ..entry.clone() };
            target.entries.entry(entry.id).or_insert(moved);
        }
        drop(into);
        *from = State::Moved(other.clone(), shift);
        Ok(true)
    }

    /// Finishes the pack durably, under a name of its own; `None` if it holds nothing or was finished before. After an error all that it
    /// held is lost.
    pub fn finish(&self, store: &dyn Store, nonce: [u8; 16]) -> Result<Option<Arc<PackFile>>, StoreError> {
        let mut state = self.state();
        match &*state {
            State::Open(builder) if builder.entries.is_empty() => {
                *state = State::Gone;
                return Ok(None);
            }
            State::Open(_) => {}
            State::Failed => return Err(failed()),
            State::Done(_) | State::Moved(..) | State::Gone => return Ok(None),
        }
        let State::Open(builder) = std::mem::replace(&mut *state, State::Failed) else { return Ok(None) };
        let pack = Arc::new(builder.finish(store, nonce)?);
        *state = State::Done(pack.clone());
        Ok(Some(pack))
    }

    /// Drops what it holds.
    pub fn discard(&self) {
        *self.state() = State::Gone;
    }
}

impl Builder {
    fn finish(mut self, store: &dyn Store, nonce: [u8; 16]) -> Result<PackFile, StoreError> {
        let mut entries: Vec<IndexEntry> = self.entries.drain().map(|(_, entry)| entry).collect();
        let (index, id) = encode_index(nonce, &mut entries);
        self.write(&index)?;
        self.write(&trailer(&index, id))?;
        let file = match self.sink {
            Sink::File(file) => file,
            Sink::Memory(all) => {
                let mut file = store.create()?;
                file.write(&all)?;
                file
            }
        };
        file.finish(&pack_path(id))?;
        let entry = PackEntry { id, length: self.length, index_length: index.len() as u64, objects: entries.len() as u64 };
        Ok(PackFile::with_index(entry, entries))
    }
}
