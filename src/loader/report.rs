//! How fast samples come, and what they wait for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::make::Counters;

/// How fast samples came so far. Times of threads are added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Samples delivered.
    pub samples: u64,
    /// Batches delivered.
    pub batches: u64,
    /// Rows that could not be loaded, in the place of which others came.
    pub skipped: u64,
    /// Bytes of cells that were read, uncompressed.
    pub read_bytes: u64,
    /// From the first batch asked for to the last one delivered.
    pub elapsed: Duration,
    /// Of that, waiting for batches: the rest was the training's.
    pub waited: Duration,
    /// Waiting for the first batch.
    pub first: Duration,
    /// Threads reading.
    pub reading: Duration,
    /// Threads decoding, and putting batches together.
    pub decoding: Duration,
    /// Threads.
    pub threads: usize,
}

impl Report {
    /// Samples a second.
    pub fn samples_a_second(&self) -> f64 {
        rate(self.samples, self.elapsed)
    }

    /// The share of the time that was spent waiting for data: 0 where the training is never held up.
    pub fn waited_share(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.waited.as_secs_f64() / self.elapsed.as_secs_f64() }
    }

    /// Samples a second that would come if decoding took no time: what reading alone allows.
    pub fn ceiling(&self) -> f64 {
        rate(self.samples, self.reading) * self.threads as f64
    }
}

/// Measures whoever takes batches, and how long they wait.
#[derive(Debug)]
pub(super) struct Meter {
    counters: Arc<Counters>,
    /// When the first batch was asked for.
    began: Option<Instant>,
    report: Report,
}

impl Meter {
    pub fn new(threads: usize, counters: Arc<Counters>) -> Meter {
        Meter { counters, began: None, report: Report { threads, ..Report::default() } }
    }

    /// Waits for a batch. `samples` says how many there are in what came, if it is one.
    pub fn take<T>(&mut self, wait: impl FnOnce() -> T, samples: impl FnOnce(&T) -> Option<usize>) -> T {
        let started = Instant::now();
        let began = *self.began.get_or_insert(started);
        let taken = wait();
        let waited = started.elapsed();
        self.report.waited += waited;
        if self.report.batches == 0 {
            self.report.first = waited;
        }
        if let Some(samples) = samples(&taken) {
            self.report.batches += 1;
            self.report.samples += samples as u64;
        }
        self.report.elapsed = began.elapsed();
        taken
    }

    pub fn report(&self) -> Report {
        let nanos = |counter: &AtomicU64| Duration::from_nanos(counter.load(Ordering::Relaxed));
        Report {
            skipped: self.counters.skipped.load(Ordering::Relaxed),
            read_bytes: self.counters.bytes.load(Ordering::Relaxed),
            reading: nanos(&self.counters.read_nanos),
            decoding: nanos(&self.counters.decode_nanos),
            ..self.report
        }
    }
}

fn rate(samples: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { samples as f64 / time.as_secs_f64() }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples in {:.2} s: {:.0} a second, {:.0} % of the time waiting for data, {:.1} MB read; reading alone would give {:.0} a second",
            self.samples,
            self.elapsed.as_secs_f64(),
            self.samples_a_second(),
            self.waited_share() * 100.0,
            self.read_bytes as f64 / 1e6,
            self.ceiling()
        )?;
        if self.skipped > 0 { write!(f, "; {} rows could not be loaded", self.skipped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rates() {
        let report = Report {
            samples: 1000,
            elapsed: Duration::from_secs(4),
            waited: Duration::from_secs(1),
            reading: Duration::from_secs(2),
            threads: 2,
            read_bytes: 2_500_000,
            ..Report::default()
        };
        assert_eq!((report.samples_a_second(), report.waited_share(), report.ceiling()), (250.0, 0.25, 1000.0));
        assert_eq!(
            report.to_string(),
            "1000 samples in 4.00 s: 250 a second, 25 % of the time waiting for data, 2.5 MB read; reading alone would give 1000 a second"
        );
        assert!(Report { skipped: 3, ..report }.to_string().ends_with("; 3 rows could not be loaded"));
        let nothing = Report::default();
        assert_eq!((nothing.samples_a_second(), nothing.waited_share(), nothing.ceiling()), (0.0, 0.0, 0.0));
    }
}
