//! What a person sees: colour, paging, progress, tables. Data goes to stdout, everything else to stderr; colour, paging and progress only
//! where a terminal is.

pub mod cell;
pub mod format;
pub mod histogram;
pub mod pager;
pub mod paint;
pub mod progress;
pub mod rows;
pub mod table;
pub mod words;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Progress;
use pager::{Kept, Out};
use paint::Paint;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// Where output goes and how it may look, settled once from the options and the environment.
#[derive(Clone)]
pub struct Ui {
    /// How to colour stdout.
    pub paint: Paint,
    /// How to colour stderr.
    pub paint_err: Paint,
    /// Lists are JSON lines.
    pub json: bool,
    /// Only data and errors are said.
    pub quiet: bool,
    /// Columns of the terminal; `None` where stdout is none, and then nothing is cut.
    pub width: Option<usize>,
    paging: bool,
    /// The program that a verb runs within, which takes all that is said.
    within: Option<Within>,
}

/// What a program within which a verb runs takes of it.
#[derive(Clone)]
pub struct Within {
    /// What would go to stdout.
    pub data: Kept,
    /// Warnings, a line each.
    pub warnings: Arc<Mutex<Vec<String>>>,
    /// Where long work tells its steps.
    pub progress: Arc<dyn Progress>,
}

impl std::fmt::Debug for Ui {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ui").field("json", &self.json).field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

impl Ui {
    /// Says everything to a program: data as JSON lines, no colour, nothing for people.
    pub fn within(within: Within) -> Ui {
        let paint = Paint { on: false };
        Ui { paint, paint_err: paint, json: true, quiet: true, width: None, paging: false, within: Some(within) }
    }

    /// Looks at the options, the environment and the two streams.
    pub fn new(color: ColorChoice, json: bool, quiet: bool, no_pager: bool) -> Ui {
        let colored = |auto: anstream::ColorChoice| match color {
            ColorChoice::Auto => auto != anstream::ColorChoice::Never,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        let terminal = io::stdout().is_terminal();
        let width = || terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)).or_else(|| std::env::var("COLUMNS").ok()?.parse().ok());
        Ui {
            paint: Paint { on: colored(anstream::AutoStream::choice(&io::stdout())) },
            paint_err: Paint { on: colored(anstream::AutoStream::choice(&io::stderr())) },
            json,
            quiet,
            width: if terminal { Some(width().unwrap_or(80).max(20)) } else { None },
            paging: terminal && !no_pager && !json,
            within: None,
        }
    }

    /// True where a program takes all that is said.
    pub fn is_within(&self) -> bool {
        self.within.is_some()
    }

    /// Stdout, through a pager where one is wanted; for what may be longer than a screen.
    pub fn page(&self) -> Out {
        if self.paging { Out::paged() } else { self.out() }
    }

    /// Stdout itself.
    pub fn out(&self) -> Out {
        self.within.as_ref().map_or_else(Out::plain, |within| Out::kept(within.data.clone()))
    }

    /// The same for a file: without colour, and nothing is cut.
    pub fn plain(&self) -> Ui {
        Ui { paint: Paint { on: false }, width: None, paging: false, ..self.clone() }
    }

    /// A line for the person on stderr: what was done. Nothing under `--quiet`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            // Where stderr cannot be written there is nobody to tell.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// A line that begins with `warning:`, on stderr, even under `--quiet`.
    pub fn warn(&self, text: impl std::fmt::Display) {
        match &self.within {
            Some(within) => within.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_string()),
            None => drop(writeln!(io::stderr(), "{} {text}", self.paint_err.warn("warning:"))),
        }
    }

    /// A line that begins with `hint:`, on stderr.
    pub fn hint(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{} {text}", self.paint_err.hint("hint:"));
        }
    }

    /// The receiver of long work's steps: a bar on stderr where that is a terminal, silent otherwise. While it lives Ctrl-C asks the work to stop.
    pub fn progress(&self) -> Arc<dyn Progress> {
        match &self.within {
            Some(within) => within.progress.clone(),
            None => Arc::new(progress::Bar::new(!self.quiet && io::stderr().is_terminal())),
        }
    }
}
