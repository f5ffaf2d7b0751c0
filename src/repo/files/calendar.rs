//! Dates, times, timestamps and durations as text, for every value that their types hold.
//!
//! Years outside 0000 to 9999 have a sign and at least five digits, as ISO 8601 has it. Days are counted with Howard Hinnant's
//! `days_from_civil`, over the proleptic Gregorian calendar.

use std::fmt::Write;
use std::str::FromStr;

use arrow::datatypes::TimeUnit;

const DAY: i128 = 86_400;

/// Days since 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * m + 2) / 5 + 1)
}

/// Units in a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The parts of a text, taken one by one.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// A number of between `least` and `most` digits.
    fn digits<T: FromStr>(&mut self, least: usize, most: usize) -> Option<T> {
        let n = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if n < least {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        digits.parse().ok()
    }

    fn eat(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn done(&self) -> bool {
        self.0.is_empty()
    }

    /// `YYYY-MM-DD`, or `+YYYYY-MM-DD`.
    fn date(&mut self) -> Option<i64> {
        let year = if self.eat('-') {
            -self.digits::<i64>(4, 12)?
        } else if self.eat('+') {
            self.digits(5, 12)?
        } else {
            self.digits(4, 4)?
        };
        let month: i64 = self.eat('-').then(|| self.digits(2, 2))??;
        let day: i64 = self.eat('-').then(|| self.digits(2, 2))??;
        let days = days_from_civil(year, month, day);
        // A day that the calendar lacks comes back as another.
        ((1..=12).contains(&month) && civil_from_days(days) == (year, month, day)).then_some(days)
    }

    /// `HH:MM:SS[.fraction]` as nanoseconds; digits past the ninth must be zero.
    fn time(&mut self) -> Option<i64> {
        let hours: i64 = self.digits(2, 2)?;
        let minutes: i64 = self.eat(':').then(|| self.digits(2, 2))??;
        let seconds: i64 = self.eat(':').then(|| self.digits(2, 2))??;
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        Some((hours * 3600 + minutes * 60 + seconds) * 1_000_000_000 + self.fraction()?)
    }

    /// `[.digits]` as nanoseconds.
    fn fraction(&mut self) -> Option<i64> {
        if !self.eat('.') {
            return Some(0);
        }
        let before = self.0;
        let nine: i64 = self.digits(1, 9)?;
        let width = before.len() - self.0.len();
        let rest = self.0.trim_start_matches('0');
        if width == 9 {
            self.0 = rest;
        }
        if self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        Some(nine * 10i64.pow(u32::try_from(9 - width).ok()?))
    }

    /// `Z` or `±HH:MM` (also `±HHMM`, `±HH`), in seconds east; `None` inside where there is none.
    fn offset(&mut self) -> Option<Option<i64>> {
        if self.done() {
            return Some(None);
        }
        if self.eat('Z') || self.eat('z') {
            return Some(Some(0));
        }
        let sign = if self.eat('+') {
            1
        } else if self.eat('-') {
            -1
        } else {
            return None;
        };
        let hours: i64 = self.digits(2, 2)?;
        let minutes: i64 = if self.eat(':') || !self.done() { self.digits(2, 2)? } else { 0 };
        (hours < 24 && minutes < 60).then_some(Some(sign * (hours * 3600 + minutes * 60)))
    }
}

/// A point in time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Nanoseconds since 1970, in UTC if there is an offset.
    nanos: i128,
    /// Seconds east of UTC.
    pub offset: Option<i64>,
}

impl Stamp {
    /// The count of `unit`s; `None` where it is not whole or too large.
    pub fn in_unit(&self, unit: TimeUnit) -> Option<i64> {
        whole(self.nanos, unit)
    }
}

fn whole(nanos: i128, unit: TimeUnit) -> Option<i64> {
    let each = i128::from(1_000_000_000 / per_second(unit));
    (nanos % each == 0).then(|| i64::try_from(nanos / each).ok())?
}

