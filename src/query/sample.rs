//! `TABLESAMPLE`: some rows of a table, chosen by what they are, not where they stand. With REPEATABLE the same rows are chosen in every revision that has them, and
//! a table that grows keeps those that it had.

use std::ops::{ControlFlow, Range};

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleMethod, TableSampleUnit, Value, ValueWithSpan,
    VisitMut, VisitorMut,
};

use crate::chunk::Objects;
use crate::format::mix::mix;
use crate::table::{Table, TableError};

use super::QueryError;

/// How a schema begins that stands for a sample; the revision follows. No revision is written so.
const SCHEMA: &str = ":sample ";
/// Rows that SYSTEM takes or leaves together.
const SYSTEM_ROWS: u64 = 512;

/// Which rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Rows are taken many at a time.
    system: bool,
    /// The share of all rows, from 0 to 1.
    share: f64,
    seed: u64,
}

impl Sample {
    /// What a schema that [`written_out`] made stands for, and the revision.
    pub fn of_schema(schema: &str) -> Option<(Sample, Option<&str>)> {
        let mut parts = schema.strip_prefix(SCHEMA)?.splitn(4, ' ');
        let (system, share, seed) = (parts.next()? == "system", parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((Sample { system, share, seed }, parts.next()))
    }

    fn schema(self, revision: Option<&str>) -> String {
        let method = if self.system { "system" } else { "bernoulli" };
        let revision = revision.map_or(String::new(), |revision| format!(" {revision}"));
        format!("{SCHEMA}{method} {} {}{revision}", self.share, self.seed)
    }

    /// The slots of the rows that are chosen, deleted ones among them. Reads the spine.
    pub fn ranges(self, table: &Table, objects: &Objects) -> Result<Vec<Range<u64>>, TableError> {
        let spine = table.spine.get(objects)?;
        let (mut ranges, mut last): (Vec<Range<u64>>, _) = (Vec::new(), None);
        for item in spine.items(objects, 0, spine.rows())? {
            let (slot, run) = item?;
            let origin = run.origin.as_bytes().chunks_exact(8).fold(mix(self.seed), |hash, part| {
                let mut word = [0; 8];
                word.copy_from_slice(part);
                mix(hash ^ u64::from_le_bytes(word))
            });
            for i in 0..run.rows {
                let number = run.first + i;
                let group = if self.system { number / SYSTEM_ROWS } else { number };
                let chosen = match last {
                    Some((known, group_before, chosen)) if known == origin && group_before == group => chosen,
                    // 53 bits are a float's.
                    _ => ((mix(origin ^ mix(group)) >> 11) as f64 / (1u64 << 53) as f64) < self.share,
                };
                last = Some((origin, group, chosen));
                match ranges.last_mut() {
                    _ if !chosen => {}
                    Some(range) if range.end == slot + i => range.end += 1,
                    _ => ranges.push(slot + i..slot + i + 1),
                }
            }
        }
        Ok(ranges)
    }
}

/// Puts a schema of its own in the place of each sample.
pub fn written_out(statement: &mut Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(inner) => match inner.visit(&mut Samples) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        Statement::Explain(explain) => written_out(&mut explain.statement),
        _ => Ok(()),
    }
}

struct Samples;

impl VisitorMut for Samples {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table { name, alias, sample, .. } => {
                let Some(TableSampleKind::BeforeTableAlias(written) | TableSampleKind::AfterTableAlias(written)) = sample.take() else {
                    return ControlFlow::Continue(());
                };
                match (read(&written), name.0.as_slice()) {
                    (Ok(chosen), [rest @ .., ObjectNamePart::Identifier(table)]) if rest.len() < 2 => {
                        let revision = rest.first().map(|part| match part {
                            ObjectNamePart::Identifier(ident) if ident.quote_style.is_none() => ident.value.to_lowercase(),
                            ObjectNamePart::Identifier(ident) => ident.value.clone(),
                            other => other.to_string(),
                        });
                        let table = table.clone();
                        alias.get_or_insert_with(|| TableAlias { explicit: true, name: table.clone(), columns: Vec::new(), at: None });
                        *name = ObjectName::from(vec![Ident::with_quote('"', chosen.schema(revision.as_deref())), table]);
                        ControlFlow::Continue(())
                    }
                    (Err(error), _) => ControlFlow::Break(error),
                    _ => ControlFlow::Break(QueryError::Refused("TABLESAMPLE is for tables".into())),
                }
            }
            TableFactor::Derived { sample: Some(_), .. } => ControlFlow::Break(QueryError::Refused("TABLESAMPLE is for tables".into())),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn read(sample: &TableSample) -> Result<Sample, QueryError> {
    let refused = |why: &str| Err(QueryError::Refused(format!("TABLESAMPLE: {why}")));
    let number = |value: &ValueWithSpan| match &value.value {
        Value::Number(digits, _) => digits.parse::<f64>().ok(),
        _ => None,
    };
    let system = match sample.name {
        None | Some(TableSampleMethod::Bernoulli | TableSampleMethod::Row) => false,
        Some(TableSampleMethod::System | TableSampleMethod::Block) => true,
    };
    let Some(quantity) = sample.quantity.as_ref().filter(|_| sample.bucket.is_none() && sample.offset.is_none()) else {
        return refused("say how much: TABLESAMPLE BERNOULLI (10)");
    };
    if quantity.unit == Some(TableSampleUnit::Rows) {
        return refused("a share of the rows is taken, not a number of them: ORDER BY random() LIMIT does that");
    }
    let percent = match &quantity.value {
        Expr::Value(value) => number(value),
        _ => None,
    };
    let Some(percent) = percent.filter(|percent| (0.0..=100.0).contains(percent)) else {
        return refused("the share is a number of percent from 0 to 100");
    };
    let seed = match &sample.seed {
        None => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(|e| QueryError::Run(format!("no random numbers: {e}")))?;
            u64::from_le_bytes(bytes)
        }
        Some(seed) => match number(&seed.value) {
            Some(seed) => seed.to_bits(),
            None => return refused("REPEATABLE takes a number"),
        },
    };
    Ok(Sample { system, share: percent / 100.0, seed })
}
