//! Merge policies: rules kept with a column that decide what both sides changed.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, make_comparator};
use arrow::compute::kernels::numeric::{add, sub};
use arrow::compute::{SortOptions, concat, take};
use arrow::datatypes::DataType;
use serde_json::Value;

use super::{Side, TableError};
use crate::format::Type;

/// A rule for cells that both sides changed to different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The side merged into wins.
    Ours,
    /// The side merged wins.
    Theirs,
    /// The side whose tip is the later commit wins.
    Newest,
    /// The larger value wins; null is the smallest.
    Max,
    /// The smaller value wins; null loses.
    Min,
    /// Both changes are added to the base: for counts.
    SumOfChanges,
    /// A value wins over null; two values stay a conflict.
    NonNull,
    /// JSON objects merge field by field, to any depth; a field that both changed stays a conflict.
    JsonByField,
    /// Lists merge as sets in order: ours, less what they removed, then what they added.
    ListUnion,
}

/// Every policy by its name.
pub const POLICIES: [(&str, Policy); 9] = [
    ("ours", Policy::Ours),
    ("theirs", Policy::Theirs),
    ("newest", Policy::Newest),
    ("max", Policy::Max),
    ("min", Policy::Min),
    ("sum-of-changes", Policy::SumOfChanges),
    ("non-null", Policy::NonNull),
    ("json-by-field", Policy::JsonByField),
    ("list-union", Policy::ListUnion),
];

impl FromStr for Policy {
    type Err = TableError;

    fn from_str(name: &str) -> Result<Policy, TableError> {
        let found = POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy);
        found.ok_or_else(|| {
            let names: Vec<&str> = POLICIES.iter().map(|(name, _)| *name).collect();
            TableError::Schema(format!("'{name}' is no merge policy; there are {}", names.join(", ")))
        })
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = POLICIES.iter().find(|(_, policy)| policy == self).map_or("", |(name, _)| *name);
        f.write_str(name)
    }
}

impl Policy {
    /// Whether it means something for values of a type.
    pub fn fits(self, ty: &Type) -> bool {
        let storage = ty.storage();
        let ordered = !storage.is_nested() && !matches!(ty, Type::Json | Type::Image | Type::Audio | Type::Video);
        match self {
            Policy::Ours | Policy::Theirs | Policy::Newest | Policy::NonNull => true,
            Policy::Max | Policy::Min => ordered,
            Policy::SumOfChanges => matches!(ty, Type::Plain(_)) && storage.is_numeric(),
            Policy::JsonByField => *ty == Type::Json,
            Policy::ListUnion => matches!(ty, Type::List(_)),
        }
    }
}

/// The value that a policy gives a cell, of these arrays of one value each; `None` where it leaves a conflict. Without a `base` the cell is new on
/// both sides.
pub fn decide(policy: Policy, ty: &Type, newer: Side, base: Option<&ArrayRef>, ours: &ArrayRef, theirs: &ArrayRef) -> Result<Option<ArrayRef>, TableError> {
    if !policy.fits(ty) {
        return Ok(None);
    }
    let side = |side: Side| if side == Side::Ours { ours.clone() } else { theirs.clone() };
    let nulls = (ours.is_null(0), theirs.is_null(0));
    Ok(match policy {
        Policy::Ours => Some(side(Side::Ours)),
        Policy::Theirs => Some(side(Side::Theirs)),
        Policy::Newest => Some(side(newer)),
        Policy::NonNull => match nulls {
            (true, _) => Some(side(Side::Theirs)),
            (_, true) => Some(side(Side::Ours)),
            _ => None,
        },
        Policy::Max | Policy::Min => match nulls {
            (true, _) => Some(side(Side::Theirs)),
            (_, true) => Some(side(Side::Ours)),
            _ => {
                let larger = make_comparator(ours, theirs, SortOptions::default())?(0, 0).is_gt();
                Some(side(if larger == (policy == Policy::Max) { Side::Ours } else { Side::Theirs }))
            }
        },
        Policy::SumOfChanges => sum(base, ours, theirs)?,
        Policy::JsonByField => json(base, ours, theirs),
        Policy::ListUnion => union(base, ours, theirs)?,
    })
}

