//! Verbs against a naive twin of refs, with crashes and rivals made on purpose.

mod crash;
mod model;
mod refs;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::base::TableObjectId;
use crate::store::MemoryStore;

/// Options with a clock that ticks a second at each look.
pub fn options() -> OpenOptions {
    let clock = Arc::new(AtomicI64::new(1_767_225_600_000));
    let variables = [("DSV_AUTHOR_NAME", "Ada"), ("DSV_AUTHOR_EMAIL", "ada@example.org"), ("USER", "ada"), ("HOSTNAME", "laptop")];
    OpenOptions { environment: Environment::fixed(move || clock.fetch_add(1000, Ordering::Relaxed), &variables), limits: Default::default() }
}

/// A new repository in memory.
pub fn memory() -> (MemoryStore, Repo) {
    let store = MemoryStore::new();
    let repo = Repo::on_store(None, Arc::new(store.clone()), &options());
    repo.make("main").unwrap();
    (store, repo)
}

/// Sets a table of the working state to a made-up id, or drops it.
pub fn edit(repo: &Repo, table: &str, value: Option<u8>) -> Result<(), RepoError> {
    repo.update_working(&format!("edit {table}"), |now| {
        let mut new = now.clone();
        match value {
            Some(value) => new.tables.insert(table.to_owned(), TableObjectId([value; 32])),
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
