//! Times as people write them: `yesterday`, `2 hours ago`, `2026-01-01 12:00`.

use chrono::{DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};

/// The time that `text` names, in milliseconds since 1970 UTC, or `None` where it names none. `now` gives the present and the zone of
/// times written without one.
///
/// Understood are `now`, `today` and `midnight` (this day's start), `noon`, `yesterday` (24 hours ago), `N seconds|minutes|...|years ago` and sums of them,
/// `last week|monday|...`, `monday` (the latest before today), seconds since 1970 from 100,000,000 on, and dates `2026-01-01` with
/// or without a time and a zone. Like in Git, a date without a time means that day at the present time of day.
pub fn parse<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    relative(&text, now).or_else(|| absolute(&text, now)).map(|time| time.timestamp_millis())
}

fn at<Tz: TimeZone>(now: &DateTime<Tz>, local: NaiveDateTime) -> Option<DateTime<Tz>> {
    let zone = now.timezone();
    // A local time that a change of clocks skips is taken as the same time an hour later.
    zone.from_local_datetime(&local).earliest().or_else(|| zone.from_local_datetime(&(local + Duration::hours(1))).earliest())
}

fn relative<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<DateTime<Tz>> {
    let today = now.date_naive();
    match text {
        "now" => return Some(now.clone()),
        "today" | "midnight" => return at(now, today.and_time(NaiveTime::MIN)),
        "yesterday" => return now.clone().checked_sub_days(Days::new(1)),
        "noon" => {
            let noon = at(now, today.and_hms_opt(12, 0, 0)?)?;
            return if noon <= *now { Some(noon) } else { noon.checked_sub_days(Days::new(1)) };
        }
        _ => {}
    }
    // Git also takes "2.hours.ago".
    let spaced = text.replace(['.', ','], " ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    match words.as_slice() {
        ["last", unit] | [unit] if weekday(unit).is_some() => {
            let back = (7 + now.weekday().num_days_from_monday() - weekday(unit)?.num_days_from_monday()) % 7;
            now.clone().checked_sub_days(Days::new(if back == 0 { 7 } else { u64::from(back) }))
        }
        ["last", unit] => back(now.clone(), 1, unit),
        [amounts @ .., "ago"] if !amounts.is_empty() && amounts.len() % 2 == 0 => amounts.chunks(2).try_fold(now.clone(), |time, pair| match pair {
            [count, unit] => back(time, number(count)?, unit),
            _ => None,
        }),
        _ => None,
    }
}