/// Days since 1970 of `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let mut cursor = Cursor(text);
    let days = cursor.date()?;
    cursor.done().then(|| i32::try_from(days).ok())?
}

/// A date and time with a `T` or a space between, and perhaps an offset. With `loose` a date alone or a time without seconds is fine too.
pub(super) fn parse_stamp(text: &str, loose: bool) -> Option<Stamp> {
    let mut cursor = Cursor(text);
    let days = cursor.date()?;
    if loose && cursor.done() {
        return Some(Stamp { nanos: i128::from(days) * DAY * 1_000_000_000, offset: None });
    }
    if !(cursor.eat('T') || cursor.eat(' ')) {
        return None;
    }
    let time = match (Cursor(cursor.0).time(), loose) {
        (None, true) => {
            let hours: i64 = cursor.digits(2, 2)?;
            let minutes: i64 = cursor.eat(':').then(|| cursor.digits(2, 2))??;
            (hours < 24 && minutes < 60).then_some((hours * 3600 + minutes * 60) * 1_000_000_000)?
        }
        _ => cursor.time()?,
    };
    if loose {
        cursor.eat(' ');
    }
    let offset = cursor.offset()?;
    if !cursor.done() {
        return None;
    }
    let nanos = (i128::from(days) * DAY - i128::from(offset.unwrap_or(0))) * 1_000_000_000 + i128::from(time);
    Some(Stamp { nanos, offset })
}

/// A time of day in `unit`s since midnight.
pub(super) fn parse_time(text: &str, unit: TimeUnit) -> Option<i64> {
    let mut cursor = Cursor(text);
    let nanos = cursor.time()?;
    cursor.done().then(|| whole(i128::from(nanos), unit))?
}

/// `[-]P[nD]T[nH][nM][n.nS]`, as ISO 8601 has it, in `unit`s.
pub(super) fn parse_duration(text: &str, unit: TimeUnit) -> Option<i64> {
    let mut cursor = Cursor(text);
    let negative = cursor.eat('-');
    if !cursor.eat('P') {
        return None;
    }
    let mut nanos = 0i128;
    let mut in_time = false;
    let mut parts = 0;
    while !cursor.done() {
        if !in_time && cursor.eat('T') {
            in_time = true;
            continue;
        }
        let n: i128 = cursor.digits(1, 19)?;
        let fraction = cursor.fraction()?;
        let seconds = match (in_time, cursor.0.chars().next()?) {
            (false, 'D') => DAY,
            (true, 'H') => 3600,
            (true, 'M') => 60,
            (true, 'S') => 1,
            _ => return None,
        };
        if fraction != 0 && seconds != 1 {
            return None;
        }
        cursor.0 = cursor.0.get(1..)?;
        nanos += n * seconds * 1_000_000_000 + i128::from(fraction);
        parts += 1;
    }
    if parts == 0 {
        return None;
    }
    whole(if negative { -nanos } else { nanos }, unit)
}

/// Appends a date.
pub(super) fn print_date(days: i64, out: &mut String) {
    let (year, month, day) = civil_from_days(days);
    let _ = match year {
        0..=9999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        _ => write!(out, "{year:+06}-{month:02}-{day:02}"),
    };
}

