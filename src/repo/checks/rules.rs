//! What each kind of check asks of the rows of its table.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::distribution::{self, Untold};
use super::near::near_duplicates;
use super::test::{Before, ById, Stop};
use crate::base::parallel::on_all_cores;
use crate::base::{ColumnId, Progress, TableObjectId};
use crate::format::Type;
use crate::format::check::Rule;
use crate::format::table::Column;
use crate::repo::files::media::{self, MediaKind};
use crate::repo::{Repo, RepoError, cell_of_text};
use crate::table::cells::{Bounds, pattern, unmatched};
use crate::table::check::{Closely, changed, dangling, nulls, repeated, untouched, visit, within_both};
use crate::table::key::RowHasher;
use crate::table::schema::unify;
use crate::table::{Table, TableError};

/// What breaks a check.
#[derive(Default)]
pub(super) struct Broken {
    /// Rows: the slot, the columns to show, by index, and what is wrong.
    pub rows: Vec<(u64, Vec<usize>, String)>,
    /// What is wrong with the table as a whole.
    pub whole: Option<String>,
}

/// A rule over a table, and the states that kept it.
pub(super) struct Bench<'a> {
    pub repo: &'a Repo,
    /// The check's name.
    pub check: &'a str,
    pub rule: &'a Rule,
    pub had: &'a [&'a Before<'a>],
    pub now: &'a ById,
    pub object: &'a TableObjectId,
    pub table: &'a Arc<Table>,
    /// Details of rows beyond these are not told.
    pub listed_max: usize,
}

