//! `dsv check`.

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use serde_json::{Map, Value, json};

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::junit::{self, Case, Outcome};
use crate::cli::ui::cell::{Cell, Printer};
use crate::cli::ui::format;
use crate::cli::ui::table::{Heading, draw};
use crate::cli::value;
use crate::format::Type;
use crate::repo::{CheckInfo, NewCheck, Severity, Tested, Violation};

/// Rows of each check shown in a terminal, if nothing else is asked for.
const SHOWN: usize = 10;

/// Keep checks with the data: commits and merges must hold them
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, subcommand_required = true, arg_required_else_help = true)]
pub struct Check {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    Add(Box<Add>),
    Run(Run),
    List(List),
    Drop(Drop),
}

impl Check {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::Add(verb) => verb.run(context),
            Verb::Run(verb) => verb.run(context),
            Verb::List(verb) => verb.run(context),
            Verb::Drop(verb) => verb.run(context),
        }
    }
}

/// Add a check
///
/// A predicate must be true for every row of the table; as in SQL, a row for which it is null passes: say "x IS NOT NULL AND x > 0" where null is wrong. A
/// query must return no rows. --not-null allows no null in these columns. --unique allows no two rows with the same cells in them; a row with a null
/// among them is like no other.
///
/// --range allows what lies between two bounds, of which one may be left out: numbers, dates, times and text. --matches wants a regular expression to be found in each
/// text, anywhere: anchor it with ^ and $. --references wants the cells of each row to be those of a row of another table. --decodes wants whole files: pictures are decoded, of
/// sound and video the structure is looked at, from the header to the end. In all of these null passes.
///
/// --no-near-duplicates allows no two rows that are nearly alike: pictures whose 64-bit difference hashes differ in at most so many bits (4), vectors whose cosine similarity is so
/// high (0.98), texts of whose runs of five characters both have so large a part (0.8). --distribution keeps how a column is distributed at the revision --like, and allows it to go no
/// further from that than --within, of 1: by the Kolmogorov-Smirnov distance of numbers, dates and times, the total variation of texts, labels and booleans.
///
/// The present rows are tested at once. Where some fail, the check is not added, unless with --allow-failing; commits are then refused until no row fails. With --severity warn
/// they are told of, and nothing is refused.
///
/// Examples:
///
///   dsv check add heavy --table birds "weight > 0"
///   dsv check add labelled --table birds --not-null label,weight
///   dsv check add once --table birds --unique name
///   dsv check add known --query "SELECT * FROM birds WHERE label NOT IN (SELECT name FROM labels)"
///   dsv check add sane --table birds --range weight=0..20
///   dsv check add recent --table birds --range seen=2020-01-01.. --severity warn
///   dsv check add coded --table birds --matches "code=^[A-Z]{3}[0-9]+$"
///   dsv check add listed --table birds --references "label=labels(name)"
///   dsv check add whole --table birds --decodes picture
///   dsv check add varied --table birds --no-near-duplicates picture=4
///   dsv check add steady --table birds --distribution weight --like v1.0 --within 0.1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("rule").required(true).args([
    "predicate", "query", "not_null", "unique", "range", "matches", "references", "decodes", "no_near_duplicates", "distribution",
]))]
struct Add {
    /// The check's name
    #[arg(value_name = "NAME")]
    name: String,
    /// An SQL predicate over the table's rows
    #[arg(value_name = "PREDICATE", requires = "table", allow_hyphen_values = true)]
    predicate: Option<String>,
    /// The table
    #[arg(long, value_name = "TABLE", conflicts_with = "query")]
    table: Option<String>,
    /// An SQL query that returns what is wrong
    #[arg(long, value_name = "SQL")]
    query: Option<String>,
    /// Columns without nulls
    #[arg(long, value_name = "COL[,COL]", requires = "table")]
    not_null: Vec<String>,
    /// Columns whose cells together name a row
    #[arg(long, value_name = "COL[,COL]", requires = "table")]
    unique: Vec<String>,
    /// A column and its bounds
    #[arg(long, value_name = "COL=MIN..MAX", requires = "table")]
    range: Option<String>,
    /// A column and what is found in its texts
    #[arg(long, value_name = "COL=REGEX", requires = "table")]
    matches: Option<String>,
    /// Columns that name rows of another table
    #[arg(long, value_name = "COL[,COL]=TABLE(COL[,COL])", requires = "table")]
    references: Option<String>,
    /// A column of whole pictures, sounds or videos
    #[arg(long, value_name = "COL", requires = "table")]
    decodes: Option<String>,
    /// A column of pictures, vectors or texts, none nearly another
    #[arg(long, value_name = "COL[=BOUND]", requires = "table")]
    no_near_duplicates: Option<String>,
    /// A column that stays distributed as it is at --like
    #[arg(long, value_name = "COL", requires_all = ["table", "like", "within"])]
    distribution: Option<String>,
    /// The revision whose distribution is kept
    #[arg(long, value_name = "REV", requires = "distribution")]
    like: Option<String>,
    /// How far from it a distribution may go, 0 to 1
    #[arg(long, value_name = "BOUND", requires = "distribution")]
    within: Option<f64>,
    /// What follows where a row fails
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    severity: Gravity,
    /// Add it although rows fail
    #[arg(long)]
    allow_failing: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Gravity {
    /// Commits are refused, and merges have conflicts
    Error,
    /// It is told
    Warn,
}

impl Add {
    /// What is asked for, and the words that ask for it.
    fn rule(&self) -> Result<(NewCheck, Vec<String>), CliError> {
        let table = self.table.clone().unwrap_or_default();
        let words = |option: &str, value: &str| vec![option.to_owned(), value.to_owned()];
        if let Some(sql) = &self.query {
            return Ok((NewCheck::Query { sql: sql.clone() }, words("--query", sql)));
        }
        if let Some(sql) = &self.predicate {
            return Ok((NewCheck::Predicate { table, sql: sql.clone() }, vec![sql.clone()]));
        }
        if let Some(text) = &self.range {
            let (column, bounds) = args::pair("--range", text, "COL=MIN..MAX")?;
            let (min, max) = bounds.split_once("..").filter(|(min, max)| !(max.contains("..") || min.is_empty() && max.is_empty())).ok_or_else(|| {
                CliError::usage(format!("--range: '{bounds}' is no range")).hint("write it as 0..1, ..1 or 0..; for anything else there are predicates")
            })?;
            let bound = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            return Ok((NewCheck::Range { table, column, min: bound(min), max: bound(max) }, words("--range", text)));
        }
        if let Some(text) = &self.matches {
            let (column, pattern) = args::pair("--matches", text, "COL=REGEX")?;
            return Ok((NewCheck::Matches { table, column, pattern }, words("--matches", text)));
        }
        if let Some(text) = &self.references {
            let form = || CliError::usage(format!("--references: '{text}' is not COL[,COL]=TABLE(COL[,COL])"));
            let (columns, target) = args::halves(text, '=').ok_or_else(form)?;
            let (other, others) = args::halves(target, '(').and_then(|(other, rest)| Some((other, rest.trim_end().strip_suffix(')')?))).ok_or_else(form)?;
            let names = |text: &str| args::names("--references", &[text.to_owned()]);
            let (columns, other, others) = (names(columns)?, args::unquote(other.trim()), names(others)?);
            if columns.is_empty() || others.is_empty() {
                return Err(form());
            }
            return Ok((NewCheck::References { table, columns, other, others }, words("--references", text)));
        }
        if let Some(column) = &self.decodes {
            return Ok((NewCheck::Decodes { table, column: args::unquote(column) }, words("--decodes", column)));
        }
        if let Some(text) = &self.no_near_duplicates {
            let (column, bound) = match args::halves(text, '=') {
                Some((column, bound)) => {
                    let number = bound.trim().parse().map_err(|_| CliError::usage(format!("--no-near-duplicates: '{bound}' is no number")))?;
                    (column, Some(number))
                }
                None => (text.as_str(), None),
            };
            return Ok((NewCheck::NoNearDuplicates { table, column: args::unquote(column.trim()), bound }, words("--no-near-duplicates", text)));
        }
        if let (Some(column), Some(like), Some(within)) = (&self.distribution, &self.like, self.within) {
            let mut all = words("--distribution", column);
            all.extend(words("--like", like));
            all.extend(words("--within", &within.to_string()));
            return Ok((NewCheck::Distribution { table, column: args::unquote(column), like: like.clone(), within }, all));
        }
        Ok(if self.not_null.is_empty() {
            (NewCheck::Unique { table, columns: args::names("--unique", &self.unique)? }, words("--unique", &self.unique.join(",")))
        } else {
            (NewCheck::NotNull { table, columns: args::names("--not-null", &self.not_null)? }, words("--not-null", &self.not_null.join(",")))
        })
    }

