//! Packs: files of many objects with an index at the end (docs/format.md, section 3); and the ids of objects (section 1).

use super::FormatError;
use super::cbor::{Reader, Writer};
use crate::base::{ObjectId, PackId};

/// What a pack starts with; the last byte is the version.
pub const MAGIC: &[u8; 8] = b"DSVPACK\x01";
/// What a pack ends with.
pub const END: &[u8; 8] = b"DSVPEND\x01";
/// Bytes after the index: its length, its hash, [`END`].
pub const TRAILER_BYTES: u64 = 48;
/// Chunks stand at multiples of this in a pack.
pub const CHUNK_ALIGN: u64 = 64;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A run of values of one column.
    Chunk = 1,
    /// A node of a rope.
    Node = 2,
    /// One state of a table.
    Table = 3,
    /// All tables and views of one version.
    Snapshot = 4,
    /// A commit.
    Commit = 5,
    /// One change of the repository's state.
    Operation = 6,
    /// A copy of another pack's index. Its id is that pack's.
    PackIndex = 7,
}

impl Kind {
    /// The kind of that number.
    pub fn from_number(number: u64) -> Option<Kind> {
        Some(match number {
            1 => Kind::Chunk,
            2 => Kind::Node,
            3 => Kind::Table,
            4 => Kind::Snapshot,
            5 => Kind::Commit,
            6 => Kind::Operation,
            7 => Kind::PackIndex,
            _ => return None,
        })
    }
}

/// The id of the object of that kind and content; of a chunk the content is its identity header.
pub fn object_id(kind: Kind, content: &[u8]) -> ObjectId {
    if kind == Kind::PackIndex {
        // The id of the pack, which is found by it.
        return ObjectId(*blake3::hash(content).as_bytes());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind as u8]).update(content);
    ObjectId(*hasher.finalize().as_bytes())
}

/// A zstd frame in a pack: the contents of several objects, one after the other, compressed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where it starts, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes it takes there.
    pub stored: u64,
    /// Bytes of the contents together.
    pub length: u64,
    /// The [`check`] of the frame.
    pub check: u64,
}

/// Where an object stands in a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The object.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// The number of the frame that holds its content; `None` where it stands in the file as it is, as chunks do.
    pub frame: Option<u32>,
    /// Where it starts, in bytes from the start of the file, or of what the frame holds.
    pub offset: u64,
    /// How many bytes it takes there.
    pub length: u64,
    /// Of a chunk, how many of them its headers take; else 0.
    pub header: u64,
}

/// The index of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Its frames, by their place in the file.
    pub frames: Vec<Frame>,
    /// Its objects, by id.
    pub entries: Vec<IndexEntry>,
}

/// The first eight bytes of the hash of compressed bytes, as a number. The ids cover contents; some bits of a zstd frame mean nothing, and
/// this finds them flipped all the same. Reading does without it.
pub fn check(compressed: &[u8]) -> u64 {
    let hash = blake3::hash(compressed);
    hash.as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}

impl Index {
    /// The bytes of the index, whose entries this sorts, and the pack's id. The nonce makes the id this writer's alone, so that taking away a
    /// pack that was never published can never take away another's.
    pub fn encode(&mut self, nonce: [u8; 16]) -> (Vec<u8>, PackId) {
        self.entries.sort_by_key(|entry| entry.id);
        let mut w = Writer::default();
        w.array(3).bytes(&nonce).array(self.frames.len() as u64);
        for frame in &self.frames {
            w.array(4).u64(frame.offset).u64(frame.stored).u64(frame.length).u64(frame.check);
        }
        w.array(self.entries.len() as u64);
        for entry in &self.entries {
            w.array(6).bytes(entry.id.as_bytes()).u64(entry.kind as u64);
            match entry.frame {
                Some(frame) => w.u64(frame.into()),
                None => w.null(),
            };
            w.u64(entry.offset).u64(entry.length).u64(entry.header);
        }
        let index = w.finish();
        let id = PackId(*blake3::hash(&index).as_bytes());
        (index, id)
    }

    /// The index `bytes` of the pack `id`, whose objects end before byte `objects_end` of the file. Checks the hash and that each frame and
    /// entry stays within what holds it and claims no length that it cannot have.
    pub fn decode(id: PackId, bytes: &[u8], objects_end: u64) -> Result<Index, FormatError> {
        let what = "pack index";
        if blake3::hash(bytes).as_bytes() != id.as_bytes() {
            return Err(FormatError::malformed(what, "its hash is not the pack's id"));
        }
        let mut r = Reader::new(what, bytes);
        let index = r.record(3, |r| {
            r.fixed::<16>()?;
            let mut end = MAGIC.len() as u64;
            let frames = r.list(|r| frame(r, &mut end, objects_end))?;
            let mut last: Option<ObjectId> = None;
            let entries = r.list(|r| index_entry(r, &frames, objects_end, &mut last))?;
            Ok(Index { frames, entries })
        })?;
        r.end()?;
        Ok(index)
    }

