//! Reading chunks: headers, blocks, rows; every block verified against the id before it is used, the first time that it is read from where it stands.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::buffer::Buffer;
use arrow::compute::concat;
use arrow::datatypes::DataType;
use bytes::Bytes;

use super::ChunkError;
use super::objects::Objects;
use super::place::Place;
use crate::base::ChunkId;
use crate::format::FormatError;
use crate::format::array::{BLOCK_ALIGN, decode, fixed_width};
use crate::format::chunk::{Block, PlacedBlock, chunk_id, decode_header};
use crate::format::codec::{Codec, decompress};
use crate::format::pack::{self, Kind};
use crate::store::StoreError;

/// Blocks stored raw are read this many bytes at a time, at most, beyond one block.
const READ_BYTES_MAX: u64 = 8 << 20;

/// A block of a chunk.
#[derive(Debug, Clone)]
pub struct BlockInfo {
    /// The number of its first row in the chunk.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    block: Block,
    placed: PlacedBlock,
}

impl BlockInfo {
    /// Bytes of its canonical form.
    pub fn bytes(&self) -> u64 {
        self.block.size
    }

    /// Bytes that it takes in the pack.
    pub fn stored_bytes(&self) -> u64 {
        self.placed.stored.size
    }

    /// How it is stored.
    pub fn codec(&self) -> Codec {
        self.placed.stored.codec
    }
}

/// What the headers of a chunk say, and where it stands.
#[derive(Clone)]
pub struct ChunkInfo {
    /// The chunk.
    pub id: ChunkId,
    /// The storage type of its values.
    pub data_type: DataType,
    /// How many values it has.
    pub rows: u64,
    /// Its blocks, in order.
    pub blocks: Vec<BlockInfo>,
    /// Of each block, whether it was read from this place before and verified.
    verified: Arc<[AtomicBool]>,
    place: Place,
}

impl std::fmt::Debug for ChunkInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkInfo").field("id", &self.id).field("data_type", &self.data_type).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ChunkInfo {
    /// The number of the block that holds a row; the last block's for rows past the end.
    pub fn block_of(&self, row: u64) -> usize {
        self.blocks.partition_point(|block| block.first_row <= row).saturating_sub(1)
    }

    /// Bytes of the canonical form of all its blocks.
    pub fn canonical_bytes(&self) -> u64 {
        self.blocks.iter().map(BlockInfo::bytes).fold(0, u64::saturating_add)
    }

    fn range_error(&self, wanted: u64) -> ChunkError {
        ChunkError::Range { chunk: self.id, rows: self.rows, wanted }
    }

    fn block(&self, number: usize) -> Result<&BlockInfo, ChunkError> {
        self.blocks.get(number).ok_or_else(|| self.range_error(self.rows.saturating_add(1)))
    }

    /// Checks the canonical bytes of a block against its hash, unless these were checked since the headers were read: a pack is never written again, and its place is the same.
    fn verify(&self, number: usize, canonical: &[u8]) -> Result<(), &'static str> {
        let (Some(info), Some(verified)) = (self.blocks.get(number), self.verified.get(number)) else { return Err("there is no such block") };
        if verified.load(Ordering::Relaxed) && canonical.len() as u64 == info.block.size {
            return Ok(());
        }
        check(canonical, &info.block)?;
        verified.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// True if the canonical bytes of its raw blocks, one after the other, are those of their rows together.
    fn joins(&self) -> bool {
        fixed_width(&self.data_type).is_some()
    }
}

impl Objects {
    /// The headers of a chunk, verified against its id.
    pub fn chunk(&self, id: ChunkId) -> Result<Arc<ChunkInfo>, ChunkError> {
        if let Some(info) = self.chunks.get(&id) {
            return Ok(info);
        }
        let info = Arc::new(self.at_place(id.into(), |place| self.read_header(place))?);
        let bytes = 256 + info.blocks.len() * size_of::<BlockInfo>();
        self.chunks.insert(id, info.clone(), bytes);
        Ok(info)
    }

    pub(super) fn read_header(&self, place: &Place) -> Result<ChunkInfo, ChunkError> {
        let entry = place.entry();
        if entry.kind != Kind::Chunk {
            return Err(place.damaged(format!("a {:?} where a chunk is expected", entry.kind)));
        }
        let header = place.header(self.store.as_ref())?;
        self.decode_info(place, &header)
    }

    /// What the headers of a chunk say, verified against its id.
    fn decode_info(&self, place: &Place, header: &[u8]) -> Result<ChunkInfo, ChunkError> {
        let entry = place.entry();
        let (identity, content, placed) = decode_header(header, entry.length).map_err(|e| place.damaged(e))?;
        let id = header.get(content).map(chunk_id);
        if id != Some(entry.id.into()) {
            return Err(place.damaged("the hash of its header is not its id"));
        }
        let mut first_row = 0;
        let blocks = identity.blocks.into_iter().zip(placed).map(|(block, placed)| {
            let info = BlockInfo { first_row, rows: block.rows, block, placed };
            first_row += info.rows;
            info
        });
        let blocks: Vec<BlockInfo> = blocks.collect();
        let verified = blocks.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(ChunkInfo { id: entry.id.into(), data_type: identity.storage, rows: identity.rows, blocks, verified, place: place.clone() })
    }

