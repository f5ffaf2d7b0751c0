//! The type of a column of texts, found from all of them.

use arrow::datatypes::{DataType, TimeUnit};

use super::super::calendar::{parse_date, parse_stamp};
use super::super::number::{self, Kind};
use crate::format::Type;

/// What the texts seen so far may be; only text stays possible for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo::files) struct TextGuess {
    /// Some cell held something.
    seen: bool,
    bool: bool,
    /// 0 unknown, then one number for each casing.
    casing: u8,
    int: bool,
    float: bool,
    /// Some cell was a number, not `NaN` or an infinity.
    digits: bool,
    date: bool,
    stamp: bool,
    /// Whether timestamps have an offset, of zero.
    zoned: Option<bool>,
}

impl Default for TextGuess {
    fn default() -> Self {
        TextGuess { seen: false, bool: true, casing: 0, int: true, float: true, digits: false, date: true, stamp: true, zoned: None }
    }
}

impl TextGuess {
    /// Takes a cell into account. An empty one says nothing.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.seen = true;
        if self.bool {
            let casing = match text {
                "true" | "false" => 1,
                "True" | "False" => 2,
                "TRUE" | "FALSE" => 3,
                _ => 0,
            };
            self.bool = casing != 0 && (self.casing == 0 || self.casing == casing);
            self.casing = casing;
        }
        if self.int || self.float {
            let (int, float, digits) = match number::kind(text) {
                Kind::Int { float } => (true, float, true),
                Kind::Float => (false, true, true),
                Kind::Special => (false, true, false),
                Kind::Other => (false, false, false),
            };
            self.int &= int;
            self.float &= float;
            self.digits |= digits;
        }
        self.date = self.date && parse_date(text).is_some() && text.len() == 10;
        if self.stamp {
            let stamp = parse_stamp(text, false).filter(|s| s.offset.unwrap_or(0) == 0 && s.in_unit(TimeUnit::Microsecond).is_some());
            let zoned = stamp.map(|s| s.offset.is_some());
            self.stamp = zoned.is_some() && (self.zoned.is_none() || self.zoned == zoned) && text.as_bytes().get(4) == Some(&b'-');
            self.zoned = zoned;
        }
    }

    /// What both may be.
    pub fn merge(&mut self, other: &TextGuess) {
        if !other.seen {
            return;
        }
        if !self.seen {
            *self = other.clone();
            return;
        }
        self.bool = self.bool && other.bool && self.casing == other.casing;
        self.int &= other.int;
        self.float &= other.float;
        self.digits |= other.digits;
        self.date &= other.date;
        self.stamp = self.stamp && other.stamp && self.zoned == other.zoned;
    }

    /// The narrowest type that holds every text exactly; `None` if nothing but empty cells was seen.
    pub fn resolve(&self) -> Option<Type> {
        if !self.seen {
            return None;
        }
        Some(if self.bool {
            Type::BOOL
        } else if self.int {
            Type::INT64
        } else if self.float && self.digits {
            Type::FLOAT64
        } else if self.date {
            Type::Plain(DataType::Date32)
        } else if self.stamp {
            let zone = self.zoned.unwrap_or(false).then(|| "UTC".into());
            Type::Plain(DataType::Timestamp(TimeUnit::Microsecond, zone))
        } else {
            Type::TEXT
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(cells: &[&str]) -> String {
        let mut guess = TextGuess::default();
        cells.iter().for_each(|c| guess.see(c));
        guess.resolve().map_or("none".to_owned(), |t| t.to_string())
    }

    #[test]
    fn types() {
        for (cells, want) in [
            (&["", ""][..], "none"),
            (&["1", "", "-20"], "int64"),
            (&["01", "2"], "text"),
            (&["+1", "2"], "text"),
            (&["1", "2.5"], "float64"),
            (&["9007199254740993", "1"], "int64"),
            (&["9007199254740993", "1.5"], "text"),
            (&["9223372036854775808"], "text"),
            (&["1", "x"], "text"),
            (&["1", "NA"], "text"),
            (&["1", "NaN"], "float64"),
            (&["NaN", "NaN"], "text"),
            (&["true", "false"], "bool"),
            (&["true", "False"], "text"),
            (&["TRUE", "FALSE"], "bool"),
            (&["true", "1"], "text"),
            (&["2024-01-31", "1999-12-31"], "date"),
            (&["2024-01-31", "2024-02-30"], "text"),
            (&["2024-01-31", "2024-01-31 00:00:00"], "text"),
            (&["2024-01-31 10:00:00", "2024-01-31T10:00:00.123456"], "timestamp(us)"),
            (&["2024-01-31 10:00:00.1234567"], "text"),
            (&["2024-01-31T10:00:00Z", "2024-01-31T10:00:00+00:00"], "timestamp(us,UTC)"),
            (&["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], "text"),
            (&["2024-01-31T10:00:00+02:00"], "text"),
            (&["1.50"], "float64"),
            (&["1", "1 "], "text"),
        ] {
            assert_eq!(of(cells), want, "{cells:?}");
        }
    }

    proptest! {
        /// Two files in one import are as one.
        #[test]
        fn merging_is_seeing_both(cells in prop::collection::vec(prop_oneof![
            Just(""), Just("1"), Just("2.5"), Just("x"), Just("true"), Just("True"), Just("2024-01-31"), Just("NaN"),
            Just("2024-01-31T10:00:00Z"), Just("2024-01-31 10:00:00"), Just("9007199254740993"),
        ], 0..6), at in 0usize..6) {
            let (a, b) = cells.split_at(at.min(cells.len()));
            let (mut left, mut right) = (TextGuess::default(), TextGuess::default());
            a.iter().for_each(|c| left.see(c));
            b.iter().for_each(|c| right.see(c));
            left.merge(&right);
            prop_assert_eq!(left.resolve().map_or("none".to_owned(), |t| t.to_string()), of(&cells));
        }
    }
}