    fn run(self, context: &Context) -> Result<(), CliError> {
        let (new, rule) = self.rule()?;
        let severity = if matches!(self.severity, Gravity::Warn) { Severity::Warn } else { Severity::Error };
        let repo = context.working_repo()?;
        let mut words = vec!["check", "add", &self.name];
        words.extend(self.table.iter().flat_map(|table| ["--table", table]));
        words.extend(rule.iter().map(String::as_str));
        if severity == Severity::Warn {
            words.extend(["--severity", "warn"]);
        }
        let (tested, kept) = repo.add_check(&self.name, &new, severity, self.allow_failing, SHOWN, &args::command(words))?;
        if !kept {
            show(context, std::slice::from_ref(&tested))?;
            let error = CliError::no(format!("{}: it was not added", tested.summary()));
            return Err(error.hint("mend the rows first, or add it all the same with --allow-failing; commits are then refused until no row fails"));
        }
        let failing = match severity {
            _ if tested.holds() => String::new(),
            Severity::Error => format!("; {} now, and commits are refused until none does", fails(&tested)),
            Severity::Warn => format!("; {} now", fails(&tested)),
        };
        context.ui.note(format!("Added check {}{failing}", self.name));
        Ok(())
    }
}

fn fails(tested: &Tested) -> String {
    if let Some(Violation { slot: None, cells: None, detail, .. }) = tested.violations.first() {
        return detail.clone();
    }
    if tested.failing == 1 { "1 row fails".to_owned() } else { format!("{} rows fail", format::count(tested.failing)) }
}

/// Test checks, on all rows or on those that changed
///
/// Tests the checks named, or all. Exits with 1 where one does not hold, and shows the rows that fail; checks that only warn are told of, and change no exit code.
///
/// With --since only what differs from that revision is tested, as a commit upon it would be; a check that it has not is tested on all rows. With --junit a file is written as CI
/// systems read it: a suite with a case for each check; a check that warns is a case that was skipped, with its rows.
///
/// With --json, a line for each row that fails: {"check", "table", "key" or "row", "values", "why", "severity"}; then a line for each check: {"check", "table", "holds",
/// "rows_failing", "kind", "severity"}.
///
/// Examples:
///
///   dsv check run
///   dsv check run heavy once --at v1.0
///   dsv check run --since origin/main --junit checks.xml
///   dsv check run --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Run {
    /// The checks
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only what differs from this revision
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Write what came of it to this file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// At most so many rows of each check (with --json: all, if this is not given)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<usize>,
}

