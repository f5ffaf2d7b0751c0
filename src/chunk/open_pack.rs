//! Packs that are being written: in memory while small, then in an unfinished file; readable all the while.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::catalogue::PackFile;
use super::{ChunkError, Objects, nonce};
use crate::base::ObjectId;
use crate::format::codec::unframe;
use crate::format::head::{PackEntry, pack_path};
use crate::format::pack::{CHUNK_ALIGN, Frame, Index, IndexEntry, Kind, MAGIC, check, trailer};
use crate::store::{NewFile, Store, StoreError};

/// Contents of one kind are compressed together, about so many bytes of them: states of one thing resemble each other. A larger frame
/// compresses better, and costs more to whoever wants one object of it. On 182 versions of a table whose nodes, one by one, took 1,250 kB,
/// frames of 16, 64, 128 and 256 KiB took 804, 466, 366 and 303.
const FRAME_BYTES: usize = 128 << 10;
/// Frames shorter than this are not tried.
const FRAME_BYTES_MIN: usize = 96;

/// A pack that takes in objects until it is finished. What was read from it before stays readable after.
pub struct OpenPack(Mutex<State>);

enum State {
    Open(Builder),
    Done(Arc<PackFile>),
    /// Its objects went into another pack.
    Moved(Arc<OpenPack>),
    /// It was dropped, unfinished.
    Gone,
    /// A write failed in the middle: where it ends is not known, and what it held is lost. Nothing that was in it may be published: every later use is
    /// told the same error, for whichever of several writers is heard first must tell the cause, a full disk for instance.
    Failed(StoreError),
}

/// What is told of a pack whose writer never came back.
fn abandoned() -> StoreError {
    StoreError::Io { path: "an unfinished pack".to_owned(), source: Arc::new(std::io::Error::other("an earlier write to it failed")) }
}

fn cause(error: &ChunkError) -> StoreError {
    match error {
        ChunkError::Store(e) => e.clone(),
        _ => abandoned(),
    }
}

fn gone() -> StoreError {
    StoreError::NotFound { path: "a pack that was dropped".to_owned() }
}

struct Builder {
    sink: Sink,
    length: u64,
    frames: Vec<Frame>,
    /// What stands in the sink, or in one of its frames.
    entries: HashMap<ObjectId, IndexEntry>,
    /// Contents that no frame holds yet, by kind.
    loose: Vec<Loose>,
}

enum Sink {
    Memory(Vec<u8>),
    File(Box<dyn NewFile>),
}

/// Contents of one kind that wait to be compressed together.
struct Loose {
    kind: Kind,
    bytes: Vec<u8>,
    places: HashMap<ObjectId, Range<usize>>,
    order: Vec<ObjectId>,
}

impl Loose {
    fn new(kind: Kind) -> Loose {
        Loose { kind, bytes: Vec::new(), places: HashMap::new(), order: Vec::new() }
    }
}

