//! Everything that a table is made of, for gc, verify and transfer.

use crate::base::{ObjectId, TableObjectId};
use crate::chunk::Objects;
use crate::format::cbor::Reader;
use crate::format::node::{Kind, Live, Slice, Spine, Values};
use crate::format::pack::Kind as ObjectKind;
use crate::format::table::TableObject;
use crate::tree::{Reference, Rope, TreeError};

use super::TableError;

/// Calls `enter` with each object of a table, the table object first; where it returns false, what lies below is passed over (it was seen before). `part` gets the
/// name of the column, or `_spine` or `_live`, before what belongs to it. Chunks are entered, not read.
pub fn reach(objects: &Objects, id: TableObjectId, enter: &mut dyn FnMut(ObjectKind, ObjectId) -> bool, part: &mut dyn FnMut(&str)) -> Result<(), TableError> {
    if !enter(ObjectKind::Table, id.into()) {
        return Ok(());
    }
    let object = TableObject::decode(&objects.get(ObjectKind::Table, id)?)?;
    part("_spine");
    rope::<Spine>(objects, &object.spine, enter)?;
    part("_live");
    rope::<Live>(objects, &object.live, enter)?;
    for (column, reference) in object.columns.iter().zip(&object.ropes) {
        part(&column.name);
        values(objects, reference, enter)?;
    }
    Ok(())
}

fn reference(item: &[u8]) -> Result<Reference, TreeError> {
    Ok(Reference::decode(&mut Reader::new("reference to a rope", item))?)
}

fn rope<K: Kind>(objects: &Objects, item: &[u8], enter: &mut dyn FnMut(ObjectKind, ObjectId) -> bool) -> Result<(), TreeError> {
    Rope::<K>::reach(objects, &reference(item)?, &mut |id| enter(ObjectKind::Node, id.into()), &mut |_| Ok(()))
}

fn values(objects: &Objects, item: &[u8], enter: &mut dyn FnMut(ObjectKind, ObjectId) -> bool) -> Result<(), TreeError> {
    let (mut chunks, mut large) = (Vec::new(), Vec::new());
    Rope::<Values>::reach(objects, &reference(item)?, &mut |id| enter(ObjectKind::Node, id.into()), &mut |slice| {
        match slice {
            Slice::Chunk { chunk, .. } => chunks.push(chunk.id),
            Slice::Large(value) => large.push(value.reference.clone()),
            Slice::Literal(_) | Slice::Constant { .. } => {}
        }
        Ok(())
    })?;
    chunks.dedup();
    for id in chunks {
        enter(ObjectKind::Chunk, id.into());
    }
    for value in large {
        // A large value's rope holds chunks alone, so this goes no deeper.
        values(objects, &value, enter)?;
    }
    Ok(())
}
