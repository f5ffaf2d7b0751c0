//! Subtitles, WebVTT and SubRip (`.srt`), as the text that is shown at a moment.
//!
//! What such files get wrong in practice is taken as it was meant: byte order marks, all ends of lines, UTF-16, a comma for a point and the reverse, hours or
//! none, missing numbers, blank lines within a SubRip cue. Times that are none are not guessed at: they are told by their line.

use super::super::error::quote;

/// A text and when it is shown, in microseconds: from `start` on, and no longer at `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    pub start: i64,
    pub end: i64,
    pub text: String,
}

/// The cues of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captions {
    /// By their start; those of one start in the order of the file.
    cues: Vec<Cue>,
    /// What is no cue: the line, from 1, and why.
    pub bad: Vec<(u64, String)>,
}

impl Captions {
    /// Reads any bytes.
    pub fn parse(bytes: &[u8]) -> Captions {
        let text = match decode(bytes) {
            Ok(text) => text.replace("\r\n", "\n").replace('\r', "\n"),
            Err(bad) => return Captions { cues: vec![], bad: vec![bad] },
        };
        let lines: Vec<&str> = text.split('\n').collect();
        let first = lines.first().copied().unwrap_or_default();
        let mut captions = match first.strip_prefix("WEBVTT") {
            Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t']) => vtt(&lines),
            _ => srt(&lines),
        };
        captions.cues.sort_by_key(|cue| cue.start);
        captions
    }

    /// What is shown at a moment: the texts of all cues that cover it, a line each, in order.
    pub fn at(&self, micros: i64) -> Option<String> {
        let begun = self.cues.partition_point(|cue| cue.start <= micros);
        let shown: Vec<&str> = self.cues.iter().take(begun).filter(|cue| cue.end > micros).map(|cue| cue.text.as_str()).collect();
        (!shown.is_empty()).then(|| shown.join("\n"))
    }

