//! Records of a CSV file (RFC 4180), one at a time, in bounded memory: which fields were quoted is kept, for `""` is not nothing.

use super::super::error::{FileError, Place};
use super::super::source::Stream;

/// A longer record is taken for a quote that was left open.
const RECORD_MAX: usize = 256 << 20;

/// One record: its fields end to end.
#[derive(Debug, Default)]
pub(in crate::repo::files) struct Record {
    text: String,
    /// Where each field ends in `text`, and whether it was quoted.
    ends: Vec<(usize, bool)>,
    /// Line of the file that it starts on, from 1.
    pub line: u64,
}

impl Record {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a field, and whether it was quoted.
    pub fn fields(&self) -> impl Iterator<Item = (&str, bool)> {
        let mut start = 0;
        self.ends.iter().map(move |(end, quoted)| {
            let field = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            (field, *quoted)
        })
    }

    /// Bytes of text in all fields.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// Where in a record the reader is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// At the first byte of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes: doubled, or the last.
    Quote,
}

/// The bytes from `start` on that belong together; `buffer` has one there that does.
fn run(buffer: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> &[u8] {
    let rest = buffer.get(start..).unwrap_or_default();
    let end = rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

pub(in crate::repo::files) struct Records {
    stream: Stream,
    delimiter: u8,
    bytes: Vec<u8>,
    ends: Vec<(usize, bool)>,
    line: u64,
    /// Bytes of the file before `line`.
    offset: u64,
    /// The last byte was a carriage return that ended a record.
    after_return: bool,
}

impl Records {
    pub fn new(mut stream: Stream, delimiter: u8) -> Result<Records, FileError> {
        let mut offset = 0;
        let start = stream.fill()?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(stream.source.bad(Place::File, "is UTF-16, not UTF-8").with_hint("convert it: iconv -f UTF-16 -t UTF-8"));
        }
        if start.starts_with(b"\xef\xbb\xbf") {
            stream.consume(3);
            offset = 3;
        }
        Ok(Records { stream, delimiter, bytes: vec![], ends: vec![], line: 1, offset, after_return: false })
    }

    fn bad(&self, line: u64, what: impl std::fmt::Display) -> FileError {
        self.stream.source.bad(Place::Line(line), what)
    }

    /// Reads the next record into `record`; false at the end of the file. Blank lines are passed over.
    pub fn next(&mut self, record: &mut Record) -> Result<bool, FileError> {
        loop {
            self.bytes.clear();
            self.ends.clear();
            let (line, offset) = (self.line, self.offset);
            let more = self.scan(line)?;
            if self.ends.is_empty() {
                if more {
                    continue;
                }
                return Ok(false);
            }
            record.line = line;
            std::mem::swap(&mut record.ends, &mut self.ends);
            let mut buffer = std::mem::take(&mut record.text).into_bytes();
            std::mem::swap(&mut buffer, &mut self.bytes);
            self.bytes.clear();
            match String::from_utf8(buffer) {
                Ok(text) => {
                    // Halves of a character on both sides of a delimiter would pass for one.
                    if let Some((end, _)) = record.ends.iter().find(|(end, _)| !text.is_char_boundary(*end)) {
                        return Err(self.not_utf8(line, offset, text.as_bytes(), end.saturating_sub(1), &record.ends));
                    }
                    record.text = text;
                }
                Err(error) => return Err(self.not_utf8(line, offset, error.as_bytes(), error.utf8_error().valid_up_to(), &record.ends)),
            }
            return Ok(true);
        }
    }

    fn not_utf8(&self, line: u64, offset: u64, bytes: &[u8], at: usize, ends: &[(usize, bool)]) -> FileError {
        let field = ends.iter().position(|(end, _)| at < *end).unwrap_or(0);
        let byte = bytes.get(at).copied().unwrap_or_default();
        self.bad(line, format!("byte 0x{byte:02x} in field {} is not UTF-8 (the line starts at byte {offset} of the text)", field + 1))
            .with_hint("convert the file: iconv -f WINDOWS-1252 -t UTF-8")
    }

    /// Reads one record's bytes; no fields for a blank line. False at the end of the file.
    fn scan(&mut self, line: u64) -> Result<bool, FileError> {
        let mut state = State::Start;
        let mut quoted = false;
        loop {
            let delimiter = self.delimiter;
            let buffer = self.stream.fill()?;
            if buffer.is_empty() {
                if state == State::Quoted {
                    return Err(self.bad(line, "a quote is opened in this record and not closed before the file ends"));
                }
                if !(state == State::Start && self.ends.is_empty()) {
                    self.ends.push((self.bytes.len(), quoted));
                }
                return Ok(false);
            }
            let mut used = 0;
            let mut ended = false;
            let mut stray = false;
            while let Some(&byte) = buffer.get(used) {
                used += 1;
                if self.after_return {
                    self.after_return = false;
                    if byte == b'\n' {
                        continue;
                    }
                }
                if state == State::Quoted {
                    if byte == b'"' {
                        state = State::Quote;
                    } else {
                        let run = run(buffer, used - 1, |b| b != b'"');
                        self.line += run.iter().filter(|b| **b == b'\n').count() as u64;
                        self.bytes.extend_from_slice(run);
                        used += run.len() - 1;
                    }
                } else if byte == delimiter {
                    self.ends.push((self.bytes.len(), quoted));
                    quoted = false;
                    state = State::Start;
                } else if byte == b'\n' || byte == b'\r' {
                    self.after_return = byte == b'\r';
                    if !(state == State::Start && self.ends.is_empty()) {
                        self.ends.push((self.bytes.len(), quoted));
                    }
                    self.line += 1;
                    ended = true;
                    break;
                } else if byte == b'"' && state == State::Start {
                    state = State::Quoted;
                    quoted = true;
                } else if byte == b'"' && state == State::Quote {
                    self.bytes.push(byte);
                    state = State::Quoted;
                } else if state == State::Quote {
                    stray = true;
                    break;
                } else {
                    let run = run(buffer, used - 1, |b| b != delimiter && b != b'\n' && b != b'\r');
                    self.bytes.extend_from_slice(run);
                    used += run.len() - 1;
                    state = State::Plain;
                }
            }
            self.stream.consume(used);
            self.offset += used as u64;
            if stray {
                return Err(self.bad(self.line, "text follows a closing quote").with_hint("inside quotes, a quote is written twice: \"\""));
            }
            if ended {
                return Ok(true);
            }
            if self.bytes.len() > RECORD_MAX || self.ends.len() > 1 << 20 {
                return Err(self.bad(line, "the record is longer than 256 MiB").with_hint("is a quote left open?"));
            }
        }
    }
}
