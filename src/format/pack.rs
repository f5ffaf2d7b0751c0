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
            _ => return None,
        })
    }
}

/// The id of the object of that kind and content; of a chunk the content is its identity header.
pub fn object_id(kind: Kind, content: &[u8]) -> ObjectId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind as u8]).update(content);
    ObjectId(*hasher.finalize().as_bytes())
}

/// Where an object stands in a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The object.
    pub id: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// 0: stored as it is; 1: one zstd frame. Always 0 for chunks.
    pub codec: u8,
    /// Where it starts, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes it takes there.
    pub stored: u64,
    /// Bytes of its content; of a chunk, of its headers.
    pub length: u64,
    /// Of a compressed object the [`check`] of its frame, else 0.
    pub check: u64,
}

/// The first eight bytes of the hash of compressed bytes, as a number. The ids cover contents; some bits of a zstd frame mean nothing, and
/// this finds them flipped all the same. Reading does without it.
pub fn check(compressed: &[u8]) -> u64 {
    let hash = blake3::hash(compressed);
    hash.as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The index of a pack of these objects, which this sorts; returns it with the pack's id. The nonce makes the id this writer's alone,
/// so that taking away a pack that was never published can never take away another's.
pub fn encode_index(nonce: [u8; 16], entries: &mut [IndexEntry]) -> (Vec<u8>, PackId) {
    entries.sort_by_key(|entry| entry.id);
    let mut w = Writer::default();
    w.array(2).bytes(&nonce).array(entries.len() as u64);
    for entry in entries.iter() {
        w.array(7).bytes(entry.id.as_bytes()).u64(entry.kind as u64).u64(entry.codec.into());
        w.u64(entry.offset).u64(entry.stored).u64(entry.length).u64(entry.check);
    }
    let index = w.finish();
    let id = PackId(*blake3::hash(&index).as_bytes());
    (index, id)
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

/// The entries of the index `bytes` of the pack `id`, whose objects end before byte `objects_end` of the file.
/// Checks the hash and that each entry stays within the file and claims no length that it cannot have.
pub fn decode_index(id: PackId, bytes: &[u8], objects_end: u64) -> Result<Vec<IndexEntry>, FormatError> {
    let what = "pack index";
    if blake3::hash(bytes).as_bytes() != id.as_bytes() {
        return Err(FormatError::malformed(what, "its hash is not the pack's id"));
    }
    let mut r = Reader::new(what, bytes);
    let mut last: Option<ObjectId> = None;
    let entries = r.record(2, |r| {
        r.fixed::<16>()?;
        r.list(|r| index_entry(r, objects_end, &mut last))
    })?;
    r.end()?;
    Ok(entries)
}

fn index_entry(r: &mut Reader<'_>, objects_end: u64, last: &mut Option<ObjectId>) -> Result<IndexEntry, FormatError> {
    let entry = r.record(7, |r| {
        let id = ObjectId(r.fixed()?);
        let number = r.u64()?;
        let kind = Kind::from_number(number).ok_or_else(|| r.fail(format!("{number} is no kind of object")))?;
        let codec = r.u64()?;
        let codec = u8::try_from(codec).ok().filter(|c| *c <= u8::from(kind != Kind::Chunk)).ok_or_else(|| r.fail(format!("codec {codec} is unknown")))?;
        Ok(IndexEntry { id, kind, codec, offset: r.u64()?, stored: r.u64()?, length: r.u64()?, check: r.u64()? })
    })?;
    let inside = entry.offset >= MAGIC.len() as u64 && entry.offset.checked_add(entry.stored).is_some_and(|end| end <= objects_end);
    let sized = match (entry.kind, entry.codec) {
        (Kind::Chunk, _) => entry.offset % CHUNK_ALIGN == 0 && entry.length <= entry.stored,
        (_, 0) => entry.length == entry.stored,
        _ => entry.length <= CONTENT_BYTES_MAX,
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

/// The most bytes that the content of an object other than a chunk may have.
pub const CONTENT_BYTES_MAX: u64 = 1 << 28;
