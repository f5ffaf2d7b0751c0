//! The text of types, read: a small recursive parser with bounded depth.

use std::str::FromStr;

use arrow::datatypes::{DataType, TimeUnit};

use super::{Type, TypeError, child};

/// Reads a type from its text.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Parser { text, at: 0, depth: 0 }
    }

    pub(super) fn whole<T>(mut self, parse: impl FnOnce(&mut Self) -> Result<T, TypeError>) -> Result<T, TypeError> {
        let t = parse(&mut self)?;
        self.space();
        if self.at < self.text.len() { Err(self.fail(format!("unexpected '{}'", &self.text[self.at..]))) } else { Ok(t) }
    }

    fn fail(&self, reason: impl Into<String>) -> TypeError {
        TypeError::Text { text: self.text.to_owned(), reason: reason.into() }
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char) -> Result<(), TypeError> {
        if self.eat(c) { Ok(()) } else { Err(self.fail(format!("expected '{c}' at '{}'", &self.text[self.at..]))) }
    }

    fn while_(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        self.space();
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number<T: FromStr>(&mut self) -> Result<T, TypeError> {
        let digits = self.while_(|c| c.is_ascii_digit() || c == '-');
        digits.parse().map_err(|_| self.fail(format!("expected a number, found '{digits}'")))
    }

    /// A word, or any text in double quotes.
    fn name(&mut self, plain: impl Fn(char) -> bool) -> Result<String, TypeError> {
        if !self.eat('"') {
            let word = self.while_(plain);
            return if word.is_empty() { Err(self.fail("expected a name")) } else { Ok(word.to_owned()) };
        }
        let mut name = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else { return Err(self.fail("a quote is not closed")) };
            name.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.text[self.at..].starts_with('"') {
                return Ok(name);
            }
            self.at += 1;
            name.push('"');
        }
    }

    fn unit(&mut self) -> Result<TimeUnit, TypeError> {
        match self.while_(|c| c.is_ascii_alphabetic()) {
            "s" => Ok(TimeUnit::Second),
            "ms" => Ok(TimeUnit::Millisecond),
            "us" => Ok(TimeUnit::Microsecond),
            "ns" => Ok(TimeUnit::Nanosecond),
            other => Err(self.fail(format!("'{other}' is not a time unit: s, ms, us or ns"))),
        }
    }

    fn optional_unit(&mut self) -> Result<TimeUnit, TypeError> {
        if !self.eat('(') {
            return Ok(TimeUnit::Microsecond);
        }
        let unit = self.unit()?;
        self.expect(')')?;
        Ok(unit)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, TypeError>) -> Result<T, TypeError> {
        // Types come from files that may be hostile: bounded recursion.
        if self.depth == 64 {
            return Err(self.fail("nested more than 64 deep"));
        }
        self.depth += 1;
        let t = parse(self);
        self.depth -= 1;
        t
    }

    fn fields<T>(&mut self, parse: impl Fn(&mut Self) -> Result<T, TypeError> + Copy) -> Result<Vec<(String, T)>, TypeError> {
        let mut fields: Vec<(String, T)> = Vec::new();
        self.expect('<')?;
        while !self.eat('>') {
            if !fields.is_empty() {
                self.expect(',')?;
            }
            let name = self.name(|c| c.is_alphanumeric() || c == '_')?;
            self.expect(':')?;
            fields.push((name, self.deeper(parse)?));
        }
        Ok(fields)
    }

    pub(super) fn storage(&mut self) -> Result<DataType, TypeError> {
        let start = self.at;
        match self.while_(|c| c.is_ascii_alphanumeric() || c == '_') {
            "fixed_list" => {
                self.expect('<')?;
                let item = self.deeper(Self::storage)?;
                self.expect(',')?;
                let n: i32 = self.number()?;
                self.expect('>')?;
                if n < 1 { Err(self.fail("a fixed list has at least one item")) } else { Ok(DataType::FixedSizeList(child("item", item), n)) }
            }
            "list" => {
                self.expect('<')?;
                let item = self.deeper(Self::storage)?;
                self.expect('>')?;
                Ok(DataType::List(child("item", item)))
            }
            "struct" => Ok(DataType::Struct(self.fields(Self::storage)?.into_iter().map(|(n, t)| child(&n, t)).collect())),
            _ => {
                self.at = start;
                match self.column()? {
                    Type::Plain(t) => Ok(t),
                    _ => Err(self.fail("not a storage type")),
                }
            }
        }
    }

    pub(super) fn column(&mut self) -> Result<Type, TypeError> {
        use DataType::*;
        let word = self.while_(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase();
        let plain = match word.as_str() {
            "bool" | "boolean" => Boolean,
            "int8" => Int8,
            "int16" | "smallint" => Int16,
            "int32" | "int" | "integer" => Int32,
            "int64" | "bigint" | "long" => Int64,
            "uint8" => UInt8,
            "uint16" => UInt16,
            "uint32" => UInt32,
            "uint64" => UInt64,
            "float16" | "half" => Float16,
            "float32" | "float" | "real" => Float32,
            "float64" | "double" => Float64,
            "text" | "string" | "str" | "utf8" | "varchar" => Utf8,
            "binary" | "bytes" | "bytea" => {
                if !self.eat('(') {
                    return Ok(Type::BINARY);
                }
                let n: i32 = self.number()?;
                self.expect(')')?;
                if n < 1 {
                    return Err(self.fail("binary(N) has at least one byte"));
                }
                FixedSizeBinary(n)
            }
            "date" | "date32" => Date32,
            "time" => match self.optional_unit()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Time32(unit),
                unit => Time64(unit),
            },
            "duration" => Duration(self.optional_unit()?),
            "timestamptz" => Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "timestamp" | "datetime" => {
                if !self.eat('(') {
                    return Ok(Type::Plain(Timestamp(TimeUnit::Microsecond, None)));
                }
                let unit = self.unit()?;
                let zone = if self.eat(',') { Some(self.name(|c| c.is_ascii_alphanumeric() || "_/+-:".contains(c))?) } else { None };
                self.expect(')')?;
                Timestamp(unit, zone.map(Into::into))
            }
            "decimal" | "numeric" | "decimal256" => {
                self.expect('(')?;
                let precision: u8 = self.number()?;
                let scale: i8 = if self.eat(',') { self.number()? } else { 0 };
                self.expect(')')?;
                let widest = if word == "decimal256" { 76 } else { 38 };
                if precision < 1 || precision > widest || scale.unsigned_abs() > precision {
                    return Err(self.fail(format!("precision goes from 1 to {widest}, scale up to the precision")));
                }
                if word == "decimal256" { Decimal256(precision, scale) } else { Decimal128(precision, scale) }
            }
            "json" | "jsonb" => return Ok(Type::Json),
            "uuid" => return Ok(Type::Uuid),
            "image" => return Ok(Type::Image),
            "audio" => return Ok(Type::Audio),
            "video" => return Ok(Type::Video),
            "enum" => {
                let mut labels = Vec::new();
                if self.eat('(') {
                    while !self.eat(')') {
                        if !labels.is_empty() {
                            self.expect(',')?;
                        }
                        let label = self.name(|c| c.is_alphanumeric() || "_-.".contains(c))?;
                        if labels.contains(&label) {
                            return Err(self.fail(format!("label '{label}' stands twice")));
                        }
                        labels.push(label);
                    }
                }
                return Ok(Type::Enum(labels));
            }
            "list" | "array" => {
                self.expect('<')?;
                let item = self.deeper(Self::column)?;
                self.expect('>')?;
                return Ok(Type::List(Box::new(item)));
            }
            "struct" => return Ok(Type::Struct(self.fields(Self::column)?)),
            "map" => {
                self.expect('<')?;
                let key = self.deeper(Self::column)?;
                self.expect(',')?;
                let value = self.deeper(Self::column)?;
                self.expect('>')?;
                return Ok(Type::Map(Box::new(key), Box::new(value)));
            }
            "embedding" | "vector" => {
                self.expect('(')?;
                let dim: u32 = self.number()?;
                let half = if self.eat(',') {
                    match self.while_(|c| c.is_ascii_alphanumeric()) {
                        "float32" => false,
                        "float16" => true,
                        other => return Err(self.fail(format!("an embedding is of float32 or float16, not '{other}'"))),
                    }
                } else {
                    false
                };
                self.expect(')')?;
                if dim == 0 || dim > 1 << 20 {
                    return Err(self.fail("an embedding has from 1 to 1048576 numbers"));
                }
                return Ok(Type::Embedding { dim, half });
            }
            "tensor" => {
                self.expect('(')?;
                let mut shape = vec![self.number::<u32>()?];
                while self.eat('x') {
                    shape.push(self.number()?);
                }
                self.expect(',')?;
                let element = match self.deeper(Self::column)? {
                    Type::Plain(t) if t.is_numeric() && t.primitive_width().is_some_and(|w| w <= 8) => t,
                    other => return Err(self.fail(format!("a tensor holds integers or floats, not {other}"))),
                };
                self.expect(')')?;
                let size = shape.iter().try_fold(1u32, |n, d| n.checked_mul(*d));
                if !size.is_some_and(|n| (1..=1 << 28).contains(&n)) {
                    return Err(self.fail("a tensor has from 1 to 268435456 numbers"));
                }
                return Ok(Type::Tensor { shape, element });
            }
            "" => return Err(self.fail("a type is missing")),
            other => return Err(self.fail(format!("there is no type '{other}'"))),
        };
        Ok(Type::Plain(plain))
    }
}