    /// Runs `read` on a chunk; where the file that it was found in has vanished, or what is kept near of a far one is damaged, again on where it is now.
    fn at_chunk<T>(&self, info: &ChunkInfo, read: impl Fn(&ChunkInfo) -> Result<T, ChunkError>) -> Result<T, ChunkError> {
        let anew = |error: &ChunkError| matches!(error, ChunkError::Store(StoreError::NotFound { .. })) || self.forget_near(error);
        match read(info) {
            Err(error) if anew(&error) => {
                self.chunks.remove(&info.id);
                let fresh = self.at_place(info.id.into(), |place| self.read_header(place))?;
                let result = read(&fresh);
                self.chunks.insert(info.id, Arc::new(fresh), 256 + info.blocks.len() * size_of::<BlockInfo>());
                result
            }
            other => other,
        }
    }

    /// The values of a block, verified. A few blocks that were read last are kept.
    pub fn read_block(&self, info: &ChunkInfo, block: usize) -> Result<ArrayRef, ChunkError> {
        let key = (info.id, u32::try_from(block).unwrap_or(u32::MAX));
        if let Some(array) = self.blocks.get(&key) {
            return Ok(array);
        }
        let array = self.at_chunk(info, |info| self.load_blocks(info, block..block + 1))?;
        let bytes = usize::try_from(info.block(block)?.block.size).unwrap_or(usize::MAX);
        self.blocks.insert(key, array.clone(), bytes.saturating_add(256));
        Ok(array)
    }

    /// The values of a range of rows, as one array. Blocks that are wanted whole are not kept; raw blocks of numbers are not copied.
    pub fn read_rows(&self, info: &ChunkInfo, rows: Range<u64>) -> Result<ArrayRef, ChunkError> {
        let parts = self.read_parts(info, rows)?;
        match parts.as_slice() {
            [] => Ok(new_empty_array(&info.data_type)),
            [one] => Ok(one.clone()),
            many => {
                let many: Vec<&dyn Array> = many.iter().map(AsRef::as_ref).collect();
                concat(&many).map_err(|e| info.place.damaged(e))
            }
        }
    }

