//! stub
use crate::base::*;
pub use crate::format::node::ChunkRef;
use crate::format::pack::Kind;
use arrow::array::*;
use arrow::datatypes::DataType;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ChunkError;
#[derive(Debug)]
pub struct Objects;
pub struct ChunkInfo {
    pub id: ChunkId,
    pub rows: u64,
}
impl ChunkInfo {
    pub fn canonical_bytes(&self) -> u64 {
        0
    }
    pub fn block_of(&self, _r: u64) -> Option<usize> {
        None
    }
    pub fn block_rows(&self, _b: usize) -> Range<u64> {
        0..0
    }
}
impl Objects {
    pub fn get(&self, _k: Kind, _id: impl Into<ObjectId>) -> Result<Bytes, ChunkError> {
        todo!()
    }
    pub fn put(&self, _k: Kind, _c: &[u8]) -> Result<ObjectId, ChunkError> {
        todo!()
    }
    pub fn chunk(&self, _id: ChunkId) -> Result<Arc<ChunkInfo>, ChunkError> {
        todo!()
    }
    pub fn read_block(&self, _i: &ChunkInfo, _b: usize) -> Result<ArrayRef, ChunkError> {
        todo!()
    }
    pub fn read_rows(&self, _i: &ChunkInfo, _r: Range<u64>) -> Result<ArrayRef, ChunkError> {
        todo!()
    }
}
pub struct ChunkWriter;
impl ChunkWriter {
    pub fn new(_o: Arc<Objects>, _t: DataType) -> Result<Self, ChunkError> {
        todo!()
    }
    pub fn push(&mut self, _a: &dyn Array) -> Result<(), ChunkError> {
        todo!()
    }
    pub fn finish(self) -> Result<Vec<ChunkRef>, ChunkError> {
        todo!()
    }
}
pub fn write_large(_o: &Arc<Objects>, _r: &mut dyn std::io::Read) -> Result<(Vec<ChunkRef>, u64), ChunkError> {
    todo!()
}
