//! Memory for large reads, used again once nobody holds what was read into it. New memory is cleared by the system page by page, which takes longer than to copy a file's bytes out of its cache.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller buffers are left to the allocator.
pub const RECYCLED_BYTES_MIN: usize = 64 << 10;
/// Larger ones as well.
const RECYCLED_BYTES_MAX: usize = 16 << 20;
/// All buffers that wait to be used again.
const WAITING_BYTES_MAX: usize = 64 << 20;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { buffers: VecDeque::new(), bytes: 0 });

struct Waiting {
    /// The one used last is at the back: it may still be in the processor's cache.
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that is given back when it is dropped. It holds what was in it before.
#[derive(Debug)]
pub struct Recycled(Vec<u8>);

impl Recycled {
    /// At least `bytes`, at most a quarter more.
    pub fn new(bytes: usize) -> Recycled {
        let fits = |buffer: &Vec<u8>| (bytes..=bytes.saturating_add(bytes / 4)).contains(&buffer.len());
        let mut waiting = waiting();
        if let Some(at) = waiting.buffers.iter().rposition(fits)
            && let Some(buffer) = waiting.buffers.remove(at)
        {
            waiting.bytes -= buffer.len();
            return Recycled(buffer);
        }
        drop(waiting);
        // Sizes that differ little fit each other's buffers.
        let step = (bytes / 8).next_power_of_two();
        Recycled(vec![0; bytes.checked_next_multiple_of(step).unwrap_or(bytes)])
    }

    /// All of it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for Recycled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.len() > RECYCLED_BYTES_MAX {
            return;
        }
        let mut dropped = Vec::new();
        let mut waiting = waiting();
        waiting.bytes += buffer.len();
        waiting.buffers.push_back(buffer);
        while waiting.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = waiting.buffers.pop_front() else { break };
            waiting.bytes -= oldest.len();
            dropped.push(oldest);
        }
        // Freed after the lock is let go.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because all buffers of a process are together.
    #[test]
    fn a_buffer_is_used_again_for_what_is_about_as_large() {
        // Sizes that no other test of this process asks for.
        let size = (9 << 20) + 12_345;
        let mut first = Recycled::new(size);
        assert!(first.as_ref().len() >= size && first.as_ref().len() <= size + size / 4);
        first.bytes_mut()[..3].copy_from_slice(b"abc");
        let address = first.as_ref().as_ptr();
        drop(first);
        let second = Recycled::new(size - 1000);
        assert_eq!((second.as_ref().as_ptr(), &second.as_ref()[..3]), (address, &b"abc"[..]));
        // One that is held is nobody else's, and one that is far too large is not taken.
        let third = Recycled::new(size - 1000);
        assert_ne!(third.as_ref().as_ptr(), address);
        drop(second);
        assert_ne!(Recycled::new(size / 2).as_ref().as_ptr(), address);
        let held: Vec<Recycled> = (0..12).map(|_| Recycled::new(size)).collect();
        drop(held);
        let waiting = waiting();
        assert!(waiting.bytes <= WAITING_BYTES_MAX);
        assert_eq!(waiting.bytes, waiting.buffers.iter().map(Vec::len).sum::<usize>());
    }
}
