//! The grammar of revisions: text to syntax, by Git's rules. Knows no repository; [`super::resolve`] finds what is meant.

use std::fmt;
use std::str::FromStr;

/// What a person types to name a commit, parsed and not yet looked up: `main~2`, `v1.0^2`, `@{yesterday}`, `3fa9c1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Where the way starts.
    pub base: Base,
    /// The steps from there, in order.
    pub steps: Vec<Step>,
}

/// Where a revision starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// What is checked out: `HEAD` or `@`.
    Head,
    /// A branch, a tag, or the first digits of a commit id.
    Name(String),
    /// An earlier value of a branch (`main@{2}`), of `HEAD`, or of the current branch (`@{2}`).
    Earlier(Line, When),
    /// The branch that was current so many switches ago: `@{-1}`.
    Previous(u32),
    /// The newest commit with this text in its message: `:/text`.
    Message(String),
}

/// Whose earlier values are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `HEAD`'s, across switches.
    Head,
    /// The current branch's.
    Current,
    /// A branch's, or a tag's, by name.
    Named(String),
}

/// Which earlier value is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// So many changes ago; 0 is the present value.
    Changes(u32),
    /// The value at a time, as [`super::time::parse`] reads it.
    Time(String),
}

/// One step from a commit to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `~N`: N times the first parent.
    Ancestor(u32),
    /// `^N`: the N-th parent, counted from 1; 0 is the commit itself.
    Parent(u32),
    /// `^{/text}`: the newest commit from here back with this text in its message.
    Message(String),
}

/// One argument that names a set of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// `A`: a commit and all its ancestors.
    From(Revision),
    /// `^A`: not A and its ancestors.
    Not(Revision),
    /// `A..B`: what B has and A has not.
    Span(Revision, Revision),
    /// `A...B`: what one of the two has and the other has not.
    Apart(Revision, Revision),
    /// `A^!`: the commit alone.
    Only(Revision),
}

/// Text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a revision: {reason}")]
pub struct BadRevision {
    /// The text.
    pub text: String,
    /// The rule it breaks.
    pub reason: String,
}

impl Revision {
    /// `HEAD`.
    pub const HEAD: Revision = Revision { base: Base::Head, steps: Vec::new() };
}

impl FromStr for Revision {
    type Err = BadRevision;

    fn from_str(text: &str) -> Result<Revision, BadRevision> {
        let fail = |reason: &str| BadRevision { text: text.to_owned(), reason: reason.to_owned() };
        if let Some(wanted) = text.strip_prefix(":/") {
            return if wanted.is_empty() { Err(fail("':/' is followed by the text to look for")) } else { Ok(Base::Message(wanted.to_owned()).into()) };
        }
        let end = text.find("@{").into_iter().chain(text.find(['~', '^'])).min().unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let mut base = match name {
            "" if rest.starts_with("@{") => None,
            "" => return Err(fail("a name or a commit id is missing")),
            "@" | "HEAD" => Some(Base::Head),
            // What no branch, tag or id can be called; remotes' names (`origin/main`) are plain names.
            _ if name.contains(|c: char| c.is_ascii_control() || " :?*[\\".contains(c)) || name.contains("..") || name.starts_with('-') => {
                return Err(fail("no branch, tag or commit id is written like that"));
            }
            _ => Some(Base::Name(name.to_owned())),
        };
        if let Some(inside) = rest.strip_prefix("@{") {
            let (inside, after) = inside.split_once('}').ok_or_else(|| fail("'@{' is not closed by '}'"))?;
            base = Some(earlier(base, inside).map_err(|reason| fail(&reason))?);
            rest = after;
            if rest.starts_with("@{") {
                return Err(fail("'@{...}' stands once, straight after the name"));
            }
        }
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).map_err(|reason| fail(&reason))?;
            steps.extend(step);
            rest = after;
        }
        // `base` is there: it is missing only before "@{", which sets it.
        base.map(|base| Revision { base, steps }).ok_or_else(|| fail("a name or a commit id is missing"))
    }
}

