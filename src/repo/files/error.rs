//! What goes wrong with files, each in one line that names the file and the place in it.

use std::fmt;

/// Where in a file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The file as a whole.
    #[default]
    File,
    /// A line of text, from 1.
    Line(u64),
    /// A row of a table, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => Ok(()),
            Place::Line(n) => write!(f, ", line {n}"),
            Place::Row(n) => write!(f, ", row {n}"),
        }
    }
}

/// A file that could not be read or written. The text is one line; [`FileError::hint`] may add what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{file}: {source}")]
    Io {
        /// The file, as it was given.
        file: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What stands in the file breaks the rules of its format.
    #[error("{file}{place}: {what}")]
    Bad {
        /// The file, as it was given.
        file: String,
        /// Where in it.
        place: Place,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A value does not fit the type of its column.
    #[error("{file}{place}, column '{column}': {value} {why}")]
    Value {
        /// The file, as it was given.
        file: String,
        /// Where in it.
        place: Place,
        /// The column.
        column: Box<str>,
        /// The value, in quotes, shortened.
        value: Box<str>,
        /// Why not, to be read after the value: `is not int64`.
        why: Box<str>,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The request cannot be met, whatever the files hold.
    #[error("{what}")]
    Usage {
        /// What was asked that cannot be.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// [`crate::base::Progress::interrupted`] said to stop.
    #[error("interrupted")]
    Interrupted,
}

impl FileError {
    /// What the user may do about it, where something is known to help.
    pub fn hint(&self) -> Option<&str> {
        match self {
            FileError::Bad { hint, .. } | FileError::Value { hint, .. } | FileError::Usage { hint, .. } => hint.as_deref(),
            FileError::Io { .. } | FileError::Interrupted => None,
        }
    }

    pub(super) fn io(file: impl fmt::Display, source: std::io::Error) -> Self {
        FileError::Io { file: file.to_string(), source }
    }

    pub(super) fn bad(file: impl fmt::Display, place: Place, what: impl fmt::Display) -> Self {
        FileError::Bad { file: file.to_string(), place, what: one_line(what), hint: None }
    }

    /// A file that is wrong as a whole.
    #[cfg(feature = "git")]
    pub(in crate::repo) fn bad_file(file: impl fmt::Display, what: impl fmt::Display) -> Self {
        FileError::bad(file, Place::File, what)
    }

    /// A file that is wrong in a line.
    #[cfg(feature = "git")]
    pub(in crate::repo) fn bad_line(file: impl fmt::Display, line: u64, what: impl fmt::Display) -> Self {
        FileError::bad(file, Place::Line(line), what)
    }

    pub(super) fn usage(what: impl fmt::Display) -> Self {
        FileError::Usage { what: one_line(what), hint: None }
    }

    pub(in crate::repo) fn with_hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            FileError::Bad { hint, .. } | FileError::Value { hint, .. } | FileError::Usage { hint, .. } => *hint = Some(text.into()),
            FileError::Io { .. } | FileError::Interrupted => {}
        }
        self
    }
}

/// A value that cannot be held, before it is known where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct Misfit {
    /// The value as text.
    pub value: String,
    /// To be read after the value.
    pub why: String,
}

impl Misfit {
    pub fn new(value: &str, why: impl fmt::Display) -> Self {
        Misfit { value: quote(value), why: one_line(why) }
    }

    pub fn at(self, file: &str, place: Place, column: &str) -> FileError {
        FileError::Value { file: file.to_owned(), place, column: column.into(), value: self.value.into(), why: self.why.into(), hint: None }
    }
}

/// `text` in quotes, on one line, at most 60 characters of it.
pub(super) fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("'{short}'")
}

/// Other libraries' messages may span lines and pages.
fn one_line(what: impl fmt::Display) -> String {
    let text = what.to_string();
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > 400 {
        line = line.chars().take(300).collect();
        line.push('…');
    }
    line
}
