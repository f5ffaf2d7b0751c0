//! Floor 2: a place for immutable files, and one pointer that is swapped. Knows nothing of what the bytes mean.
//!
//! [`LocalStore`] keeps them in a directory, `RemoteStore` (feature `remote`) on the network, [`MemoryStore`] in memory; [`CachedStore`] keeps near what was read from another, and [`FaultStore`] breaks any other on purpose.
//! One suite of tests holds all of them to the contract that stands on [`Store`].

mod cache;
#[cfg(test)]
mod conformance;
mod fault;
mod local;
mod memory;
mod recycle;
#[cfg(feature = "remote")]
pub mod remote;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

pub use cache::{CachedStore, PageCache, Usage};
pub use fault::{Fault, FaultStore};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use recycle::Recycled;

/// Bytes of a file that are sent at a time.
const SENT_BYTES: u64 = 4 << 20;

/// A place for the files of one repository. Paths are relative, with `/` between their parts.
///
/// - Files appear whole, and durably, or not at all ([`NewFile::finish`]); they never change, and a file that is there is never replaced.
/// - The head pointer alone changes, by compare-and-swap: of any number of writers that expect the same head, one wins.
/// - What a finished `swap_head` refers to is there after a crash if its files were finished before.
/// - All methods may be called from any number of threads and processes at once.
pub trait Store: Send + Sync + fmt::Debug {
    /// The head pointer's bytes, all of one swap; `None` where there never was one.
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError>;
    /// Replaces the head pointer if it still is `expected` (`None`: absent), durably; false, and nothing is changed, if it is not. No two writers may offer the same `new`: a store whose answer got
    /// lost knows its own swap by it.
    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError>;
    /// Exactly the bytes `range` of a file. [`StoreError::NotFound`] without the file, [`StoreError::Short`] where it ends before the range does.
    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError>;
    /// As [`Store::read`], for bytes that are gone through once and in order: they may be the file itself, mapped into memory, in place of a copy.
    fn map(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.read(path, range)
    }
    /// As [`Store::read`], of a file of `length` bytes: a store far away may bring all of `near`, which is likely to be wanted next, in the same request, and keep it.
    fn read_near(&self, path: &str, range: Range<u64>, near: Range<u64>, length: u64) -> Result<Bytes, StoreError> {
        let _ = (near, length);
        self.read(path, range)
    }
    /// A whole file of at most so many bytes.
    fn read_whole(&self, path: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        let length = self.length(path)?;
        if length > bytes_max { Err(StoreError::Large { path: path.to_owned(), bytes_max }) } else { self.read(path, 0..length) }
    }
    /// True where a request takes long, so that several at once, or more bytes in one, are worth while.
    fn is_far(&self) -> bool {
        false
    }
    /// Drops what is kept near of a file of `length` bytes; true where there was any.
    fn forget(&self, path: &str, length: u64) -> bool {
        let _ = (path, length);
        false
    }
    /// The length of a file in bytes.
    fn length(&self, path: &str) -> Result<u64, StoreError>;
    /// Starts a file. Nothing can be seen of it before [`NewFile::finish`]; dropped before that, it leaves nothing.
    fn create(&self) -> Result<Box<dyn NewFile>, StoreError>;
    /// Deletes a file; that it was not there is no error.
    fn delete(&self, path: &str) -> Result<(), StoreError>;
    /// The files straight in a directory, in any order; none where the directory is not there. For maintenance alone: not every store can list.
    fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError>;
    /// Writes a file whose length is known and whose pieces can be read one by one; that it is there already is no error.
    fn send(&self, path: &str, length: u64, read: &(dyn Fn(Range<u64>) -> Result<Bytes, StoreError> + Sync)) -> Result<(), StoreError> {
        let mut file = self.create()?;
        let mut from = 0;
        while from < length {
            let to = length.min(from + SENT_BYTES);
            file.write(&read(from..to)?)?;
            from = to;
        }
        file.finish(path)
    }
    /// Removes what unfinished files of writers that died left behind, older than so many milliseconds; returns how many.
    fn clear_unfinished(&self, age_ms: u64) -> Result<u64, StoreError>;
}

/// A file that is being written.
pub trait NewFile: Send + Sync {
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// Appends all of these, one after the other.
    fn write_parts(&mut self, parts: &[&[u8]]) -> Result<(), StoreError> {
        parts.iter().try_for_each(|part| self.write(part))
    }
    /// Exactly the bytes `range` of what was written.
    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError>;
    /// Makes the file appear at `path`, durably. A file that is there already is left as it is, and this one dropped: files are named by what
    /// they hold.
    fn finish(self: Box<Self>, path: &str) -> Result<(), StoreError>;
}

/// A file that [`Store::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file's name within the directory.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// How long ago it was written, in milliseconds, by the clock of this machine.
    pub age_ms: u64,
}

/// Why a store could not do it. Every message names the file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("{path}: no such file")]
    NotFound {
        /// The file.
        path: String,
    },
    /// The file ends early.
    #[error("{path}: ends at byte {length}, expected {wanted}")]
    Short {
        /// The file.
        path: String,
        /// Its length.
        length: u64,
        /// The end of the range that was asked for.
        wanted: u64,
    },
    /// A file that should be small is not.
    #[error("{path}: it has more than {bytes_max} bytes")]
    Large {
        /// The file.
        path: String,
        /// The most bytes that it may have.
        bytes_max: u64,
    },
    /// The disk is full, or a quota is reached.
    #[error("{path}: no space left to write it")]
    Full {
        /// The file.
        path: String,
    },
    /// Writing is not allowed there.
    #[error("{path}: read-only")]
    ReadOnly {
        /// The file or directory.
        path: String,
    },
    /// A remote did not do it.
    #[error("{path}: {why}")]
    Remote {
        /// The file, with the remote's address.
        path: String,
        /// What kind of failure it is.
        fault: RemoteFault,
        /// What is known of it, in a line.
        why: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What it said.
        source: std::sync::Arc<std::io::Error>,
    },
}

/// Why a remote did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteFault {
    /// An address that names no remote.
    Address,
    /// No connection, or no answer in time.
    Unreachable,
    /// None of the places where credentials are looked for has any.
    NoCredentials,
    /// It does not know the credentials, or they are no longer good.
    Credentials,
    /// It knows who asks, and refuses.
    Denied,
    /// There is no such bucket.
    NoBucket,
    /// It ignores the conditions that a swap of the head pointer rests on.
    NoConditions,
    /// It cannot list what it has.
    NoList,
    /// Anything else.
    Other,
}

impl StoreError {
    /// What `error` on `path` is.
    pub fn io(path: impl fmt::Display, error: std::io::Error) -> StoreError {
        use std::io::ErrorKind::*;
        let path = path.to_string();
        match error.kind() {
            NotFound => StoreError::NotFound { path },
            StorageFull | QuotaExceeded => StoreError::Full { path },
            ReadOnlyFilesystem | PermissionDenied => StoreError::ReadOnly { path },
            _ => StoreError::Io { path, source: std::sync::Arc::new(error) },
        }
    }
}
