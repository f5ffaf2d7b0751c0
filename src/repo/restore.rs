//! `restore`: tables of the working state become what they were in a revision.

use super::working::no_table;
use super::{Repo, RepoError};

impl Repo {
    /// Gives tables of the working state the data that they had at a revision, by default `HEAD`; all tables, views and checks where none is
    /// named. A table that the revision has not goes, if the working state has it. Returns the names of the tables that differ now.
    pub fn restore(&self, tables: &[String], revision: Option<&str>) -> Result<Vec<String>, RepoError> {
        let working = self.working()?;
        let source = match (revision, working.base) {
            (Some(revision), _) => self.snapshot_of(self.resolve_in(&working.view, revision)?)?,
            (None, Some(base)) => self.snapshot_of(base)?,
            (None, None) => Default::default(),
        };
        let mut changed = Vec::new();
        let command = format!("restore {}", if tables.is_empty() { "--all".to_owned() } else { tables.join(" ") });
        self.update_working(&command, |now| {
            let mut new = now.clone();
            let all: Vec<String> = now.tables.keys().chain(source.tables.keys()).cloned().collect();
            for name in if tables.is_empty() { all.as_slice() } else { tables } {
                let restored = source.tables.get(name).copied();
                if restored.is_none() && !now.tables.contains_key(name) {
                    return Err(no_table(now, name, Some(revision.unwrap_or("HEAD"))));
                }
                let before = match restored {
                    Some(id) => new.tables.insert(name.clone(), id),
                    None => new.tables.remove(name),
                };
                if before != restored {
                    changed.push(name.clone());
                }
            }
            if tables.is_empty() {
                new.views = source.views.clone();
                new.checks = source.checks.clone();
            }
            Ok(new)
        })?;
        Ok(changed)
    }
}
