//! A repository as queries see it.

use std::sync::Arc;

use crate::base::TableObjectId;
use crate::chunk::Objects;
use crate::history::HistoryError;
use crate::repo::{LogOptions, Repo, RepoError};

use super::{CommitRow, QueryError, RefKind, RefRow, Revisions};

fn failed(error: RepoError) -> QueryError {
    match error {
        RepoError::History(HistoryError::Unknown { name, nearest }) => QueryError::NoRevision { name, near: nearest },
        RepoError::Interrupted => QueryError::Interrupted,
        other => QueryError::Repository(Box::new(other)),
    }
}

impl Revisions for Repo {
    fn snapshot(&self, revision: Option<&str>) -> Result<Vec<(String, TableObjectId)>, QueryError> {
        Ok(Repo::snapshot(self, revision).map_err(failed)?.tables.into_iter().collect())
    }

    fn objects(&self) -> Arc<Objects> {
        Repo::objects(self).clone()
    }

    fn commits(&self) -> Result<Vec<CommitRow>, QueryError> {
        let options = LogOptions { all: true, ..LogOptions::default() };
        let row = |entry: crate::repo::LogEntry| CommitRow {
            id: entry.id.to_string(),
            parents: entry.commit.parents.iter().map(|p| p.to_string()).collect(),
            author: entry.commit.author.name.clone(),
            email: entry.commit.author.email.clone(),
            authored_millis: entry.commit.author.millis,
            committed_millis: entry.commit.committed_millis,
            message: entry.commit.message.clone(),
        };
        Ok(self.log(&options).map_err(failed)?.into_iter().map(row).collect())
    }

    fn refs(&self) -> Result<Vec<RefRow>, QueryError> {
        let branches = self.branches().map_err(failed)?.into_iter().map(|branch| RefRow {
            kind: RefKind::Branch,
            commit: branch.commit.map(|(id, _)| id.to_string()),
            current: branch.current,
            name: branch.name,
            message: None,
        });
        let tags = self.tags().map_err(failed)?.into_iter().map(|info| RefRow {
            kind: RefKind::Tag,
            commit: Some(info.tag.commit.to_string()),
            current: false,
            name: info.name,
            message: Some(info.tag.message).filter(|text| !text.is_empty()),
        });
        let mut rows: Vec<RefRow> = branches.chain(tags).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }
}
