//! Numbers, sizes and times as people read them.

use chrono::{DateTime, FixedOffset, Utc};

/// A count with thousands set apart: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count and its noun: `1 row`, `2 rows`.
pub fn plural(n: u64, one: &str) -> String {
    plural_as(n, one, &format!("{one}s"))
}

/// A count and its noun, where the plural is not the singular with an s.
pub fn plural_as(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A size in decimal units: `517 B`, `31 KB`, `1.4 MB`.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    let mut unit = "B";
    for next in ["KB", "MB", "GB", "TB", "PB", "EB"] {
        if size < 999.5 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    if unit != "B" && size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

/// How long ago `then` was, both in milliseconds since 1970: `3 minutes ago`.
pub fn ago(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then) / 1000;
    if seconds < 0 {
        return "in the future".to_owned();
    }
    for (size, unit) in [(31_536_000, "year"), (2_592_000, "month"), (604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute")] {
        if seconds >= size {
            return format!("{} ago", plural((seconds / size).unsigned_abs(), unit));
        }
    }
    format!("{} ago", plural(seconds.unsigned_abs(), "second"))
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn in_zone(millis: i64, minutes_east: i32) -> Option<DateTime<FixedOffset>> {
    let zone = FixedOffset::east_opt(minutes_east.checked_mul(60)?)?;
    Some(DateTime::from_timestamp_millis(millis)?.with_timezone(&zone))
}

/// A moment as Git writes it, `Mon Nov 22 18:17:39 2026 +0100`; the bare number where no calendar reaches.
pub fn git_date(millis: i64, minutes_east: i32) -> String {
    in_zone(millis, minutes_east).map_or_else(|| millis.to_string(), |t| t.format("%a %b %-d %H:%M:%S %Y %z").to_string())
}

/// A moment by RFC 3339, to the millisecond; the bare number where no calendar reaches.
pub fn iso_date(millis: i64, minutes_east: i32) -> String {
    in_zone(millis, minutes_east).map_or_else(|| millis.to_string(), |t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// A number with at most four significant digits, for summaries: `0.1235`, `1235`, `1.2e9`.
pub fn brief(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { x.to_string() };
    }
    let size = x.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{x:.3e}");
    }
    let decimals = (3 - size.log10().floor() as i64).clamp(0, 8) as usize;
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text safe for a terminal on one line: line ends and tabs as marks, other control characters as `\u{..}`.
pub fn one_line(text: &str) -> String {
    if !text.chars().any(|c| c.is_control() || is_direction(c)) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('↵'),
            '\r' => out.push('␍'),
            '\t' => out.push_str("  "),
            c if c.is_control() || is_direction(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that turn the direction of what follows: in a table they would disturb the other cells.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts() {
        assert_eq!([0, 999, 1000, 31_400, 1_400_000, 999_600].map(bytes), ["0 B", "999 B", "1.0 KB", "31 KB", "1.4 MB", "1.0 MB"]);
        assert_eq!([0, 12, 123, 1234, 1_234_567].map(count), ["0", "12", "123", "1,234", "1,234,567"]);
        assert_eq!(plural(1, "row"), "1 row");
        assert_eq!(plural(0, "row"), "0 rows");
        assert_eq!(bytes(u64::MAX), "18 EB");
    }

    #[test]
    fn times() {
        assert_eq!(ago(0, 59_000), "59 seconds ago");
        assert_eq!(ago(0, 60_000), "1 minute ago");
        assert_eq!(ago(0, 86_400_000 * 400), "1 year ago");
        assert_eq!(ago(5_000, 0), "in the future");
        assert_eq!(git_date(0, 60), "Thu Jan 1 01:00:00 1970 +0100");
        assert_eq!(iso_date(1, 0), "1970-01-01T00:00:00.001Z");
        assert_eq!(git_date(i64::MAX, 0), i64::MAX.to_string());
    }

    #[test]
    fn brief_numbers() {
        assert_eq!([0.0, 0.123_456, 12.5, 1234.56, 1e9, -3.0].map(brief), ["0", "0.1235", "12.5", "1235", "1.000e9", "-3"]);
        assert_eq!(brief(f64::NAN), "NaN");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[31mc"), "a↵b\\u{1b}[31mc");
        assert_eq!(one_line("日本"), "日本");
    }
}
