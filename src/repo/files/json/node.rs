//! One JSON value: parsed strictly (RFC 8259), with its source text at hand and its numbers as they were written.

use std::borrow::Cow;
use std::collections::HashSet;

/// Deeper values are refused: input may be hostile.
const DEPTH_MAX: usize = 128;

/// A value and its source.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::repo::files) struct Node<'a> {
    /// As it was written.
    pub raw: &'a str,
    /// What it says.
    pub value: Value<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::repo::files) enum Value<'a> {
    Null,
    Bool(bool),
    /// A number's text. `NaN`, `Infinity` and `-Infinity`, which some writers emit, stand here too.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// In the order written; no name stands twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// What is wrong with a text that should be JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo::files) struct Fault {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// Parses a text that is one JSON value, perhaps with white space around it.
pub(in crate::repo::files) fn parse(text: &str) -> Result<Node<'_>, Fault> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    let node = parser.node()?;
    parser.space();
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.fault("something follows the value")),
    }
}

impl Node<'_> {
    /// True if the source is JSON as every reader takes it: no `NaN` and the like.
    pub fn standard(&self) -> bool {
        match &self.value {
            Value::Number(text) => text.ends_with(|c: char| c.is_ascii_digit()),
            Value::List(items) => items.iter().all(Node::standard),
            Value::Object(fields) => fields.iter().all(|(_, node)| node.standard()),
            _ => true,
        }
    }

    /// Appends the value without white space, strings and numbers as they were written; `NaN` and the like become strings.
    pub fn compact(&self, out: &mut String) {
        match &self.value {
            Value::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.compact(out);
                }
                out.push(']');
            }
            Value::Object(fields) => {
                out.push('{');
                for (i, (name, node)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_string(name, out);
                    out.push(':');
                    node.compact(out);
                }
                out.push('}');
            }
            Value::Number(text) if !self.standard() => push_string(text, out),
            _ => out.push_str(self.raw),
        }
    }

    /// The kind of value, in a word.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