impl Run {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let limit = self.limit.unwrap_or(if context.ui.json { usize::MAX } else { SHOWN });
        // The first tells whether it can be evaluated at all.
        let mut tested = repo.run_checks(&self.names, self.at.as_deref(), self.since.as_deref(), limit.max(1))?;
        if limit == 0 {
            tested.iter_mut().filter(|t| t.violations.iter().any(|v| v.cells.is_some())).for_each(|t| t.violations.clear());
        }
        if let Some(path) = &self.junit {
            junit(&context.path(path), &tested)?;
        }
        show(context, &tested)?;
        if context.ui.json {
            let mut out = context.ui.out();
            for t in &tested {
                let line =
                    json!({ "check": t.check, "table": t.table, "holds": t.holds(), "rows_failing": t.failing, "kind": t.kind, "severity": t.severity.name() });
                writeln!(out, "{line}")?;
            }
            out.finish()?;
        }
        let (broken, fine): (Vec<&Tested>, Vec<&Tested>) = tested.iter().partition(|t| t.refuses());
        let warnings: Vec<Tested> = fine.iter().filter(|t| !t.holds()).map(|t| (*t).clone()).collect();
        warn(context, &warnings);
        if broken.is_empty() {
            context.ui.note(if tested.is_empty() {
                "There are no checks".to_owned()
            } else {
                format!("{} held", format::plural((fine.len() - warnings.len()) as u64, "check"))
            });
            return Ok(());
        }
        Err(CliError::no(broken.iter().map(|t| t.summary()).collect::<Vec<_>>().join("; ")))
    }
}

