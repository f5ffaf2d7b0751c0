//! The threads that make batches, and the batches that wait to be taken, in order, within so many bytes.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::LoaderError;
use super::batch::Batch;
use super::make::{Maker, Task, Tools};

/// What the threads and whoever takes batches have together.
pub(super) struct Pool {
    state: Mutex<State>,
    /// There is something to make, or nothing will be any more.
    work: Condvar,
    /// A batch is there, or none will be any more.
    ready: Condvar,
    /// A window is gone.
    windows: Condvar,
    bytes_max: u64,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Batches that wait, and faults in the place of batches.
    made: BTreeMap<u64, Result<Batch, LoaderError>>,
    made_bytes: u64,
    /// The largest batch so far: what one that is being made is expected to take.
    largest: u64,
    making: u64,
    /// The batch that is taken next.
    next: u64,
    /// No task comes any more.
    over: bool,
    /// Nobody takes batches any more.
    stopped: bool,
    windows: usize,
    /// The first batch whose rows were not asked for yet, where they are far.
    asked: u64,
}

/// Rows of far tables are asked for so many batches before they are read.
const BATCHES_AHEAD: u64 = 32;

/// Windows that may be held at once: one whose batches are made, and the next.
const WINDOWS_MAX: usize = 2;

/// The place of a window among those that may be held; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Pool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().windows -= 1;
        self.0.windows.notify_all();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool whose batches take about so many bytes together, while they are made and until they are taken.
    pub fn new(bytes_max: u64) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), work: Condvar::new(), ready: Condvar::new(), windows: Condvar::new(), bytes_max })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more window may be held; `None` once nobody takes batches any more. `parts` windows belong to a batch that cannot be made without this one: they are not waited for.
    pub fn hold_window(self: &Arc<Pool>, parts: usize) -> Option<Held> {
        let mut state = self.lock();
        while !state.stopped && state.windows >= WINDOWS_MAX.max(parts + 1) {
            state = self.windows.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return None;
        }
        state.windows += 1;
        Some(Held(self.clone()))
    }

    /// Adds a batch to be made; false once nobody takes batches any more.
    pub fn push(&self, task: Task) -> bool {
        let mut state = self.lock();
        if state.stopped {
            return false;
        }
        state.tasks.push_back(task);
        drop(state);
        self.work.notify_one();
        true
    }

    /// No batch comes any more, but for a fault in the place of the next one.
    pub fn end(&self, sequence: u64, fault: Option<LoaderError>) {
        let mut state = self.lock();
        if let Some(fault) = fault {
            state.made.insert(sequence, Err(fault));
        }
        state.over = true;
        drop(state);
        self.work.notify_all();
        self.ready.notify_all();
    }

    /// Makes batches until there are no more to make. The one that is taken next is always made, others while there is room.
    pub fn work(&self, maker: &Maker) {
        let mut tools = Tools::default();
        while let Some(task) = self.task() {
            let sequence = task.sequence;
            if maker.selection.is_far() {
                self.soon(sequence).iter().for_each(|rows| maker.bring(rows));
            }
            let made = catch_unwind(AssertUnwindSafe(|| maker.make(&task, &mut tools))).unwrap_or_else(|panic| {
                tools = Tools::default();
                Err(LoaderError::Thread(message(&*panic)))
            });
            // A window may go with it, which takes the lock.
            drop(task);
            let mut state = self.lock();
            state.making -= 1;
            let bytes = made.as_ref().map_or(0, Batch::bytes);
            state.made_bytes += bytes;
            state.largest = state.largest.max(bytes);
            state.made.insert(sequence, made);
            drop(state);
            self.ready.notify_all();
            self.work.notify_all();
        }
    }

    /// The rows of the batches that follow soon and were not asked for yet.
    fn soon(&self, sequence: u64) -> Vec<Vec<u64>> {
        let mut state = self.lock();
        let state = &mut *state;
        let from = state.asked.max(sequence + 1);
        let to = sequence + 1 + BATCHES_AHEAD;
        let soon: Vec<&Task> = state.tasks.iter().filter(|task| (from..to).contains(&task.sequence)).collect();
        state.asked = soon.iter().map(|task| task.sequence + 1).max().unwrap_or(from);
        soon.into_iter().map(Task::rows).collect()
    }

    fn task(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            match state.tasks.front() {
                Some(first) => {
                    let expected = state.made_bytes + (state.making + 1) * state.largest;
                    if first.sequence == state.next || expected <= self.bytes_max {
                        state.making += 1;
                        return state.tasks.pop_front();
                    }
                }
                None if state.over => return None,
                None => {}
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next batch, which is waited for; `None` after the last.
    pub fn take(&self) -> Option<Result<Batch, LoaderError>> {
        let mut state = self.lock();
        loop {
            let next = state.next;
            if let Some(made) = state.made.remove(&next) {
                state.next += 1;
                state.made_bytes -= made.as_ref().map_or(0, Batch::bytes);
                drop(state);
                self.work.notify_all();
                return Some(made);
            }
            if state.stopped || (state.over && state.tasks.is_empty() && state.making == 0) {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody takes batches any more: threads end with what they are at.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let dropped = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.made));
        drop(state);
        drop(dropped);
        self.work.notify_all();
        self.ready.notify_all();
        self.windows.notify_all();
    }

    /// Bytes of batches that wait to be taken.
    #[cfg(test)]
    pub fn waiting_bytes(&self) -> u64 {
        self.lock().made_bytes
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it does not say why".into())
}
