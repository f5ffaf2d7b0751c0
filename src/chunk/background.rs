//! Chunks encoded while the next is still being cut, on other threads where there are any.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::base::parallel;

use super::objects::Objects;
use super::{ChunkError, ChunkRef};

/// Turns blocks into chunks, in order. What waits is bounded by [`Limits::waiting_bytes`](super::Limits) for all writers of one [`Objects`]
/// together: beyond that, a chunk is encoded by the thread that brings it.
#[derive(Debug)]
pub struct Background {
    objects: Arc<Objects>,
    storage: DataType,
    chunks: VecDeque<Chunk>,
    failed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Chunk {
    Done(ChunkRef),
    Coming(Receiver<Result<ChunkRef, ChunkError>>),
}

impl Background {
    pub fn new(objects: Arc<Objects>, storage: DataType) -> Background {
        Background { objects, storage, chunks: VecDeque::new(), failed: Arc::default() }
    }

    /// Takes the blocks of the next chunk, of so many bytes. Returns the error of a chunk before, if there was one.
    pub fn push(&mut self, blocks: Vec<Vec<ArrayRef>>, bytes: u64) -> Result<(), ChunkError> {
        if self.failed.load(Ordering::Acquire) {
            self.wait(0)?;
        }
        if rayon::current_num_threads() < 2 || !self.objects.reserve(bytes) {
            let chunk = self.objects.put_blocks(&self.storage, blocks)?;
            self.chunks.push_back(Chunk::Done(chunk));
            return Ok(());
        }
        let (sender, receiver) = channel();
        let (objects, storage, failed) = (self.objects.clone(), self.storage.clone(), self.failed.clone());
        parallel::spawn(move || {
            // After a failure, or when nobody waits any more, the rest is for nothing.
            if !failed.load(Ordering::Acquire) {
                let chunk = objects.put_blocks(&storage, blocks);
                failed.fetch_or(chunk.is_err(), Ordering::AcqRel);
                let _ = sender.send(chunk);
            }
            objects.release(bytes);
        });
        self.chunks.push_back(Chunk::Coming(receiver));
        // What is done already need not keep its channel.
        self.wait(usize::MAX)
    }

    /// Waits until at most so many chunks are still coming.
    fn wait(&mut self, coming_max: usize) -> Result<(), ChunkError> {
        let mut coming = self.chunks.iter().filter(|chunk| matches!(chunk, Chunk::Coming(_))).count();
        for chunk in &mut self.chunks {
            if let Chunk::Coming(receiver) = chunk {
                if coming <= coming_max {
                    break;
                }
                *chunk = Chunk::Done(receive(receiver)?);
                coming -= 1;
            }
        }
        Ok(())
    }

    /// The chunks at the front that are done; these are forgotten.
    pub fn take(&mut self) -> Vec<ChunkRef> {
        let mut done = Vec::new();
        while let Some(Chunk::Done(_)) = self.chunks.front() {
            if let Some(Chunk::Done(chunk)) = self.chunks.pop_front() {
                done.push(chunk);
            }
        }
        done
    }

    /// Waits for all chunks, and returns those not taken yet.
    pub fn finish(mut self) -> Result<Vec<ChunkRef>, ChunkError> {
        self.wait(0)?;
        Ok(self.take())
    }
}

/// A writer that is dropped leaves nobody writing behind it.
impl Drop for Background {
    fn drop(&mut self) {
        self.failed.store(true, Ordering::Release);
        for chunk in self.chunks.drain(..) {
            if let Chunk::Coming(receiver) = chunk {
                let _ = receive(&receiver);
            }
        }
    }
}

/// Waits for a chunk. A thread of the pool, which may be what the chunk waits for, helps meanwhile.
fn receive(receiver: &Receiver<Result<ChunkRef, ChunkError>>) -> Result<ChunkRef, ChunkError> {
    // The sender is dropped unused after the failure of another chunk, whose error is found first or was returned before.
    let gone = || ChunkError::Source(std::io::Error::other("the write was given up"));
    loop {
        if rayon::current_thread_index().is_none() {
            return receiver.recv().unwrap_or_else(|_| Err(gone()));
        }
        match receiver.try_recv() {
            Ok(chunk) => return chunk,
            Err(TryRecvError::Disconnected) => return Err(gone()),
            Err(TryRecvError::Empty) => match rayon::yield_now() {
                Some(rayon::Yield::Executed) => {}
                _ => std::thread::sleep(std::time::Duration::from_micros(50)),
            },
        }
    }
}