/// Tells of checks that only warn.
pub fn warn(context: &Context, warnings: &[Tested]) {
    warnings.iter().for_each(|tested| context.ui.warn(tested.summary()));
}

/// Checks that only warn, for machines.
pub fn warnings(warnings: &[Tested]) -> Vec<Value> {
    warnings.iter().map(|t| json!({ "check": t.check, "table": t.table, "rows_failing": t.failing, "why": t.summary() })).collect()
}

/// Writes what came of checks as JUnit's XML, whole or not at all.
fn junit(path: &Path, tested: &[Tested]) -> Result<(), CliError> {
    let mut cases = Vec::with_capacity(tested.len());
    for t in tested {
        let mut rows = Vec::new();
        for violation in &t.violations {
            let [_, _, row, values, why] = drawn(violation)?.map(|cell| cell.text);
            let parts = [row, values, why].into_iter().filter(|part| !part.is_empty());
            rows.push(parts.collect::<Vec<_>>().join("  "));
        }
        let listed = rows.len() as u64;
        if t.fits && listed > 0 && t.failing > listed {
            rows.push(format!("... and {} more", format::plural(t.failing - listed, "row")));
        }
        let outcome = match t.severity {
            _ if t.holds() => Outcome::Passed,
            Severity::Warn => Outcome::Warned,
            Severity::Error if !t.fits => Outcome::Unfit,
            Severity::Error => Outcome::Failed,
        };
        cases.push(Case { name: t.check.clone(), of: t.table.clone(), kind: t.kind, outcome, summary: t.summary(), rows });
    }
    junit::write(path, &cases)
}

/// Shows the rows that break checks.
pub fn show(context: &Context, tested: &[Tested]) -> Result<(), CliError> {
    let mut out = context.ui.out();
    for t in tested {
        if context.ui.json {
            t.violations.iter().try_for_each(|v| Ok::<_, CliError>(writeln!(out, "{}", line(v, t.severity)?)?))?;
            continue;
        }
        let rows = t.violations.iter().filter(|v| v.cells.is_some()).map(drawn).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            continue;
        }
        let rows: Vec<Vec<Cell>> = rows.into_iter().map(Vec::from).collect();
        draw(&context.ui, &mut out, ["check", "table", "row", "values", "why"].map(Heading::left).to_vec(), &rows)?;
        let more = t.failing.saturating_sub(rows.len() as u64);
        if more > 0 {
            writeln!(out, "  ... and {} more", format::plural(more, "row"))?;
        }
    }
    Ok(out.finish()?)
}