fn earlier(base: Option<Base>, inside: &str) -> Result<Base, String> {
    let line = match base {
        None => Line::Current,
        Some(Base::Name(name)) => Line::Named(name),
        Some(_) => Line::Head,
    };
    if inside.is_empty() {
        return Err("'@{}' is empty".into());
    }
    if ["u", "upstream", "push"].contains(&inside.to_ascii_lowercase().as_str()) {
        return Err("no branch has an upstream yet".into());
    }
    if let Some(switches) = inside.strip_prefix('-').and_then(|n| n.parse().ok()) {
        return match (line, switches) {
            (_, 0) => Err("'@{-0}' means nothing: counting starts at '@{-1}'".into()),
            (Line::Current, n) => Ok(Base::Previous(n)),
            _ => Err("'@{-N}' stands without a name before it".into()),
        };
    }
    // Like Git, a number this large is a time in seconds since 1970.
    let changes = inside.parse().ok().filter(|n| *n < 100_000_000);
    Ok(Base::Earlier(line, changes.map_or_else(|| When::Time(inside.to_owned()), When::Changes)))
}

/// The step at the front of `rest` (`None` where it leads nowhere, as `^{}`), and what follows it.
fn step(rest: &str) -> Result<(Option<Step>, &str), String> {
    let number = |digits: &str| if digits.is_empty() { Ok(1) } else { digits.parse::<u32>().map_err(|_| format!("{digits} is too large")) };
    if let Some(rest) = rest.strip_prefix('~') {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        return Ok((Some(Step::Ancestor(number(digits)?)), after));
    }
    if let Some(inside) = rest.strip_prefix("^{") {
        let (inside, after) = inside.split_once('}').ok_or("'^{' is not closed by '}'")?;
        return match inside {
            "" | "commit" => Ok((None, after)),
            _ => match inside.strip_prefix('/') {
                Some(text) if !text.is_empty() => Ok((Some(Step::Message(text.to_owned())), after)),
                _ => Err(format!("'^{{{inside}}}' means nothing here")),
            },
        };
    }
    if let Some(rest) = rest.strip_prefix('^') {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        return Ok((Some(Step::Parent(number(digits)?)), after));
    }
    Err(format!("'{rest}' is not '~N', '^N' or '^{{/text}}'"))
}

impl From<Base> for Revision {
    fn from(base: Base) -> Self {
        Revision { base, steps: Vec::new() }
    }
}

impl FromStr for Range {
    type Err = BadRevision;

    fn from_str(text: &str) -> Result<Range, BadRevision> {
        // A side that is left out is HEAD.
        let side = |text: &str| if text.is_empty() { Ok(Revision::HEAD) } else { text.parse::<Revision>() };
        if text.starts_with(":/") {
            return text.parse().map(Range::From);
        }
        if let Some((from, to, apart)) = split_dots(text) {
            let (from, to) = (side(from)?, side(to)?);
            return Ok(if apart { Range::Apart(from, to) } else { Range::Span(from, to) });
        }
        if let Some(text) = text.strip_prefix('^') {
            return text.parse().map(Range::Not);
        }
        if let Some(text) = text.strip_suffix("^!") {
            return text.parse().map(Range::Only);
        }
        text.parse().map(Range::From)
    }
}

