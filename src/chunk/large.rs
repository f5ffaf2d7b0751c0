//! Large values: the bytes of one value as a run of chunks, streamed in.

use std::io::Read;

use arrow::array::{ArrayRef, UInt8Array};
use arrow::datatypes::DataType;
use fastcdc::v2020::{Error, StreamCDC};

use super::objects::Objects;
use super::{ChunkError, ChunkRef};
use crate::format::stats::Stats;

/// Writes the bytes of `reader` as chunks of storage type `uint8`, cut by their content (docs/format.md, section 10); returns the chunks and
/// how many bytes there were. Holds one chunk in memory, whatever the length.
pub fn write_large(objects: &Objects, reader: &mut dyn Read) -> Result<(Vec<ChunkRef>, u64), ChunkError> {
    let limits = objects.limits().chunk;
    // FastCDC takes even sizes alone.
    let size = |bytes: u64, least: usize| usize::try_from(bytes).unwrap_or(usize::MAX).clamp(least, 4 << 20) / 2 * 2;
    let mean = limits.bytes_min + limits.bytes_mean;
    let chunker = StreamCDC::new(reader, size(limits.bytes_min, 64), size(mean, 256), size(limits.bytes_max, 1024));
    let block_bytes = usize::try_from(limits.block_bytes.min(limits.block_rows_max)).unwrap_or(usize::MAX).max(1);
    let (mut chunks, mut length) = (Vec::new(), 0);
    for chunk in chunker {
        let data = match chunk {
            Ok(chunk) => chunk.data,
            Err(Error::Empty) => break,
            Err(Error::IoError(e)) => return Err(ChunkError::Source(e)),
            Err(Error::Other(e)) => return Err(ChunkError::Source(std::io::Error::other(e))),
        };
        let rows = data.len() as u64;
        let values = UInt8Array::from(data);
        let blocks = (0..values.len())
            .step_by(block_bytes)
            .map(|at| -> Vec<ArrayRef> { vec![std::sync::Arc::new(values.slice(at, block_bytes.min(values.len() - at)))] });
        let chunk = objects.put_blocks(&DataType::UInt8, blocks.collect())?;
        // The bounds of bytes tell nothing that anybody would ask for.
        let stats = Stats { min: None, max: None, min_exact: false, max_exact: false, ..Stats::empty() };
        chunks.push(ChunkRef { stats: Some(stats), ..chunk });
        length += rows;
    }
    Ok((chunks, length))
}
