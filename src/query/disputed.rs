//! An SQL expression that settles conflicts: over the cells that both sides come from and that they have.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema as ArrowSchema};

use super::QueryError;
use super::expression::evaluate;
use super::params::Params;
use crate::base::TableId;
use crate::chunk::{Limits, Objects};
use crate::repo::Disputed;
use crate::store::MemoryStore;
use crate::table::write::RowWriter;
use crate::table::{Schema, Table};

/// The values of an expression over the columns `base`, `ours` and `theirs`: one for each conflict, of their column's type.
pub fn decide(expression: &str, disputed: &Disputed<'_>) -> Result<ArrayRef, QueryError> {
    let objects = Arc::new(Objects::new(Arc::new(MemoryStore::new()), Limits::default()));
    let id = TableId([0; 16]);
    let columns: Vec<_> = ["base", "ours", "theirs"].map(|name| (name.to_owned(), disputed.ty.clone())).to_vec();
    let table = Table::create(&objects, id, Schema::of(id, &columns))?;
    let mut writer = RowWriter::new(&objects, &table, &columns)?;
    let field = |name: &str| Field::new(name, disputed.ty.storage(), true);
    let schema = ArrowSchema::new(["base", "ours", "theirs"].map(field).to_vec());
    let cells = vec![disputed.base.clone(), disputed.ours.clone(), disputed.theirs.clone()];
    writer.push(&RecordBatch::try_new(Arc::new(schema), cells)?, &[])?;
    let table = Arc::new(table.append(&objects, writer.finish()?)?);
    let values = evaluate(&objects, &table, expression, &Params::default(), Some(disputed.ty))?.collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() {
        return Ok(new_empty_array(&disputed.ty.storage()));
    }
    Ok(concat(&values.iter().map(|v| v.as_ref()).collect::<Vec<_>>())?)
}
