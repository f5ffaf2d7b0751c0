//! Checks: what a snapshot asks of its own data (docs/format.md §8).

use super::FormatError;
use super::cbor::{Reader, Writer};
use super::sketch::{Real, Sketch};
use crate::base::{ColumnId, TableId};

/// A check: what is asked, and what follows where the data breaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub rule: Rule,
    /// What follows where the data breaks it.
    pub severity: Severity,
}

/// What follows where data breaks a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is told, and nothing is refused.
    Warn,
    /// A commit is refused, and a merge has a conflict.
    #[default]
    Error,
}

impl Severity {
    /// The word, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warn => "warn",
            Severity::Error => "error",
        }
    }
}

/// How two cells are compared by a check against near duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// Pictures, by the bits in which their difference hashes differ: no more than the bound, 0 to 16.
    Dhash,
    /// Vectors, by the cosine of the angle between them: no less than the bound, 0.5 to 1.
    Cosine,
    /// Texts, by the shingles that both have, of those that either has: no less than the bound, 0.3 to 1.
    Jaccard,
}

impl Likeness {
    /// The word, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Likeness::Dhash => "dhash",
            Likeness::Cosine => "cosine",
            Likeness::Jaccard => "jaccard",
        }
    }

    /// Whether a bound means something.
    pub fn takes(self, bound: f64) -> bool {
        match self {
            Likeness::Dhash => (0.0..=16.0).contains(&bound) && bound.fract() == 0.0,
            Likeness::Cosine => (0.5..=1.0).contains(&bound),
            Likeness::Jaccard => (0.3..=1.0).contains(&bound),
        }
    }
}

/// What a check asks. Tables and columns stand by their ids, so that it survives their renaming; within SQL text they stand by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The predicate is false for no row of the table; null passes.
    Predicate {
        /// The table.
        table: TableId,
        /// An SQL expression over the table's columns.
        sql: String,
    },
    /// The query returns no row.
    Query {
        /// An SQL query over the tables of the snapshot.
        sql: String,
    },
    /// No cell of these columns is null.
    NotNull {
        /// The table.
        table: TableId,
        /// The columns.
        columns: Vec<ColumnId>,
    },
    /// No two rows have the same cells in these columns; rows with a null among them are equal to no row.
    Unique {
        /// The table.
        table: TableId,
        /// The columns.
        columns: Vec<ColumnId>,
    },
    /// Every cell lies between two bounds, which are among what is allowed; null passes.
    Range {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// The least value, as text that the column's type reads; none for no bound.
        min: Option<String>,
        /// The greatest.
        max: Option<String>,
    },
    /// The regular expression is found in every cell; null passes.
    Matches {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// The expression.
        pattern: String,
    },
    /// The cells of every row, unless one is null, are those of a row of another table.
    References {
        /// The table.
        table: TableId,
        /// The columns.
        columns: Vec<ColumnId>,
        /// The other table.
        other: TableId,
        /// Its columns, as many.
        others: Vec<ColumnId>,
    },
    /// Every cell is a whole picture, sound or video; null passes.
    Decodes {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
    },
    /// No two rows have cells that are nearly alike.
    NoNearDuplicates {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// How they are compared.
        likeness: Likeness,
        /// From where on they are nearly alike.
        bound: Real,
    },
    /// The column's values are distributed as they once were.
    Distribution {
        /// The table.
        table: TableId,
        /// The column.
        column: ColumnId,
        /// How far, at most, they may be from it: 0 to 1.
        within: Real,
        /// How they were distributed.
        sketch: Sketch,
    },
}

impl From<Rule> for Check {
    /// The check of that rule, as an error.
    fn from(rule: Rule) -> Check {
        Check { rule, severity: Severity::Error }
    }
}

