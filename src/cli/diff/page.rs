//! Differences as one page of HTML that needs nothing else: for a browser, a review, an attachment.

use std::fmt::Write as _;
use std::io::{Cursor, Write};

use arrow::array::{Array, AsArray, RecordBatch};
use image::ImageReader;
use image::codecs::jpeg::JpegEncoder;

use super::count::Counts;
use super::rows::{Cells, Rows, Side};
use super::{Differing, schema_words};
use crate::cli::error::CliError;
use crate::cli::ui::cell::Printer;
use crate::cli::ui::format;
use crate::cli::ui::words::{Word, shorten, words};
use crate::format::Type;
use crate::repo::files::base64_text;

/// The longer side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 224;
/// Larger pictures are told, not shown: decoding them takes too long.
const PIXELS_MAX: u64 = 64_000_000;
/// Characters of a text that are shown.
const TEXT_MAX: usize = 2000;
const QUALITY: u8 = 80;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d1f23;--dim:#6b7280;--line:#d9dce1;--paper:#fff;--card:#f6f7f9;--add:#d9f2e0;--add-ink:#0b6b2e;--del:#fbe0e0;--del-ink:#a3201d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e7ea;--dim:#9aa1ac;--line:#343840;--paper:#15171a;--card:#1d2024;--add:#123a20;--add-ink:#7ee2a0;--del:#451b1c;--del-ink:#ff9c98}}
*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}h3{font-size:.8rem;margin:1.2rem 0 .4rem;color:var(--dim);font-weight:600;text-transform:uppercase;letter-spacing:.04em}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:.8rem}.side{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem}
.dim,.null{color:var(--dim)}.null{font-style:italic}.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}th,td{padding:.45rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}tr:last-child td{border-bottom:0}th{font-size:.8rem;color:var(--dim);white-space:nowrap}
td{overflow-wrap:anywhere;min-width:4rem}td.key,td.name{white-space:nowrap}td.key{font-weight:600}ins{background:var(--add);color:var(--add-ink);text-decoration:none;border-radius:3px;padding:0 .12em}
del{background:var(--del);color:var(--del-ink);border-radius:3px;padding:0 .12em}figure{margin:0}figcaption{font-size:.75rem;color:var(--dim)}img{max-width:224px;height:auto;display:block;border-radius:4px}ul{margin:.3rem 0;padding-left:1.2rem}
";

/// One version, as the head of the page tells it.
pub struct Version {
    /// What was typed.
    pub name: String,
    /// Its commit and message, or that it is not committed.
    pub about: String,
}

/// A table that differs, what changed in a line, and how much.
pub type Section = (Differing, String, Counts);

/// Writes the page: of each table at most `limit` rows of a kind.
pub fn write(out: &mut dyn Write, before: &Version, after: &Version, others: &[String], sections: Vec<Section>, limit: u64) -> Result<(), CliError> {
    let title = format!("{} → {}", before.name, after.name);
    writeln!(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")?;
    writeln!(out, "<title>{}</title><style>{STYLE}</style></head><body>", escape(&title))?;
    writeln!(out, "<h1>What changed</h1><div class=\"sides\">")?;
    for (what, version) in [("Before", before), ("After", after)] {
        writeln!(out, "<div class=\"side\"><span class=\"dim\">{what}</span><br><b>{}</b><br>{}</div>", escape(&version.name), escape(&version.about))?;
    }
    writeln!(out, "</div>")?;
    if sections.is_empty() && others.is_empty() {
        writeln!(out, "<p>Nothing differs.</p>")?;
    }
    list(out, others)?;
    for section in sections {
        write_section(out, section, limit)?;
    }
    writeln!(out, "</body></html>")?;
    Ok(())
}

fn list(out: &mut dyn Write, lines: &[String]) -> Result<(), CliError> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "<ul>")?;
    lines.iter().try_for_each(|line| writeln!(out, "<li>{}</li>", escape(line)))?;
    Ok(writeln!(out, "</ul>")?)
}

fn write_section(out: &mut dyn Write, (table, summary, counts): Section, limit: u64) -> Result<(), CliError> {
    writeln!(out, "<h2>{}</h2><p class=\"dim\">{}</p>", escape(&table.entry.name), escape(&summary))?;
    list(out, &table.schema.iter().map(schema_words).collect::<Vec<_>>())?;
    // Rows of a kind stand together; they come in the order of the table.
    let (mut changed, mut came, mut went) = (String::new(), Vec::new(), Vec::new());
    let mut shown = 0u64;
    for batch in table.rows.clone().sparse(true).batch_rows(256).open_filtered(table.filter(limit))? {
        let batch = batch?;
        shown += batch.num_rows() as u64;
        rows(&table, &batch, &mut changed, &mut came, &mut went)?;
    }
    if !changed.is_empty() {
        writeln!(
            out,
            "<h3>Changed cells</h3><div class=\"scroll\"><table><tr><th>row</th><th>column</th><th>before</th><th>after</th></tr>{changed}</table></div>"
        )?;
    }
    for (title, lines) in [("Added rows", came), ("Removed rows", went)] {
        if let Some((head, body)) = lines.split_first() {
            writeln!(out, "<h3>{title}</h3><div class=\"scroll\"><table>{head}{}</table></div>", body.concat())?;
        }
    }
    let total = counts.added + counts.removed + counts.changed;
    if total > shown {
        writeln!(out, "<p class=\"dim\">{} more not shown.</p>", format::plural(total - shown, "row"))?;
    }
    Ok(())
}