impl Bench<'_> {
    /// Whether a state that kept it had the same table.
    fn same(&self) -> bool {
        self.had.iter().any(|b| b.tables.get(&self.table.id).is_some_and(|(_, known, _)| known == self.object))
    }

    /// The slots that differ from the states that kept it, as far as these columns tell.
    fn since(&self, columns: &[usize], by_name: bool, closely: Closely, many: bool) -> Result<Vec<Range<u64>>, TableError> {
        let objects = self.repo.objects();
        let mut ranges: Vec<Range<u64>> = std::iter::once(0..self.table.slots(objects)?).filter(|all| !all.is_empty()).collect();
        // Rows that two states kept each for itself need not be unlike each other.
        for known in self.had.iter().take(if many { usize::MAX } else { 1 }) {
            if let Some((.., old)) = known.tables.get(&self.table.id) {
                ranges = within_both(&ranges, &changed(objects, old, self.table, columns, by_name, closely)?);
            }
        }
        Ok(ranges)
    }

    fn column(&self, index: usize) -> Result<&Column, Stop> {
        self.table.schema.columns.get(index).ok_or_else(|| Stop::Unfit("a column of it is gone".to_owned()))
    }

    fn one(&self, id: &ColumnId) -> Result<(usize, &Column), Stop> {
        let index = places(self.table, std::slice::from_ref(id))?.into_iter().next().unwrap_or_default();
        Ok((index, self.column(index)?))
    }

    /// What breaks it.
    pub fn broken(&self) -> Result<Broken, Stop> {
        let (objects, progress) = (self.repo.objects(), &**self.repo.progress());
        let (table, columns) = (self.table, places(self.table, self.rule.columns())?);
        let named = |i: usize| table.schema.columns.get(i).map(|c| c.name.as_str()).unwrap_or_default();
        let names = columns.iter().map(|i| named(*i)).collect::<Vec<_>>().join(", ");
        let alike =
            |slots: Vec<u64>, detail: String| Broken { rows: slots.into_iter().map(|slot| (slot, columns.clone(), detail.clone())).collect(), whole: None };
        // By its key, as people know it, where there is one.
        let row = |slot: u64, listed: usize| -> Result<String, TableError> {
            let key = table.schema.key_indices();
            match listed < self.listed_max {
                true if key.is_empty() => Ok(table.row_ids(objects, slot..slot + 1)?.first().map(ToString::to_string).unwrap_or_default()),
                true => Ok(super::hold::cells(&table.take(objects, &[slot], &key)?)?.join(", ")),
                false => Ok(String::new()),
            }
        };
        Ok(match self.rule {
            Rule::Query { .. } => Broken::default(),
            Rule::Predicate { sql, .. } => {
                let expressions = self.repo.sql(self.check)?;
                if self.same() {
                    return Ok(Broken::default());
                }
                let predicate = expressions.predicate(table, sql)?;
                let columns = predicate.columns();
                let slots = predicate.false_rows(objects, self.since(&columns, true, Closely::Places, true)?, self.repo.progress())?;
                let detail = format!("{sql} is false");
                Broken { rows: slots.into_iter().map(|slot| (slot, columns.clone(), detail.clone())).collect(), whole: None }
            }
            Rule::NotNull { .. } => {
                if self.same() {
                    return Ok(Broken::default());
                }
                let found = nulls(objects, table, &self.since(&columns, false, Closely::Places, true)?, &columns, progress)?;
                let detail = |columns: &[usize]| format!("{} is null", columns.iter().map(|i| named(*i)).collect::<Vec<_>>().join(", "));
                Broken { rows: found.into_iter().map(|(slot, columns)| (slot, columns.clone(), detail(&columns))).collect(), whole: None }
            }
            Rule::Unique { .. } => {
                if self.same() {
                    return Ok(Broken::default());
                }
                let found = repeated(objects, table, &self.since(&columns, false, Closely::Values, false)?, &columns, progress)?;
                let mut rows = Vec::with_capacity(found.len());
                for (slot, other) in found {
                    rows.push((slot, columns.clone(), format!("row {} has the same {names}", row(other, rows.len())?)));
                }
                Broken { rows, whole: None }
            }
            Rule::Range { column, min, max, .. } => {
                let (index, described) = self.one(column)?;
                let bounds = bounds(described, min.as_deref(), max.as_deref()).map_err(Stop::Unfit)?;
                if self.same() {
                    return Ok(Broken::default());
                }
                let slots = bounds.outside(objects, table, self.since(&columns, false, Closely::Places, true)?, index, progress)?;
                alike(slots, format!("{names} is not within {}", super::range(min.as_deref(), max.as_deref())))
            }
            Rule::Matches { column, pattern: text, .. } => {
                let (index, described) = self.one(column)?;
                let expression = pattern(text).map_err(|why| Stop::Unfit(format!("its regular expression does not read: {why}")))?;
                if !is_text(&described.ty) {
                    return Err(Stop::Unfit(format!("its column '{}' is {}, not text", described.name, described.ty)));
                }
                if self.same() {
                    return Ok(Broken::default());
                }
                let slots = unmatched(objects, table, self.since(&columns, false, Closely::Places, true)?, index, &expression, progress)?;
                alike(slots, format!("{names} does not match {text}"))
            }
            Rule::References { other, others, .. } => {
                let (called, to, other) = self.now.get(other).ok_or_else(|| Stop::Unfit("the table that it refers to is gone".to_owned()))?;
                let there = places(other, others).map_err(|_| Stop::Unfit(format!("a column of table '{called}' that it refers to is gone")))?;
                let hasher = common(table, &columns, other, &there).map_err(Stop::Unfit)?;
                let kept = |b: &&Before<'_>| {
                    b.tables.get(&table.id).is_some_and(|(_, known, _)| known == self.object)
                        && b.tables.get(&other.id).is_some_and(|(_, known, _)| known == to)
                };
                if self.had.iter().any(kept) {
                    return Ok(Broken::default());
                }
                // Of several states that kept it the first is enough: what breaks it now differs from that one.
                let before = self.had.first().and_then(|b| b.tables.get(&other.id));
                let old = before.and_then(|(_, _, old)| Some((old, places(old, others).ok()?)));
                // Without the other table as it was, nothing is known of what was lost there.
                let ranges = match &old {
                    Some(_) => self.since(&columns, false, Closely::Places, false)?,
                    None => std::iter::once(0..table.slots(objects)?).filter(|all| !all.is_empty()).collect(),
                };
                let before = old.as_ref().map(|(old, columns)| (*old, columns.as_slice()));
                let slots = dangling(objects, (table, &columns), (other, &there), &ranges, before, &hasher, progress)?;
                let theirs = there.iter().filter_map(|i| other.schema.columns.get(*i)).map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
                alike(slots, format!("no row of {called} has {names} as its {theirs}"))
            }
            Rule::Decodes { column, .. } => {
                let (index, described) = self.one(column)?;
                let wanted =
                    wanted(&described.ty).map_err(|()| Stop::Unfit(format!("its column '{}' is {}, which holds no media", described.name, described.ty)))?;
                if self.same() {
                    return Ok(Broken::default());
                }
                let found = undecoded(self.repo, table, self.since(&columns, false, Closely::Values, true)?, index, wanted, progress)?;
                Broken { rows: found.into_iter().map(|(slot, why)| (slot, columns.clone(), format!("{names}: {why}"))).collect(), whole: None }
            }
            Rule::NoNearDuplicates { column, likeness, bound, .. } => {
                let (index, described) = self.one(column)?;
                if super::near::likeness(&described.ty).map(|(how, _)| how) != Some(*likeness) {
                    return Err(Stop::Unfit(format!("its column '{}' is {} now, which {} does not compare", described.name, described.ty, likeness.name())));
                }
                if self.same() {
                    return Ok(Broken::default());
                }
                let ranges = self.since(&columns, false, Closely::Values, false)?;
                let mut rows = Vec::new();
                for (slot, other, how) in near_duplicates(objects, table, &ranges, index, (*likeness, bound.0), progress)? {
                    rows.push((slot, columns.clone(), format!("row {} has nearly the same {names}: {how}", row(other, rows.len())?)));
                }
                Broken { rows, whole: None }
            }
            Rule::Distribution { column, within, sketch, .. } => {
                let (index, described) = self.one(column)?;
                let kept = |b: &&Before<'_>| b.tables.get(&table.id).is_some_and(|(.., old)| untouched(old, table, index));
                if self.had.iter().any(kept) {
                    return Ok(Broken::default());
                }
                let distance = distribution::distance(objects, table, index, sketch, progress).map_err(|error| match error {
                    Untold::Why(why) => Stop::Unfit(why),
                    Untold::Table(error) => error.into(),
                })?;
                let away = || format!("the distribution of {} is {distance:.4} away from that in {}, more than {}", described.name, sketch.like, within.0);
                Broken { rows: Vec::new(), whole: (distance > within.0).then(away) }
            }
        })
    }
}

