//! Values into chunks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::boundary::{Boundaries, End};
use super::encode::EncodedBlock;
use super::objects::Objects;
use super::{ChunkError, ChunkRef};
use crate::format::array::check_storage;
use crate::format::stats::Stats;

/// Cuts a run of values of one storage type into chunks and writes them. Where it cuts depends on the values alone, not on how they are
/// pushed. Holds at most one chunk in memory, and the arrays that its last block stands in.
#[derive(Debug)]
pub struct ChunkWriter {
    objects: Arc<Objects>,
    storage: DataType,
    boundaries: Boundaries,
    /// The values of the block that has not ended.
    parts: Vec<ArrayRef>,
    /// The blocks of the chunk that has not ended, and what they hold.
    blocks: Vec<EncodedBlock>,
    stats: Stats,
    done: Vec<ChunkRef>,
}

impl std::fmt::Debug for EncodedBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.block.fmt(f)
    }
}

impl ChunkWriter {
    /// A writer of values of a storage type.
    pub fn new(objects: Arc<Objects>, storage: DataType) -> ChunkWriter {
        let boundaries = Boundaries::new(&storage, objects.limits().chunk);
        ChunkWriter { objects, storage, boundaries, parts: Vec::new(), blocks: Vec::new(), stats: Stats::empty(), done: Vec::new() }
    }

    /// Appends values, which must be of the storage type; see [`to_storage`](crate::format::array::to_storage).
    pub fn push(&mut self, values: &dyn Array) -> Result<(), ChunkError> {
        if values.data_type() != &self.storage {
            return Err(ChunkError::WrongType { given: values.data_type().to_string(), wanted: self.storage.to_string() });
        }
        check_storage(&self.storage)?;
        let values = values.slice(0, values.len());
        let mut from = 0;
        for (to, end) in self.boundaries.ends(&values)? {
            self.parts.push(values.slice(from, to - from));
            from = to;
            self.end_block()?;
            if end == End::Chunk {
                self.end_chunk()?;
            }
        }
        if from < values.len() {
            self.parts.push(values.slice(from, values.len() - from));
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), ChunkError> {
        if self.parts.is_empty() {
            return Ok(());
        }
        self.blocks.push(EncodedBlock::of(&self.parts)?);
        for part in self.parts.drain(..) {
            self.stats = self.stats.merge(&Stats::of(part.as_ref()));
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), ChunkError> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let blocks = std::mem::take(&mut self.blocks);
        let stats = std::mem::replace(&mut self.stats, Stats::empty());
        let rows = blocks.iter().map(|block| block.block.rows).sum();
        let id = self.objects.put_blocks(&self.storage, blocks)?;
        self.done.push(ChunkRef { id, rows, data_type: self.storage.clone(), stats: Some(stats) });
        Ok(())
    }

    /// The chunks that are complete, which this forgets: what follows comes from a later call, or from [`ChunkWriter::finish`].
    pub fn take(&mut self) -> Vec<ChunkRef> {
        std::mem::take(&mut self.done)
    }

    /// Ends the last chunk; returns the chunks of all values pushed, in order, less those taken before.
    pub fn finish(mut self) -> Result<Vec<ChunkRef>, ChunkError> {
        self.end_block()?;
        self.end_chunk()?;
        Ok(self.done)
    }
}
