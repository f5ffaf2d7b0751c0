//! Errors at the edge: one line of what is wrong, hints, and the exit code.

use std::error::Error;
use std::io::{self, Write};

use super::ui::paint::Paint;
use super::ui::progress::INTERRUPTED_EXIT;
use crate::history::HistoryError;
use crate::repo::RepoError;
use crate::repo::files::FileError;
use crate::table::TableError;

/// The answer is no: nothing to commit, a check that fails.
pub const NO: u8 = 1;
/// The command was used wrongly.
pub const USAGE: u8 = 2;
/// The repository, the data or the machine is at fault.
pub const FAULT: u8 = 3;

/// Why a verb failed, as the person is told.
#[derive(Debug)]
pub struct CliError {
    /// The process's exit code.
    pub exit: u8,
    /// One line, without `error:`; empty says nothing.
    pub message: String,
    /// The line that is at fault, and the place in it, in characters.
    pub mark: Option<(String, usize)>,
    /// What to do about it, a line each.
    pub hints: Vec<String>,
}

impl CliError {
    fn new(exit: u8, message: impl Into<String>) -> CliError {
        CliError { exit, message: message.into(), mark: None, hints: Vec::new() }
    }

    /// The answer is no.
    pub fn no(message: impl Into<String>) -> CliError {
        CliError::new(NO, message)
    }

    /// The command was used wrongly.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(USAGE, message)
    }

    /// The repository, the data or the machine is at fault.
    pub fn fault(message: impl Into<String>) -> CliError {
        CliError::new(FAULT, message)
    }

    /// An error of a floor below, with the errors beneath it that its own words leave out.
    pub fn from_floor(exit: u8, error: &(dyn Error + 'static)) -> CliError {
        CliError::new(exit, chain(error))
    }

    /// Ctrl-C was pressed.
    pub fn interrupted() -> CliError {
        CliError::new(INTERRUPTED_EXIT, "interrupted: nothing was changed")
    }

    /// Adds a line that helps.
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// Marks a place in a text, by line and column from 1, as the query floor tells it.
    pub fn marked(mut self, text: &str, at: Option<(u64, u64)>) -> CliError {
        self.mark = at.and_then(|(line, column)| {
            let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
            Some(around(line, usize::try_from(column).ok()?.checked_sub(1)?))
        });
        self
    }

    /// Says it on stderr.
    pub fn print(&self, paint: Paint, quiet: bool) {
        if self.message.is_empty() {
            return;
        }
        let mut err = io::stderr().lock();
        // Where stderr cannot be written there is nobody to tell.
        let _ = writeln!(err, "{} {}", paint.error("error:"), one_line(&self.message));
        if !quiet {
            if let Some((line, at)) = &self.mark {
                let before: usize = line.chars().take(*at).map(|c| unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)).sum();
                let _ = writeln!(err, "  {line}\n  {:before$}{}", "", paint.error("^"));
            }
            for hint in &self.hints {
                let _ = writeln!(err, "{} {}", paint.hint("hint:"), hint);
            }
        }
    }
}

/// The words of an error and of those beneath it, each once: many errors already quote the one beneath.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(beneath) = next {
        let words = beneath.to_string();
        if !words.is_empty() && !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = beneath.source();
    }
    text
}

/// Characters of a line that are shown on either side of a place.
const AROUND: usize = 50;

/// The part of a line around a place, and the place in it. Nothing in it can move the cursor.
fn around(line: &str, at: usize) -> (String, usize) {
    let characters: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = at.min(characters.len());
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(characters.len()));
    let (before, behind) = (if from > 0 { "…" } else { "" }, if to < characters.len() { "…" } else { "" });
    let part: String = characters.get(from..to).unwrap_or_default().iter().collect();
    (format!("{before}{part}{behind}"), at - from + before.chars().count())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ").chars().filter(|c| !c.is_control()).collect()
}

/// Only stdout and the pager report bare I/O errors here. A reader that closed its end has what it wanted: that is no error to speak of.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe { CliError::new(0, "") } else { CliError::fault(format!("cannot write to stdout: {error}")) }
    }
}

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> CliError {
        match error {
            RepoError::Interrupted => CliError::interrupted(),
            RepoError::Table(e) => e.into(),
            RepoError::File(e) => e.into(),
            error => CliError { hints: error.hints(), ..CliError::from_floor(error.kind() as u8, &error) },
        }
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> CliError {
        RepoError::from(error).into()
    }
}

impl From<TableError> for CliError {
    fn from(error: TableError) -> CliError {
        use TableError as T;
        let exit = match &error {
            T::Interrupted => return CliError::interrupted(),
            T::NoColumn { .. } | T::DuplicateColumn(_) | T::Schema(_) | T::Name(_) | T::Type(_) => USAGE,
            _ => FAULT,
        };
        let error = RepoError::Table(error);
        CliError { hints: error.hints(), ..CliError::from_floor(exit, &error) }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> CliError {
        let exit = match &error {
            FileError::Interrupted => return CliError::interrupted(),
            FileError::Usage { .. } => USAGE,
            _ => FAULT,
        };
        CliError { hints: error.hint().map(str::to_owned).into_iter().collect(), ..CliError::from_floor(exit, &error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_cause_is_told_once_and_on_one_line() {
        let e = CliError::from_floor(FAULT, &Outer(io::Error::other("disk\nfull")));
        assert_eq!(one_line(&e.message), "outer: disk; full");
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit, 0);
    }

    #[test]
    fn a_place_is_marked_in_its_line() {
        let marked = |text: &str, line, column| CliError::usage("no").marked(text, Some((line, column))).mark;
        assert_eq!(marked("SELECT a\n  FROM\tb", 2, 8), Some(("  FROM b".to_owned(), 7)));
        assert_eq!(marked("SELECT", 1, 99), Some(("SELECT".to_owned(), 6)));
        let long = format!("{}X{}", "a".repeat(200), "b".repeat(200));
        let (part, at) = marked(&long, 1, 201).unwrap();
        assert_eq!((part.chars().nth(at), part.chars().count()), (Some('X'), 102));
        assert_eq!((marked("a", 3, 1), marked("a", 0, 1), marked("a", 1, 0)), (None, None, None));
    }
}
