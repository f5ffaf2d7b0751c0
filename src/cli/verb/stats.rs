//! `dsv stats`.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::base::progress::Unit;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::look::Look;
use crate::cli::ui::histogram::{bar, spark};
use crate::cli::ui::table::{cut, width};
use crate::cli::ui::{Ui, format};
use crate::repo::profile::{ColumnProfile, Measure, Profiler};

/// Show a table's profile: types, nulls, distinct values, ranges, histograms
///
/// With --json, a line for each column: {"column", "type", "rows", "nulls", "nans", "distinct", "distinct_exact", "min", "max", "measure",
/// "mean", "deviation", "histogram": [{"low", "high", "count"}], "top": [{"value", "count"}]}. `measure` says what mean and histogram are of: the value, a
/// text's characters, the bytes of a file, the items of a list or the norm of a vector.
///
/// Examples:
///
///   dsv stats birds
///   dsv stats birds weight label
///   dsv stats birds --at v1.0 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Stats {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// Only these columns
    #[arg(value_name = "COLUMN")]
    columns: Vec<String>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl Stats {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let look = Look { table: self.table, at, columns: self.columns };
        let found = look.find(&repo)?;
        let rows = found.rows()?;
        let progress = context.ui.progress();
        progress.start("reading", Some(rows), Unit::Rows);
        let mut profiler = Profiler::new(&found.table.schema.arrow(&found.indices)).map_err(arrow)?;
        for batch in found.scan().open()? {
            let batch = batch?;
            profiler.add(&batch).map_err(arrow)?;
            progress.advance(batch.num_rows() as u64);
            if progress.interrupted() {
                return Err(CliError::interrupted());
            }
        }
        progress.finish();
        let columns = profiler.finish().map_err(arrow)?;
        let mut out = context.ui.page();
        if context.ui.json {
            columns.iter().try_for_each(|column| writeln!(out, "{}", json(column)))?;
            return Ok(out.finish()?);
        }
        let ui = &context.ui;
        writeln!(
            out,
            "{}: {}, {}",
            ui.paint.heading(format::one_line(&look.table)),
            format::plural(rows, "row"),
            format::plural(columns.len() as u64, "column")
        )?;
        for column in &columns {
            writeln!(out)?;
            draw(ui, &mut out, column)?;
        }
        Ok(out.finish()?)
    }
}

fn arrow(e: arrow::error::ArrowError) -> CliError {
    CliError::fault(e.to_string())
}

fn measure_name(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::Value => Some("value"),
        Measure::Characters => Some("characters"),
        Measure::Bytes => Some("bytes"),
        Measure::Items => Some("items"),
        Measure::Norm => Some("norm"),
        Measure::None => None,
    }
}

fn json(column: &ColumnProfile) -> Value {
    let (min, max) = column.range.clone().unzip();
    let bins: Vec<Value> = column.histogram.iter().map(|b| json!({"low": b.low, "high": b.high, "count": b.count})).collect();
    let top: Vec<Value> = column.top.iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
    json!({
        "column": column.name, "type": column.ty.as_ref().map(|t| t.to_string()), "rows": column.rows, "nulls": column.nulls, "nans": column.nans,
        "distinct": column.distinct, "distinct_exact": column.distinct_exact, "min": min, "max": max, "measure": measure_name(column.measure),
        "mean": column.mean, "deviation": column.deviation, "histogram": bins, "top": top,
    })
}

/// Characters of a smallest or largest value that are shown.
const SHOWN_MAX: usize = 40;
const BAR_WIDTH: usize = 24;

fn draw(ui: &Ui, out: &mut dyn Write, column: &ColumnProfile) -> io::Result<()> {
    let paint = ui.paint;
    let ty = column.ty.as_ref().map(|t| t.to_string()).unwrap_or_default();
    writeln!(out, "{} {}", paint.heading(format::one_line(&column.name)), paint.dim(ty))?;
    let mut facts = Vec::new();
    if column.nulls > 0 {
        facts.push(format!("{} ({})", format::plural(column.nulls, "null"), percent(column.nulls, column.rows)));
    }
    if column.nans > 0 {
        facts.push(format!("{} NaN", format::count(column.nans)));
    }
    let about = if column.distinct_exact { "" } else { "about " };
    facts.push(format!("{about}{} distinct", format::count(column.distinct)));
    let shown = |text: &str| cut(&format::one_line(text), SHOWN_MAX);
    if let Some((low, high)) = &column.range {
        facts.push(format!("{} to {}", shown(low), shown(high)));
    }
    writeln!(out, "  {}", facts.join(", "))?;
    if let (Some(mean), Some(deviation)) = (column.mean, column.deviation) {
        let (mean, deviation, of) = match column.measure {
            Measure::Bytes => (format::bytes(mean.round() as u64), format::bytes(deviation.round() as u64), ""),
            Measure::Characters => (format::brief(mean), format::brief(deviation), " characters"),
            Measure::Items => (format::brief(mean), format::brief(deviation), " items"),
            Measure::Norm => (format::brief(mean), format::brief(deviation), " norm"),
            Measure::Value | Measure::None => (format::brief(mean), format::brief(deviation), ""),
        };
        writeln!(out, "  mean {mean}{of}, deviation {deviation}")?;
    }
    if let [first, _, .., last] | [first, last] = column.histogram.as_slice() {
        let counts: Vec<u64> = column.histogram.iter().map(|b| b.count).collect();
        writeln!(out, "  {} {} {}", edge(column, first.low), paint.bar(spark(&counts)), edge(column, last.high))?;
    }
    let most = column.top.first().map_or(0, |(_, n)| *n);
    let texts: Vec<String> = column.top.iter().map(|(value, _)| if value.is_empty() { "(empty)".to_owned() } else { shown(value) }).collect();
    let wide = texts.iter().map(|t| width(t)).max().unwrap_or(0);
    for (text, (_, n)) in texts.iter().zip(&column.top) {
        let pad = " ".repeat(wide - width(text));
        let (drawn, part) = (bar(*n, most, BAR_WIDTH), percent(*n, column.rows));
        writeln!(out, "  {text}{pad} {}{} {} ({part})", paint.bar(&drawn), " ".repeat(BAR_WIDTH.saturating_sub(width(&drawn))), format::count(*n))?;
    }
    Ok(())
}

/// The bound of a histogram, in the unit of its measure; moments have their range above.
fn edge(column: &ColumnProfile, x: f64) -> String {
    match column.measure {
        Measure::Bytes => format::bytes(x.max(0.0) as u64),
        Measure::Value if column.mean.is_none() => String::new(),
        _ => format::brief(x),
    }
}

fn percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    if part > 0 && share < 0.1 { "<0.1%".to_owned() } else { format!("{}%", format::brief((share * 10.0).round() / 10.0)) }
}
