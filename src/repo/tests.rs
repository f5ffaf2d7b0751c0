//! Verbs against a naive twin of refs, with crashes and rivals made on purpose.

mod blame;
mod checks;
mod cost;
mod crash;
mod diff;
mod lazy;
mod merging;
mod model;
#[cfg(feature = "remote")]
mod network;
mod patch;
mod pins;
mod refs;
mod remotes;
mod sizes;
mod subset;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::base::{TableId, TableObjectId};
use crate::format::cbor::Writer;
use crate::format::node::{Kind as _, Live, Spine};
use crate::format::pack::{Kind, object_id};
use crate::format::table::TableObject;
use crate::store::MemoryStore;
use crate::tree::Reference;

/// All handles look at one clock.
static CLOCK: AtomicI64 = AtomicI64::new(1_767_225_600_000);

/// Options with a clock that ticks a second at each look.
pub fn options() -> OpenOptions {
    let variables = [("DSV_AUTHOR_NAME", "Ada"), ("DSV_AUTHOR_EMAIL", "ada@example.org"), ("USER", "ada"), ("HOSTNAME", "laptop")];
    OpenOptions { environment: Environment::fixed(|| CLOCK.fetch_add(1000, Ordering::Relaxed), &variables), ..Default::default() }
}

/// A new repository in memory.
pub fn memory() -> (MemoryStore, Repo) {
    let store = MemoryStore::new();
    let repo = Repo::on_store(None, Arc::new(store.clone()), &options());
    repo.make("main").unwrap();
    (store, repo)
}

/// The content of an empty table with that number.
fn tiny(n: u8) -> Vec<u8> {
    let inline = |leaf: Vec<u8>| {
        let mut w = Writer::default();
        Reference::Inline(leaf.into()).encode(&mut w);
        w.finish()
    };
    let (spine, live) = (inline(Spine::encode_leaf(&[])), inline(Live::encode_leaf(&[])));
    TableObject { id: TableId([n; 16]), key: Vec::new(), columns: Vec::new(), spine, live, ropes: Vec::new() }.encode()
}

/// The number of the table with that id.
pub fn number(id: TableObjectId) -> u8 {
    (0..=u8::MAX).find(|n| object_id(Kind::Table, &tiny(*n)) == id.into()).unwrap()
}

/// Sets a table of the working state to the empty table with that number, or drops it.
pub fn edit(repo: &Repo, table: &str, value: Option<u8>) -> Result<(), RepoError> {
    repo.update_working(&format!("edit {table}"), |now| {
        let mut new = now.clone();
        match value {
            Some(value) => new.tables.insert(table.to_owned(), repo.objects().put(Kind::Table, &tiny(value))?.into()),
            None => new.tables.remove(table),
        };
        Ok::<_, RepoError>(new)
    })?;
    Ok(())
}

/// Commits with that message.
pub fn commit(repo: &Repo, message: &str) -> Result<crate::base::CommitId, RepoError> {
    Ok(repo.commit(&CommitOptions { message: Some(message.to_owned()), ..Default::default() })?.id)
}
