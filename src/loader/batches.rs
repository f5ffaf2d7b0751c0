//! The loader itself: batches in order, from threads that make them ahead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::batch::Batch;
use super::field::Kind;
use super::make::{Counters, Maker};
use super::order::ALGORITHM;
use super::plan::{Reading, deal, reading};
use super::pool::{Pool, message};
use super::report::{Meter, Report};
use super::{LoaderError, Options, Selection, State};

/// Batches of a selection, in an order that depends on nothing but the options. They are made ahead of whoever takes them; the next epoch's first ones as well. Dropping it ends everything.
pub struct Loader {
    pub(super) pool: Arc<Pool>,
    pub(super) maker: Arc<Maker>,
    threads: Vec<JoinHandle<()>>,
    state: State,
    over: bool,
    meter: Meter,
}

impl Loader {
    /// Starts to load. Fails where there is nothing to load, where a column cannot be, and on a state of something else.
    pub fn new(selection: Selection, options: Options) -> Result<Loader, LoaderError> {
        options.check()?;
        if selection.rows() == 0 {
            return Err(LoaderError::Empty("no row is selected".into()));
        }
        if selection.columns().is_empty() {
            return Err(LoaderError::Empty("no column is selected".into()));
        }
        if options.share().steps(selection.rows(), 0) == 0 {
            let (rows, step) = (selection.rows(), options.share().step());
            return Err(LoaderError::Empty(format!("{rows} rows make no full step of {step} samples, and a last one that is not full is dropped")));
        }
        let kinds = selection.columns().iter().map(|column| Kind::of(column, &options)).collect::<Result<Vec<_>, _>>()?;
        let Reading { direct, windowed, mut shape, early } = reading(&selection, &options)?;
        let mut state = State {
            algorithm: ALGORITHM,
            commit: selection.commit().to_string(),
            selection: selection.digest().to_owned(),
            seed: options.seed,
            block_rows: shape.block_rows,
            window_blocks: shape.window_blocks,
            epoch: 0,
            delivered: 0,
        };
        // An order goes on as it began, whatever is read ahead today.
        if let Some(resumed) = &options.resume {
            shape = resumed.shape();
            state = State { block_rows: shape.block_rows, window_blocks: shape.window_blocks, ..state };
            resumed.continues(&state)?;
            state = resumed.clone();
        }
        let floats = options.images.as_ref().and_then(|images| images.normalize).map(|normalize| Box::new(normalize.floats()));
        let pool = Pool::new(options.read_ahead_bytes / 2);
        let (threads, start) = (options.threads, (state.epoch, state.delivered));
        let counters = Arc::new(Counters::default());
        let meter = Meter::new(threads, counters.clone());
        let maker = Arc::new(Maker { selection, options, kinds, direct, windowed, floats, counters });
        let mut loader = Loader { pool, maker, threads: Vec::with_capacity(threads + 1), state, over: false, meter };
        loader.spawn("dsv-plan", move |maker, pool| {
            let mut sequence = 0;
            let dealt = catch_unwind(AssertUnwindSafe(|| deal(maker, pool, (shape, early), start, &mut sequence)));
            let fault = dealt.unwrap_or_else(|panic| Err(LoaderError::Thread(message(&*panic)))).err();
            pool.end(sequence, fault);
        })?;
        for _ in 0..threads {
            loader.spawn("dsv-load", |maker, pool| {
                stand_back(maker.options.nice);
                pool.work(maker);
            })?;
        }
        Ok(loader)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce(&Maker, &Arc<Pool>) + Send + 'static) -> Result<(), LoaderError> {
        let (maker, pool) = (self.maker.clone(), self.pool.clone());
        let spawned = std::thread::Builder::new().name(name.into()).spawn(move || work(&maker, &pool));
        self.threads.push(spawned.map_err(|e| LoaderError::Thread(format!("it did not start: {e}")))?);
        Ok(())
    }

    /// What is loaded.
    pub fn selection(&self) -> &Selection {
        &self.maker.selection
    }

    /// The labels of a column that comes as their numbers.
    pub fn labels(&self, column: &str) -> Option<&[String]> {
        self.maker.labels(column)
    }

    /// Batches of a whole epoch, on each rank.
    pub fn batches_an_epoch(&self) -> u64 {
        self.maker.batches_an_epoch()
    }

    /// Where it stands: behind the batch that was taken last.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// How fast it was so far.
    pub fn report(&self) -> Report {
        self.meter.report()
    }

    /// The batches that are left of this epoch; `None` after the last epoch.
    pub fn epoch(&mut self) -> Option<Epoch<'_>> {
        let is_more = !self.over && self.state.epoch < self.maker.options.epochs;
        is_more.then(|| Epoch::new(self, |batch| batch.is_last))
    }

    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.pool.waiting_bytes()
    }
}

/// Lets other threads go before this one. Where the system refuses it, loading goes on as it would have.
fn stand_back(nice: u8) {
    #[cfg(target_os = "linux")]
    if nice > 0 {
        // Without a number it is this thread's: Linux has a niceness for each.
        let _ = rustix::process::setpriority_process(None, i32::from(nice));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

impl Iterator for Loader {
    type Item = Result<Batch, LoaderError>;

    /// The next batch of any epoch. After a fault there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let taken = self.meter.take(|| self.pool.take(), |taken| Some(taken.as_ref()?.as_ref().ok()?.valid));
        match &taken {
            Some(Ok(batch)) => self.state = batch.state_after(&self.state),
            _ => self.over = true,
        }
        taken
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.pool.stop();
        for thread in self.threads.drain(..) {
            // What it panicked with was told in the place of a batch.
            let _ = thread.join();
        }
    }
}

/// The batches that are left of one epoch. Those of the next are made meanwhile.
pub struct Epoch<'a, B = Batch> {
    batches: &'a mut dyn Iterator<Item = Result<B, LoaderError>>,
    is_last: fn(&B) -> bool,
    over: bool,
}

impl<'a, B> Epoch<'a, B> {
    pub(super) fn new(batches: &'a mut dyn Iterator<Item = Result<B, LoaderError>>, is_last: fn(&B) -> bool) -> Epoch<'a, B> {
        Epoch { batches, is_last, over: false }
    }
}

impl<B> Iterator for Epoch<'_, B> {
    type Item = Result<B, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = self.batches.next();
        self.over = !matches!(&batch, Some(Ok(batch)) if !(self.is_last)(batch));
        batch
    }
}
