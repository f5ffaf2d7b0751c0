//! Limits: so many requests at a time, so many bytes a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// What holds requests back.
pub struct Limit {
    turns: Semaphore,
    bytes_per_second: Option<u64>,
    /// When the bytes that were let pass so far have had their time.
    free_at: Mutex<Option<Instant>>,
}

impl Limit {
    /// So many requests at the same time, and bytes a second.
    pub fn new(concurrency: usize, bytes_per_second: Option<u64>) -> Limit {
        Limit { turns: Semaphore::new(concurrency.max(1)), bytes_per_second: bytes_per_second.map(|rate| rate.max(1)), free_at: Mutex::default() }
    }

    /// Waits until a request of so many bytes may go; it may run while what this returns is kept.
    pub async fn turn(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        let permit = self.turns.acquire().await.ok();
        if let Some(wait) = self.wait_for(bytes, Instant::now()) {
            tokio::time::sleep(wait).await;
        }
        permit
    }

    /// How long these bytes must wait: until those before them and they themselves have had their time, so that short transfers are held to the rate too.
    fn wait_for(&self, bytes: u64, now: Instant) -> Option<Duration> {
        let rate = self.bytes_per_second?;
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_at.map_or(now, |at| at.max(now));
        let end = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *free_at = Some(end);
        Some(end - now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_for_their_time() {
        let limit = Limit::new(4, Some(1000));
        let now = Instant::now();
        assert_eq!(limit.wait_for(0, now), None);
        assert_eq!(limit.wait_for(500, now), Some(Duration::from_millis(500)));
        assert_eq!(limit.wait_for(1000, now), Some(Duration::from_millis(1500)));
        assert_eq!(limit.wait_for(0, now), Some(Duration::from_millis(1500)));
        // Time that passed unused is not saved up.
        assert_eq!(limit.wait_for(1, now + Duration::from_secs(60)), Some(Duration::from_millis(1)));
        assert_eq!(Limit::new(0, None).wait_for(1 << 40, now), None);
    }
}
