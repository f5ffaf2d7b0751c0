//! Chunks as stored: the identity header that the id covers, the storage header, the bodies of the blocks (docs/format.md, section 4).

use arrow::datatypes::DataType;

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::codec::Codec;
use super::pack::{Kind, object_id};
use super::types::{parse_storage, storage_text};
use crate::base::ChunkId;

/// Bodies of blocks stand at multiples of this from the start of the chunk.
pub const BODY_ALIGN: u64 = 64;
/// Bytes of the two lengths that a stored chunk starts with.
pub const LENGTHS_BYTES: usize = 8;

/// What identifies a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its values.
    pub rows: u64,
    /// The array nodes that have a validity bitmap, ascending.
    pub validity: Vec<u32>,
    /// Bytes of its canonical bytes.
    pub size: u64,
    /// Their hash.
    pub hash: [u8; 32],
}

/// What the id of a chunk covers.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The storage type of the values.
    pub storage: DataType,
    /// How many there are.
    pub rows: u64,
    /// The blocks, in order; their rows sum up to `rows`.
    pub blocks: Vec<Block>,
}

impl Identity {
    /// The identity header.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(3).str(&storage_text(&self.storage)).u64(self.rows).array(self.blocks.len() as u64);
        for block in &self.blocks {
            w.array(4).u64(block.rows).array(block.validity.len() as u64);
            for node in &block.validity {
                w.u64((*node).into());
            }
            w.u64(block.size).bytes(&block.hash);
        }
        w.finish()
    }

    /// Reads an identity header.
    pub fn decode(bytes: &[u8]) -> Result<Identity, FormatError> {
        let mut r = Reader::new("chunk header", bytes);
        let identity = r.record(3, |r| {
            let storage = parse_storage(r.str()?)?;
            let rows = r.u64()?;
            let blocks = r.list(|r| {
                r.record(4, |r| {
                    let rows = r.u64()?;
                    let validity = r.list(|r| r.u64().and_then(|node| u32::try_from(node).map_err(|e| r.fail(e))))?;
                    Ok(Block { rows, validity, size: r.u64()?, hash: r.fixed()? })
                })
            })?;
            Ok(Identity { storage, rows, blocks })
        })?;
        r.end()?;
        let rows = identity.blocks.iter().try_fold(0u64, |sum, block| sum.checked_add(block.rows));
        if identity.blocks.iter().any(|block| block.rows == 0) {
            return Err(r.fail("a block without rows"));
        }
        if rows != Some(identity.rows) {
            return Err(r.fail("the rows of its blocks are not its rows"));
        }
        Ok(identity)
    }
}

/// The id of the chunk with this identity header.
pub fn chunk_id(identity: &[u8]) -> ChunkId {
    object_id(Kind::Chunk, identity).into()
}

/// How a block is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlock {
    /// What its body holds.
    pub codec: Codec,
    /// Bytes of its body.
    pub size: u64,
    /// Of a compressed block the [`check`](super::pack::check) of its body, else 0.
    pub check: u64,
}

/// What a stored chunk starts with, up to the first padding: lengths, identity header, storage header.
pub fn encode_header(identity: &[u8], blocks: &[StoredBlock]) -> Result<Vec<u8>, FormatError> {
    let mut w = Writer::default();
    w.array(blocks.len() as u64);
    for block in blocks {
        let (codec, parameter) = block.codec.number();
        w.array(4).u64(codec).u64(block.size).u64(parameter).u64(block.check);
    }
    let storage = w.finish();
    let length = |part: &[u8]| u32::try_from(part.len()).map_err(|e| FormatError::malformed("chunk header", e));
    let mut out = Vec::with_capacity(LENGTHS_BYTES + identity.len() + storage.len());
    out.extend_from_slice(&length(identity)?.to_le_bytes());
    out.extend_from_slice(&length(&storage)?.to_le_bytes());
    out.extend_from_slice(identity);
    out.extend(storage);
    Ok(out)
}

/// A block and where its body stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedBlock {
    /// How it is stored.
    pub stored: StoredBlock,
    /// Where its body starts, in bytes from the start of the chunk.
    pub offset: u64,
}

/// The identity header, its bytes' range, and where the bodies stand, from the first bytes of a stored chunk of `stored` bytes in all.
/// The bytes may go on beyond the headers. Checks that all bodies lie within the chunk.
pub fn decode_header(bytes: &[u8], stored: u64) -> Result<(Identity, std::ops::Range<usize>, Vec<PlacedBlock>), FormatError> {
    let what = "chunk header";
    let short = || FormatError::malformed(what, "it is cut off");
    let number = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).ok_or_else(short);
    let identity_end = LENGTHS_BYTES.checked_add(number(0)? as usize).ok_or_else(short)?;
    let end = identity_end.checked_add(number(4)? as usize).ok_or_else(short)?;
    let identity_range = LENGTHS_BYTES..identity_end;
    let identity = Identity::decode(bytes.get(identity_range.clone()).ok_or_else(short)?)?;
    let mut r = Reader::new(what, bytes.get(identity_end..end).ok_or_else(short)?);
    let blocks = r.list(|r| {
        r.record(4, |r| {
            let (number, size, parameter, check) = (r.u64()?, r.u64()?, r.u64()?, r.u64()?);
            let codec = Codec::from_number(number, parameter).ok_or_else(|| r.fail(format!("codec {number} with parameter {parameter} is unknown")))?;
            Ok(StoredBlock { codec, size, check })
        })
    })?;
    r.end()?;
    if blocks.len() != identity.blocks.len() {
        return Err(r.fail("its two parts have different numbers of blocks"));
    }
    let mut at = end as u64;
    let mut placed = Vec::with_capacity(blocks.len());
    for (block, known) in blocks.into_iter().zip(&identity.blocks) {
        let offset = at.checked_next_multiple_of(BODY_ALIGN).ok_or_else(short)?;
        at = offset.checked_add(block.size).filter(|end| *end <= stored).ok_or_else(|| r.fail("a block lies beyond its end"))?;
        if block.codec == Codec::Raw && block.size != known.size {
            return Err(r.fail("a raw block is not of its canonical size"));
        }
        placed.push(PlacedBlock { stored: block, offset });
    }
    Ok((identity, identity_range, placed))
}
