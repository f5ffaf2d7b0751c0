//! How samples are loaded.

use super::images::Images;
use super::share::{LastBatch, Share};
use super::{LoaderError, Shape, State};

/// How samples are loaded. [`Options::default`] loads one epoch of batches of 64, in the table's order.
#[derive(Debug, Clone)]
pub struct Options {
    /// Samples in a batch, on each rank.
    pub batch: u64,
    /// Seed of the order, which is another in each epoch; without, rows come as the selection has them. Also the seed of crops, flips and substitutes, where it is 0 if there is none.
    pub seed: Option<u64>,
    /// Epochs in all: those before a state that is gone on from count as well.
    pub epochs: u64,
    /// Threads that decode.
    pub threads: usize,
    /// How far those threads stand back behind the others of the process, from 0 (not at all) to 19, as `nice` has it: for trainings whose own thread must not wait for a processor. Only Linux has it for threads; elsewhere it does nothing.
    pub nice: u8,
    /// Bytes that may be held of what was read and decoded and not yet delivered.
    pub read_ahead_bytes: u64,
    /// What is made of pictures; without, their files come as bytes.
    pub images: Option<Images>,
    /// What is made of lists of numbers.
    pub lists: Lists,
    /// What becomes of a last batch that is not full.
    pub last: LastBatch,
    /// This rank, counted from 0.
    pub rank: u64,
    /// How many ranks there are.
    pub world: u64,
    /// What becomes of rows that cannot be loaded.
    pub bad_rows: BadRows,
    /// What nulls are where a tensor has no place for them.
    pub nulls: Nulls,
    /// How rows are divided for shuffling; without, by how large they are.
    pub shape: Option<Shape>,
    /// Where to go on from.
    pub resume: Option<State>,
}

/// What is made of lists of numbers, which differ in length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lists {
    /// All their numbers one after the other, and where each list starts.
    #[default]
    Ragged,
    /// A row each, filled up with zeros to the longest of the batch, and how long each is.
    Longest,
    /// A row each of so many numbers, filled up with zeros, and how long each is. A longer list cannot be loaded.
    Length(usize),
}

/// What nulls are where a tensor has no place for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nulls {
    /// Cells that cannot be loaded, as damaged pictures are.
    #[default]
    Bad,
    /// Zeros, and a mask says so.
    Mask,
}

/// What becomes of rows that cannot be loaded: a picture that is damaged, or a null where a tensor has no place for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadRows {
    /// Loading stops, with the row's name.
    #[default]
    Stop,
    /// Another row takes the place, the same one whenever the epoch is loaded with this seed. Such rows are counted.
    Skip,
    /// Zeros take the place, and a mask says so.
    Null,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Options {
            batch: 64,
            seed: None,
            epochs: 1,
            threads,
            nice: 0,
            read_ahead_bytes: 512 << 20,
            images: None,
            lists: Lists::default(),
            last: LastBatch::default(),
            rank: 0,
            world: 1,
            bad_rows: BadRows::default(),
            nulls: Nulls::default(),
            shape: None,
            resume: None,
        }
    }
}

/// Numbers in a padded row, at most: what one cell claims must not fill memory.
const LENGTH_MAX: usize = 1 << 24;

impl Options {
    /// Refuses what cannot be, by name.
    pub(super) fn check(&self) -> Result<(), LoaderError> {
        let refuse = |why: String| Err(LoaderError::Options(why));
        if self.batch == 0 || self.batch > u64::from(u32::MAX) {
            return refuse(format!("a batch of {} samples cannot be loaded: give 1 or more", self.batch));
        }
        if self.threads == 0 {
            return refuse("0 threads load nothing: give 1 or more".into());
        }
        if self.nice > 19 {
            return refuse(format!("threads cannot stand back by {}: give 0 to 19", self.nice));
        }
        if self.world == 0 || self.rank >= self.world {
            return refuse(format!("rank {} of {} does not exist: ranks are counted from 0", self.rank, self.world));
        }
        if self.epochs >= 1 << 60 {
            return refuse(format!("{} epochs are too many", self.epochs));
        }
        if let Lists::Length(length) = self.lists
            && !(1..=LENGTH_MAX).contains(&length)
        {
            return refuse(format!("lists cannot be padded to {length} numbers: give 1 to {LENGTH_MAX}"));
        }
        if let Some(images) = &self.images {
            images.check().map_err(LoaderError::Options)?;
        }
        Ok(())
    }

    pub(super) fn share(&self) -> Share {
        Share { batch: self.batch, rank: self.rank, world: self.world, last: self.last }
    }
}
