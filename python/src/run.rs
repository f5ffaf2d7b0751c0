//! Long work off the interpreter's lock, which Ctrl-C ends, and whose progress Python may show.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dsv::base::Progress;
use dsv::base::progress::Unit;
use pyo3::prelude::*;

use crate::error::Fault;

/// How often signals are looked at, and progress is shown.
const LOOK: Duration = Duration::from_millis(50);

/// What long work tells, and whether it is to stop. One for each handle.
#[derive(Default)]
pub struct Bridge {
    interrupted: AtomicBool,
    done: AtomicU64,
    stage: Mutex<Option<Stage>>,
    /// Called with the stage, what is done, how much there is, and the unit; with nothing at the end of a stage.
    shown: Mutex<Option<Py<PyAny>>>,
}

#[derive(Clone)]
struct Stage {
    name: String,
    total: Option<u64>,
    unit: &'static str,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bridge {
    pub fn show_with(&self, show: Option<Py<PyAny>>) {
        *lock(&self.shown) = show;
    }

    fn show(&self, py: Python<'_>) -> PyResult<()> {
        let show = lock(&self.shown).as_ref().map(|show| show.clone_ref(py));
        let stage = lock(&self.stage).clone();
        match (show, stage) {
            (Some(show), Some(stage)) => show.call1(py, (stage.name, self.done.load(Ordering::Relaxed), stage.total, stage.unit)).map(drop),
            (Some(show), None) => show.call1(py, (py.None(), 0, py.None(), "")).map(drop),
            (None, _) => Ok(()),
        }
    }
}

impl Progress for Bridge {
    fn start(&self, stage: &str, total: Option<u64>, unit: Unit) {
        let unit = match unit {
            Unit::Bytes => "B",
            Unit::Rows => "rows",
            Unit::Objects => "objects",
        };
        self.done.store(0, Ordering::Relaxed);
        *lock(&self.stage) = Some(Stage { name: stage.to_owned(), total, unit });
    }

    fn advance(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }

    fn finish(&self) {
        *lock(&self.stage) = None;
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Does work on a thread of its own while other threads of Python go on. A signal's handler may raise: then the work is told to stop, and what was raised is returned.
pub fn run<T: Send, E: Into<Fault> + Send>(py: Python<'_>, bridge: &Arc<Bridge>, work: impl FnOnce() -> Result<T, E> + Send) -> Result<T, Fault> {
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let raised = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("dsv-python".into())
            .spawn_scoped(scope, move || {
                let _ = sender.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)));
            })
            .map_err(|e| Fault::usage(format!("no thread could be started: {e}")))?;
        let mut raised = None;
        let done = loop {
            match py.detach(|| lock(&receiver).recv_timeout(LOOK)) {
                Ok(done) => break done,
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::usage("a thread ended without a word")),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = py.check_signals().and_then(|()| bridge.show(py)) {
                        bridge.interrupted.store(true, Ordering::Relaxed);
                        raised.get_or_insert(error);
                    }
                }
            }
        };
        bridge.interrupted.store(false, Ordering::Relaxed);
        *lock(&bridge.stage) = None;
        Ok((done, raised))
    });
    let (done, raised) = raised?;
    bridge.show(py)?;
    match (raised, done) {
        (Some(error), _) => Err(Fault::Python(error)),
        (None, Ok(Ok(value))) => Ok(value),
        (None, Ok(Err(error))) => Err(error.into()),
        (None, Err(panic)) => {
            let why = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Fault::Told { class: "RepositoryError", message: format!("a fault of dsv's own: {why}"), hints: vec!["please report it".into()] })
        }
    }
}
