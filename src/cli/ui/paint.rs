//! Colours by meaning, so that one thing has one colour everywhere.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

/// Styles text, or leaves it plain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paint {
    /// False leaves all text as it is.
    pub on: bool,
}

/// Text in a style; prints without a single escape where painting is off.
pub struct Painted<T> {
    text: T,
    style: Option<Style>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.style {
            Some(style) => write!(f, "{}{}{}", style.render(), self.text, style.render_reset()),
            None => self.text.fmt(f),
        }
    }
}

macro_rules! meanings {
    ($($(#[$doc:meta])* $name:ident = $style:expr;)*) => {
        impl Paint {$(
            $(#[$doc])*
            pub fn $name<T: Display>(&self, text: T) -> Painted<T> {
                Painted { text, style: self.on.then_some($style) }
            }
        )*}
    };
}

const fn colour(c: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(c)))
}

meanings! {
    /// A commit or operation id.
    id = colour(AnsiColor::Yellow);
    /// A branch.
    branch = colour(AnsiColor::Green);
    /// The branch that is checked out, and HEAD.
    current = colour(AnsiColor::Cyan).bold();
    /// A tag.
    tag = colour(AnsiColor::Yellow).bold();
    /// A heading.
    heading = Style::new().bold();
    /// What matters less: nulls, types, borders.
    dim = Style::new().dimmed();
    /// Something new.
    added = colour(AnsiColor::Green);
    /// Something gone.
    removed = colour(AnsiColor::Red);
    /// Something that is other than it was.
    changed = colour(AnsiColor::Yellow);
    /// The word `error:`.
    error = colour(AnsiColor::Red).bold();
    /// The word `warning:`.
    warn = colour(AnsiColor::Yellow).bold();
    /// The word `hint:`.
    hint = colour(AnsiColor::Cyan);
    /// The bars of a histogram.
    bar = colour(AnsiColor::Blue);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_adds_nothing() {
        assert_eq!(Paint { on: false }.id("abc").to_string(), "abc");
        assert_eq!(Paint { on: true }.heading("abc").to_string(), "\u{1b}[1mabc\u{1b}[0m");
    }
}
