//! Values into chunks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use super::background::Background;
use super::boundary::{Boundaries, End};
use super::objects::Objects;
use super::{ChunkError, ChunkRef};
use crate::format::array::check_storage;

/// Cuts a run of values of one storage type into chunks and writes them. Where it cuts depends on the values alone, not on how they are
/// pushed. Values are not copied to be cut: the arrays pushed live on until their chunk is written, by another thread where there is one.
/// Dropped without [`ChunkWriter::finish`], it waits until nothing more is written.
#[derive(Debug)]
pub struct ChunkWriter {
    storage: DataType,
    boundaries: Boundaries,
    /// The values of the block that has not ended.
    parts: Vec<ArrayRef>,
    /// The blocks of the chunk that has not ended.
    blocks: Vec<Vec<ArrayRef>>,
    chunks: Background,
}

impl ChunkWriter {
    /// A writer of values of a storage type.
    pub fn new(objects: Arc<Objects>, storage: DataType) -> ChunkWriter {
        let boundaries = Boundaries::new(&storage, objects.limits().chunk);
        ChunkWriter { boundaries, parts: Vec::new(), blocks: Vec::new(), chunks: Background::new(objects, storage.clone()), storage }
    }

    /// Appends values, which must be of the storage type; see [`to_storage`](crate::format::array::to_storage). An error may be that of
    /// values pushed before.
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
            self.end_block();
            if let End::Chunk(bytes) = end {
                self.end_chunk(bytes)?;
            }
        }
        if from < values.len() {
            self.parts.push(values.slice(from, values.len() - from));
        }
        Ok(())
    }

    fn end_block(&mut self) {
        if !self.parts.is_empty() {
            self.blocks.push(std::mem::take(&mut self.parts));
        }
    }

    fn end_chunk(&mut self, bytes: u64) -> Result<(), ChunkError> {
        if self.blocks.is_empty() { Ok(()) } else { self.chunks.push(std::mem::take(&mut self.blocks), bytes) }
    }

    /// The chunks that are complete, which this forgets: what follows comes from a later call, or from [`ChunkWriter::finish`].
    pub fn take(&mut self) -> Vec<ChunkRef> {
        self.chunks.take()
    }

    /// Ends the last chunk; returns the chunks of all values pushed, in order, less those taken before.
    pub fn finish(mut self) -> Result<Vec<ChunkRef>, ChunkError> {
        self.end_block();
        let bytes = self.boundaries.bytes();
        self.end_chunk(bytes)?;
        self.chunks.finish()
    }
}
