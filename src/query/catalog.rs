//! The tables that one query names, looked up once: a schema is a revision, `dsv` the system tables. A view is planned over the tables of its own revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::execution::{SessionState, SessionStateBuilder};

use crate::base::name::nearest;
use crate::format::snapshot::Snapshot;
use crate::table::Table;

use super::engine::{CATALOG, WORKING};
use super::provider::RevisionTable;
use super::sample::Sample;
use super::{QueryError, Revisions, system};

/// The schema in which a table of the working state shows the slots of its rows as well. No revision is written so.
pub const SLOTS: &str = ":slots";

/// The snapshots that a query has looked into, so that all its parts see one state.
pub struct Snapshots<'a> {
    revisions: &'a dyn Revisions,
    /// The revision that tables without a schema are of; the working state without.
    at: Option<String>,
    seen: BTreeMap<Option<String>, Arc<Snapshot>>,
    /// What plans the views.
    state: &'a SessionState,
    /// The views being planned, outermost first: none may read itself.
    within: Vec<(Option<String>, String)>,
}

impl<'a> Snapshots<'a> {
    /// Of a repository; tables without a schema are those of the revision `at`, or of the working state.
    pub fn new(revisions: &'a dyn Revisions, state: &'a SessionState, at: Option<&str>) -> Snapshots<'a> {
        Snapshots { revisions, at: at.map(str::to_owned), seen: BTreeMap::new(), state, within: Vec::new() }
    }

    /// The snapshot of a revision; of `at` without one.
    pub fn of(&mut self, revision: Option<&str>) -> Result<Arc<Snapshot>, QueryError> {
        let revision = revision.map(str::to_owned).or_else(|| self.at.clone());
        if let Some(snapshot) = self.seen.get(&revision) {
            return Ok(snapshot.clone());
        }
        let snapshot = match self.revisions.snapshot(revision.as_deref()) {
            // SQL makes words without quotes lower case.
            Err(QueryError::NoRevision { .. }) if revision.as_deref() == Some("head") => self.revisions.snapshot(Some("HEAD"))?,
            other => other?,
        };
        let snapshot = Arc::new(snapshot);
        self.seen.insert(revision, snapshot.clone());
        Ok(snapshot)
    }

    /// Whether there is a table or a view of that name; in `at` without a revision.
    fn has(&mut self, revision: Option<&str>, name: &str) -> Result<bool, QueryError> {
        let snapshot = self.of(revision)?;
        Ok(snapshot.tables.contains_key(name) || snapshot.views.contains_key(name))
    }

    /// One table of a revision; of `at` without one.
    fn table(&mut self, revision: Option<&str>, name: &str) -> Result<RevisionTable, QueryError> {
        let snapshot = self.of(revision)?;
        let shown = revision.or(self.at.as_deref());
        let Some(id) = snapshot.tables.get(name) else {
            let names = snapshot.tables.keys().chain(snapshot.views.keys()).map(String::as_str);
            let near = nearest(name, names).into_iter().map(super::error::as_written).collect();
            return Err(QueryError::NoTable { name: name.to_owned(), revision: shown.map(str::to_owned), near });
        };
        let objects = self.revisions.objects();
        let table = Arc::new(Table::load(&objects, *id)?);
        let name = shown.map_or(name.to_owned(), |revision| format!("{revision}.{name}"));
        Ok(RevisionTable::new(objects, table, name)?)
    }

    /// A table or a view of a revision.
    fn relation(&mut self, revision: Option<&str>, name: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        match self.of(revision)?.views.get(name).cloned() {
            Some(sql) => self.view(revision, name, &sql),
            None => Ok(Arc::new(self.table(revision, name)?)),
        }
    }

    /// A view, planned over the tables of its revision.
    fn view(&mut self, revision: Option<&str>, name: &str, sql: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        let of = revision.map(str::to_owned).or_else(|| self.at.clone());
        let this = (of.clone(), name.to_owned());
        if self.within.contains(&this) {
            return Err(QueryError::Refused(format!("the view '{name}' reads itself")));
        }
        let outer = std::mem::replace(&mut self.at, of);
        self.within.push(this);
        let planned = self.view_plan(sql);
        self.within.pop();
        self.at = outer;
        planned.map_err(|error| match error {
            QueryError::Interrupted => error,
            // What is wrong stands in another text than the one that was asked.
            other => QueryError::Refused(format!("the view '{name}': {other}")),
        })
    }

    fn view_plan(&mut self, sql: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
        let statement = super::session::parse(sql)?;
        super::refuse::check(&statement)?;
        let statement = super::session::written_out(statement, || Ok(self.of(None)?.tables.keys().cloned().collect()))?;
        let fail = |e| super::error::translate(e, 0);
        let references = self.state.resolve_table_references(&statement).map_err(fail)?;
        let list = self.catalog(&references)?;
        let state = SessionStateBuilder::new_from_existing(self.state.clone()).with_catalog_list(list).build();
        // A thread that may wait: see `build`.
        let statement = super::session::joined(statement, &state)?;
        let plan = tokio::runtime::Handle::current().block_on(state.statement_to_plan(statement)).map_err(fail)?;
        Ok(Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
    }

    /// A catalog of what references name.
    fn catalog(&mut self, references: &[TableReference]) -> Result<Arc<dyn CatalogProviderList>, QueryError> {
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
                Some(system::SCHEMA) => system::table(self.revisions, self, name)?,
                Some(SLOTS) => Arc::new(self.table(None, name)?.with_slots()),
                Some(schema) if let Some((sample, revision)) = Sample::of_schema(schema) => {
                    if self.of(revision)?.views.contains_key(name.as_ref()) {
                        return Err(QueryError::Refused(format!("TABLESAMPLE is for tables: '{name}' is a view")));
                    }
                    Arc::new(self.table(revision, name)?.sampled(sample))
                }
                // A call of a function looks like a table; so does a system table without its schema. A table of the name comes first.
                None if self.state.table_functions().contains_key(name.as_ref()) && !self.has(None, name)? => continue,
                None if system::NAMES.contains(&name.as_ref()) && !self.has(None, name)? => system::table(self.revisions, self, name)?,
                _ => self.relation(schema, name)?,
            };
            provider.register_table(name.to_string(), table).map_err(fail)?;
        }
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
        Ok(Arc::new(list))
    }
}

/// The catalog that holds the tables a query names; `state` plans the views among them. Blocks: to be called on a thread of a runtime that may.
pub fn build(
    revisions: &dyn Revisions,
    state: &SessionState,
    at: Option<&str>,
    references: &[TableReference],
) -> Result<Arc<dyn CatalogProviderList>, QueryError> {
    Snapshots::new(revisions, state, at).catalog(references)
}