fn rows(table: &Differing, batch: &RecordBatch, changed: &mut String, came: &mut Vec<String>, went: &mut Vec<String>) -> Result<(), CliError> {
    let read = Rows::new(&table.rows, batch);
    let compared = table.compared();
    for row in 0..read.count() {
        match read.change(row) {
            "added" => whole(&read, Side::After, row, came)?,
            "removed" => whole(&read, Side::Before, row, went)?,
            _ => {
                let named = read.name(row)?;
                for (n, name) in read.columns(row).iter().enumerate() {
                    let label = if n == 0 { named.as_str() } else { "" };
                    let Some(column) = compared.iter().find(|c| c.name == *name) else { continue };
                    let cells = read.cells(Side::Before, column.index.0).zip(read.cells(Side::After, column.index.1));
                    let Some((before, after)) = cells else { continue };
                    let (was, is) = pair(before, after, row)?;
                    let _ =
                        write!(changed, "<tr><td class=\"key\">{}</td><td class=\"name\">{}</td><td>{was}</td><td>{is}</td></tr>", escape(label), escape(name));
                }
            }
        }
    }
    Ok(())
}

/// A row in a table of its own kind, the head first.
fn whole(read: &Rows<'_>, side: Side, row: usize, lines: &mut Vec<String>) -> Result<(), CliError> {
    if lines.is_empty() {
        lines.push(format!("<tr>{}</tr>", read.all(side).map(|(column, _)| format!("<th>{}</th>", escape(&column.name))).collect::<String>()));
    }
    let mut line = String::from("<tr>");
    for (column, cells) in read.all(side) {
        let _ = write!(line, "<td>{}</td>", html((&column.ty, cells), row)?);
    }
    line.push_str("</tr>");
    lines.push(line);
    Ok(())
}

/// A cell before and after: of texts with the words that differ marked.
fn pair(old: Cells<'_>, new: Cells<'_>, row: usize) -> Result<(String, String), CliError> {
    let value = |cell: Cells<'_>| cell.1.as_string_opt::<i32>().filter(|text| text.is_valid(row)).map(|text| text.value(row).to_owned());
    let (Some(before), Some(after)) = (value(old), value(new)) else { return Ok((html(old, row)?, html(new, row)?)) };
    let marked = words(&before, &after);
    let last = marked.len().saturating_sub(1);
    let (mut was, mut is) = (String::new(), String::new());
    for (i, word) in marked.iter().enumerate() {
        match word {
            Word::Same(text) => {
                let text = escape(&shorten(text, i == 0, i == last));
                was.push_str(&text);
                is.push_str(&text);
            }
            Word::Removed(text) => drop(write!(was, "<del>{}</del>", escape(&cut(text)))),
            Word::Added(text) => drop(write!(is, "<ins>{}</ins>", escape(&cut(text)))),
        }
    }
    Ok((was, is))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX { text.to_owned() } else { format!("{}…", text.chars().take(TEXT_MAX).collect::<String>()) }
}

fn text((ty, column): Cells<'_>, row: usize) -> Result<String, CliError> {
    if let Some(text) = column.as_string_opt::<i32>().filter(|text| text.is_valid(row)) {
        return Ok(cut(text.value(row)));
    }
    Ok(Printer::new(&ty.field("", true), column).map_err(|e| CliError::fault(e.to_string()))?.cell(row).text)
}

fn html(cells: Cells<'_>, row: usize) -> Result<String, CliError> {
    let (ty, column) = cells;
    if column.is_null(row) {
        return Ok("<span class=\"null\">null</span>".to_owned());
    }
    let said = escape(&text(cells, row)?);
    if let (Type::Image, Some(bytes)) = (ty, column.as_binary_opt::<i32>())
        && let Some(picture) = thumbnail(bytes.value(row))
    {
        return Ok(format!("<figure><img alt=\"\" src=\"data:image/jpeg;base64,{}\"><figcaption>{said}</figcaption></figure>", base64_text(&picture)));
    }
    Ok(said)
}

/// A small JPEG of a picture; `None` where it does not decode, or is too large.
fn thumbnail(bytes: &[u8]) -> Option<Vec<u8>> {
    let reader = || ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
    let (width, height) = reader()?.into_dimensions().ok()?;
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let picture = reader()?.decode().ok()?;
    let small = if width.max(height) > THUMBNAIL { picture.thumbnail(THUMBNAIL, THUMBNAIL) } else { picture };
    let mut out = Vec::new();
    small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut out, QUALITY)).ok()?;
    Some(out)
}

/// Text that is only text, wherever it stands in a page.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_only_text_in_a_page() {
        assert_eq!(escape("<script>alert('x' & \"y\")</script>"), "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
        assert_eq!(thumbnail(b"no picture"), None);
    }
}
