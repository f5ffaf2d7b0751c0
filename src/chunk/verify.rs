//! Re-hashing: every byte of a pack, or one object.

use std::ops::Range;

use super::ChunkError;
use super::catalogue::{Catalogued, PackFile};
use super::objects::{Objects, Place};
use crate::base::{ObjectId, PackId, Progress};
use crate::format::head::PackEntry;
use crate::format::pack::{CHUNK_ALIGN, IndexEntry, Kind, MAGIC, TRAILER_BYTES, check, trailer};
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

    /// Checks one object wherever it stands: its bytes against its id, and of a chunk that every block decodes; returns the bytes it takes.
    pub fn verify(&self, id: impl Into<ObjectId>) -> Result<u64, ChunkError> {
        self.at_place(id.into(), |place| self.verify_place(place))
    }

    fn verify_place(&self, place: &Place) -> Result<u64, ChunkError> {
        let entry = place.entry();
        if entry.kind == Kind::Chunk {
            return self.check_chunk(place);
        }
        if entry.codec == 0 && entry.check != 0 {
            return Err(place.damaged("a check of what is not compressed"));
        }
        if entry.codec != 0 && check(&place.read(self.store.as_ref(), 0, entry.stored)?) != entry.check {
            return Err(place.damaged("its stored bytes do not match their check"));
        }
        self.read_content(entry.kind, place)?;
        Ok(entry.stored)
    }

    /// Checks every byte of a pack of the catalogue: its index, its objects, and what lies between them. An error is one of reading; what is
    /// wrong with the pack is in the result. Stops early, with what it has, when `progress` is interrupted.
    pub fn verify_pack(&self, entry: &PackEntry, progress: &dyn Progress) -> Result<Verified, ChunkError> {
        let mut found = Verified::default();
        let problem = |object: Option<ObjectId>, why: String| Problem { pack: entry.id, object, why };
        let whole = |why: &dyn std::fmt::Display| format!("packs/{}.pack: {why}", entry.id);
        let pack = std::sync::Arc::new(PackFile::new(*entry));
        let index = match self.store.length(&entry.path()) {
            Err(e @ StoreError::NotFound { .. }) => Err(e.to_string()),
            Err(e) => return Err(e.into()),
            Ok(length) if length != entry.length => Err(whole(&format!("it has {length} bytes where the catalogue has {}", entry.length))),
            Ok(_) => match pack.index(self.store.as_ref()) {
                Err(ChunkError::Store(e)) => return Err(e.into()),
                Err(e) => Err(e.to_string()),
                Ok(index) => Ok(index.to_vec()),
            },
        };
        let mut index: Vec<IndexEntry> = match index {
            Ok(index) => index,
            Err(why) => {
                found.problems.push(problem(None, why));
                return Ok(found);
            }
        };
        index.sort_by_key(|entry| entry.offset);
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
        let starts = index.iter().map(|object| (object.offset, object.offset + object.stored)).chain([(objects_end, objects_end)]);
        for (start, next) in starts {
            if let Err(why) = self.check_gap(entry, end..start) {
                found.problems.push(problem(None, whole(&why)));
            }
            end = next.max(end);
        }
        for object in index {
            if progress.interrupted() {
                break;
            }
            let id = object.id;
            let bytes = object.stored;
            match self.verify_place(&Place::Pack(Catalogued { pack: pack.clone(), entry: object })) {
                Ok(_) => {}
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
