//! Blocks into stored chunks: hashed once, compressed by what serves the chunk's first block best, and not at all if they are there already.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::ChunkError;
use super::objects::Objects;
use crate::base::ChunkId;
use crate::format::FormatError;
use crate::format::array::{BLOCK_ALIGN, encode_parts};
use crate::format::chunk::{BODY_ALIGN, Block, Identity, StoredBlock, chunk_id, encode_header};
use crate::format::codec::{Codec, Compressor, compress};
use crate::format::pack::check;

/// Bytes of a block of binary values that tell whether the rest is worth trying to compress.
const SAMPLE_BYTES: usize = 8 << 10;

/// A block with its canonical bytes.
pub struct EncodedBlock {
    pub block: Block,
    pub canonical: Vec<u8>,
}

impl EncodedBlock {
    /// The block of these values together.
    pub fn of(parts: &[ArrayRef]) -> Result<EncodedBlock, FormatError> {
        let rows = parts.iter().map(|part| part.len() as u64).sum();
        let canonical = encode_parts(parts, BLOCK_ALIGN)?;
        let hash = *blake3::hash(&canonical.bytes).as_bytes();
        let block = Block { rows, validity: canonical.validity, size: canonical.bytes.len() as u64, hash };
        Ok(EncodedBlock { block, canonical: canonical.bytes })
    }
}

/// True if so much is worth storing in place of `whole`: it saves a tenth.
fn saves(part: usize, whole: usize) -> bool {
    part <= whole - whole / 10
}

/// The codec that makes this block smallest, and its body; raw without one if none saves a tenth.
fn choose(storage: &DataType, first: &EncodedBlock, zstd: &mut Compressor) -> Result<(Codec, Option<Vec<u8>>), FormatError> {
    let whole = first.canonical.len();
    if *storage == DataType::Binary && whole >= 4 * SAMPLE_BYTES {
        // Encoded media do not compress; a look at the middle tells, at a fraction of the cost.
        let middle = whole / 2;
        let sample = first.canonical.get(middle..middle + SAMPLE_BYTES).unwrap_or_default();
        if !saves(zstd.frame(sample)?.len(), sample.len()) {
            return Ok((Codec::Raw, None));
        }
    }
    let mut best: (Codec, Option<Vec<u8>>) = (Codec::Raw, None);
    let mut least = whole - whole / 10 + 1;
    for codec in Codec::candidates(storage) {
        if let Some(body) = compress(*codec, &first.canonical, &first.block, zstd)?
            && body.len() < least
        {
            least = body.len();
            best = (*codec, Some(body));
        }
    }
    Ok(best)
}

/// The body of a block of a chunk whose first block chose `codec`; `None`: raw.
fn body(codec: Codec, block: &EncodedBlock, zstd: &mut Compressor) -> Result<Option<(Codec, Vec<u8>)>, FormatError> {
    if codec == Codec::Raw {
        return Ok(None);
    }
    let mut tried = compress(codec, &block.canonical, &block.block, zstd)?.map(|body| (codec, body));
    if tried.is_none() {
        // More distinct values than a dictionary takes.
        tried = compress(Codec::Lengths, &block.canonical, &block.block, zstd)?.map(|body| (Codec::Lengths, body));
    }
    Ok(tried.filter(|(_, body)| saves(body.len(), block.canonical.len())))
}

impl Objects {
    /// Writes the chunk of these blocks, unless it is there.
    pub(super) fn put_blocks(&self, storage: &DataType, blocks: Vec<EncodedBlock>) -> Result<ChunkId, ChunkError> {
        let rows = blocks.iter().map(|block| block.block.rows).sum();
        let (blocks, canonical): (Vec<Block>, Vec<Vec<u8>>) = blocks.into_iter().map(|block| (block.block, block.canonical)).unzip();
        let identity = Identity { storage: storage.clone(), rows, blocks };
        let header = identity.encode();
        let id = chunk_id(&header);
        if self.reuse(id.into(), usize::MAX)? {
            return Ok(id);
        }
        let blocks: Vec<EncodedBlock> = identity.blocks.into_iter().zip(canonical).map(|(block, canonical)| EncodedBlock { block, canonical }).collect();
        let mut stored: Vec<StoredBlock> = Vec::with_capacity(blocks.len());
        let mut bodies: Vec<Option<Vec<u8>>> = Vec::with_capacity(blocks.len());
        self.compressor(|zstd| {
            let mut chosen = None;
            for block in &blocks {
                let kept = match chosen {
                    None => {
                        let (codec, body) = choose(storage, block, zstd)?;
                        chosen = Some(codec);
                        body.map(|body| (codec, body))
                    }
                    Some(codec) => body(codec, block, zstd)?,
                };
                let (codec, body) = kept.map_or((Codec::Raw, None), |(codec, body)| (codec, Some(body)));
                let size = body.as_ref().map_or(block.canonical.len(), Vec::len) as u64;
                stored.push(StoredBlock { codec, size, check: body.as_deref().map_or(0, check) });
                bodies.push(body);
            }
            Ok(())
        })?;
        let header = encode_header(&header, &stored)?;
        const ZEROS: [u8; BODY_ALIGN as usize] = [0; BODY_ALIGN as usize];
        let mut parts: Vec<&[u8]> = vec![&header];
        let mut length = header.len() as u64;
        for (block, body) in blocks.iter().zip(&bodies) {
            let bytes = body.as_deref().unwrap_or(&block.canonical);
            let padding = length.next_multiple_of(BODY_ALIGN) - length;
            parts.push(&ZEROS[..padding as usize]);
            parts.push(bytes);
            length += padding + bytes.len() as u64;
        }
        self.put_chunk(id, header.len(), &parts)?;
        Ok(id)
    }
}
