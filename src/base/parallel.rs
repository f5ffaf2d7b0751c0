//! Work on all cores, also in a process that was forked off another one: the threads of the pool stayed behind there, and whoever gives them work waits for ever.

use std::process::id;
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
}