fn drawn(violation: &Violation) -> Result<[Cell; 5], CliError> {
    let text = |cells: &RecordBatch| -> Result<String, CliError> {
        let one = |(field, array)| -> Result<String, CliError> {
            let field: &arrow::datatypes::FieldRef = field;
            Ok(format!("{}={}", field.name(), Printer::new(field, array).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text))
        };
        Ok(cells.schema().fields().iter().zip(cells.columns()).map(one).collect::<Result<Vec<_>, _>>()?.join(", "))
    };
    let row = match (&violation.key, violation.row) {
        (Some(key), _) => text(key)?,
        (None, row) => row.map(|id| id.to_string()).unwrap_or_default(),
    };
    let values = violation.cells.as_ref().map(text).transpose()?.unwrap_or_default();
    let table = violation.table.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
    Ok([&violation.check, table, &row, &values, &violation.detail].map(Cell::plain))
}

fn line(violation: &Violation, severity: Severity) -> Result<Value, CliError> {
    let object = |cells: &RecordBatch| -> Result<Value, CliError> {
        let mut object = Map::new();
        for (field, array) in cells.schema().fields().iter().zip(cells.columns()) {
            let cell = match Type::from_field(field) {
                Ok(ty) => value::json(&ty, array, 0)?,
                // A query may give types that dsv has not.
                Err(_) => json!(Printer::new(field, array).map_err(|e| CliError::fault(e.to_string()))?.cell(0).text),
            };
            object.insert(field.name().clone(), cell);
        }
        Ok(Value::Object(object))
    };
    let mut line = Map::new();
    line.insert("check".into(), json!(violation.check));
    line.insert("table".into(), json!(violation.table.as_ref().map(|(_, name)| name)));
    match &violation.key {
        Some(key) => line.insert("key".into(), object(key)?),
        None => line.insert("row".into(), json!(violation.row.map(|id| id.to_string()))),
    };
    line.insert("values".into(), violation.cells.as_ref().map_or(Ok(Value::Null), object)?);
    line.insert("why".into(), json!(violation.detail));
    line.insert("severity".into(), json!(severity.name()));
    Ok(Value::Object(line))
}

/// List the checks
///
/// With --json, a line for each: {"check", "kind": "predicate|query|not-null|unique|range|matches|references|decodes|no-near-duplicates|distribution", "table", "columns", "sql",
/// "severity": "error|warn", "rule"}.
///
/// Examples:
///
///   dsv check list
///   dsv check list --at v1.0
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

impl List {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let checks = context.repo()?.checks(self.at.as_deref())?;
        let mut out = context.ui.page();
        if context.ui.json {
            for c in &checks {
                writeln!(out, "{}", describe(c))?;
            }
            return Ok(out.finish()?);
        }
        if checks.is_empty() {
            context.ui.note("There are no checks");
            return Ok(out.finish()?);
        }
        let cells = |c: &CheckInfo| [&c.name, c.kind, c.severity.name(), c.table.as_deref().unwrap_or_default(), &c.rule].map(Cell::plain).to_vec();
        let rows: Vec<_> = checks.iter().map(cells).collect();
        draw(&context.ui, &mut out, ["check", "kind", "severity", "table", "rule"].map(Heading::left).to_vec(), &rows)?;
        Ok(out.finish()?)
    }
}

fn describe(c: &CheckInfo) -> Value {
    json!({ "check": c.name, "kind": c.kind, "table": c.table, "columns": c.columns, "sql": c.sql, "severity": c.severity.name(), "rule": c.rule })
}

/// Drop a check
///
/// Commits that have it keep it, and `dsv undo` brings it back.
///
/// Examples:
///
///   dsv check drop heavy
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Drop {
    /// The check
    #[arg(value_name = "NAME")]
    name: String,
}

impl Drop {
    fn run(self, context: &Context) -> Result<(), CliError> {
        context.repo()?.drop_check(&self.name, &args::command(["check", "drop", &self.name]))?;
        context.ui.note(format!("Dropped check {}; 'dsv undo' brings it back", self.name));
        Ok(())
    }
}
