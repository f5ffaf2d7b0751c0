//! Floor 7: from a revision to batches for training. What stands so far: the order of an epoch ([`order`]), who takes which of it ([`share`]), the rows of a table that are meant ([`Selection`]), the state to
//! resume from ([`state`]), and what is made of pictures ([`images`]). docs/design/loader.md says what is to come.
//!
//! The order depends on nothing but the seed, the epoch and the number of rows: not on threads, on how chunks lie or on the columns that are read. So neither does a training's sequence of samples.

mod error;
pub mod images;
pub mod order;
pub mod random;
mod selection;
pub mod share;
pub mod slots;
pub mod state;
#[cfg(test)]
mod tests;

pub use error::LoaderError;
pub use order::{Order, Shape};
pub use selection::Selection;
pub use share::{LastBatch, Share};
pub use slots::Slots;
pub use state::State;
