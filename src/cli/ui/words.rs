//! Two versions of a text with the words that differ marked.

use imara_diff::{Algorithm, Diff, InternedInput};

use super::format::one_line;
use super::paint::Paint;

/// A stretch of text, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// In both versions.
    Same(&'a str),
    /// In the older alone.
    Removed(&'a str),
    /// In the newer alone.
    Added(&'a str),
}

/// Longer texts are not compared word by word.
const TEXT_MAX: usize = 1 << 20;

/// Cuts text into words, runs of spaces, and single other characters.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            1
        } else if c.is_whitespace() {
            2
        } else {
            0
        }
    };
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        let this = kind(c);
        if last.is_some_and(|last| last != this || this == 0) {
            out.extend(text.get(start..at));
            start = at;
        }
        last = Some(this);
    }
    out.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    out
}

/// The stretches of two texts in order; where next to nothing is alike, the one whole and the other whole.
pub fn words<'a>(before: &'a str, after: &'a str) -> Vec<Word<'a>> {
    let whole = || [Word::Removed(before), Word::Added(after)].into_iter().filter(|w| !w.text().is_empty()).collect();
    if before.len() > TEXT_MAX || after.len() > TEXT_MAX {
        return whole();
    }
    let (old, new) = (tokens(before), tokens(after));
    let mut input: InternedInput<&str> = InternedInput::default();
    input.update_before(old.iter().copied());
    input.update_after(new.iter().copied());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    // Places of the tokens in the texts, the ends included.
    let places = |tokens: &[&str]| {
        let mut at = 0;
        std::iter::once(0)
            .chain(tokens.iter().map(|t| {
                at += t.len();
                at
            }))
            .collect::<Vec<usize>>()
    };
    let (old_at, new_at) = (places(&old), places(&new));
    let cut = |text: &'a str, at: &[usize], from: u32, to: u32| {
        let place = |i: u32| at.get(i as usize).copied().unwrap_or(text.len());
        text.get(place(from)..place(to)).unwrap_or("")
    };
    let mut out = Vec::new();
    let mut same = 0;
    let mut done = 0;
    for hunk in diff.hunks() {
        let between = cut(after, &new_at, done, hunk.after.start);
        same += between.split_whitespace().map(str::len).sum::<usize>();
        out.push(Word::Same(between));
        out.push(Word::Removed(cut(before, &old_at, hunk.before.start, hunk.before.end)));
        out.push(Word::Added(cut(after, &new_at, hunk.after.start, hunk.after.end)));
        done = hunk.after.end;
    }
    let rest = cut(after, &new_at, done, u32::MAX);
    same += rest.split_whitespace().map(str::len).sum::<usize>();
    out.push(Word::Same(rest));
    out.retain(|word| !word.text().is_empty());
    if same * 5 < before.len().max(after.len()) { whole() } else { out }
}

impl<'a> Word<'a> {
    /// The text itself.
    pub fn text(&self) -> &'a str {
        match self {
            Word::Same(text) | Word::Removed(text) | Word::Added(text) => text,
        }
    }
}

/// Characters of unchanged text that are kept on each side of what changed.
const CONTEXT: usize = 40;

/// A stretch that both texts have, cut in its middle where it is long; `first` and `last` say that nothing stands before and behind it.
pub fn shorten(text: &str, first: bool, last: bool) -> String {
    shorten_to(text, first, last, CONTEXT)
}

fn shorten_to(text: &str, first: bool, last: bool, context: usize) -> String {
    if first && last {
        return text.to_owned();
    }
    let n = text.chars().count();
    let (head, tail) = (if first { 0 } else { context }, if last { 0 } else { context });
    if n <= head + tail + 3 {
        return text.to_owned();
    }
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(n - tail).collect();
    format!("{head}…{tail}")
}

/// The words, each on one line, with `context` characters of long stretches that both have kept beside what changed.
pub fn one_line_words<'a>(words: &[Word<'a>], context: usize) -> Vec<(Word<'a>, String)> {
    let last = words.len().saturating_sub(1);
    let part = |(i, word): (usize, &Word<'a>)| match word {
        Word::Same(text) => (*word, one_line(&shorten_to(text, i == 0, i == last, context))),
        Word::Removed(text) | Word::Added(text) => (*word, one_line(text)),
    };
    words.iter().enumerate().map(part).collect()
}

/// One line with the words marked: by colour, or without it as `[-old-]{+new+}`. Long stretches that both have are cut.
pub fn marked(before: &str, after: &str, paint: Paint) -> String {
    let words = words(before, after);
    let part = |(word, text): (Word<'_>, String)| match word {
        Word::Same(_) => text,
        Word::Removed(_) if paint.on => paint.removed(text).to_string(),
        Word::Added(_) if paint.on => paint.added(text).to_string(),
        Word::Removed(_) => format!("[-{text}-]"),
        Word::Added(_) => format!("{{+{text}+}}"),
    };
    one_line_words(&words, CONTEXT).into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn changed_words_are_marked() {
        let plain = Paint { on: false };
        assert_eq!(marked("a red circle, small", "a red square, small", plain), "a red [-circle-]{+square+}, small");
        assert_eq!(marked("", "new", plain), "{+new+}");
        assert_eq!(marked("entirely other", "nothing alike here", plain), "[-entirely other-]{+nothing alike here+}");
        assert_eq!(marked("a\nb c", "a\nb d", plain), "a↵b [-c-]{+d+}");
        assert_eq!(marked("the cat sat", "the cat sat", Paint { on: true }), "the cat sat");
        assert_eq!(marked("the old cat sat", "the new cat sat", Paint { on: true }), "the \u{1b}[31mold\u{1b}[0m\u{1b}[32mnew\u{1b}[0m cat sat");
        let long = "word ".repeat(100);
        let cut = marked(&format!("{long}x {long}y {long}"), &format!("{long}z {long}w {long}"), plain);
        assert_eq!(cut, format!("…{0}[-x-]{{+z+}} {1}…{0}[-y-]{{+w+}} {1}…", "word ".repeat(8), &"word ".repeat(8)[..39]));
    }

    proptest! {
        #[test]
        fn either_text_can_be_read_from_the_words(before in "[ab ,日\n]{0,30}", after in "[ab ,日\n]{0,30}") {
            let words = words(&before, &after);
            let without = |gone: fn(&Word<'_>) -> bool| words.iter().filter(|w| !gone(w)).map(Word::text).collect::<String>();
            prop_assert_eq!(&without(|w| matches!(w, Word::Added(_))), &before);
            prop_assert_eq!(&without(|w| matches!(w, Word::Removed(_))), &after);
        }
    }
}
