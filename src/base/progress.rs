//! What long work tells about itself; who shows it is the caller's business.

/// Receives the steps of long work. Called from several threads.
pub trait Progress: Send + Sync {
    /// A stage begins: its name, and how much is to be done in `unit`s where that is known.
    fn start(&self, stage: &str, total: Option<u64>, unit: Unit);
    /// So much more is done.
    fn advance(&self, amount: u64);
    /// The stage is over.
    fn finish(&self);
    /// True once the work should stop; it then fails with its floor's `Interrupted` error and changes nothing.
    fn interrupted(&self) -> bool {
        false
    }
}

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Rows of a table.
    Rows,
    /// Objects of the store.
    Objects,
}

/// Says nothing to nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

/// Says nothing for another, but stops where that stops.
pub struct Muted(pub std::sync::Arc<dyn Progress>);

impl Progress for Muted {
    fn start(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}
