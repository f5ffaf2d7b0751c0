//! Cuts a JSON file into the texts of its records, one at a time, in bounded memory.

use std::collections::VecDeque;

use super::super::error::{FileError, Place};
use super::super::source::Stream;
use super::node;

/// A longer record is refused.
const RECORD_MAX: usize = 256 << 20;

pub(in crate::repo::files) struct Values {
    stream: Stream,
    /// Line of the next byte, from 1.
    line: u64,
    text: String,
    layout: Layout,
}

enum Layout {
    Lines,
    /// In an array; true before its first item.
    Array {
        first: bool,
        depth: usize,
    },
    Done,
}

impl Values {
    /// One value a line.
    pub fn lines(mut stream: Stream) -> Result<Values, FileError> {
        skip_mark(&mut stream)?;
        Ok(Values { stream, line: 1, text: String::new(), layout: Layout::Lines })
    }

    /// The items of the array that `path` names: names joined by points, or a JSON pointer starting with `/`; without one, the document itself.
    pub fn array(mut stream: Stream, path: Option<&str>) -> Result<Values, FileError> {
        skip_mark(&mut stream)?;
        let mut values = Values { stream, line: 1, text: String::new(), layout: Layout::Done };
        let mut names: VecDeque<String> = match path {
            None | Some("") => VecDeque::new(),
            Some(pointer) if pointer.starts_with('/') => pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect(),
            Some(path) => path.split('.').map(str::to_owned).collect(),
        };
        let mut depth = 0;
        while let Some(name) = names.pop_front() {
            match values.token()? {
                Some(b'{') => depth += 1,
                _ => return Err(values.bad(format!("--records names '{name}', but no object is there to have it"))),
            }
            values.enter(&name)?;
        }
        match values.token()? {
            Some(b'[') => values.layout = Layout::Array { first: true, depth },
            Some(b'{') if path.is_none() => {
                return Err(values
                    .bad("the document is an object, not an array of rows")
                    .with_hint("--records NAME says which of its members holds the rows; for one object a line use --format jsonl"));
            }
            None if path.is_none() => return Err(values.bad("is empty")),
            _ => return Err(values.bad("there is no array of rows")),
        }
        Ok(values)
    }

    fn bad(&self, what: impl std::fmt::Display) -> FileError {
        self.stream.source.bad(Place::Line(self.line), what)
    }

    fn peek(&mut self) -> Result<Option<u8>, FileError> {
        Ok(self.stream.fill()?.first().copied())
    }