impl Rule {
    /// The kind in one word, as it is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Rule::Predicate { .. } => "predicate",
            Rule::Query { .. } => "query",
            Rule::NotNull { .. } => "not-null",
            Rule::Unique { .. } => "unique",
            Rule::Range { .. } => "range",
            Rule::Matches { .. } => "matches",
            Rule::References { .. } => "references",
            Rule::Decodes { .. } => "decodes",
            Rule::NoNearDuplicates { .. } => "no-near-duplicates",
            Rule::Distribution { .. } => "distribution",
        }
    }

    /// The table whose rows it is about; none for a query.
    pub fn table(&self) -> Option<TableId> {
        match self {
            Rule::Predicate { table, .. }
            | Rule::NotNull { table, .. }
            | Rule::Unique { table, .. }
            | Rule::Range { table, .. }
            | Rule::Matches { table, .. }
            | Rule::References { table, .. }
            | Rule::Decodes { table, .. }
            | Rule::NoNearDuplicates { table, .. }
            | Rule::Distribution { table, .. } => Some(*table),
            Rule::Query { .. } => None,
        }
    }

    /// The columns of its table that it names by id.
    pub fn columns(&self) -> &[ColumnId] {
        match self {
            Rule::NotNull { columns, .. } | Rule::Unique { columns, .. } | Rule::References { columns, .. } => columns,
            Rule::Range { column, .. }
            | Rule::Matches { column, .. }
            | Rule::Decodes { column, .. }
            | Rule::NoNearDuplicates { column, .. }
            | Rule::Distribution { column, .. } => std::slice::from_ref(column),
            Rule::Predicate { .. } | Rule::Query { .. } => &[],
        }
    }

    /// Its SQL text.
    pub fn sql(&self) -> Option<&str> {
        match self {
            Rule::Predicate { sql, .. } | Rule::Query { sql } => Some(sql),
            _ => None,
        }
    }

    /// Writes what the kinds have beyond tables, columns and text.
    fn details(&self, w: &mut Writer) {
        let text = |w: &mut Writer, text: &Option<String>| {
            match text {
                Some(text) => w.str(text),
                None => w.null(),
            };
        };
        match self {
            Rule::Range { min, max, .. } => {
                w.array(2);
                text(w, min);
                text(w, max);
            }
            Rule::References { other, others, .. } => {
                w.array(2).bytes(other.as_bytes()).array(others.len() as u64);
                for column in others {
                    w.bytes(column.as_bytes());
                }
            }
            Rule::NoNearDuplicates { likeness, bound, .. } => {
                w.array(2).str(likeness.name()).f64(bound.0);
            }
            Rule::Distribution { within, sketch, .. } => {
                w.array(2).f64(within.0);
                sketch.encode(w);
            }
            _ => {}
        }
    }

    fn has_details(&self) -> bool {
        matches!(self, Rule::Range { .. } | Rule::References { .. } | Rule::NoNearDuplicates { .. } | Rule::Distribution { .. })
    }
}

impl Check {
    /// Writes the check of that name as one record.
    pub(super) fn encode(&self, name: &str, w: &mut Writer) {
        let Check { rule, severity } = self;
        // What needs neither a severity nor details has the five items that it always had, and so the same bytes.
        let items = match (severity, rule.has_details()) {
            (_, true) => 7,
            (Severity::Warn, false) => 6,
            (Severity::Error, false) => 5,
        };
        w.array(items).str(name).str(rule.kind());
        match rule.table() {
            Some(table) => w.bytes(table.as_bytes()),
            None => w.null(),
        };
        w.array(rule.columns().len() as u64);
        for column in rule.columns() {
            w.bytes(column.as_bytes());
        }
        match rule {
            Rule::Predicate { sql: text, .. } | Rule::Query { sql: text } | Rule::Matches { pattern: text, .. } => w.str(text),
            _ => w.null(),
        };
        if items > 5 {
            match severity {
                Severity::Error => w.null(),
                Severity::Warn => w.str(severity.name()),
            };
        }
        if items > 6 {
            rule.details(w);
        }
    }