fn number(word: &str) -> Option<u32> {
    const WORDS: [&str; 11] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    match word {
        "a" | "an" => Some(1),
        _ => WORDS.iter().position(|w| *w == word).and_then(|n| u32::try_from(n).ok()).or_else(|| word.parse().ok()),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    // chrono knows "mon" and "monday".
    word.parse().ok()
}

fn back<Tz: TimeZone>(time: DateTime<Tz>, count: u32, unit: &str) -> Option<DateTime<Tz>> {
    let n = i64::from(count);
    match unit.strip_suffix('s').unwrap_or(unit) {
        "second" | "sec" => time.checked_sub_signed(Duration::try_seconds(n)?),
        "minute" | "min" => time.checked_sub_signed(Duration::try_minutes(n)?),
        "hour" | "hr" => time.checked_sub_signed(Duration::try_hours(n)?),
        "day" => time.checked_sub_days(Days::new(u64::from(count))),
        "week" => time.checked_sub_days(Days::new(u64::from(count).checked_mul(7)?)),
        "month" => time.checked_sub_months(Months::new(count)),
        "year" => time.checked_sub_months(Months::new(count.checked_mul(12)?)),
        _ => None,
    }
}

fn absolute<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<DateTime<Tz>> {
    let zone = now.timezone();
    let seconds = text.strip_prefix('@').map_or_else(|| text.parse().ok().filter(|n| *n >= 100_000_000), |digits| digits.parse::<i64>().ok());
    if let Some(seconds) = seconds {
        return DateTime::from_timestamp(seconds, 0).map(|time| time.with_timezone(&zone));
    }
    let text = text.replace('/', "-").replace(" utc", "+00:00").replace(" +", "+").replace(" -", "-");
    let (date, time) = match text.find(['t', ' ']) {
        Some(i) => (text.get(..i)?, text.get(i + 1..)?.trim()),
        None => (text.as_str(), ""),
    };
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    if time.is_empty() {
        return at(now, date.and_time(now.time()));
    }
    let (clock, offset) = match time.find(['z', '+', '-']) {
        Some(i) => (time.get(..i)?, Some(time.get(i..)?)),
        None => (time, None),
    };
    let clock = ["%H:%M:%S%.f", "%H:%M", "%H"].iter().find_map(|format| match *format {
        "%H" => NaiveTime::from_hms_opt(clock.parse().ok()?, 0, 0),
        _ => NaiveTime::parse_from_str(clock, format).ok(),
    })?;
    let local = date.and_time(clock);
    match offset {
        None => at(now, local),
        Some("z") => Some(local.and_utc().with_timezone(&zone)),
        Some(offset) => {
            let digits: String = offset.get(1..)?.chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = match digits.len() {
                2 => (digits.parse::<i64>().ok()?, 0),
                4 => (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..)?.parse::<i64>().ok()?),
                _ => return None,
            };
            let east = Duration::minutes(hours * 60 + minutes) * if offset.starts_with('-') { -1 } else { 1 };
            Some(local.checked_sub_signed(east)?.and_utc().with_timezone(&zone))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        // A Wednesday, two hours east of UTC.
        let zone = FixedOffset::east_opt(7200).unwrap();
        let now = zone.with_ymd_and_hms(2026, 3, 11, 9, 30, 15).unwrap();
        parse(text, &now).map(|ms| zone.timestamp_millis_opt(ms).unwrap().format("%Y-%m-%d %H:%M:%S%.f").to_string())
    }

    #[test]
    fn forms() {
        for (text, expected) in [
            ("now", "2026-03-11 09:30:15"),
            ("today", "2026-03-11 00:00:00"),
            ("Yesterday", "2026-03-10 09:30:15"),
            ("noon", "2026-03-10 12:00:00"),
            ("2 hours ago", "2026-03-11 07:30:15"),
            ("2.hours.ago", "2026-03-11 07:30:15"),
            ("an hour ago", "2026-03-11 08:30:15"),
            ("1 day 2 hours ago", "2026-03-10 07:30:15"),
            ("three weeks ago", "2026-02-18 09:30:15"),
            ("1 month ago", "2026-02-11 09:30:15"),
            ("2 years ago", "2024-03-11 09:30:15"),
            ("last week", "2026-03-04 09:30:15"),
            ("last monday", "2026-03-09 09:30:15"),
            ("wednesday", "2026-03-04 09:30:15"),
            ("2026-01-01", "2026-01-01 09:30:15"),
            ("2026/01/01", "2026-01-01 09:30:15"),
            ("2026-01-01 12:00", "2026-01-01 12:00:00"),
            ("2026-01-01T12:00:01.5", "2026-01-01 12:00:01.500"),
            ("2026-01-01T12:00:00Z", "2026-01-01 14:00:00"),
            ("2026-01-01 12:00:00 +0100", "2026-01-01 13:00:00"),
            ("2026-01-01 12:00:00-05:30", "2026-01-01 19:30:00"),
            ("1700000000", "2023-11-15 00:13:20"),
            ("@5", "1970-01-01 02:00:05"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for bad in ["", "ago", "soon", "2 ago", "2 moons ago", "2026-13-01", "2026-01-01 25:00", "99999999999999999 years ago", "4294967295 years ago", "5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "([0-9]{1,12}|last|ago|years?|[a-z]{1,6}|[-+:./@zT ]|é){0,8}") {
            let _ = read(&text);
        }
    }
}