    fn take(&mut self) -> Result<Option<u8>, FileError> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.stream.consume(1);
        }
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    /// The next byte that is no white space, which stays.
    fn look(&mut self) -> Result<Option<u8>, FileError> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek()? {
            self.take()?;
        }
        self.peek()
    }

    /// [`Values::look`], taken.
    fn token(&mut self) -> Result<Option<u8>, FileError> {
        self.look()?;
        self.take()
    }

    /// Inside of an object: goes to the value of the name.
    fn enter(&mut self, wanted: &str) -> Result<(), FileError> {
        let mut names = Vec::new();
        loop {
            if self.look()? == Some(b'}') {
                return Err(self.bad(format!("has no member '{wanted}' for --records")).with_hint(format!("there are: {}", names.join(", "))));
            }
            self.cut(true)?;
            let name = match node::parse(&self.text) {
                Ok(node::Node { value: node::Value::Text(name), .. }) => name.into_owned(),
                _ => return Err(self.bad("is not JSON: expected a name in double quotes")),
            };
            if self.token()? != Some(b':') {
                return Err(self.bad("is not JSON: expected ':' after a name"));
            }
            if name == wanted {
                return Ok(());
            }
            if names.len() < 20 {
                names.push(name);
            }
            self.look()?;
            self.cut(false)?;
            match self.look()? {
                Some(b',') => {
                    self.take()?;
                }
                Some(b'}') => {}
                _ => return Err(self.bad("is not JSON: expected ',' or '}' in an object")),
            }
        }
    }

    /// Takes one value's bytes by brackets and quotes alone, into `text` if it is to be kept. Whether they are JSON, [`node::parse`] knows.
    fn cut(&mut self, keep: bool) -> Result<(), FileError> {
        let start = self.line;
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
        let mut seen = 0usize;
        'value: loop {
            let buffer = self.stream.fill()?;
            if buffer.is_empty() {
                if depth > 0 || quoted || seen == 0 {
                    return Err(self.bad("the file ends inside of a value: is it cut short?"));
                }
                break;
            }
            let mut used = 0;
            let mut done = false;
            for &byte in buffer {
                if quoted {
                    if escaped {
                        escaped = false;
                    } else if byte == b'\\' {
                        escaped = true;
                    } else if byte == b'"' {
                        quoted = false;
                        done = depth == 0;
                    }
                } else {
                    match byte {
                        b'"' => quoted = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' if depth > 0 => {
                            depth -= 1;
                            done = depth == 0;
                        }
                        // The end of a number or word.
                        b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => {
                            if keep {
                                bytes.extend_from_slice(buffer.get(..used).unwrap_or_default());
                            }
                            self.stream.consume(used);
                            break 'value;
                        }
                        _ => {}
                    }
                }
                used += 1;
                seen += 1;
                self.line += u64::from(byte == b'\n');
                if done {
                    break;
                }
            }
            if keep {
                bytes.extend_from_slice(buffer.get(..used).unwrap_or_default());
                if bytes.len() > RECORD_MAX {
                    return Err(self.stream.source.bad(Place::Line(start), "the record is longer than 256 MiB"));
                }
            }
            self.stream.consume(used);
            if done {
                break;
            }
        }
        self.text = self.utf8(bytes, start)?;
        Ok(())
    }

    fn utf8(&self, bytes: Vec<u8>, line: u64) -> Result<String, FileError> {
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let place = Place::Line(line + error.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() as u64);
            self.stream.source.bad(place, format!("byte 0x{byte:02x} is not UTF-8 (byte {at} of the value)")).with_hint("JSON is UTF-8; convert it with iconv")
        })
    }

    /// The text of the next record, and the line that it starts on.
    pub fn next(&mut self) -> Result<Option<(&str, u64)>, FileError> {
        let line = match self.layout {
            Layout::Done => return Ok(None),
            Layout::Lines => match self.next_line()? {
                Some(line) => line,
                None => return Ok(None),
            },
            Layout::Array { first, depth } => {
                let mut token = self.look()?;
                if token != Some(b']') && !first {
                    if token != Some(b',') {
                        return Err(self.bad(if token.is_none() {
                            "the file ends inside of the array: is it cut short?"
                        } else {
                            "is not JSON: expected ',' or ']' in the array"
                        }));
                    }
                    self.take()?;
                    token = self.look()?;
                    if token == Some(b']') {
                        return Err(self.bad("is not JSON: a value is missing after ','"));
                    }
                }
                self.layout = Layout::Array { first: false, depth };
                if token == Some(b']') {
                    self.take()?;
                    self.layout = Layout::Done;
                    self.rest(depth)?;
                    return Ok(None);
                }
                let line = self.line;
                self.cut(true)?;
                line
            }
        };
        Ok(Some((&self.text, line)))
    }

    /// What follows the array: closed brackets, as many as were opened, with anything before them.
    fn rest(&mut self, mut depth: usize) -> Result<(), FileError> {
        while depth > 0 {
            match self.token()? {
                Some(b'}') => depth -= 1,
                Some(b',') => {
                    self.look()?;
                    self.cut(true)?;
                    if self.token()? != Some(b':') {
                        return Err(self.bad("is not JSON: expected ':' after a name"));
                    }
                    self.look()?;
                    self.cut(false)?;
                }
                None => return Err(self.bad("the file ends inside of an object: is it cut short?")),
                Some(_) => return Err(self.bad("is not JSON: expected ',' or '}' in an object")),
            }
        }
        match self.look()? {
            None => Ok(()),
            Some(_) => Err(self.bad("something follows the document")),
        }
    }

    fn next_line(&mut self) -> Result<Option<u64>, FileError> {
        loop {
            let line = self.line;
            let mut bytes = std::mem::take(&mut self.text).into_bytes();
            bytes.clear();
            let mut ended = false;
            while !ended {
                let buffer = self.stream.fill()?;
                if buffer.is_empty() {
                    break;
                }
                let part = match buffer.iter().position(|b| *b == b'\n') {
                    Some(at) => {
                        ended = true;
                        buffer.get(..=at).unwrap_or(buffer)
                    }
                    None => buffer,
                };
                bytes.extend_from_slice(part);
                let used = part.len();
                self.stream.consume(used);
                if bytes.len() > RECORD_MAX {
                    return Err(self.bad("the line is longer than 256 MiB"));
                }
            }
            self.line += u64::from(ended);
            if !bytes.trim_ascii().is_empty() {
                self.text = self.utf8(bytes, line)?;
                return Ok(Some(line));
            }
            if !ended {
                self.layout = Layout::Done;
                return Ok(None);
            }
        }
    }
}

fn skip_mark(stream: &mut Stream) -> Result<(), FileError> {
    let start = stream.fill()?;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(stream.source.bad(Place::File, "is UTF-16, not UTF-8").with_hint("convert it: iconv -f UTF-16 -t UTF-8"));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        stream.consume(3);
    }
    Ok(())
}