impl Builder {
    fn new() -> Builder {
        let length = MAGIC.len() as u64;
        Builder { sink: Sink::Memory(MAGIC.to_vec()), length, frames: Vec::new(), entries: HashMap::new(), loose: Vec::new() }
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

    /// Leaves memory for a file before `more` bytes make it longer than `memory_max`.
    fn spill(&mut self, store: &dyn Store, memory_max: u64, more: u64) -> Result<(), StoreError> {
        if let Sink::Memory(all) = &self.sink
            && self.length.saturating_add(more) > memory_max
        {
            let mut file = store.create()?;
            file.write(all)?;
            self.sink = Sink::File(file);
        }
        Ok(())
    }

    fn append(&mut self, store: &dyn Store, memory_max: u64, entry: &mut IndexEntry, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.spill(store, memory_max, entry.length)?;
        const ZEROS: [u8; CHUNK_ALIGN as usize] = [0; CHUNK_ALIGN as usize];
        entry.offset = if entry.kind == Kind::Chunk { self.length.next_multiple_of(CHUNK_ALIGN) } else { self.length };
        let padding = &ZEROS[..(entry.offset - self.length) as usize];
        match &mut self.sink {
            Sink::Memory(_) => [padding].iter().chain(parts).try_for_each(|part| self.write(part))?,
            Sink::File(file) => {
                file.write_parts(&[&[padding], parts].concat())?;
                self.length = entry.offset + entry.length;
            }
        }
        self.entries.insert(entry.id, entry.clone());
        Ok(())
    }

    fn add_content(&mut self, objects: &Objects, memory_max: u64, kind: Kind, id: ObjectId, content: &[u8]) -> Result<(), ChunkError> {
        let at = match self.loose.iter().position(|loose| loose.kind == kind) {
            Some(at) => at,
            None => {
                self.loose.push(Loose::new(kind));
                self.loose.len() - 1
            }
        };
        if let Some(loose) = self.loose.get_mut(at) {
            let full = !loose.bytes.is_empty() && loose.bytes.len() + content.len() > FRAME_BYTES;
            if full {
                let full = std::mem::replace(loose, Loose::new(kind));
                self.compress(objects, memory_max, full)?;
            }
        }
        if let Some(loose) = self.loose.get_mut(at) {
            let start = loose.bytes.len();
            loose.bytes.extend_from_slice(content);
            loose.places.insert(id, start..loose.bytes.len());
            loose.order.push(id);
        }
        Ok(())
    }

    /// Writes contents, as one frame if that is shorter.
    fn compress(&mut self, objects: &Objects, memory_max: u64, loose: Loose) -> Result<(), ChunkError> {
        let short = loose.bytes.len() < FRAME_BYTES_MIN;
        let frame = if short { None } else { Some(objects.compressor(|zstd| Ok(zstd.frame(&loose.bytes)?))?) };
        let frame = frame.filter(|frame| frame.len() <= loose.bytes.len() - loose.bytes.len() / 10);
        let stored = frame.as_deref().unwrap_or(&loose.bytes);
        self.spill(objects.store().as_ref(), memory_max, stored.len() as u64)?;
        let (base, number) = match &frame {
            Some(frame) => {
                let number = self.frames.len() as u32;
                let frame = Frame { offset: self.length, stored: frame.len() as u64, length: loose.bytes.len() as u64, check: check(frame) };
                self.frames.push(frame);
                (0, Some(number))
            }
            None => (self.length, None),
        };
        self.write(stored)?;
        for (id, place) in loose.places {
            let entry = IndexEntry { id, kind: loose.kind, frame: number, offset: base + place.start as u64, length: place.len() as u64, header: 0 };
            self.entries.insert(id, entry);
        }
        Ok(())
    }

    fn loose(&self, id: ObjectId) -> Option<&[u8]> {
        self.loose.iter().find_map(|loose| loose.bytes.get(loose.places.get(&id)?.clone()))
    }

    fn content(&self, id: ObjectId) -> Result<Option<Bytes>, ChunkError> {
        if let Some(content) = self.loose(id) {
            return Ok(Some(Bytes::copy_from_slice(content)));
        }
        let Some(entry) = self.entries.get(&id) else { return Ok(None) };
        let range = entry.offset..entry.offset + entry.length;
        let Some(frame) = entry.frame.and_then(|number| self.frames.get(number as usize)) else { return Ok(Some(self.read(range)?)) };
        let bytes = unframe(&self.read(frame.offset..frame.offset + frame.stored)?, frame.length as usize)?;
        Ok(bytes.get(range.start as usize..range.end as usize).map(Bytes::copy_from_slice))
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.loose.iter().all(|loose| loose.order.is_empty())
    }

    fn bytes(&self) -> u64 {
        self.length + self.loose.iter().map(|loose| loose.bytes.len() as u64).sum::<u64>()
    }

    fn finish(mut self, objects: &Objects) -> Result<PackFile, ChunkError> {
        for loose in std::mem::take(&mut self.loose) {
            self.compress(objects, u64::MAX, loose)?;
        }
        let mut index = Index { frames: std::mem::take(&mut self.frames), entries: self.entries.drain().map(|(_, entry)| entry).collect() };
        let (bytes, id) = index.encode(nonce());
        self.write(&bytes)?;
        self.write(&trailer(&bytes, id))?;
        let file = match self.sink {
            Sink::File(file) => file,
            Sink::Memory(all) => {
                let mut file = objects.store().create()?;
                file.write(&all)?;
                file
            }
        };
        file.finish(&pack_path(id))?;
        let entry = PackEntry { id, length: self.length, index_length: bytes.len() as u64, objects: index.entries.len() as u64 };
        Ok(PackFile::with_index(entry, index, bytes.into()))
    }
}

impl OpenPack {
    /// An empty pack in memory.
    pub fn new() -> Arc<OpenPack> {
        Arc::new(OpenPack(Mutex::new(State::Open(Builder::new()))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in the middle of a write leaves a pack whose length may be wrong; its objects' hashes would tell.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while another thread writes to it.
    pub fn is_busy(&self) -> bool {
        matches!(self.0.try_lock(), Err(std::sync::TryLockError::WouldBlock))
    }

    /// Runs `write` on what is open; `None` once it takes no more. After an error the pack is of no use.
    fn writing<T>(&self, write: impl FnOnce(&mut Builder) -> Result<T, ChunkError>) -> Result<Option<T>, ChunkError> {
        let mut state = self.state();
        let builder = match &mut *state {
            State::Open(builder) => builder,
            State::Failed(e) => return Err(e.clone().into()),
            State::Done(_) | State::Moved(_) | State::Gone => return Ok(None),
        };
        let written = write(builder);
        if let Err(e) = &written {
            *state = State::Failed(cause(e));
        }
        written.map(Some)
    }

    /// Appends an object as it is, of these parts (chunks aligned), unless it has it; returns its entry and the pack's length. `None` once it
    /// takes no more. A pack in memory that would pass `memory_max` goes into a file of `store`.
    pub fn append(&self, store: &dyn Store, memory_max: u64, mut entry: IndexEntry, parts: &[&[u8]]) -> Result<Option<(IndexEntry, u64)>, ChunkError> {
        self.writing(|builder| {
            if let Some(known) = builder.entries.get(&entry.id) {
                return Ok((known.clone(), builder.bytes()));
            }
            entry.length = parts.iter().map(|part| part.len() as u64).sum::<u64>();
            builder.append(store, memory_max, &mut entry, parts)?;
            Ok((entry, builder.bytes()))
        })
    }

    /// Takes the content of an object that is no chunk, to be compressed with others of its kind, unless it has it; returns the pack's length
    /// with all that waits. `None` once it takes no more.
    pub fn add_content(&self, objects: &Objects, memory_max: u64, kind: Kind, id: ObjectId, content: &[u8]) -> Result<Option<u64>, ChunkError> {
        self.writing(|builder| {
            if builder.loose(id).is_none() && !builder.entries.contains_key(&id) {
                builder.add_content(objects, memory_max, kind, id, content)?;
            }
            Ok(builder.bytes())
        })
    }

    /// Bytes of what stands in the pack as it is, wherever they are by now.
    pub fn read(&self, store: &dyn Store, range: Range<u64>) -> Result<Bytes, ChunkError> {
        let path = match &*self.state() {
            State::Open(builder) => return Ok(builder.read(range)?),
            State::Done(pack) => pack.entry.path(),
            State::Failed(e) => return Err(e.clone().into()),
            // Chunks never move.
            State::Moved(_) | State::Gone => return Err(gone().into()),
        };
        Ok(store.read(&path, range)?)
    }

    /// The content of an object that is no chunk, wherever it is by now.
    pub fn content(&self, objects: &Objects, id: ObjectId) -> Result<Bytes, ChunkError> {
        let missing = || ChunkError::Missing { object: id };
        enum By {
            Pack(Arc<PackFile>),
            Other(Arc<OpenPack>),
        }
        let by = match &*self.state() {
            State::Open(builder) => return builder.content(id)?.ok_or_else(missing),
            State::Done(pack) => By::Pack(pack.clone()),
            State::Moved(other) => By::Other(other.clone()),
            State::Failed(e) => return Err(e.clone().into()),
            State::Gone => return Err(gone().into()),
        };
        match by {
            By::Other(other) => other.content(objects, id),
            By::Pack(pack) => {
                let index = pack.index(objects.store().as_ref())?;
                objects.packed_content(&pack, index.find(id).ok_or_else(missing)?)
            }
        }
    }

    /// Moves all objects of `self`, none of them a chunk, behind those of `other`, if both are in memory; false if one is not.
    pub fn move_into(self: &Arc<Self>, objects: &Objects, other: &Arc<OpenPack>) -> Result<bool, ChunkError> {
        if Arc::ptr_eq(self, other) {
            return Ok(false);
        }
        let mut from = self.state();
        let mut into = other.state();
        let (State::Open(source), State::Open(target)) = (&*from, &mut *into) else { return Ok(false) };
        let (Sink::Memory(bytes), Sink::Memory(_)) = (&source.sink, &target.sink) else { return Ok(false) };
        let shift = target.length - MAGIC.len() as u64;
        let frames = target.frames.len() as u32;
        target.write(bytes.get(MAGIC.len()..).unwrap_or_default())?;
        target.frames.extend(source.frames.iter().map(|frame| Frame { offset: frame.offset + shift, ..*frame }));
        for entry in source.entries.values() {
            let moved = match entry.frame {
                Some(frame) => IndexEntry { frame: Some(frame + frames), ..entry.clone() },
                None => IndexEntry { offset: entry.offset + shift, ..entry.clone() },
            };
            target.entries.entry(entry.id).or_insert(moved);
        }
        for loose in &source.loose {
            for id in &loose.order {
                let content = source.loose(*id).unwrap_or_default();
                target.add_content(objects, u64::MAX, loose.kind, *id, content)?;
            }
        }
        drop(into);
        *from = State::Moved(other.clone());
        Ok(true)
    }

    /// Finishes the pack durably, under a name of its own; `None` if it holds nothing or was finished before. After an error all that it
    /// held is lost.
    pub fn finish(&self, objects: &Objects) -> Result<Option<Arc<PackFile>>, ChunkError> {
        let mut state = self.state();
        match &*state {
            State::Open(builder) if builder.is_empty() => {
                *state = State::Gone;
                return Ok(None);
            }
            State::Open(_) => {}
            State::Failed(e) => return Err(e.clone().into()),
            State::Done(_) | State::Moved(_) | State::Gone => return Ok(None),
        }
        let State::Open(builder) = std::mem::replace(&mut *state, State::Failed(abandoned())) else { return Ok(None) };
        let pack = Arc::new(builder.finish(objects).inspect_err(|e| *state = State::Failed(cause(e)))?);
        *state = State::Done(pack.clone());
        Ok(Some(pack))
    }

    /// Drops what it holds.
    pub fn discard(&self) {
        *self.state() = State::Gone;
    }
}