    fn add(&mut self, number: usize, times: Result<(i64, i64), String>, body: &[&str]) {
        match times {
            Ok((start, end)) => {
                let text = plain(&body.join("\n"));
                if !text.is_empty() {
                    self.cues.push(Cue { start, end, text });
                }
            }
            Err(why) => self.bad.push((number as u64 + 1, why)),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<String, (u64, String)> {
    let wide = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| number([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Ok(wide(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Ok(wide(rest, u16::from_be_bytes)),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|e| {
                let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
                (before.iter().filter(|b| **b == b'\n').count() as u64 + 1, "is not UTF-8".to_owned())
            })
        }
    }
}

const ARROW: &str = "-->";

fn is_blank(line: &&str) -> bool {
    line.trim().is_empty()
}

fn vtt(lines: &[&str]) -> Captions {
    let mut captions = Captions::default();
    let line = |i: usize| lines.get(i).copied();
    let is_inside = |i: usize| line(i).is_some_and(|line| !is_blank(&line));
    let is_arrow = |i: usize| line(i).is_some_and(|line| line.contains(ARROW));
    let mut i = 1;
    // What follows the first line at once belongs to the header.
    while is_inside(i) && !is_arrow(i) {
        i += 1;
    }
    while let Some(first) = line(i) {
        if is_blank(&first) {
            i += 1;
            continue;
        }
        let is_named = |name: &str| first.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if !is_arrow(i) && ["NOTE", "STYLE", "REGION"].iter().any(|name| is_named(name)) {
            while is_inside(i) {
                i += 1;
            }
            continue;
        }
        // A cue's name may stand before its times.
        let at = if !is_arrow(i) && is_arrow(i + 1) { i + 1 } else { i };
        let times = if is_arrow(at) { times(line(at).unwrap_or_default()) } else { Err(format!("{} is no cue: no times follow", quote(first.trim()))) };
        let start = at + 1;
        let mut end = start;
        while is_inside(end) && !is_arrow(end) {
            end += 1;
        }
        captions.add(at, times, lines.get(start..end).unwrap_or_default());
        i = end;
    }
    captions
}

fn srt(lines: &[&str]) -> Captions {
    let mut captions = Captions::default();
    // A line of speech may hold an arrow.
    let is_times = |line: &str| line.contains(ARROW) && line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let is_number = |line: &&str| !line.trim().is_empty() && line.trim().chars().all(|c| c.is_ascii_digit());
    let starts: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| is_times(line)).map(|(i, _)| i).collect();
    let first = starts.first().copied().unwrap_or(lines.len());
    let before = lines.get(..first).unwrap_or_default();
    let is_numbered = before.last().is_some_and(is_number);
    if let Some((i, line)) = before.iter().enumerate().find(|(_, line)| !is_blank(line) && !is_number(line)) {
        captions.bad.push((i as u64 + 1, format!("{} is no cue, and no header of WebVTT", quote(line.trim()))));
    }
    for (n, at) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(lines.len());
        let mut body = lines.get(at + 1..end).unwrap_or_default();
        // The next cue's number.
        if let Some((last, rest)) = body.split_last()
            && end < lines.len()
            && is_number(last)
            && (is_numbered || rest.last().is_some_and(is_blank))
        {
            body = rest;
        }
        captions.add(*at, times(lines.get(*at).copied().unwrap_or_default()), body);
    }
    captions
}

/// The line of a cue's times: `00:01.000 --> 00:02.000 align:start`.
fn times(line: &str) -> Result<(i64, i64), String> {
    let (start, rest) = line.split_once(ARROW).unwrap_or((line, ""));
    let end = rest.split_whitespace().next().unwrap_or_default();
    let (start, end) = (time(start.trim())?, time(end)?);
    if end < start {
        return Err("the cue ends before it begins".to_owned());
    }
    Ok((start, end))
}

/// `[HH:]MM:SS.mmm`, with a comma or a point, in microseconds.
fn time(text: &str) -> Result<i64, String> {
    let parsed = || {
        let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
        let digits = |part: &str, most: usize| -> Option<i64> {
            let fits = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if fits { part.parse().ok() } else { None }
        };
        let mut parts = whole.rsplit(':');
        let (seconds, minutes) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
        let hours = parts.next().map_or(Some(0), |hours| digits(hours, 6))?;
        if parts.next().is_some() || seconds > 59 || minutes > 59 {
            return None;
        }
        let padded = format!("{fraction:0<6}");
        let micros = if fraction.len() > 9 { None } else { digits(padded.get(..6)?, 6) }?;
        // All of what is cut off are digits as well.
        padded.bytes().all(|b| b.is_ascii_digit()).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
    };
    parsed().ok_or_else(|| format!("{} is not a time, as 00:01:02.500 is", quote(text)))
}

/// Text without its tags, with entities as what they stand for, and without blank lines.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let used = match from.as_bytes().first() {
            Some(b'<') => tag(from),
            Some(b'{') => from.starts_with("{\\").then(|| from.find('}').map(|end| end + 1)).flatten(),
            _ => entity(from).map(|(used, c)| {
                out.extend(c);
                used
            }),
        };
        // What is neither stands for itself.
        let used = used.unwrap_or_else(|| {
            out.push_str(from.get(..1).unwrap_or_default());
            1
        });
        rest = from.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// How long the tag is that the text begins with: `<i>`, `</i>`, `<v Ada>`, `<c.loud>`, `<00:01.000>`.
fn tag(text: &str) -> Option<usize> {
    let end = text.find('>')?;
    let inner = text.get(1..end)?;
    let named = inner.strip_prefix('/').unwrap_or(inner);
    let is_time = !inner.is_empty() && inner.contains(':') && inner.bytes().all(|b| b.is_ascii_digit() || b":.,".contains(&b));
    let is_tag = inner == "/" || is_time || named.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_tag && !inner.contains('<')).then_some(end + 1)
}