/// Splits at the first `..` or `...` that stands in no braces; true for three dots.
fn split_dots(text: &str) -> Option<(&str, &str, bool)> {
    let mut braces = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            '.' if braces == 0 => {
                let (left, right) = text.split_at(i);
                if let Some(right) = right.strip_prefix("...") {
                    return Some((left, right, true));
                }
                if let Some(right) = right.strip_prefix("..") {
                    return Some((left, right, false));
                }
            }
            _ => {}
        }
    }
    None
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Head => f.write_str("HEAD")?,
            Base::Name(name) => f.write_str(name)?,
            Base::Earlier(line, when) => {
                match line {
                    Line::Head => f.write_str("HEAD")?,
                    Line::Current => {}
                    Line::Named(name) => f.write_str(name)?,
                }
                match when {
                    When::Changes(n) => write!(f, "@{{{n}}}")?,
                    When::Time(text) => write!(f, "@{{{text}}}")?,
                }
            }
            Base::Previous(n) => write!(f, "@{{-{n}}}")?,
            Base::Message(text) => write!(f, ":/{text}")?,
        }
        for step in &self.steps {
            match step {
                Step::Ancestor(1) => f.write_str("~")?,
                Step::Ancestor(n) => write!(f, "~{n}")?,
                Step::Parent(1) => f.write_str("^")?,
                Step::Parent(n) => write!(f, "^{n}")?,
                Step::Message(text) => write!(f, "^{{/{text}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Base {
        Base::Name(text.into())
    }

    #[test]
    fn forms() {
        use Step::{Ancestor, Message, Parent};
        let cases = [
            ("HEAD", Base::Head, vec![]),
            ("@", Base::Head, vec![]),
            ("@~3", Base::Head, vec![Ancestor(3)]),
            ("main~", name("main"), vec![Ancestor(1)]),
            ("main~0", name("main"), vec![Ancestor(0)]),
            ("main^2~3^", name("main"), vec![Parent(2), Ancestor(3), Parent(1)]),
            ("main^^", name("main"), vec![Parent(1), Parent(1)]),
            ("v1.0^{}", name("v1.0"), vec![]),
            ("v1.0^{commit}^", name("v1.0"), vec![Parent(1)]),
            ("origin/main", name("origin/main"), vec![]),
            ("a@b", name("a@b"), vec![]),
            ("x{y}~1", name("x{y}"), vec![Ancestor(1)]),
            ("main@{2}~1", Base::Earlier(Line::Named("main".into()), When::Changes(2)), vec![Ancestor(1)]),
            ("@{0}", Base::Earlier(Line::Current, When::Changes(0)), vec![]),
            ("HEAD@{1}", Base::Earlier(Line::Head, When::Changes(1)), vec![]),
            ("main@{2 hours ago}", Base::Earlier(Line::Named("main".into()), When::Time("2 hours ago".into())), vec![]),
            ("main@{1700000000}", Base::Earlier(Line::Named("main".into()), When::Time("1700000000".into())), vec![]),
            ("@{-1}", Base::Previous(1), vec![]),
            (":/fix the ~labels", Base::Message("fix the ~labels".into()), vec![]),
            ("main^{/fix ~1}~", name("main"), vec![Message("fix ~1".into()), Ancestor(1)]),
        ];
        for (text, base, steps) in cases {
            assert_eq!(text.parse(), Ok(Revision { base, steps }), "{text}");
        }
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "~1",
            "^",
            "a b",
            "a:b",
            "main@{",
            "main@{}",
            "main@{1}@{2}",
            "main~x",
            "main~99999999999",
            "main^{tree}",
            "main^{/}",
            ":/",
            "@{u}",
            "main@{-1}",
            "@{-0}",
            "-x",
            "a..b",
        ] {
            let error = bad.parse::<Revision>().unwrap_err();
            assert!(error.to_string().contains(bad), "{bad}: {error}");
        }
    }

    #[test]
    fn ranges() {
        let rev = |text: &str| text.parse::<Revision>().unwrap();
        assert_eq!("a..b".parse(), Ok(Range::Span(rev("a"), rev("b"))));
        assert_eq!("v1.0...HEAD~2".parse(), Ok(Range::Apart(rev("v1.0"), rev("HEAD~2"))));
        assert_eq!("..b".parse(), Ok(Range::Span(Revision::HEAD, rev("b"))));
        assert_eq!("a..".parse(), Ok(Range::Span(rev("a"), Revision::HEAD)));
        assert_eq!("^a~2".parse(), Ok(Range::Not(rev("a~2"))));
        assert_eq!("a^!".parse(), Ok(Range::Only(rev("a"))));
        assert_eq!("main@{1..2}..b".parse(), Ok(Range::Span(rev("main@{1..2}"), rev("b"))));
        assert_eq!("a".parse(), Ok(Range::From(rev("a"))));
        assert!("a..b..c".parse::<Range>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in "(main|HEAD|@|v1\\.0|)(@\\{[0-9a-z -]{1,5}\\})?([~^][0-9]{0,3}|\\^\\{/a\\}){0,4}") {
            if let Ok(revision) = text.parse::<Revision>() {
                prop_assert_eq!(revision.to_string().parse(), Ok(revision));
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,24}") {
            let _ = text.parse::<Range>();
        }
    }
}
