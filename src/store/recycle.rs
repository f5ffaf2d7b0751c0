//! Memory for large reads, used again once nobody holds what was read into it. New memory is cleared by the system page by page, which takes longer than to copy a file's bytes out of its cache.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller buffers are left to the allocator.
pub const RECYCLED_BYTES_MIN: usize = 64 << 10;
/// Larger ones as well.
const RECYCLED_BYTES_MAX: usize = 128 << 20;
/// All buffers that wait to be used again: two batches of 64 pictures of 512 x 512.
const WAITING_BYTES_MAX: usize = 128 << 20;

static WAITING: Mutex<Waiting> = Mutex::new(Waiting { buffers: VecDeque::new(), bytes: 0 });

struct Waiting {
    /// The one used last is at the back: it may still be in the processor's cache.
    buffers: VecDeque<Vec<u64>>,
    bytes: usize,
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that is given back when it is dropped. It holds what was in it before. Words, so that numbers of any type can stand in it.
#[derive(Debug)]
pub struct Recycled(Vec<u64>);

fn size(buffer: &[u64]) -> usize {
    size_of_val(buffer)
}

impl Recycled {
    /// At least `bytes`, at most a quarter and a word more.
    pub fn new(bytes: usize) -> Recycled {
        let fits = |buffer: &Vec<u64>| (bytes..=bytes.saturating_add(bytes / 4).saturating_add(8)).contains(&size(buffer));
        let mut waiting = waiting();
        if let Some(at) = waiting.buffers.iter().rposition(fits)
            && let Some(buffer) = waiting.buffers.remove(at)
        {
            waiting.bytes -= size(&buffer);
            return Recycled(buffer);
        }
        drop(waiting);
        // Sizes that differ little fit each other's buffers.
        let step = (bytes / 8).next_power_of_two();
        Recycled(vec![0; bytes.checked_next_multiple_of(step).unwrap_or(bytes).div_ceil(8)])
    }

    /// All of it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// All of it as floats.
    pub fn floats_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

impl AsRef<[u8]> for Recycled {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if !(1..=RECYCLED_BYTES_MAX).contains(&size(&buffer)) {
            return;
        }
        let mut dropped = Vec::new();
        let mut waiting = waiting();
        waiting.bytes += size(&buffer);
        waiting.buffers.push_back(buffer);
        while waiting.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = waiting.buffers.pop_front() else { break };
            waiting.bytes -= size(&oldest);
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
        let asked: usize = (9 << 20) + 12_345;
        let mut first = Recycled::new(asked);
        assert!(first.as_ref().len() >= asked && first.as_ref().len() <= asked + asked / 4 + 8);
        first.bytes_mut()[..3].copy_from_slice(b"abc");
        let address = first.as_ref().as_ptr();
        drop(first);
        let second = Recycled::new(asked - 1000);
        assert_eq!((second.as_ref().as_ptr(), &second.as_ref()[..3]), (address, &b"abc"[..]));
        // One that is held is nobody else's, and one that is far too large is not taken.
        let third = Recycled::new(asked - 1000);
        assert_ne!(third.as_ref().as_ptr(), address);
        drop(second);
        assert_ne!(Recycled::new(asked / 2).as_ref().as_ptr(), address);
        let held: Vec<Recycled> = (0..20).map(|_| Recycled::new(asked)).collect();
        drop(held);
        let waiting = waiting();
        assert!(waiting.bytes <= WAITING_BYTES_MAX);
        assert_eq!(waiting.bytes, waiting.buffers.iter().map(|buffer| size(buffer)).sum::<usize>());
    }
}