    /// Reads one record: the name, and the check.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<(String, Check), FormatError> {
        let items = r.array(5)?;
        let (name, kind) = (r.str()?.to_owned(), r.str()?.to_owned());
        let table = r.optional(|r| Ok(TableId(r.fixed()?)))?;
        let columns: Vec<ColumnId> = r.list(|r| Ok(ColumnId(r.fixed()?)))?;
        let text = r.optional(|r| Ok(r.str()?.to_owned()))?;
        let severity = if items > 5 { r.optional(|r| Ok(r.str()?.to_owned()))? } else { None };
        let severity = match severity.as_deref() {
            None => Severity::Error,
            Some("warn") => Severity::Warn,
            Some(other) => return Err(r.fail(format!("the check '{name}' has the severity '{other}', which this version does not know"))),
        };
        let unknown = |r: &Reader<'_>| r.fail(format!("the check '{name}' of kind '{kind}' is none that this version knows"));
        let mut left = items.saturating_sub(6);
        let mut details = |r: &mut Reader<'_>| match left.checked_sub(1) {
            Some(rest) => {
                left = rest;
                r.array(2)
            }
            None => Err(unknown(r)),
        };
        let rule = match (kind.as_str(), table, columns.as_slice(), text) {
            ("predicate", Some(table), [], Some(sql)) => Rule::Predicate { table, sql },
            ("query", None, [], Some(sql)) => Rule::Query { sql },
            ("not-null", Some(table), [_, ..], None) => Rule::NotNull { table, columns },
            ("unique", Some(table), [_, ..], None) => Rule::Unique { table, columns },
            ("matches", Some(table), [column], Some(pattern)) => Rule::Matches { table, column: *column, pattern },
            ("decodes", Some(table), [column], None) => Rule::Decodes { table, column: *column },
            ("range", Some(table), [column], None) => {
                let more = details(r)?;
                let (min, max) = (r.optional(|r| Ok(r.str()?.to_owned()))?, r.optional(|r| Ok(r.str()?.to_owned()))?);
                skip(r, more, 2)?;
                if min.is_none() && max.is_none() {
                    return Err(r.fail(format!("the check '{name}' is a range without bounds")));
                }
                Rule::Range { table, column: *column, min, max }
            }
            ("references", Some(table), [_, ..], None) => {
                let more = details(r)?;
                let (other, others) = (TableId(r.fixed()?), r.list(|r| Ok(ColumnId(r.fixed()?)))?);
                skip(r, more, 2)?;
                if others.len() != columns.len() {
                    return Err(r.fail(format!("the check '{name}' refers to another number of columns than it has")));
                }
                Rule::References { table, columns, other, others }
            }
            ("no-near-duplicates", Some(table), [column], None) => {
                let more = details(r)?;
                let (how, bound) = (r.str()?, Real(r.f64()?));
                let likeness = [Likeness::Dhash, Likeness::Cosine, Likeness::Jaccard].into_iter().find(|likeness| likeness.name() == how);
                let Some(likeness) = likeness else {
                    return Err(r.fail(format!("the check '{name}' compares by '{how}', which this version does not know")));
                };
                skip(r, more, 2)?;
                if !likeness.takes(bound.0) {
                    return Err(r.fail(format!("the check '{name}' has the bound {}, which means nothing", bound.0)));
                }
                Rule::NoNearDuplicates { table, column: *column, likeness, bound }
            }
            ("distribution", Some(table), [column], None) => {
                let more = details(r)?;
                let (within, sketch) = (Real(r.f64()?), Sketch::decode(r)?);
                skip(r, more, 2)?;
                if !(0.0..=1.0).contains(&within.0) {
                    return Err(r.fail(format!("the check '{name}' has the bound {}, which means nothing", within.0)));
                }
                Rule::Distribution { table, column: *column, within, sketch }
            }
            _ => return Err(unknown(r)),
        };
        skip(r, left, 0)?;
        Ok((name, Check { rule, severity }))
    }
}

/// Passes over what a later version may have added: items from `from` on.
fn skip(r: &mut Reader<'_>, items: usize, from: usize) -> Result<(), FormatError> {
    (from..items).try_for_each(|_| r.skip())
}