fn print_fraction(part: i64, unit: TimeUnit, out: &mut String) {
    if part != 0 {
        let width = per_second(unit).ilog10() as usize;
        let digits = format!("{part:0width$}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// Appends a time of day. Values outside a day print with more than 24 hours, and do not read back.
pub(super) fn print_time(value: i64, unit: TimeUnit, out: &mut String) {
    let each = per_second(unit);
    let (seconds, part) = (value.div_euclid(each), value.rem_euclid(each));
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds.div_euclid(3600), seconds.rem_euclid(3600) / 60, seconds.rem_euclid(60));
    print_fraction(part, unit, out);
}

/// Appends a timestamp: `YYYY-MM-DD HH:MM:SS[.f]`, or `YYYY-MM-DDTHH:MM:SS[.f]Z` where the type has a zone.
pub(super) fn print_stamp(value: i64, unit: TimeUnit, zoned: bool, out: &mut String) {
    let each = per_second(unit);
    let (seconds, part) = (value.div_euclid(each), value.rem_euclid(each));
    print_date(seconds.div_euclid(86_400), out);
    out.push(if zoned { 'T' } else { ' ' });
    print_time(seconds.rem_euclid(86_400), TimeUnit::Second, out);
    print_fraction(part, unit, out);
    if zoned {
        out.push('Z');
    }
}

/// Appends a duration: `[-]PTn[.n]S`.
pub(super) fn print_duration(value: i64, unit: TimeUnit, out: &mut String) {
    let each = per_second(unit).unsigned_abs();
    let _ = write!(out, "{}PT{}", if value < 0 { "-" } else { "" }, value.unsigned_abs() / each);
    print_fraction((value.unsigned_abs() % each).try_into().unwrap_or(0), unit, out);
    out.push('S');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [TimeUnit; 4] = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

    fn printed(print: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        print(&mut out);
        out
    }

    #[test]
    fn known_days() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2000-02-29"), Some(11_016));
        assert_eq!(parse_date("1969-12-31"), Some(-1));
        for bad in ["2001-02-29", "2000-13-01", "2000-00-10", "2000-01-00", "2000-1-1", "20000101", "2000-01-01 ", "200-01-01", "12345-01-01", ""] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn stamps() {
        let us = |text: &str| parse_stamp(text, false).and_then(|s| s.in_unit(TimeUnit::Microsecond));
        assert_eq!(us("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(us("1970-01-01 01:00:00+01:00"), Some(0));
        assert_eq!(us("1970-01-01 00:00:00.0000001"), None);
        assert_eq!(us("1970-01-01 00:00:00.0000010000000"), Some(1));
        for bad in [
            "1970-01-01",
            "1970-01-01 00:00",
            "1970-01-01 24:00:00",
            "1970-01-01 00:00:60",
            "1970-01-01  00:00:00",
            "1970-01-01T00:00:00 Z",
            "1970-01-01T00:00:00.",
        ] {
            assert_eq!(parse_stamp(bad, false), None, "{bad}");
        }
        assert!(parse_stamp("1970-01-01 00:00", true).is_some() && parse_stamp("1970-01-01", true).is_some());
    }

    proptest! {
        #[test]
        fn dates_round_trip(days: i32) {
            prop_assert_eq!(parse_date(&printed(|o| print_date(days.into(), o))), Some(days));
        }

        #[test]
        fn stamps_round_trip(value: i64, unit in 0usize..4, zoned: bool) {
            let text = printed(|o| print_stamp(value, UNITS[unit], zoned, o));
            let stamp = parse_stamp(&text, false).unwrap();
            prop_assert_eq!(stamp.in_unit(UNITS[unit]), Some(value));
            prop_assert_eq!(stamp.offset.is_some(), zoned);
        }

        #[test]
        fn durations_round_trip(value: i64, unit in 0usize..4) {
            let text = printed(|o| print_duration(value, UNITS[unit], o));
            prop_assert_eq!(parse_duration(&text, UNITS[unit]), Some(value), "{}", text);
        }

        #[test]
        fn times_round_trip(value in 0i64..86_400_000_000_000) {
            let text = printed(|o| print_time(value, TimeUnit::Nanosecond, o));
            prop_assert_eq!(parse_time(&text, TimeUnit::Nanosecond), Some(value));
        }

        #[test]
        fn any_text_is_safe(text in "[-+0-9TPZDHMS:. é]{0,30}") {
            let _ = (parse_date(&text), parse_stamp(&text, true), parse_stamp(&text, false), parse_time(&text, TimeUnit::Second), parse_duration(&text, TimeUnit::Nanosecond));
        }
    }
}
