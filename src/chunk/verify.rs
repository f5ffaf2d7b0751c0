//! Re-hashing: every byte of a pack, or one object.

use std::ops::Range;
use std::sync::Arc;

use super::ChunkError;
use super::catalogue::{Catalogued, PackFile};
use super::objects::Objects;
use super::place::Place;
use crate::base::{ObjectId, PackId, Progress};
use crate::format::FormatError;
use crate::format::head::PackEntry;
use crate::format::pack::{CHUNK_ALIGN, Index, IndexEntry, Kind, MAGIC, TRAILER_BYTES, check, trailer};
use crate::store::StoreError;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The pack.
    pub pack: PackId,
    /// The object in it, if it is known.
    pub object: Option<ObjectId>,
    /// What is wrong, with the names of both.
    pub why: String,
}

/// What a check of a pack found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Objects looked at.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; nothing, if all is well.
    pub problems: Vec<Problem>,
}

impl Objects {
    /// Every pack of the catalogue, the newest first.
    pub fn packs(&self) -> Result<Vec<PackEntry>, ChunkError> {
        Ok(self.catalogue.packs(self.store.as_ref())?.iter().map(|pack| pack.entry).collect())
    }

    /// The objects of a pack of the catalogue.
    pub fn ids_in(&self, entry: &PackEntry) -> Result<Vec<ObjectId>, ChunkError> {
        let pack = self.catalogue.known(entry.id).unwrap_or_else(|| Arc::new(PackFile::new(*entry)));
        Ok(pack.index(self.store.as_ref())?.entries.iter().map(|object| object.id).collect())
    }

    /// Passes over these packs from now on: one whose index does not read ends every search. Reads the head anew.
    pub fn pass_over(&self, packs: Vec<PackId>) -> Result<(), ChunkError> {
        self.catalogue.ignore(packs);
        self.reload().map(drop)
    }

    /// Checks one object wherever it stands: its bytes against its id, and of a chunk that every block decodes; returns the bytes it takes.
    pub fn verify(&self, id: impl Into<ObjectId>) -> Result<u64, ChunkError> {
        self.at_place(id.into(), |place| self.verify_place(place))
    }

    fn verify_place(&self, place: &Place) -> Result<u64, ChunkError> {
        let entry = place.entry();
        if entry.kind == Kind::Chunk {
            return self.check_chunk(place);
        }
        let held = match place {
            Place::Pack(found) => Some((self, found)),
            Place::Beyond(far, found) => Some((&**far, found)),
            Place::Open(..) => None,
        };
        if let (Some((objects, found)), Some(number)) = (held, entry.frame) {
            objects.check_frame(&found.pack, number).map_err(|e| if let ChunkError::Store(_) = e { e } else { place.damaged(e) })?;
        }
        self.read_content(entry.kind, place)?;
        Ok(entry.length)
    }

    /// Checks the stored bytes of a frame, those that no id covers too.
    fn check_frame(&self, pack: &Arc<PackFile>, number: u32) -> Result<(), ChunkError> {
        let index = pack.index(self.store.as_ref())?;
        let frame = index.frames.get(number as usize).ok_or_else(|| FormatError::malformed("pack index", "a frame is not there"))?;
        let stored = self.store.read(&pack.entry.path(), frame.offset..frame.offset + frame.stored)?;
        let sound = check(&stored) == frame.check;
        if sound { Ok(()) } else { Err(FormatError::malformed("zstd frame", "its stored bytes do not match their check").into()) }
    }

    /// Checks that the objects of a frame fill it, end to end.
    fn check_filled(&self, pack: &Arc<PackFile>, number: u32, objects: &[&IndexEntry]) -> Result<(), ChunkError> {
        self.check_frame(pack, number)?;
        let mut end = 0;
        for object in objects {
            if object.offset != end {
                return Err(FormatError::malformed("zstd frame", format!("no object stands at byte {end}")).into());
            }
            end += object.length;
        }
        if self.frame(pack, number)?.len() as u64 != end {
            return Err(FormatError::malformed("zstd frame", format!("no object stands at byte {end}")).into());
        }
        Ok(())
    }

