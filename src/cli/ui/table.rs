//! Tables drawn in the terminal, and as Markdown. Widths are those on the screen, not counts of characters.

use std::io::{self, Write};
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::Ui;
use super::cell::{Cell, Tone};
use super::paint::Paint;

/// A column's heading.
#[derive(Debug, Clone)]
pub struct Heading {
    /// One line.
    pub name: String,
    /// Cells stand at the right edge.
    pub right: bool,
}

impl Heading {
    /// A column of text.
    pub fn left(name: impl Into<String>) -> Heading {
        Heading { name: name.into(), right: false }
    }

    /// A column of numbers.
    pub fn right(name: impl Into<String>) -> Heading {
        Heading { name: name.into(), right: true }
    }
}

/// The columns of a terminal that a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` cut to `max` columns, the last of them `…` where something is missing.
pub fn cut(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide + 1 > max {
            break;
        }
        used += wide;
        out.push(c);
    }
    if max > 0 {
        out.push('…');
    }
    out
}

/// The least that a column is cut to before whole columns are left out.
const COLUMN_MIN: usize = 6;
const BETWEEN: usize = 3;

/// Which columns are drawn, and how wide.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// Index and width, from the left; `None` where columns were left out.
    columns: Vec<Option<(usize, usize)>>,
    left_out: usize,
}

/// Fits columns that would like `wanted` into `total`: the widest give first; where even the least is too much, columns in the middle are left out.
fn fit(wanted: &[usize], total: Option<usize>) -> Layout {
    let all = |widths: &[usize]| Layout { columns: widths.iter().copied().enumerate().map(Some).collect(), left_out: 0 };
    let Some(total) = total else { return all(wanted) };
    let mut kept: Vec<usize> = (0..wanted.len()).collect();
    let needs = |kept: &[usize]| {
        let gap = usize::from(kept.len() < wanted.len()) * (1 + BETWEEN);
        kept.iter().filter_map(|&i| wanted.get(i)).map(|w| w.min(&COLUMN_MIN) + BETWEEN).sum::<usize>() + gap
    };
    while kept.len() > 1 && needs(&kept) > total {
        // Of an even number the right one of the middle goes, so that the first columns, usually keys, stay.
        kept.remove(kept.len() / 2);
    }
    let left_out = wanted.len() - kept.len();
    let available = total.saturating_sub(kept.len() * BETWEEN + usize::from(left_out > 0) * (1 + BETWEEN));
    // The largest limit on every width with which all fit.
    let size = |limit: usize| kept.iter().filter_map(|&i| wanted.get(i)).map(|w| *w.min(&limit)).sum::<usize>();
    let mut limit = wanted.iter().copied().max().unwrap_or(0);
    if size(limit) > available {
        let (mut low, mut high) = (0, limit);
        while low + 1 < high {
            let middle = (low + high) / 2;
            if size(middle) <= available { low = middle } else { high = middle }
        }
        limit = low.max(1);
    }
    // What the limit leaves over goes to the columns it cut, one column each.
    let mut spare = available.saturating_sub(size(limit));
    let mut columns: Vec<Option<(usize, usize)>> = Vec::with_capacity(kept.len() + 1);
    let mut last = None;
    for &i in &kept {
        if last.is_some_and(|last: usize| last + 1 != i) {
            columns.push(None);
        }
        last = Some(i);
        let want = wanted.get(i).copied().unwrap_or(0);
        let extra = usize::from(want > limit && spare > 0);
        spare -= extra;
        columns.push(Some((i, want.min(limit + extra))));
    }
    Layout { columns, left_out }
}

/// Draws rows as they come, with widths taken from the first ones.
pub struct Drawing<'a> {
    out: &'a mut dyn Write,
    paint: Paint,
    headings: Vec<Heading>,
    layout: Layout,
    cut: bool,
}

impl<'a> Drawing<'a> {
    /// Draws the headings. `first` are rows to measure; they are not drawn. `total` is the width of the terminal; without it nothing is cut.
    pub fn begin(out: &'a mut dyn Write, paint: Paint, total: Option<usize>, headings: Vec<Heading>, first: &[Vec<Cell>]) -> io::Result<Drawing<'a>> {
        let mut wanted: Vec<usize> = headings.iter().map(|h| width(&h.name)).collect();
        for row in first {
            for (want, cell) in wanted.iter_mut().zip(row) {
                *want = (*want).max(width(&cell.text));
            }
        }
        let layout = fit(&wanted, total);
        let mut drawing = Drawing { out, paint, headings, layout, cut: total.is_some() };
        let names: Vec<Cell> = drawing.headings.iter().map(|h| Cell::plain(&h.name)).collect();
        drawing.line(&names, true)?;
        let rule: Vec<String> = drawing.layout.columns.iter().map(|c| "─".repeat(c.map_or(1, |(_, w)| w) + 2)).collect();
        let rule = rule.join("┼");
        writeln!(drawing.out, "{}", drawing.paint.dim(rule))?;
        Ok(drawing)
    }

    /// Draws one row.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.line(cells, false)
    }

    /// How many columns had no room.
    pub fn columns_left_out(&self) -> usize {
        self.layout.left_out
    }

