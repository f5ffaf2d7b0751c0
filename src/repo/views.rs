//! `dsv view`: named SELECTs, kept in the snapshot with the tables that they read.

use std::collections::BTreeMap;

use crate::base::name::{check_label, nearest};
use crate::format::snapshot::Snapshot;

use super::{Repo, RepoError};

/// Fails where a table or a view of that name is there. With `replace` a table may be.
pub(super) fn check_free(snapshot: &Snapshot, name: &str, replace: bool) -> Result<(), RepoError> {
    let taken = |what| Err(RepoError::Taken { what, name: name.to_owned() });
    match (snapshot.views.contains_key(name), snapshot.tables.contains_key(name)) {
        (true, _) => taken("view"),
        (_, true) if !replace => taken("table"),
        _ => Ok(()),
    }
}

impl Repo {
    /// The views of the working state, or of a revision, by name: their SELECTs.
    pub fn views(&self, at: Option<&str>) -> Result<BTreeMap<String, String>, RepoError> {
        Ok(self.snapshot(at)?.views)
    }

    /// Makes a view; with `replace` it takes the place of one that is there. Its text is kept as it is: whoever calls has tried whether it means something.
    pub fn create_view(&self, name: &str, sql: &str, replace: bool, command: &str) -> Result<(), RepoError> {
        check_label("view", name)?;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            if !(replace && snapshot.views.contains_key(name)) {
                check_free(snapshot, name, false)?;
            }
            let mut snapshot = snapshot.clone();
            snapshot.views.insert(name.to_owned(), sql.to_owned());
            Ok(snapshot)
        })?;
        Ok(())
    }

    /// Takes a view out of the working state. The tables that it reads stay.
    pub fn drop_view(&self, name: &str, command: &str) -> Result<(), RepoError> {
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            let mut snapshot = snapshot.clone();
            snapshot.views.remove(name).ok_or_else(|| no_view(&snapshot, name))?;
            Ok(snapshot)
        })?;
        Ok(())
    }

    /// Gives a view another name.
    pub fn rename_view(&self, from: &str, to: &str, command: &str) -> Result<(), RepoError> {
        check_label("view", to)?;
        self.update_working(command, |snapshot| -> Result<_, RepoError> {
            check_free(snapshot, to, false)?;
            let mut snapshot = snapshot.clone();
            let sql = snapshot.views.remove(from).ok_or_else(|| no_view(&snapshot, from))?;
            snapshot.views.insert(to.to_owned(), sql);
            Ok(snapshot)
        })?;
        Ok(())
    }
}

fn no_view(snapshot: &Snapshot, name: &str) -> RepoError {
    let near = nearest(name, snapshot.views.keys().map(String::as_str)).into_iter().next();
    let hint = match near {
        Some(near) => format!("did you mean '{near}'?"),
        None if snapshot.tables.contains_key(name) => format!("'{name}' is a table"),
        None => "'dsv view list' lists them".to_owned(),
    };
    RepoError::refused_with(format!("there is no view '{name}'"), hint)
}
