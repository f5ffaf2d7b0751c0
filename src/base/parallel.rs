//! Work on all cores, also in a process that was forked off another one: the threads of the pool stayed behind there, and whoever gives them work waits for ever.

use std::process::id;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::ThreadPool;

/// The process that the global pool belongs to.
static ORIGIN: OnceLock<u32> = OnceLock::new();
/// The pool of a process that was forked off, and its number.
static FORKED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Does work that divides itself by rayon.
pub fn on_all_cores<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match forked() {
        Some(pool) if rayon::current_thread_index().is_none() => pool.install(work),
        _ => work(),
    }
}

/// Has work done by another thread of the pool.
pub fn spawn(work: impl FnOnce() + Send + 'static) {
    match forked() {
        Some(pool) => pool.spawn(work),
        None => rayon::spawn(work),
    }
}

/// A pool of this process's own, where it was forked off that of the global one.
fn forked() -> Option<Arc<ThreadPool>> {
    let this = id();
    if *ORIGIN.get_or_init(id) == this {
        return None;
    }
    let mut forked = FORKED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*forked {
        Some((process, pool)) if *process == this => Some(pool.clone()),
        _ => {
            // Where no thread can be started, the global pool could not be either.
            let pool = Arc::new(rayon::ThreadPoolBuilder::new().build().ok()?);
            // That of the process before has no threads here that its end could wait for.
            if let Some(stale) = forked.replace((this, pool.clone())) {
                std::mem::forget(stale);
            }
            Some(pool)
        }
    }
}

/// Runs `work` on each item, by at most so many threads of its own, for work that waits more than it computes; the results are in the items' order, and the first error ends it.
pub fn on_threads<T: Sync, R: Send, E: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_is_done_here_and_by_others() {
        assert_eq!(on_all_cores(|| (0..1000u64).into_par_iter().map(|n| n * 2).sum::<u64>()), 999_000);
        let (sender, receiver) = std::sync::mpsc::channel();
        spawn(move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
        assert!(forked().is_none());
    }

    #[test]
    fn what_waits_is_done_side_by_side_and_in_order() {
        let items: Vec<u64> = (0..100).collect();
        assert_eq!(on_threads(16, &items, |n| Ok::<_, ()>(n * 2)), Ok((0..100).map(|n| n * 2).collect()));
        assert_eq!(on_threads(3, &items, |n| if *n < 40 { Ok(()) } else { Err(*n) }), Err(40));
        assert_eq!(on_threads(3, &[], |_: &u64| Ok::<u64, ()>(1)), Ok(vec![]));
    }
}