    fn line(&mut self, cells: &[Cell], heading: bool) -> io::Result<()> {
        let last = self.layout.columns.len().saturating_sub(1);
        for (at, column) in self.layout.columns.iter().enumerate() {
            if at > 0 {
                write!(self.out, "{}", self.paint.dim("│"))?;
            }
            let Some((index, wide)) = *column else {
                write!(self.out, " {} ", self.paint.dim("…"))?;
                continue;
            };
            let Some(cell) = cells.get(index) else { continue };
            let text = if self.cut { cut(&cell.text, wide) } else { cell.text.clone() };
            let pad = " ".repeat(wide.saturating_sub(width(&text)));
            let right = self.headings.get(index).is_some_and(|h| h.right);
            let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let after = if at == last { "" } else { after };
            if at == last && text.is_empty() {
                continue;
            }
            write!(self.out, " {before}")?;
            if heading {
                write!(self.out, "{}", self.paint.heading(text))?;
            } else {
                let shared = text.bytes().zip(cell.text.bytes()).take_while(|(a, b)| a == b).count();
                let mut at = 0;
                for (range, tone) in &cell.marks {
                    // Of a text that was cut, what is left of the mark.
                    let (from, to) = (range.start.min(shared), range.end.min(shared));
                    part(self.out, self.paint, &text, at..from, cell.tone)?;
                    part(self.out, self.paint, &text, from..to, *tone)?;
                    at = to;
                }
                part(self.out, self.paint, &text, at..text.len(), cell.tone)?;
            }
            write!(self.out, "{after}{}", if at == last { "" } else { " " })?;
        }
        writeln!(self.out)
    }
}

fn part(out: &mut dyn Write, paint: Paint, text: &str, range: Range<usize>, tone: Tone) -> io::Result<()> {
    let Some(text) = text.get(range).filter(|text| !text.is_empty()) else { return Ok(()) };
    match tone {
        Tone::Plain => write!(out, "{text}"),
        Tone::Dim => write!(out, "{}", paint.dim(text)),
        Tone::Added => write!(out, "{}", paint.added(text)),
        Tone::Removed => write!(out, "{}", paint.removed(text)),
    }
}

/// Draws a table whose rows are all at hand.
pub fn draw(ui: &Ui, out: &mut dyn Write, headings: Vec<Heading>, rows: &[Vec<Cell>]) -> io::Result<()> {
    let mut drawing = Drawing::begin(out, ui.paint, ui.width, headings, rows)?;
    rows.iter().try_for_each(|row| drawing.row(row))
}

/// One line of a Markdown table.
pub fn markdown_row(out: &mut dyn Write, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
    write!(out, "|")?;
    for cell in cells {
        write!(out, " {} |", cell.replace('\\', "\\\\").replace('|', "\\|"))?;
    }
    writeln!(out)
}

/// The heading of a Markdown table.
pub fn markdown_heading(out: &mut dyn Write, headings: &[Heading]) -> io::Result<()> {
    markdown_row(out, headings.iter().map(|h| h.name.clone()))?;
    let marks: String = headings.iter().map(|h| if h.right { " ---: |" } else { " --- |" }).collect();
    writeln!(out, "|{marks}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(total: Option<usize>, names: &[&str], rows: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let rows: Vec<Vec<Cell>> = rows.iter().map(|r| r.iter().map(Cell::plain).collect()).collect();
        let headings = names.iter().enumerate().map(|(i, n)| if i == 0 { Heading::right(*n) } else { Heading::left(*n) }).collect();
        let mut drawing = Drawing::begin(&mut out, Paint { on: false }, total, headings, &rows).unwrap();
        rows.iter().for_each(|row| drawing.row(row).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn aligned_by_width_on_screen() {
        let drawn = text(None, &["id", "name", "x"], &[&["1", "日本", "a"], &["22", "abc", "b"]]);
        assert_eq!(drawn, " id │ name │ x\n────┼──────┼───\n  1 │ 日本 │ a\n 22 │ abc  │ b\n");
    }

    #[test]
    fn a_terminal_is_never_overrun() {
        let long = "x".repeat(500);
        for total in [20, 21, 40, 80, 200] {
            for columns in 1..30 {
                let names: Vec<String> = (0..columns).map(|i| format!("column{i}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let row: Vec<&str> = (0..columns).map(|i| if i % 3 == 0 { long.as_str() } else { "日本語" }).collect();
                for line in text(Some(total), &names, &[&row]).lines() {
                    assert!(width(line) <= total, "{total} columns, {columns} in the table: {} wide", width(line));
                }
            }
        }
    }

    #[test]
    fn the_widest_give_first_and_nothing_is_wasted() {
        assert_eq!(fit(&[2, 100, 5], Some(40)).columns, [Some((0, 2)), Some((1, 24)), Some((2, 5))]);
        assert_eq!(fit(&[50, 50, 3], Some(34)).columns, [Some((0, 11)), Some((1, 11)), Some((2, 3))]);
        assert_eq!(fit(&[9; 9], Some(30)).left_out, 7);
    }

    #[test]
    fn cuts_whole_characters() {
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn parts_of_a_cell_are_coloured_as_far_as_they_are_shown() {
        let mut cell = Cell::plain("a ");
        cell.push("日本", Tone::Added);
        cell.push(" and more", Tone::Plain);
        let drawn = |width: usize| {
            let mut out = Vec::new();
            let mut drawing = Drawing::begin(&mut out, Paint { on: true }, Some(width), vec![Heading::left("x")], &[vec![cell.clone()]]).unwrap();
            drawing.row(std::slice::from_ref(&cell)).unwrap();
            String::from_utf8(out).unwrap().lines().last().unwrap().to_owned()
        };
        assert_eq!(drawn(40), " a \u{1b}[32m日本\u{1b}[0m and more");
        assert_eq!(drawn(8), " a \u{1b}[32m日\u{1b}[0m…");
        assert_eq!(drawn(5), " a…");
    }

    #[test]
    fn markdown_escapes_bars() {
        let mut out = Vec::new();
        markdown_heading(&mut out, &[Heading::right("a"), Heading::left("b")]).unwrap();
        markdown_row(&mut out, ["1".to_owned(), "x|y".to_owned()]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "| a | b |\n| ---: | --- |\n| 1 | x\\|y |\n");
    }
}
