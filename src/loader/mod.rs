//! Floor 7: from a revision to batches for training.
//!
//! A [`Selection`] says what is loaded: rows of a table, a view or a query as a commit has them. [`Options`] say how, and a [`Loader`] delivers [`Batch`]es, made ahead by threads of its own.
//!
//! The order depends on nothing but the seed, the epoch and the number of rows: not on threads, on ranks, on how chunks lie or on the columns that are read. So neither does a training's sequence of
//! samples. Blocks of rows are shuffled, and the rows of a window of blocks ([`order`]); ranks take turns ([`share`]); a [`State`] says where to go on.
//!
//! One thread deals the order into batches and reads, a window ahead, the columns whose cells share blocks with others. The others each make a batch at a time: read pictures, decode them into
//! the batch's buffer, put the rest together.

mod batch;
mod batches;
mod chosen;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "candle")]
mod device;
mod error;
mod field;
pub mod images;
mod make;
mod options;
pub mod order;
mod plan;
mod pool;
pub mod random;
mod report;
mod selection;
pub mod share;
pub mod slots;
pub mod state;
#[cfg(feature = "candle")]
mod tensor;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use batches::{Epoch, Loader};
pub use error::LoaderError;
pub use field::{Data, Field};
pub use images::{Channels, Fit, Images, Layout, Normalize};
pub use options::{BadRows, Lists, Nulls, Options};
pub use order::{Order, Shape};
pub use report::Report;
pub use selection::{Column, Selection};
pub use share::{LastBatch, Share};
pub use slots::Slots;
pub use state::State;
#[cfg(feature = "candle")]
pub use {
    device::{DeviceBatch, DeviceData, DeviceField, DeviceLoader},
    tensor::device,
};
