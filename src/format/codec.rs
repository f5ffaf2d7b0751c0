//! Codecs of blocks: canonical bytes to the bytes that stand in a body, and back (docs/format.md, section 4).
//! Compression is no part of a chunk's identity: a writer is free to choose.

mod strings;
#[cfg(test)]
mod tests;
mod transform;

use std::cell::RefCell;

use arrow::datatypes::DataType;

use super::FormatError;
use super::array::fixed_width;
use super::chunk::Block;

/// What the body of a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// The canonical bytes.
    Raw,
    /// A zstd frame of them.
    Zstd,
    /// A zstd frame of them, shuffled by that width.
    Shuffle(u8),
    /// A zstd frame of their differences, shuffled by that width.
    Delta(u8),
    /// Text or binary: distinct values and an index a row, in a zstd frame.
    Dictionary,
    /// Text or binary: lengths, shuffled, in place of offsets, in a zstd frame.
    Lengths,
}

impl Codec {
    /// The codec's number and parameter in the storage header.
    pub fn number(self) -> (u64, u64) {
        match self {
            Codec::Raw => (0, 0),
            Codec::Zstd => (1, 0),
            Codec::Shuffle(width) => (2, width.into()),
            Codec::Delta(width) => (3, width.into()),
            Codec::Dictionary => (4, 0),
            Codec::Lengths => (5, 0),
        }
    }

    /// The codec of that number and parameter.
    pub fn from_number(number: u64, parameter: u64) -> Option<Codec> {
        Some(match (number, parameter) {
            (0, 0) => Codec::Raw,
            (1, 0) => Codec::Zstd,
            (2, 2 | 4 | 8 | 16) => Codec::Shuffle(parameter as u8),
            (3, 4 | 8) => Codec::Delta(parameter as u8),
            (4, 0) => Codec::Dictionary,
            (5, 0) => Codec::Lengths,
            _ => return None,
        })
    }

    /// The codecs worth trying for blocks of a storage type, the likeliest to be best first; raw is always there besides.
    pub fn candidates(storage: &DataType) -> &'static [Codec] {
        use DataType::*;
        match storage {
            Utf8 | Binary => &[Codec::Lengths, Codec::Dictionary],
            Int16 | UInt16 | Float16 => &[Codec::Shuffle(2), Codec::Zstd],
            Int32 | UInt32 | Date32 | Time32(_) => &[Codec::Shuffle(4), Codec::Delta(4), Codec::Zstd],
            Float32 => &[Codec::Shuffle(4), Codec::Zstd],
            Int64 | UInt64 | Time64(_) | Timestamp(..) | Duration(_) => &[Codec::Shuffle(8), Codec::Delta(8), Codec::Zstd],
            Float64 => &[Codec::Shuffle(8), Codec::Zstd],
            Decimal128(..) | Decimal256(..) => &[Codec::Shuffle(16), Codec::Zstd],
            FixedSizeList(item, _) if fixed_width(item.data_type()).is_some() => Codec::candidates(item.data_type()),
            _ => &[Codec::Zstd],
        }
    }
}

/// The body of a block of canonical bytes under `codec`, compressed at zstd's `level`; `None` where the codec cannot describe the block
/// (a dictionary of too many values).
pub fn compress(codec: Codec, canonical: &[u8], block: &Block, zstd: &mut Compressor) -> Result<Option<Vec<u8>>, FormatError> {
    let prepared;
    let input = match codec {
        Codec::Raw => return Ok(Some(canonical.to_vec())),
        Codec::Zstd => canonical,
        Codec::Shuffle(width) => {
            prepared = transform::shuffle(canonical, width.into());
            &prepared
        }
        Codec::Delta(width) => {
            prepared = transform::shuffle(&transform::delta(canonical, width.into()), width.into());
            &prepared
        }
        Codec::Dictionary => match strings::to_dictionary(canonical, block)? {
            Some(bytes) => {
                prepared = bytes;
                &prepared
            }
            None => return Ok(None),
        },
        Codec::Lengths => {
            prepared = strings::to_lengths(canonical, block)?;
            &prepared
        }
    };
    zstd.0.compress(input).map(Some).map_err(|e| FormatError::malformed("block", e))
}

/// The canonical bytes of a block from its body. The result is of the block's size or an error; it allocates no more than the format
/// lets a block of that size take. `body` is a whole body; its hash is not checked here.
pub fn decompress(codec: Codec, body: &[u8], block: &Block, storage: &DataType) -> Result<Vec<u8>, FormatError> {
    let size = usize::try_from(block.size).map_err(|e| FormatError::malformed("block", e))?;
    match codec {
        Codec::Raw => Ok(body.to_vec()),
        Codec::Zstd => unzstd(body, size),
        Codec::Shuffle(width) => Ok(transform::unshuffle(&unzstd(body, size)?, width.into())),
        Codec::Delta(width) => {
            let mut bytes = transform::unshuffle(&unzstd(body, size)?, width.into());
            transform::undelta(&mut bytes, width.into());
            Ok(bytes)
        }
        Codec::Dictionary | Codec::Lengths => {
            if !matches!(storage, DataType::Utf8 | DataType::Binary) {
                return Err(FormatError::malformed("block", format!("a codec for text and binary on {storage}")));
            }
            // A dictionary adds its lengths and two bytes a row to what stands in the canonical bytes anyway.
            let inner = unzstd(body, size.saturating_mul(2).saturating_add(64))?;
            if codec == Codec::Dictionary { strings::from_dictionary(&inner, block) } else { strings::from_lengths(&inner, block) }
        }
    }
}

thread_local! {
    /// zstd's context for reading, which takes longer to make than a small block to read.
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn unzstd(body: &[u8], most: usize) -> Result<Vec<u8>, FormatError> {
    // A frame of n bytes can hold no more than so much; a claim beyond it is not believed before it is shown.
    let believable = body.len().saturating_mul(1 << 15).saturating_add(1 << 17);
    let content = DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(body, most.min(believable))
    });
    content.map_err(|e| FormatError::malformed("block", e))
}

/// A zstd context, kept for many blocks.
pub struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    /// At a compression level of zstd.
    pub fn new(level: i32) -> Result<Compressor, FormatError> {
        zstd::bulk::Compressor::new(level).map(Compressor).map_err(|e| FormatError::malformed("block", e))
    }

    /// One zstd frame of `bytes`.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.0.compress(bytes).map_err(|e| FormatError::malformed("block", e))
    }
}

/// The content of a zstd frame that must have exactly `length` bytes.
pub fn unframe(frame: &[u8], length: usize) -> Result<Vec<u8>, FormatError> {
    let content = unzstd(frame, length)?;
    if content.len() == length { Ok(content) } else { Err(FormatError::malformed("zstd frame", "it is not of the length that it should have")) }
}
