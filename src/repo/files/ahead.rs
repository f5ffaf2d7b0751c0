//! Reads the next batches on a thread of its own while the last is being stored.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::{Batch, Batches, FileError, Skipped};
use crate::format::Type;

type Message = (Result<Option<Batch>, FileError>, Vec<Skipped>);

pub(super) struct Ahead {
    columns: Vec<(String, Type)>,
    messages: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    skipped: Vec<Skipped>,
}

impl Ahead {
    pub fn new(mut inner: impl Batches + 'static) -> Ahead {
        let columns = inner.columns().to_vec();
        // One batch waits while one is read and one is used.
        let (sender, messages) = sync_channel::<Message>(1);
        let run = move || {
            let mut told = 0;
            loop {
                let next = inner.next();
                let last = !matches!(next, Ok(Some(_)));
                let skipped = inner.skipped().get(told..).unwrap_or_default().to_vec();
                told += skipped.len();
                if sender.send((next, skipped)).is_err() || last {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("dsv-read-ahead".to_owned()).spawn(run);
        let (messages, thread) = match thread {
            Ok(thread) => (Some(messages), Some(thread)),
            // The closure is lost with the thread that could not be made; what is told is that there are no more.
            Err(_) => (None, None),
        };
        Ahead { columns, messages, thread, skipped: vec![] }
    }
}

impl Batches for Ahead {
    fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Batch>, FileError> {
        let Some(messages) = &self.messages else {
            return if self.thread.is_some() { Ok(None) } else { Err(FileError::usage("the system gives no thread to read with")) };
        };
        match messages.recv() {
            Ok((next, skipped)) => {
                self.skipped.extend(skipped);
                if !matches!(next, Ok(Some(_))) {
                    self.messages = None;
                }
                next
            }
            // The thread ended without a last word: it panicked.
            Err(_) => {
                self.messages = None;
                Err(FileError::usage("reading stopped by a fault in a decoder").with_hint("the file may be damaged"))
            }
        }
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