/// How long the entity is that the text begins with, and what it stands for, if for anything.
fn entity(text: &str) -> Option<(usize, Option<char>)> {
    let end = text.bytes().take(12).position(|b| b == b';')?;
    let name = text.get(1..end)?;
    let number = |text: &str, radix: u32| u32::from_str_radix(text, radix).ok().and_then(char::from_u32).filter(|c| !c.is_control());
    let stands_for = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "lrm" | "rlm" => None,
        _ => match name.strip_prefix('#') {
            Some(code) => Some(code.strip_prefix(['x', 'X']).map_or_else(|| number(code, 10), |hex| number(hex, 16))?),
            None => return None,
        },
    };
    Some((end + 1, stands_for))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cue(start: i64, end: i64, text: &str) -> Cue {
        Cue { start: start * 1000, end: end * 1000, text: text.to_owned() }
    }

    fn good(text: &str) -> Vec<Cue> {
        let parsed = Captions::parse(text.as_bytes());
        assert_eq!(parsed.bad, [], "{text}");
        parsed.cues
    }

    const VTT: &str = "WEBVTT - a film\nKind: captions\nLanguage: en\n\nNOTE made by hand\nthis too --\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:r\n\n\
                       1\n00:01.000 --> 00:02.500 align:start position:0%\n<v Ada>Good <b>morning</b></v>\n- yes &amp; no\n\n\
                       the-name\n01:00:00.000 --> 01:00:01.000\n<00:01.500><c.loud>A &lt;b&gt; c</c>\n";

    #[test]
    fn webvtt() {
        let want = [cue(1000, 2500, "Good morning\n- yes & no"), cue(3_600_000, 3_601_000, "A <b> c")];
        assert_eq!(good(VTT), want);
        assert_eq!(good(&format!("\u{feff}{}", VTT.replace('\n', "\r\n"))), want);
        assert_eq!(good(&VTT.replace('\n', "\r")), want);
        let mut wide = vec![0xff, 0xfe];
        wide.extend(VTT.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(Captions::parse(&wide).cues, want);
        assert_eq!(good("WEBVTT"), []);
        // Without the blank line that should be there.
        assert_eq!(good("WEBVTT\n00:00.000 --> 00:01.000\na\n00:01.000 --> 00:02.000\nb"), [cue(0, 1000, "a"), cue(1000, 2000, "b")]);
    }

    #[test]
    fn subrip() {
        let text = "1\n00:00:01,000 --> 00:00:02,500\n{\\an8}<i>Hello</i>\n<font color=\"red\">there</font>\n\n2\n00:00:03,5 --> 00:00:04 X1:1 X2:2\n\nafter a gap\n\nand another\n\n\n\
                    3\n00:00:05.000 --> 00:00:06.000\n2012\n4\n00:00:07,000 --> 00:00:08,000\nA --> B, 3 < 4 & 5 > 2\n5\n00:00:09,000 --> 00:00:10,000\n\n";
        let want =
            [cue(1000, 2500, "Hello\nthere"), cue(3500, 4000, "after a gap\nand another"), cue(5000, 6000, "2012"), cue(7000, 8000, "A --> B, 3 < 4 & 5 > 2")];
        assert_eq!(good(text), want);
        assert_eq!(good(&format!("\u{feff}{}", text.replace('\n', "\r\n"))), want);
        // Numbers may be missing.
        assert_eq!(good("00:00:01,000 --> 00:00:02,000\n7\n00:00:02,000 --> 00:00:03,000\nb"), [cue(1000, 2000, "7"), cue(2000, 3000, "b")]);
        assert_eq!(good("  \n\n"), []);
        assert_eq!(good(""), []);
    }

    #[test]
    fn what_is_no_cue_is_told_by_its_line() {
        for (text, bad) in [
            ("1\n00:00:01,000 --> 00:61:02,000\na\n\n2\n00:00:03,000 --> 00:00:04,000\nb", (2, "'00:61:02,000' is not a time, as 00:01:02.500 is")),
            ("1\n00:00:03,000 --> 00:00:02,000\na\n\n2\n00:00:03,000 --> 00:00:04,000\nb", (2, "the cue ends before it begins")),
            ("WEBVTT\n\nx\ny\n\n00:03.000 --> 00:04.000\nb", (3, "'x' is no cue: no times follow")),
            ("WEBVTT\n\n1 --> 2\nx\n\n00:03.000 --> 00:04.000\nb", (3, "'1' is not a time, as 00:01:02.500 is")),
            ("\n<html>\n00:00:03,000 --> 00:00:04,000\nb", (2, "'<html>' is no cue, and no header of WebVTT")),
        ] {
            let parsed = Captions::parse(text.as_bytes());
            assert_eq!((parsed.bad, parsed.cues), (vec![(bad.0, bad.1.to_owned())], vec![cue(3000, 4000, "b")]), "{text}");
        }
        assert_eq!(Captions::parse(b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9").bad, [(3, "is not UTF-8".to_owned())]);
        for wrong in ["", "1", "1:2:3:4", "00:00,a", "aa:00", "00:00.0x", "00:60.000", "100:00", "00:00.0000000001", "-1:00", "+1:00", "00:00.é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cues_that_overlap_are_joined_in_order() {
        let parsed = Captions::parse(b"WEBVTT\n\n00:02.000 --> 00:04.000\nlate\n\n00:01.000 --> 00:03.000\nearly\n\n00:02.000 --> 00:02.000\nnever");
        for (at, want) in [(999, None), (1000, Some("early")), (2000, Some("early\nlate")), (2999, Some("early\nlate")), (3000, Some("late")), (4000, None)] {
            assert_eq!(parsed.at(at * 1000).as_deref(), want, "{at}");
        }
    }

    #[test]
    fn tags_go_and_signs_stay() {
        for (text, want) in [
            ("<3 you <b>all</b> < > <", "<3 you all < > <"),
            ("a<br/>b <v.loud Mary Ann>c", "ab c"),
            ("<00:00:01.000>x {y} {\\pos(1,2)}z {\\", "x {y} z {\\"),
            ("AT&amp;T &#233;&#xE9;&nbsp;&lrm; & &unknown; &#0; &", "AT&T éé  & &unknown; &#0; &"),
            ("<i>\n</i>\n a \n", "a"),
            ("é&é<é>", "é&é<é>"),
        ] {
            assert_eq!(plain(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "(WEBVTT)?([0-9:.,<>{}&#;\\\\ \n\r\u{feff}é-]|-->|NOTE|STYLE|00:0|<b|&a){0,60}") {
            for input in [&bytes[..], text.as_bytes()] {
                let parsed = Captions::parse(input);
                prop_assert!(parsed.cues.iter().all(|cue| cue.start <= cue.end && !cue.text.is_empty()));
                for cue in &parsed.cues {
                    let shown = parsed.at(cue.start);
                    prop_assert!(cue.start == cue.end || shown.is_some_and(|shown| shown.contains(&cue.text)));
                }
            }
        }

        #[test]
        fn what_is_written_is_read(cues in proptest::collection::vec((0i64..400_000_000, 0i64..100_000, "[a-zé][a-z é]{0,20}[a-z]"), 0..20), comma: bool) {
            let stamp = |ms: i64| format!("{:02}:{:02}:{:02}{}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, if comma { ',' } else { '.' }, ms % 1000);
            let mut text = String::from(if comma { "" } else { "WEBVTT\n\n" });
            for (n, (start, length, words)) in cues.iter().enumerate() {
                text += &format!("{}\n{} --> {}\n{words}\n\n", n + 1, stamp(*start), stamp(start + length));
            }
            let mut want: Vec<Cue> = cues.iter().map(|(start, length, words)| cue(*start, start + length, words)).collect();
            want.sort_by_key(|cue| cue.start);
            prop_assert_eq!(good(&text), want);
        }
    }
}
