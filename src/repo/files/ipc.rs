//! Arrow IPC: files and streams.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamDecoder};
use arrow::ipc::root_as_footer;

use super::ReadOptions;
use super::error::{FileError, Place};
use super::guard::guarded;
use super::reading::{Found, Part, Parts, Reader};
use super::source::{Source, Stream};
use super::typed;
use crate::base::{NoProgress, Progress};
use crate::format::Type;

const MAGIC: &[u8] = b"ARROW1";

pub(super) struct Arrow {
    source: Arc<Source>,
    schema: SchemaRef,
    is_file: bool,
}

impl Arrow {
    pub fn open(source: Arc<Source>) -> Result<Arrow, FileError> {
        let quiet: Arc<dyn Progress> = Arc::new(NoProgress);
        let is_file = source.open(&quiet)?.fill()?.starts_with(MAGIC);
        let schema = if is_file {
            file_reader(&source)?.schema()
        } else {
            let mut decoding = Decoding::new(source.open(&quiet)?);
            // The schema comes with the first message; a batch may follow it.
            decoding.next()?;
            decoding.decoder.schema().ok_or_else(|| source.bad(Place::File, "the Arrow stream ends before its schema"))?
        };
        Ok(Arrow { source, schema, is_file })
    }
}

fn refusal(source: &Source, error: ArrowError) -> FileError {
    let text = error.to_string();
    let refused = source.bad(Place::File, format!("is not Arrow IPC that can be read: {text}"));
    if text.contains("lz4") || text.contains("compression") {
        refused.with_hint("write it without compression: pyarrow.feather.write_feather(..., compression='uncompressed')")
    } else {
        refused
    }
}

/// A reader, once it is known that no block claims more bytes than the file has: the claim would be allocated.
fn file_reader(source: &Source) -> Result<FileReader<BufReader<File>>, FileError> {
    let cut = || source.bad(Place::File, "the Arrow file is cut short or damaged").with_hint("fetch or write it again");
    let mut file = source.seekable()?;
    let length = file.seek(SeekFrom::End(0)).map_err(|e| FileError::io(&source.name, e))?;
    let mut tail = [0; 10];
    file.seek(SeekFrom::Start(length.saturating_sub(10))).and_then(|_| file.read_exact(&mut tail)).map_err(|_| cut())?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer_length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let start = length.checked_sub(10 + footer_length).ok_or_else(cut)?;
    if magic != MAGIC {
        return Err(cut());
    }
    let mut footer = vec![0; usize::try_from(footer_length).map_err(|_| cut())?];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut footer)).map_err(|_| cut())?;
    let checked = guarded(|| {
        let footer = root_as_footer(&footer).ok()?;
        let blocks = footer.recordBatches().into_iter().flatten().chain(footer.dictionaries().into_iter().flatten());
        for block in blocks {
            let offset = u64::try_from(block.offset()).ok()?;
            let end = offset.checked_add(u64::try_from(block.metaDataLength()).ok()?)?.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
            if end > length {
                return None;
            }
        }
        footer.schema().map(|_| ())
    });
    checked.ok().flatten().ok_or_else(cut)?;
    file.seek(SeekFrom::Start(0)).map_err(|e| FileError::io(&source.name, e))?;
    let reader = guarded(|| FileReader::try_new(BufReader::new(file), None)).map_err(|panic| source.bad(Place::File, panic))?;
    reader.map_err(|e| refusal(source, e))
}

/// A stream, decoded as its bytes come: memory is never taken on a length's word.
struct Decoding {
    stream: Stream,
    decoder: StreamDecoder,
    buffer: Buffer,
    ended: bool,
}

impl Decoding {
    fn new(stream: Stream) -> Decoding {
        Decoding { stream, decoder: StreamDecoder::new(), buffer: Buffer::from(Vec::<u8>::new()), ended: false }
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, FileError> {
        loop {
            if self.buffer.is_empty() && !self.ended {
                let bytes = self.stream.fill()?;
                let length = bytes.len();
                self.buffer = Buffer::from(bytes);
                self.stream.consume(length);
                self.ended = length == 0;
            }
            if self.ended {
                let source = &self.stream.source;
                let finished = guarded(|| self.decoder.finish()).map_err(|panic| source.bad(Place::File, panic))?;
                finished.map_err(|_| source.bad(Place::File, "the Arrow stream is cut short").with_hint("fetch or write it again"))?;
                return Ok(None);
            }
            let source = &self.stream.source;
            let decoded = guarded(|| self.decoder.decode(&mut self.buffer)).map_err(|panic| source.bad(Place::File, panic))?;
            if let Some(batch) = decoded.map_err(|e| refusal(source, e))? {
                return Ok(Some(batch));
            }
        }
    }
}

impl Reader for Arrow {
    fn find(&self, _: &ReadOptions, _: &dyn Fn(&str) -> bool, progress: &Arc<dyn Progress>) -> Result<Found, FileError> {
        progress.advance(self.source.length);
        typed::find(&self.source, &self.schema)
    }

    fn parts(&self, columns: &[(String, Type)], options: &ReadOptions, progress: &Arc<dyn Progress>) -> Result<Box<dyn Parts>, FileError> {
        let from = if self.is_file {
            let reader = file_reader(&self.source)?;
            From::File { share: self.source.length / (reader.num_batches() as u64).max(1), reader }
        } else {
            From::Stream(Decoding::new(self.source.open(progress)?))
        };
        Ok(Box::new(ArrowParts { from, typed: typed::Typed::new(self.source.clone(), &self.schema, columns, options)?, progress: progress.clone() }))
    }
}

enum From {
    File { reader: FileReader<BufReader<File>>, share: u64 },
    Stream(Decoding),
}

struct ArrowParts {
    from: From,
    typed: typed::Typed,
    progress: Arc<dyn Progress>,
}

impl Parts for ArrowParts {
    fn next(&mut self) -> Result<Option<Part>, FileError> {
        loop {
            if let Some(part) = self.typed.next()? {
                return Ok(Some(part));
            }
            let batch = match &mut self.from {
                From::File { reader, share } => {
                    self.progress.advance(*share);
                    let next = guarded(|| reader.next()).map_err(|panic| self.typed.source.bad(Place::File, panic))?;
                    next.transpose().map_err(|e| refusal(&self.typed.source, e))?
                }
                From::Stream(decoding) => decoding.next()?,
            };
            match batch {
                Some(batch) => self.typed.take(batch),
                None => return Ok(None),
            }
        }
    }
}
