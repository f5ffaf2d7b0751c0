//! Reads the next batches on a thread of its own while the last is being stored.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::{Batch, Batches, FileError, Skipped};
use crate::format::Type;

type Message = (Result<Option<Batch>, FileError>, Vec<Skipped>);

pub(super) struct Ahead {
    columns: Vec<(String, Type)>,
    /// What is to be read, until the first batch is asked for: what a caller does before that comes before it, also in what progress tells.
    idle: Option<Box<dyn Batches>>,
    messages: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    skipped: Vec<Skipped>,
}

impl Ahead {
    pub fn new(inner: impl Batches + 'static) -> Ahead {
        Ahead { columns: inner.columns().to_vec(), idle: Some(Box::new(inner)), messages: None, thread: None, skipped: vec![] }
    }

    fn begin(&mut self, mut inner: Box<dyn Batches>) -> Result<(), FileError> {
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
        self.thread = Some(thread.map_err(|e| FileError::usage(format!("the system gives no thread to read with: {e}")))?);
        self.messages = Some(messages);
        Ok(())
    }
}

impl Batches for Ahead {
    fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Batch>, FileError> {
        if let Some(inner) = self.idle.take() {
            self.begin(inner)?;
        }
        let Some(messages) = &self.messages else { return Ok(None) };
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
