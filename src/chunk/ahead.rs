//! Bringing chunks near before they are read, several at a time: what hides the way to a far store.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::objects::Objects;
use super::place::Place;
use crate::base::ChunkId;

/// Requests on their way for chunks that will be read soon.
const AT_A_TIME: usize = 16;
/// Chunks that wait for their turn; those beyond are asked for by whoever reads them.
const WAITING_MAX: usize = 1024;

/// Chunks that stand in one pack with at most so many bytes between them come in one request...
const GAP_BYTES_MAX: u64 = 128 << 10;
/// ... of at most so many in all.
const REQUEST_BYTES_MAX: u64 = 4 << 20;

/// Chunks that are to come near.
#[derive(Debug, Default)]
pub struct Ahead(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Wanted>,
    /// Those that wait and those on their way.
    known: HashSet<ChunkId>,
    threads: usize,
}

/// A chunk, and where it stands.
#[derive(Clone)]
struct Wanted {
    id: ChunkId,
    place: Place,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

impl Wanted {
    fn span(&self) -> Range<u64> {
        let entry = self.place.entry();
        entry.offset..entry.offset + entry.length
    }
}

impl Ahead {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next chunks to bring, which stand together; those before are done. None where the thread that asks is to end.
    fn next(&self, done: &[Wanted]) -> Vec<Wanted> {
        let mut queue = self.queue();
        for wanted in done {
            queue.known.remove(&wanted.id);
        }
        let Some(first) = queue.waiting.pop_front() else {
            queue.threads -= 1;
            return Vec::new();
        };
        let (pack, mut span) = (first.place.pack_id(), first.span());
        let mut together = vec![first];
        // Again as long as it grows: they wait in the order in which they will be read, not in that of the file.
        while let Some(at) = queue.waiting.iter().position(|wanted| wanted.place.pack_id() == pack && joins(&span, &wanted.span())) {
            let Some(wanted) = queue.waiting.remove(at) else { break };
            span = span.start.min(wanted.span().start)..span.end.max(wanted.span().end);
            together.push(wanted);
        }
        together
    }
}

/// True where one request may bring both.
fn joins(a: &Range<u64>, b: &Range<u64>) -> bool {
    let gap = b.start.saturating_sub(a.end).max(a.start.saturating_sub(b.end));
    gap <= GAP_BYTES_MAX && a.end.max(b.end) - a.start.min(b.start) <= REQUEST_BYTES_MAX
}

impl Objects {
    /// True where reading takes long, so that it is worth while to ask for chunks before they are read.
    pub fn is_far(&self) -> bool {
        self.store.is_far() || self.is_partial()
    }

    /// Starts to bring these chunks near, in their order; comes back once it is known where they stand. Does nothing where nothing is far. What fails is told to whoever reads it.
    pub fn ahead(self: &Arc<Self>, chunks: impl IntoIterator<Item = ChunkId>) {
        if !self.is_far() {
            return;
        }
        let unread = chunks.into_iter().filter(|id| self.chunks.get(id).is_none() && !self.ahead.queue().known.contains(id));
        let wanted: Vec<Wanted> = unread.take(WAITING_MAX).filter_map(|id| Some(Wanted { id, place: self.place(id.into()).ok()? })).collect();
        let mut queue = self.ahead.queue();
        for wanted in wanted {
            if queue.waiting.len() < WAITING_MAX && queue.known.insert(wanted.id) {
                queue.waiting.push_back(wanted);
            }
        }
        let threads = queue.waiting.len().min(AT_A_TIME);
        while queue.threads < threads {
            let objects = self.clone();
            if std::thread::Builder::new().name("dsv-ahead".into()).spawn(move || objects.bring_ahead()).is_err() {
                // It is only slower without.
                break;
            }
            queue.threads += 1;
        }
    }

    fn bring_ahead(&self) {
        let mut done = Vec::new();
        loop {
            let together = self.ahead.next(&done);
            let Some(first) = together.first() else { return };
            if together.len() > 1 {
                let span = together.iter().map(Wanted::span).fold(first.span(), |all, one| all.start.min(one.start)..all.end.max(one.end));
                // What fails here is asked for once more, each for itself.
                let _ = first.place.bring(self.store.as_ref(), span);
            }
            for wanted in &together {
                // From afar the headers come with what stands behind them.
                let _ = self.chunk(wanted.id);
            }
            done = together;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::joins;

    #[test]
    fn what_stands_near_comes_together() {
        let (k, m) = (1 << 10, 1 << 20);
        assert!(joins(&(0..m), &(m..2 * m)) && joins(&(m + 100 * k..2 * m), &(0..m)) && joins(&(0..m), &(k..2 * k)));
        assert!(!joins(&(0..m), &(m + 129 * k..2 * m)) && !joins(&(2 * m..3 * m), &(0..m)));
        assert!(joins(&(0..2 * m), &(2 * m..4 * m)) && !joins(&(0..2 * m), &(2 * m..4 * m + 1)));
    }
}
