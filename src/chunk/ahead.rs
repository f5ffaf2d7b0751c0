//! Bringing chunks near before they are read, several at a time: what hides the way to a far store.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::objects::Objects;
use crate::base::ChunkId;

/// Requests on their way for chunks that will be read soon.
const AT_A_TIME: usize = 16;
/// Chunks that wait for their turn; those beyond are asked for by whoever reads them.
const WAITING_MAX: usize = 1024;

/// Chunks that are to come near.
#[derive(Debug, Default)]
pub struct Ahead(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<ChunkId>,
    /// Those that wait and those on their way.
    known: HashSet<ChunkId>,
    threads: usize,
}

impl Ahead {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next chunk to bring, the one before being done; none where the thread that asks is to end.
    fn next(&self, done: Option<ChunkId>) -> Option<ChunkId> {
        let mut queue = self.queue();
        if let Some(done) = done {
            queue.known.remove(&done);
        }
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.threads -= 1;
        }
        next
    }
}

impl Objects {
    /// True where reading takes long, so that it is worth while to ask for chunks before they are read.
    pub fn is_far(&self) -> bool {
        self.store.is_far() || self.is_partial()
    }

    /// Starts to bring these chunks near, in their order; comes back at once. Does nothing where nothing is far. What fails is told to whoever reads it.
    pub fn ahead(self: &Arc<Self>, chunks: impl IntoIterator<Item = ChunkId>) {
        if !self.is_far() {
            return;
        }
        let mut queue = self.ahead.queue();
        for id in chunks {
            if queue.waiting.len() < WAITING_MAX && self.chunks.get(&id).is_none() && queue.known.insert(id) {
                queue.waiting.push_back(id);
            }
        }
        let wanted = queue.waiting.len().min(AT_A_TIME);
        while queue.threads < wanted {
            let objects = self.clone();
            let work = move || {
                let mut done = None;
                while let Some(id) = objects.ahead.next(done) {
                    // From afar the headers come with what stands behind them.
                    let _ = objects.chunk(id);
                    done = Some(id);
                }
            };
            if std::thread::Builder::new().name("dsv-ahead".into()).spawn(work).is_err() {
                // It is only slower without.
                break;
            }
            queue.threads += 1;
        }
    }
}
