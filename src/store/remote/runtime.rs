//! The threads on which requests run. Everything above waits for them as it waits for a disk.

use std::future::Future;
use std::io;
use std::process::id;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// Requests cost little but waiting: two threads serve any number of them.
const THREADS: usize = 2;

/// The runtime of this process and the process that it belongs to: one that was forked off has none of its threads.
static RUNTIME: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);

fn handle() -> io::Result<Handle> {
    let mut current = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some((process, runtime)) if *process == id() => Ok(runtime.handle().clone()),
        _ => {
            let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("dsv-remote").enable_all().build()?;
            let handle = runtime.handle().clone();
            // That of the process before would wait for threads that are not here.
            if let Some(stale) = current.replace((id(), runtime)) {
                std::mem::forget(stale);
            }
            Ok(handle)
        }
    }
}

/// A future on its way.
pub struct Running<T>(Receiver<T>);

impl<T> Running<T> {
    /// Waits for its end, from any thread, those of another runtime included.
    pub fn wait(self) -> io::Result<T> {
        self.0.recv().map_err(|_| io::Error::other("a request ended without an answer"))
    }
}

/// Sets a future going.
pub fn start<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> io::Result<Running<T>> {
    let (sender, receiver) = sync_channel(1);
    handle()?.spawn(async move {
        // Whoever waited for it may have given up.
        let _ = sender.send(future.await);
    });
    Ok(Running(receiver))
}

/// Runs a future to its end.
pub fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    start(future)?.wait()
}
