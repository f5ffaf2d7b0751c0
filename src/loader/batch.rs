//! What is delivered.

use super::State;
use super::field::Field;

/// A batch of samples.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// Whether it is the epoch's last.
    pub is_last: bool,
    /// How many samples it has; with [`LastBatch::Pad`](super::LastBatch::Pad), its fields may hold more rows, which are zeros.
    pub valid: usize,
    /// The rows of the selection that it holds.
    pub rows: Vec<u64>,
    /// Its columns, in the selection's order.
    pub fields: Vec<Field>,
    /// Samples of the epoch that are delivered with it, on all ranks.
    pub(super) delivered: u64,
}

impl Batch {
    /// The field of a column.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Where a loader stands behind it.
    pub(super) fn state_after(&self, before: &State) -> State {
        let (epoch, delivered) = if self.is_last { (self.epoch + 1, 0) } else { (self.epoch, self.delivered) };
        State { epoch, delivered, ..before.clone() }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.fields.iter().map(Field::bytes).sum::<u64>() + 8 * self.rows.len() as u64
    }
}
