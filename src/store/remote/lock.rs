//! For stores that ignore conditions, where a person has asked for it: a file says who may swap the head pointer. Two writers that both see no lock settle who has it by waiting longer than a write takes;
//! a store that is slower than that can still lose a swap, which is why it must be asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object_store::{Error as RemoteError, PutMode};

use super::super::{RemoteFault, Store, StoreError};
use super::{HEAD, HEAD_BYTES_MAX, RemoteStore};

const LOCK: &str = "lock";
/// The longest lock file that is one.
const LOCK_BYTES_MAX: u64 = 4096;
/// A writer that holds the lock for longer has died.
const STALE_MS: u64 = 60_000;
/// What a writer waits before it believes that the lock is its own.
const SETTLE: Duration = Duration::from_millis(1500);
const RETRY: Duration = Duration::from_millis(300);
const ATTEMPTS_MAX: usize = 200;

impl RemoteStore {
    pub(super) fn swap_locked(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let own = self.take_lock(new)?;
        let swapped = self.swap_held(expected, new);
        // Whoever has taken it over meanwhile keeps it.
        if let Ok(Some((bytes, _))) = self.get_small(LOCK, LOCK_BYTES_MAX)
            && bytes == own
        {
            let _ = self.delete(LOCK);
        }
        swapped
    }

    /// Swaps the head pointer while the lock is held. A store that heeds conditions after all is given one: not every writer may know of the lock.
    fn swap_held(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        let now = self.get_small(HEAD, HEAD_BYTES_MAX)?;
        if now.as_ref().map(|(bytes, _)| bytes.as_slice()) != expected {
            return Ok(false);
        }
        let mode = match now {
            None => PutMode::Create,
            Some((_, version)) if version.e_tag.is_some() || version.version.is_some() => PutMode::Update(version),
            Some(_) => PutMode::Overwrite,
        };
        let written = match self.put_if(HEAD, new.to_vec(), mode)? {
            Err(RemoteError::NotImplemented { .. } | RemoteError::NotSupported { .. }) => self.put_if(HEAD, new.to_vec(), PutMode::Overwrite)?,
            other => other,
        };
        match written {
            Ok(version) => {
                self.see(new, version);
                Ok(true)
            }
            Err(RemoteError::AlreadyExists { .. } | RemoteError::Precondition { .. }) => {
                Ok(self.get_small(HEAD, HEAD_BYTES_MAX)?.is_some_and(|(bytes, _)| bytes == new))
            }
            Err(error) => Err(self.shared.error(HEAD, &error)),
        }
    }

    /// Writes the lock once nobody else has it; returns what it holds.
    fn take_lock(&self, new: &[u8]) -> Result<Vec<u8>, StoreError> {
        let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        for _ in 0..ATTEMPTS_MAX {
            let held = self.get_small(LOCK, LOCK_BYTES_MAX)?;
            let since = held.and_then(|(bytes, _)| String::from_utf8(bytes).ok()?.split(' ').next()?.parse::<u64>().ok());
            if since.is_some_and(|since| now_ms().saturating_sub(since) < STALE_MS) {
                std::thread::sleep(RETRY);
                continue;
            }
            // No two writers have the same new head: its hash tells them apart.
            let own = format!("{} {}", now_ms(), blake3::hash(new)).into_bytes();
            self.put_if(LOCK, own.clone(), PutMode::Overwrite)?.map_err(|e| self.shared.error(LOCK, &e))?;
            std::thread::sleep(SETTLE);
            if self.get_small(LOCK, LOCK_BYTES_MAX)?.is_some_and(|(bytes, _)| bytes == own) {
                return Ok(own);
            }
        }
        Err(StoreError::Remote { path: self.shared.shown(LOCK), fault: RemoteFault::Other, why: "another writer holds the lock".into() })
    }
}