/// Appends a JSON string with the escapes that must be.
pub(in crate::repo::files) fn push_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            0..32 => "",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { at: self.at, what: what.into() }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn node(&mut self) -> Result<Node<'a>, Fault> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.deeper(Self::object)?,
            Some(b'[') => self.deeper(Self::list)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b'N') => self.word("NaN", Value::Number("NaN"))?,
            Some(b'I') => self.word("Infinity", Value::Number("Infinity"))?,
            Some(_) => {
                let found = self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or('?');
                return Err(self.fault(format!("expected a value, found {found:?}")));
            }
            None => return Err(self.fault("the text ends where a value should be")),
        };
        Ok(Node { raw: self.since(start), value })
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Value<'a>, Fault>) -> Result<Value<'a>, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        self.at += 1;
        let value = parse(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                self.word("Infinity", Value::Null)?;
                return Ok(Value::Number("-Infinity"));
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.fault("a number starts with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(self.since(start)))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.at += 1;
        let mut start = self.at;
        let mut built: Option<String> = None;
        loop {
            match self.peek() {
                None => return Err(self.fault("a string is not closed")),
                Some(b'"') => {
                    let tail = self.since(start);
                    self.at += 1;
                    return Ok(match built {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = built.get_or_insert_default();
                    text.push_str(self.text.get(start..self.at).unwrap_or_default());
                    let c = self.escape()?;
                    built.get_or_insert_default().push(c);
                    start = self.at;
                }
                Some(0..32) => return Err(self.fault("a control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hex4()?;
                let code = match first {
                    0xD800..0xDC00 if self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u")) => {
                        self.at += 2;
                        let second = self.hex4()?;
                        if !(0xDC00..0xE000).contains(&second) {
                            return Err(self.fault("half of a surrogate pair, which is no character"));
                        }
                        0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    code => code,
                };
                return char::from_u32(code).ok_or_else(|| self.fault("half of a surrogate pair, which is no character"));
            }
            _ => return Err(self.fault("an escape that JSON does not have")),
        };
        self.at += 1;
        Ok(c)
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(|| self.fault("\\u takes four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn list(&mut self) -> Result<Value<'a>, Fault> {
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            self.space();
            items.push(self.node()?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(items));
                }
                _ => return Err(self.fault("expected ',' or ']' in a list")),
            }
        }
    }

    fn object(&mut self) -> Result<Value<'a>, Fault> {
        let mut fields: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fault("expected a name in double quotes"));
            }
            let name = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.fault("expected ':' after a name"));
            }
            self.at += 1;
            self.space();
            let node = self.node()?;
            fields.push((name, node));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                _ => return Err(self.fault("expected ',' or '}' in an object")),
            }
        }
        // One of two values of a name would be lost.
        let twice = if fields.len() <= 16 {
            fields.iter().enumerate().find(|(i, (name, _))| fields.iter().take(*i).any(|(other, _)| other == name)).map(|(_, (name, _))| name)
        } else {
            let mut seen = HashSet::with_capacity(fields.len());
            fields.iter().map(|(name, _)| name).find(|name| !seen.insert(*name))
        };
        match twice {
            Some(name) => Err(self.fault(format!("name '{name}' stands twice in one object"))),
            None => Ok(Value::Object(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same value by serde_json, which the project's dependencies bring: an independent reader.
    fn same(node: &Node<'_>, other: &serde_json::Value) -> bool {
        match (&node.value, other) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            (Value::Number(a), serde_json::Value::Number(b)) => a.parse::<f64>().ok().filter(|x| x.is_finite()) == b.as_f64(),
            (Value::Text(a), serde_json::Value::String(b)) => a == b,
            (Value::List(a), serde_json::Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Value::Object(a), serde_json::Value::Object(b)) => a.len() == b.len() && a.iter().all(|(k, v)| b.get(k.as_ref()).is_some_and(|o| same(v, o))),
            _ => false,
        }
    }

    #[test]
    fn values() {
        let text = r#" {"a": [1, -2.50e+3, "x\u00e9\ud83d\ude00\n"], "b": {"c": null, "d": [] , "e": {}}} "#;
        let node = parse(text).unwrap();
        assert!(same(&node, &serde_json::from_str(text).unwrap()));
        let mut out = String::new();
        node.compact(&mut out);
        assert_eq!(out, r#"{"a":[1,-2.50e+3,"x\u00e9\ud83d\ude00\n"],"b":{"c":null,"d":[],"e":{}}}"#);
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            " ",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\u12\"",
            "\"\n\"",
            "nul",
            "tru",
            "{\"a\":1,\"a\":2}",
            "1 1",
            "'a'",
            "é",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        let many: String = (0..20).map(|i| format!("\"k{i}\":0,")).collect();
        assert!(parse(&format!("{{{many}\"k3\":1}}")).unwrap_err().what.contains("k3"));
    }

    #[test]
    fn not_a_number() {
        let node = parse("[NaN, -Infinity, 1]").unwrap();
        assert!(!node.standard());
        let mut out = String::new();
        node.compact(&mut out);
        assert_eq!(out, r#"["NaN","-Infinity",1]"#);
    }

    proptest! {
        #[test]
        fn strings_round_trip(text: String) {
            let mut out = String::new();
            push_string(&text, &mut out);
            prop_assert_eq!(parse(&out).unwrap().value, Value::Text(Cow::Owned(text.clone())));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        /// Agrees with serde_json on what is JSON, apart from the names that stand twice and the numbers it calls too large.
        #[test]
        fn any_text(text in "[\\[\\]{}\",:0-9eE.+\\-tfnrualse\\\\ a]{0,24}") {
            let other = serde_json::from_str::<serde_json::Value>(&text);
            match (parse(&text), other) {
                (Ok(node), Ok(other)) => prop_assert!(same(&node, &other), "{}", text),
                (Err(fault), Ok(_)) => prop_assert!(fault.what.contains("twice"), "{}: {:?}", text, fault),
                (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{}: {}", text, error),
                (Err(_), Err(_)) => {}
            }
        }
    }
}