fn sum(base: Option<&ArrayRef>, ours: &ArrayRef, theirs: &ArrayRef) -> Result<Option<ArrayRef>, TableError> {
    if ours.is_null(0) || theirs.is_null(0) || base.is_some_and(|base| base.is_null(0)) {
        return Ok(None);
    }
    // Out of range: a conflict. The change that shrinks comes first, so that a sum within range is found.
    let change = |value: &ArrayRef| base.map_or(Ok(value.clone()), |base| sub(value, base));
    let total = change(theirs).and_then(|change| add(ours, &change)).or_else(|_| change(ours).and_then(|change| add(theirs, &change)));
    Ok(total.ok())
}

fn json(base: Option<&ArrayRef>, ours: &ArrayRef, theirs: &ArrayRef) -> Option<ArrayRef> {
    let parse = |array: &ArrayRef| -> Option<Value> {
        let text = array.as_string_opt::<i32>()?;
        if text.is_null(0) { None } else { serde_json::from_str(text.value(0)).ok() }
    };
    let merged = three_way(base.and_then(parse).as_ref(), &parse(ours)?, &parse(theirs)?)?;
    Some(Arc::new(StringArray::from(vec![merged.to_string()])))
}

/// Objects by field; anything else by whether it changed.
fn three_way(base: Option<&Value>, ours: &Value, theirs: &Value) -> Option<Value> {
    if ours == theirs || base == Some(theirs) {
        return Some(ours.clone());
    }
    if base == Some(ours) {
        return Some(theirs.clone());
    }
    let (Value::Object(a), Value::Object(b)) = (ours, theirs) else { return None };
    let before = base.and_then(Value::as_object);
    let mut merged = serde_json::Map::new();
    for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
        let was = before.and_then(|fields| fields.get(name));
        match (a.get(name), b.get(name)) {
            (Some(x), Some(y)) => drop(merged.insert(name.clone(), three_way(was, x, y)?)),
            // Removed on one side: that holds if the other left it alone.
            (Some(x), None) | (None, Some(x)) => match was {
                None => drop(merged.insert(name.clone(), x.clone())),
                Some(was) if was == x => {}
                Some(_) => return None,
            },
            (None, None) => {}
        }
    }
    Some(Value::Object(merged))
}

fn union(base: Option<&ArrayRef>, ours: &ArrayRef, theirs: &ArrayRef) -> Result<Option<ArrayRef>, TableError> {
    let items = |array: &ArrayRef| array.as_list_opt::<i32>().filter(|list| list.is_valid(0)).map(|list| list.value(0));
    let (Some(a), Some(b)) = (items(ours), items(theirs)) else { return Ok(None) };
    let before = base.and_then(items).unwrap_or_else(|| a.slice(0, 0));
    let holds = |list: &ArrayRef, of: &ArrayRef, i: usize| -> Result<bool, TableError> {
        let same = make_comparator(list, of, SortOptions::default())?;
        Ok((0..list.len()).any(|k| same(k, i).is_eq()))
    };
    let mut kept: Vec<u32> = Vec::new();
    for i in 0..a.len() {
        if !holds(&before, &a, i)? || holds(&b, &a, i)? {
            kept.push(i as u32);
        }
    }
    let mut new: Vec<u32> = Vec::new();
    for i in 0..b.len() {
        if !holds(&a, &b, i)? && !holds(&before, &b, i)? {
            new.push(i as u32);
        }
    }
    let (kept, new) = (take(&a, &arrow::array::UInt32Array::from(kept), None)?, take(&b, &arrow::array::UInt32Array::from(new), None)?);
    let DataType::List(field) = ours.data_type() else { return Ok(None) };
    let all = concat(&[kept.as_ref(), new.as_ref()])?;
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([all.len()]);
    Ok(Some(Arc::new(arrow::array::ListArray::try_new(field.clone(), offsets, all, None)?)))
}