    /// The entry of an object.
    pub fn find(&self, id: ObjectId) -> Option<&IndexEntry> {
        self.entries.get(self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?)
    }

    /// The frame that holds an object; `None` if it stands in the file as it is.
    pub fn frame_of(&self, entry: &IndexEntry) -> Option<&Frame> {
        self.frames.get(usize::try_from(entry.frame?).ok()?)
    }

    /// How many bytes of the file an object takes: its share of its frame, if it stands in one.
    pub fn stored_bytes(&self, entry: &IndexEntry) -> u64 {
        match self.frame_of(entry) {
            Some(frame) => (u128::from(entry.length) * u128::from(frame.stored) / u128::from(frame.length.max(1))) as u64,
            None => entry.length,
        }
    }

    /// Where to read an object, to read many in the order of the file.
    pub fn position(&self, entry: &IndexEntry) -> (u64, u64) {
        self.frame_of(entry).map_or((entry.offset, 0), |frame| (frame.offset, entry.offset))
    }
}

/// What follows the index in the file.
pub fn trailer(index: &[u8], id: PackId) -> Vec<u8> {
    let mut out = Vec::with_capacity(TRAILER_BYTES as usize);
    out.extend_from_slice(&(index.len() as u64).to_le_bytes());
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(END);
    out
}

/// The length of the index and the id of the pack, from the last [`TRAILER_BYTES`] of its file.
pub fn parse_trailer(bytes: &[u8]) -> Result<(u64, PackId), FormatError> {
    let fail = || FormatError::malformed("pack", "it does not end as a pack does");
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(fail)?;
    let (id, end) = rest.split_first_chunk::<32>().ok_or_else(fail)?;
    if end != END { Err(fail()) } else { Ok((u64::from_le_bytes(*length), PackId(*id))) }
}

fn frame(r: &mut Reader<'_>, end: &mut u64, objects_end: u64) -> Result<Frame, FormatError> {
    let frame = r.record(4, |r| Ok(Frame { offset: r.u64()?, stored: r.u64()?, length: r.u64()?, check: r.u64()? }))?;
    let frame_end = frame.offset.checked_add(frame.stored).filter(|end| *end <= objects_end);
    match frame_end {
        Some(frame_end) if frame.offset >= *end && frame.length <= CONTENT_BYTES_MAX => *end = frame_end,
        _ => return Err(r.fail(format!("the frame at byte {} does not fit the file", frame.offset))),
    }
    Ok(frame)
}

fn index_entry(r: &mut Reader<'_>, frames: &[Frame], objects_end: u64, last: &mut Option<ObjectId>) -> Result<IndexEntry, FormatError> {
    let entry = r.record(6, |r| {
        let id = ObjectId(r.fixed()?);
        let number = r.u64()?;
        let kind = Kind::from_number(number).ok_or_else(|| r.fail(format!("{number} is no kind of object")))?;
        let frame = r.optional(Reader::u64)?;
        let frame = frame.map(|frame| u32::try_from(frame).map_err(|_| r.fail(format!("frame {frame} is not there")))).transpose()?;
        Ok(IndexEntry { id, kind, frame, offset: r.u64()?, length: r.u64()?, header: r.u64()? })
    })?;
    let bounds = match entry.frame {
        None => Some((MAGIC.len() as u64, objects_end)),
        Some(frame) => frames.get(frame as usize).map(|frame| (0, frame.length)),
    };
    let inside = bounds.is_some_and(|(start, end)| entry.offset >= start && entry.offset.checked_add(entry.length).is_some_and(|last| last <= end));
    let sized = match entry.kind {
        Kind::Chunk => entry.frame.is_none() && entry.offset % CHUNK_ALIGN == 0 && entry.header <= entry.length,
        _ => entry.header == 0,
    };
    if !inside || !sized {
        return Err(r.fail(format!("object {:.8} does not fit the file", entry.id)));
    }
    if last.is_some_and(|last| last >= entry.id) {
        return Err(r.fail("it is not sorted"));
    }
    *last = Some(entry.id);
    Ok(entry)
}

/// The most bytes that the contents of a frame may have.
pub const CONTENT_BYTES_MAX: u64 = 1 << 28;
