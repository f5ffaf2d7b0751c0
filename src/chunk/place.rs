//! Where an object stands, and reading its bytes there.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::ChunkError;
use super::catalogue::Catalogued;
use super::objects::Objects;
use super::open_pack::OpenPack;
use crate::base::PackId;
use crate::format::pack::IndexEntry;
use crate::store::{Store, StoreError};

/// Chunks of up to so many bytes are brought whole from a far store: a second request would cost more than the bytes.
const WHOLE_BYTES: u64 = 1 << 20;
/// Of longer ones so many bytes come with the header.
const HEADER_BYTES: u64 = 128 << 10;

/// Where an object stands.
#[derive(Clone)]
pub(super) enum Place {
    Pack(Catalogued),
    Open(Arc<OpenPack>, IndexEntry),
    /// In another repository.
    Beyond(Arc<Objects>, Catalogued),
}

impl Place {
    pub fn entry(&self) -> &IndexEntry {
        match self {
            Place::Pack(found) | Place::Beyond(_, found) => &found.entry,
            Place::Open(_, entry) => entry,
        }
    }

    pub fn pack_id(&self) -> PackId {
        match self {
            Place::Pack(found) | Place::Beyond(_, found) => found.pack_id(),
            Place::Open(..) => PackId([0; 32]),
        }
    }

    /// The bytes `from..to` of an object that stands in the file as it is.
    pub fn read(&self, store: &dyn Store, from: u64, to: u64) -> Result<Bytes, ChunkError> {
        self.get(store, from..to, from..to, false)
    }

    /// As [`Place::read`], for bytes that are the values themselves: see [`Store::map`].
    pub fn map(&self, store: &dyn Store, from: u64, to: u64) -> Result<Bytes, ChunkError> {
        self.get(store, from..to, from..to, true)
    }

    /// The headers of a chunk. From afar its blocks come along, where they are few.
    pub fn header(&self, store: &dyn Store) -> Result<Bytes, ChunkError> {
        let entry = self.entry();
        let near = if entry.length <= WHOLE_BYTES { entry.length } else { entry.header.max(HEADER_BYTES.min(entry.length)) };
        self.get(store, 0..entry.header, 0..near, false)
    }

    /// Brings these bytes of the object's pack near, where it is far.
    pub fn bring(&self, store: &dyn Store, near: Range<u64>) -> Result<(), ChunkError> {
        let (found, store) = match self {
            Place::Open(..) => return Ok(()),
            Place::Pack(found) => (found, store),
            Place::Beyond(far, found) => (found, far.store.as_ref()),
        };
        if store.is_far() {
            let entry = &found.entry;
            store.read_near(&found.pack.entry.path(), entry.offset..entry.offset + entry.header, near, found.pack.entry.length)?;
        }
        Ok(())
    }

    /// Reads `range` of the object, `near` being likely to be wanted too.
    fn get(&self, store: &dyn Store, range: Range<u64>, near: Range<u64>, mapped: bool) -> Result<Bytes, ChunkError> {
        let entry = self.entry();
        if range.start > range.end || range.end > entry.length || near.end > entry.length || entry.frame.is_some() {
            return Err(self.damaged("it is shorter than its header says"));
        }
        let at = |range: Range<u64>| entry.offset + range.start..entry.offset + range.end;
        let (found, store) = match self {
            Place::Open(pack, _) => return pack.read(store, at(range)),
            Place::Pack(found) => (found, store),
            Place::Beyond(far, found) => (found, far.store.as_ref()),
        };
        let path = found.pack.entry.path();
        let read = if mapped && !store.is_far() { store.map(&path, at(range)) } else { store.read_near(&path, at(range), at(near), found.pack.entry.length) };
        match read {
            Err(e @ StoreError::Short { .. }) => Err(self.damaged(e)),
            other => Ok(other?),
        }
    }

    pub fn damaged(&self, why: impl ToString) -> ChunkError {
        ChunkError::Damaged { object: self.entry().id, pack: self.pack_id(), why: why.to_string() }
    }
}