    /// The values of a range of rows, as arrays one after the other: nothing is copied to join them.
    pub fn read_parts(&self, info: &ChunkInfo, rows: Range<u64>) -> Result<Vec<ArrayRef>, ChunkError> {
        if rows.end > info.rows {
            return Err(info.range_error(rows.end));
        }
        let mut parts = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let first = info.block_of(row);
            let start = info.block(first)?;
            let whole = start.first_row == row && start.first_row + start.rows <= rows.end;
            if whole {
                let end = self.run_of_raw(info, first, rows.end);
                let array = match self.cached(info, first) {
                    Some(array) if end == first + 1 => array,
                    _ => self.at_chunk(info, |info| self.load_blocks(info, first..end))?,
                };
                row += array.len() as u64;
                parts.push(array);
            } else {
                let array = self.read_block(info, first)?;
                let from = row - start.first_row;
                let to = (rows.end - start.first_row).min(start.rows);
                let slice = array.slice(from as usize, (to - from) as usize);
                row = start.first_row + to;
                parts.push(slice);
            }
        }
        Ok(parts)
    }

    fn cached(&self, info: &ChunkInfo, block: usize) -> Option<ArrayRef> {
        self.blocks.get(&(info.id, u32::try_from(block).ok()?))
    }

    /// The end of the blocks from `first` on that end before row `end` and can be read as one array.
    fn run_of_raw(&self, info: &ChunkInfo, first: usize, end: u64) -> usize {
        let mut bytes = 0;
        let run = info.blocks.iter().skip(first).take_while(|block| {
            bytes += block.block.size;
            let raw = block.placed.stored.codec == Codec::Raw && block.block.validity.is_empty();
            raw && block.first_row + block.rows <= end && bytes <= READ_BYTES_MAX
        });
        if info.joins() { first + run.count().max(1) } else { first + 1 }
    }

    /// Reads, verifies and decodes blocks; more than one only if they are raw and their bytes join.
    fn load_blocks(&self, info: &ChunkInfo, numbers: Range<usize>) -> Result<ArrayRef, ChunkError> {
        let blocks = info.blocks.get(numbers.clone()).filter(|blocks| !blocks.is_empty());
        let blocks = blocks.ok_or_else(|| info.range_error(info.rows.saturating_add(1)))?;
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(new_empty_array(&info.data_type)) };
        let start = first.placed.offset;
        let (store, end) = (self.store.as_ref(), last.placed.offset + last.placed.stored.size);
        let values = first.codec() == Codec::Raw && info.joins();
        let stored = if values { info.place.map(store, start, end)? } else { info.place.read(store, start, end)? };
        self.blocks_read.fetch_add(blocks.len() as u64, Ordering::Relaxed);
        self.block_bytes_read.fetch_add(blocks.iter().map(BlockInfo::bytes).sum(), Ordering::Relaxed);
        let damaged = |why: &dyn std::fmt::Display| info.place.damaged(format!("blocks {numbers:?}: {why}"));
        if blocks.len() == 1 && first.codec() != Codec::Raw {
            let canonical = decompress(first.codec(), &stored, &first.block, &info.data_type).map_err(|e| damaged(&e))?;
            info.verify(numbers.start, &canonical).map_err(|why| damaged(&why))?;
            return self.decode_block(info, first.rows, &first.block.validity, Buffer::from(canonical)).map_err(|e| damaged(&e));
        }
        let mut end = 0;
        for (number, block) in numbers.clone().zip(blocks) {
            let from = usize::try_from(block.placed.offset - start).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(block.placed.stored.size).unwrap_or(usize::MAX));
            let body = stored.get(from..to).ok_or_else(|| damaged(&"it is cut off"))?;
            // Padding between two of them would be read as values.
            if from != end && blocks.len() > 1 {
                return Err(damaged(&"they do not lie end to end"));
            }
            end = to;
            info.verify(number, body).map_err(|why| damaged(&why))?;
        }
        let rows = blocks.iter().map(|block| block.rows).sum();
        self.decode_block(info, rows, &first.block.validity, Buffer::from(stored)).map_err(|e| damaged(&e))
    }

    fn decode_block(&self, info: &ChunkInfo, rows: u64, validity: &[u32], canonical: Buffer) -> Result<ArrayRef, FormatError> {
        let rows = usize::try_from(rows).map_err(|e| FormatError::malformed("block", e))?;
        decode(&info.data_type, rows, validity, canonical, BLOCK_ALIGN)
    }

    /// Reads a whole chunk and checks every byte of it, those that no id covers too, and that each block decodes; returns the bytes that
    /// it takes.
    pub(super) fn check_chunk(&self, place: &Place) -> Result<u64, ChunkError> {
        self.read_checked(place).map(|stored| stored.len() as u64)
    }

    /// A whole chunk as it is stored, of which every byte was checked. It is read once: a store that lies may give other bytes the next time.
    pub(super) fn read_checked(&self, place: &Place) -> Result<Bytes, ChunkError> {
        if place.entry().kind != Kind::Chunk {
            return Err(place.damaged(format!("a {:?} where a chunk is expected", place.entry().kind)));
        }
        let stored = place.read(self.store.as_ref(), 0, place.entry().length)?;
        let header = usize::try_from(place.entry().header).ok().and_then(|length| stored.get(..length));
        let info = self.decode_info(place, header.ok_or_else(|| place.damaged("it is shorter than its header"))?)?;
        let mut end = usize::try_from(place.entry().header).unwrap_or(usize::MAX);
        for (number, block) in info.blocks.iter().enumerate() {
            let damaged = |why: &dyn std::fmt::Display| place.damaged(format!("block {number}: {why}"));
            let (offset, size) = (block.placed.offset as usize, block.placed.stored.size as usize);
            let (gap, body) = (stored.get(end..offset), stored.get(offset..offset.saturating_add(size)));
            let (Some(gap), Some(body)) = (gap, body) else { return Err(damaged(&"it is cut off")) };
            if gap.iter().any(|byte| *byte != 0) {
                return Err(damaged(&"the padding before it is not zero"));
            }
            end = offset + size;
            let canonical = match block.codec() {
                Codec::Raw if block.placed.stored.check == 0 => stored.slice_ref(body),
                codec if pack::check(body) == block.placed.stored.check => {
                    Bytes::from(decompress(codec, body, &block.block, &info.data_type).map_err(|e| damaged(&e))?)
                }
                _ => return Err(damaged(&"its stored bytes do not match their check")),
            };
            check(&canonical, &block.block).map_err(|why| damaged(&why))?;
            self.decode_block(&info, block.rows, &block.block.validity, Buffer::from(canonical)).map_err(|e| damaged(&e))?;
        }
        if end != stored.len() { Err(place.damaged("bytes after its last block")) } else { Ok(stored) }
    }
}

fn check(canonical: &[u8], block: &Block) -> Result<(), &'static str> {
    if canonical.len() as u64 != block.size {
        return Err("its size is wrong");
    }
    if blake3::hash(canonical).as_bytes() != &block.hash {
        return Err("its hash is wrong");
    }
    Ok(())
}