/// Where these columns stand in a table.
pub(super) fn places(table: &Table, columns: &[ColumnId]) -> Result<Vec<usize>, Stop> {
    let place = |id: &ColumnId| table.schema.columns.iter().position(|c| c.id == *id);
    columns.iter().map(|id| place(id).ok_or_else(|| Stop::Unfit("a column of it is gone".to_owned()))).collect()
}

/// The bounds of a column from their texts; errors, in words, where its type does not read them.
pub(super) fn bounds(column: &Column, min: Option<&str>, max: Option<&str>) -> Result<Bounds, String> {
    if !Bounds::suit(&column.ty) {
        return Err(format!("column '{}' is {}, whose values have no range", column.name, column.ty));
    }
    // A label that is none may still be a bound.
    let ty = if matches!(column.ty, Type::Enum(_)) { Type::TEXT } else { column.ty.clone() };
    let cell = |text: Option<&str>| text.map(|text| cell_of_text(text, &ty, &column.name).map_err(|e: RepoError| e.to_string())).transpose();
    Bounds::new(cell(min)?, cell(max)?)
}

/// A hasher of the cells of columns that refer to others, as what both are; errors, in words, where there is no such thing.
pub(super) fn common(one: &Table, columns: &[usize], other: &Table, others: &[usize]) -> Result<RowHasher, String> {
    let mut storage = Vec::with_capacity(columns.len());
    for (i, j) in columns.iter().zip(others) {
        let (Some(a), Some(b)) = (one.schema.columns.get(*i), other.schema.columns.get(*j)) else { return Err("a column of it is gone".to_owned()) };
        let both = unify(&a.ty, &b.ty).ok_or_else(|| format!("column '{}' is {} and cannot refer to '{}', which is {}", a.name, a.ty, b.name, b.ty))?;
        storage.push(both.storage());
    }
    RowHasher::new(storage).map_err(|_| "values of such columns cannot be compared".to_owned())
}

/// Whether cells of a type are text that an expression may be looked for in.
pub(super) fn is_text(ty: &Type) -> bool {
    matches!(ty, Type::Plain(DataType::Utf8) | Type::Enum(_))
}

/// What cells of a type must be: a kind of media, or any where the type names none.
pub(super) fn wanted(ty: &Type) -> Result<Option<MediaKind>, ()> {
    match ty {
        Type::Image => Ok(Some(MediaKind::Image)),
        Type::Audio => Ok(Some(MediaKind::Audio)),
        Type::Video => Ok(Some(MediaKind::Video)),
        Type::Plain(DataType::Binary) => Ok(None),
        _ => Err(()),
    }
}

/// The slots of the live rows within ranges whose cell is no whole file of media, with why. Pictures are decoded; of sound and video the structure is looked at.
fn undecoded(
    repo: &Repo,
    table: &Arc<Table>,
    ranges: Vec<Range<u64>>,
    column: usize,
    wanted: Option<MediaKind>,
    progress: &dyn Progress,
) -> Result<Vec<(u64, String)>, TableError> {
    let mut found = Vec::new();
    visit(repo.objects(), table, ranges, &[column], progress, &mut |slots, batch| {
        let Some(cells) = arrow::array::AsArray::as_binary_opt::<i32>(batch.column(0)) else {
            return Err(TableError::Schema("the column holds no bytes".into()));
        };
        let wrong = |i: usize| {
            if cells.is_null(i) {
                return None;
            }
            match media::check(cells.value(i), media::Check::Decode) {
                Err(why) => Some(why),
                Ok(media) if wanted.is_some_and(|wanted| wanted != media.kind) => Some(format!("it is {}", media.media_type)),
                Ok(_) => None,
            }
        };
        let all: Vec<Option<String>> = on_all_cores(|| (0..cells.len()).into_par_iter().map(wrong).collect());
        found.extend(slots.iter().zip(all).filter_map(|(slot, why)| Some((*slot, why?))));
        Ok(())
    })?;
    Ok(found)
}
