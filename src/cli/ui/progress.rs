//! The progress bar, and what Ctrl-C means while long work runs.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::format;
use crate::base::Progress;
use crate::base::progress::Unit;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static LISTENING: AtomicUsize = AtomicUsize::new(0);
static HANDLER: Once = Once::new();

/// The exit code after Ctrl-C, as shells have it.
pub const INTERRUPTED_EXIT: u8 = 130;

/// Installs what Ctrl-C, SIGTERM and SIGHUP do: where long work listens, the first asks it to stop and the second ends the process; elsewhere the first
/// ends it. A process may end at any instant without harm to the repository.
pub fn listen_to_signals() {
    HANDLER.call_once(|| {
        let handler = || {
            if LISTENING.load(Ordering::SeqCst) == 0 || INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED_EXIT));
            }
        };
        // Without a handler Ctrl-C simply ends the process, which is safe as well.
        let _ = ctrlc::set_handler(handler);
    });
}

/// True once Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Draws one bar on stderr: what is done, of how much, how fast, and how long it will take.
pub struct Bar {
    shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar; one that is not `shown` only listens for Ctrl-C.
    pub fn new(shown: bool) -> Bar {
        LISTENING.fetch_add(1, Ordering::SeqCst);
        Bar { shown, bar: Mutex::new(None) }
    }

    fn clear(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Progress for Bar {
    fn start(&self, stage: &str, total: Option<u64>, unit: Unit) {
        if !self.shown {
            return;
        }
        self.clear();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style(total.is_some(), unit));
        bar.set_message(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&self, amount: u64) {
        if self.shown
            && let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner)
        {
            bar.inc(amount);
        }
    }

    fn finish(&self) {
        self.clear();
    }

    fn interrupted(&self) -> bool {
        interrupted()
    }
}

fn style(total_known: bool, unit: Unit) -> ProgressStyle {
    let template = match (total_known, unit) {
        (true, Unit::Bytes) => "{msg} {wide_bar} {size}/{total_size}, {speed}, {eta} left",
        (false, Unit::Bytes) => "{spinner} {msg} {size}, {speed}, {elapsed}",
        (true, Unit::Rows) => "{msg} {wide_bar} {human_pos}/{human_len} rows, {rate}, {eta} left",
        (false, Unit::Rows) => "{spinner} {msg} {human_pos} rows, {rate}, {elapsed}",
        (true, Unit::Objects) => "{msg} {wide_bar} {human_pos}/{human_len}, {rate}, {eta} left",
        (false, Unit::Objects) => "{spinner} {msg} {human_pos}, {rate}, {elapsed}",
    };
    // A template that does not parse would be a slip of ours; the default bar then still tells the count.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌");
    let whole = |rate: f64| if rate.is_finite() { rate.round() as u64 } else { 0 };
    // In the words and units of everything else that is said.
    let style = style.with_key("rate", move |state: &ProgressState, out: &mut dyn Write| _ = write!(out, "{}/s", format::count(whole(state.per_sec()))));
    let style = style.with_key("speed", move |state: &ProgressState, out: &mut dyn Write| _ = write!(out, "{}/s", format::bytes(whole(state.per_sec()))));
    let style = style.with_key("size", |state: &ProgressState, out: &mut dyn Write| _ = out.write_str(&format::bytes(state.pos())));
    style.with_key("total_size", |state: &ProgressState, out: &mut dyn Write| _ = out.write_str(&format::bytes(state.len().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for template_known in [true, false] {
            for unit in [Unit::Bytes, Unit::Rows, Unit::Objects] {
                style(template_known, unit);
            }
        }
        let bar = Bar::new(false);
        bar.start("import", Some(3), Unit::Rows);
        bar.advance(3);
        bar.finish();
        assert!(bar.bar.lock().unwrap().is_none());
    }
}