    /// Checks every byte of a pack of the catalogue: its index, its objects, and what lies between them. An error is one of reading; what is
    /// wrong with the pack is in the result. Stops early, with what it has, when `progress` is interrupted.
    pub fn verify_pack(&self, entry: &PackEntry, progress: &dyn Progress) -> Result<Verified, ChunkError> {
        let mut found = Verified::default();
        let problem = |object: Option<ObjectId>, why: String| Problem { pack: entry.id, object, why };
        let whole = |why: &dyn std::fmt::Display| format!("packs/{}.pack: {why}", entry.id);
        let pack = Arc::new(PackFile::new(*entry));
        let index = match self.store.length(&entry.path()) {
            Err(e @ StoreError::NotFound { .. }) => Err(e.to_string()),
            Err(e) => return Err(e.into()),
            Ok(length) if length != entry.length => Err(whole(&format!("it has {length} bytes where the catalogue has {}", entry.length))),
            Ok(_) => match pack.index(self.store.as_ref()) {
                Err(ChunkError::Store(e)) => return Err(e.into()),
                Err(e) => Err(e.to_string()),
                Ok(index) => Ok(index.clone()),
            },
        };
        let index: Index = match index {
            Ok(index) => index,
            Err(why) => {
                found.problems.push(problem(None, why));
                return Ok(found);
            }
        };
        let mut objects: Vec<&IndexEntry> = index.entries.iter().collect();
        objects.sort_by_key(|object| index.position(object));
        // What is no object: the start, padding, the trailer.
        let mut end = MAGIC.len() as u64;
        let objects_end = entry.length - TRAILER_BYTES - entry.index_length;
        if self.store.read(&entry.path(), 0..end)?[..] != MAGIC[..] {
            found.problems.push(problem(None, whole(&"it does not start as a pack does")));
        }
        let bytes = self.store.read(&entry.path(), objects_end..entry.length)?;
        let (index_bytes, last) = bytes.split_at(entry.index_length as usize);
        if last != trailer(index_bytes, entry.id) {
            found.problems.push(problem(None, whole(&"it does not end as a pack does")));
        }
        found.bytes += end + bytes.len() as u64;
        let apart = objects.iter().filter(|object| object.frame.is_none()).map(|object| (object.offset, object.offset + object.length));
        let framed = index.frames.iter().map(|frame| (frame.offset, frame.offset + frame.stored));
        let mut spans: Vec<(u64, u64)> = apart.chain(framed).chain([(objects_end, objects_end)]).collect();
        spans.sort();
        for (start, next) in spans {
            if let Err(why) = self.check_gap(entry, end..start) {
                found.problems.push(problem(None, whole(&why)));
            }
            end = next.max(end);
        }
        for group in objects.chunk_by(|a, b| a.frame.is_some() && a.frame == b.frame) {
            let Some(number) = group.first().and_then(|object| object.frame) else { continue };
            match self.check_filled(&pack, number, group) {
                Ok(()) => {}
                Err(ChunkError::Store(e)) => return Err(e.into()),
                Err(e) => found.problems.push(problem(None, whole(&e))),
            }
        }
        for object in objects {
            if progress.interrupted() {
                break;
            }
            let id = object.id;
            let bytes = index.stored_bytes(object);
            let place = Place::Pack(Catalogued { pack: pack.clone(), entry: object.clone() });
            let checked = if object.kind == Kind::Chunk { self.check_chunk(&place).map(drop) } else { self.read_content(object.kind, &place).map(drop) };
            match checked {
                Ok(()) => {}
                Err(ChunkError::Store(e)) => return Err(e.into()),
                Err(e) => found.problems.push(problem(Some(id), e.to_string())),
            }
            found.objects += 1;
            found.bytes += bytes;
            progress.advance(bytes);
        }
        Ok(found)
    }

    fn check_gap(&self, entry: &PackEntry, gap: Range<u64>) -> Result<(), String> {
        if gap.start >= gap.end {
            return Ok(());
        }
        if gap.end - gap.start >= CHUNK_ALIGN {
            return Err(format!("nothing stands in bytes {} to {}", gap.start, gap.end));
        }
        let bytes = self.store.read(&entry.path(), gap.clone()).map_err(|e| e.to_string())?;
        if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(format!("the padding at byte {} is not zero", gap.start)) }
    }
}
