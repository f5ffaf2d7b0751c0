//! The tables that one query names, looked up once: a schema is a revision, `dsv` the system tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::TableReference;

use crate::base::TableObjectId;
use crate::base::name::nearest;
use crate::table::Table;

use super::engine::{CATALOG, WORKING};
use super::provider::RevisionTable;
use super::{QueryError, Revisions, functions, system};

/// The snapshots that a query has looked into, so that all its parts see one state.
pub struct Snapshots<'a> {
    revisions: &'a dyn Revisions,
    /// The revision that tables without a schema are of; the working state without.
    at: Option<String>,
    seen: BTreeMap<Option<String>, Arc<BTreeMap<String, TableObjectId>>>,
}

impl<'a> Snapshots<'a> {
    /// Of a repository; tables without a schema are those of the revision `at`, or of the working state.
    pub fn new(revisions: &'a dyn Revisions, at: Option<&str>) -> Snapshots<'a> {
        Snapshots { revisions, at: at.map(str::to_owned), seen: BTreeMap::new() }
    }

    /// The tables of a revision; of `at` without one.
    pub fn tables(&mut self, revision: Option<&str>) -> Result<Arc<BTreeMap<String, TableObjectId>>, QueryError> {
        let revision = revision.map(str::to_owned).or_else(|| self.at.clone());
        if let Some(tables) = self.seen.get(&revision) {
            return Ok(tables.clone());
        }
        let tables = match self.revisions.snapshot(revision.as_deref()) {
            // SQL makes words without quotes lower case.
            Err(QueryError::NoRevision { .. }) if revision.as_deref() == Some("head") => self.revisions.snapshot(Some("HEAD"))?,
            other => other?,
        };
        let tables = Arc::new(tables.into_iter().collect::<BTreeMap<_, _>>());
        self.seen.insert(revision, tables.clone());
        Ok(tables)
    }

    /// One table of a revision; of `at` without one.
    pub fn table(&mut self, revision: Option<&str>, name: &str) -> Result<RevisionTable, QueryError> {
        let tables = self.tables(revision)?;
        let shown = revision.or(self.at.as_deref());
        let Some(id) = tables.get(name) else {
            let near = nearest(name, tables.keys().map(String::as_str)).into_iter().map(super::error::as_written).collect();
            return Err(QueryError::NoTable { name: name.to_owned(), revision: shown.map(str::to_owned), near });
        };
        let objects = self.revisions.objects();
        let table = Arc::new(Table::load(&objects, *id)?);
        let name = shown.map_or(name.to_owned(), |revision| format!("{revision}.{name}"));
        Ok(RevisionTable::new(objects, table, name)?)
    }
}

/// The catalog that holds the tables a query names. Blocks.
pub fn build(revisions: &dyn Revisions, at: Option<&str>, references: &[TableReference]) -> Result<Arc<dyn CatalogProviderList>, QueryError> {
    let mut snapshots = Snapshots::new(revisions, at);
    let catalog = MemoryCatalogProvider::new();
    let fail = |e| super::error::translate(e, 0);
    for reference in references {
        let (schema, name) = match reference {
            TableReference::Bare { table } => (None, table),
            TableReference::Partial { schema, table } => (Some(schema.as_ref()), table),
            TableReference::Full { catalog, schema, table } if catalog.as_ref() == CATALOG => (Some(schema.as_ref()), table),
            TableReference::Full { catalog, .. } => {
                let why = format!("a table is written NAME or REVISION.NAME, the revision quoted where it holds more than letters: \"{catalog}...\".NAME");
                return Err(QueryError::Refused(why));
            }
        };
        let key = schema.unwrap_or(WORKING);
        let provider = match catalog.schema(key) {
            Some(provider) => provider,
            None => {
                let provider: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(key, provider.clone()).map_err(fail)?;
                provider
            }
        };
        if provider.table_exist(name) {
            continue;
        }
        let table: Arc<dyn TableProvider> = match schema {
            Some(system::SCHEMA) => system::table(revisions, &mut snapshots, name)?,
            // A call of a function looks like a table; so does a system table without its schema. A table of the name comes first.
            None if functions::NAMES.contains(&name.as_ref()) && !snapshots.tables(None)?.contains_key(name.as_ref()) => continue,
            None if system::NAMES.contains(&name.as_ref()) && !snapshots.tables(None)?.contains_key(name.as_ref()) => {
                system::table(revisions, &mut snapshots, name)?
            }
            _ => Arc::new(snapshots.table(schema, name)?),
        };
        provider.register_table(name.to_string(), table).map_err(fail)?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}
