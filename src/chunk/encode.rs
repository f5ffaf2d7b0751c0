//! Blocks into stored chunks: hashed once, compressed by what serves the chunk's first block best, and not at all if they are there already.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

use super::objects::Objects;
use super::{ChunkError, ChunkRef};
use crate::format::FormatError;
use crate::format::array::encode_segments;
use crate::format::chunk::{BODY_ALIGN, Block, Identity, StoredBlock, chunk_id, encode_header};
use crate::format::codec::{Codec, Compressor, compress};
use crate::format::pack::check;
use crate::format::stats::Stats;

/// Bytes of a block of binary values that tell whether the rest is worth trying to compress.
const SAMPLE_BYTES: usize = 8 << 10;

/// The canonical bytes of a block, in pieces that are shared with the arrays they came from.
type Pieces = Vec<Buffer>;

fn encode_block(parts: &[ArrayRef]) -> Result<(Block, Pieces), FormatError> {
    let rows = parts.iter().map(|part| part.len() as u64).sum();
    let canonical = encode_segments(parts)?;
    let hash = match canonical.segments.as_slice() {
        [one] => blake3::hash(one),
        many => {
            let mut hasher = blake3::Hasher::new();
            many.iter().for_each(|piece| {
                hasher.update(piece);
            });
            hasher.finalize()
        }
    };
    Ok((Block { rows, validity: canonical.validity, size: canonical.size, hash: *hash.as_bytes() }, canonical.segments))
}

fn joined(pieces: &Pieces) -> Cow<'_, [u8]> {
    match pieces.as_slice() {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat()),
    }
}

/// True if so much is worth storing in place of `whole`: it saves a tenth, of vectors a quarter. Raw they are read without a copy, and what their exponents save is little.
fn saves(storage: &DataType, part: usize, whole: usize) -> bool {
    let share = if matches!(storage, DataType::FixedSizeList(..)) { 4 } else { 10 };
    part <= whole - whole / share
}

/// The codec that makes this block smallest, and its body; raw without one if none saves enough.
fn choose(storage: &DataType, block: &Block, pieces: &Pieces, zstd: &mut Compressor) -> Result<(Codec, Option<Vec<u8>>), FormatError> {
    if *storage == DataType::Binary
        && let Some(values) = pieces.last()
        && values.len() >= 4 * SAMPLE_BYTES
    {
        // Encoded media do not compress; a look at the middle tells, at a fraction of the cost.
        let middle = values.len() / 2;
        let sample = values.get(middle..middle + SAMPLE_BYTES).unwrap_or_default();
        if !saves(storage, zstd.frame(sample)?.len(), sample.len()) {
            return Ok((Codec::Raw, None));
        }
    }
    let canonical = joined(pieces);
    let mut best: (Codec, Option<Vec<u8>>) = (Codec::Raw, None);
    let mut least = usize::MAX;
    for codec in Codec::candidates(storage) {
        if let Some(body) = compress(*codec, &canonical, block, zstd)?
            && body.len() < least
            && saves(storage, body.len(), canonical.len())
        {
            least = body.len();
            best = (*codec, Some(body));
        }
    }
    Ok(best)
}

/// The body of a block of a chunk whose first block chose `codec`; `None`: raw.
fn body(codec: Codec, storage: &DataType, block: &Block, pieces: &Pieces, zstd: &mut Compressor) -> Result<Option<(Codec, Vec<u8>)>, FormatError> {
    if codec == Codec::Raw {
        return Ok(None);
    }
    let canonical = joined(pieces);
    let mut tried = compress(codec, &canonical, block, zstd)?.map(|body| (codec, body));
    if tried.is_none() {
        // More distinct values than a dictionary takes.
        tried = compress(Codec::Lengths, &canonical, block, zstd)?.map(|body| (Codec::Lengths, body));
    }
    Ok(tried.filter(|(_, body)| saves(storage, body.len(), canonical.len())))
}

impl Objects {
    /// Writes the chunk of these blocks, each of the values of its parts together, unless it is there.
    pub(super) fn put_blocks(&self, storage: &DataType, parts: Vec<Vec<ArrayRef>>) -> Result<ChunkRef, ChunkError> {
        let mut stats = Stats::empty();
        let mut blocks: Vec<Block> = Vec::with_capacity(parts.len());
        let mut pieces: Vec<Pieces> = Vec::with_capacity(parts.len());
        for parts in &parts {
            let (block, canonical) = encode_block(parts)?;
            blocks.push(block);
            pieces.push(canonical);
            parts.iter().for_each(|part| stats = stats.merge(&Stats::of(part.as_ref())));
        }
        let identity = Identity { storage: storage.clone(), rows: blocks.iter().map(|block| block.rows).sum(), blocks };
        let content = identity.encode();
        let id = chunk_id(&content);
        let chunk = ChunkRef { id, rows: identity.rows, data_type: identity.storage, stats: Some(stats) };
        if self.reuse(id.into(), usize::MAX)? {
            return Ok(chunk);
        }
        let mut stored: Vec<StoredBlock> = Vec::with_capacity(pieces.len());
        let mut bodies: Vec<Option<Vec<u8>>> = Vec::with_capacity(pieces.len());
        self.compressor(|zstd| {
            let mut chosen = None;
            for (block, pieces) in identity.blocks.iter().zip(&pieces) {
                let kept = match chosen {
                    None => {
                        let (codec, body) = choose(storage, block, pieces, zstd)?;
                        chosen = Some(codec);
                        body.map(|body| (codec, body))
                    }
                    Some(codec) => body(codec, storage, block, pieces, zstd)?,
                };
                let (codec, body) = kept.map_or((Codec::Raw, None), |(codec, body)| (codec, Some(body)));
                let size = body.as_ref().map_or(block.size, |body| body.len() as u64);
                stored.push(StoredBlock { codec, size, check: body.as_deref().map_or(0, check) });
                bodies.push(body);
            }
            Ok(())
        })?;
        let header = encode_header(&content, &stored)?;
        const ZEROS: [u8; BODY_ALIGN as usize] = [0; BODY_ALIGN as usize];
        let mut out: Vec<&[u8]> = vec![&header];
        let mut length = header.len() as u64;
        for ((pieces, body), stored) in pieces.iter().zip(&bodies).zip(&stored) {
            let padding = length.next_multiple_of(BODY_ALIGN) - length;
            out.push(&ZEROS[..padding as usize]);
            match body {
                Some(body) => out.push(body),
                None => out.extend(pieces.iter().map(Buffer::as_slice)),
            }
            length += padding + stored.size;
        }
        self.put_chunk(id, header.len(), &out)?;
        Ok(chunk)
    }
}
