//! A repository's revisions, for queries.

use std::sync::Arc;

use crate::base::{CommitId, TableObjectId};
use crate::chunk::Objects;
use crate::history::HistoryError;
use crate::repo::{LogOptions, Repo, RepoError};

use super::revisions::{CommitRow, RefKind, RefRow};
use super::{QueryError, Revisions};

impl Revisions for Repo {
    fn snapshot(&self, revision: Option<&str>) -> Result<Vec<(String, TableObjectId)>, QueryError> {
        let snapshot = Repo::snapshot(self, revision).map_err(|error| match (error, revision) {
            (RepoError::History(HistoryError::Unknown { nearest, .. }), Some(name)) => QueryError::NoRevision { name: name.to_owned(), near: nearest },
            (other, _) => QueryError::Repository(other),
        })?;
        Ok(snapshot.tables.into_iter().collect())
    }

    fn objects(&self) -> Arc<Objects> {
        Repo::objects(self).clone()
    }

    fn commits(&self) -> Result<Vec<CommitRow>, QueryError> {
        let entries = self.log(&LogOptions { all: true, ..LogOptions::default() })?;
        let row = |entry: crate::repo::LogEntry| CommitRow {
            id: entry.id.to_string(),
            parents: entry.commit.parents.iter().map(CommitId::to_string).collect(),
            author: entry.commit.author.name.clone(),
            email: entry.commit.author.email.clone(),
            authored_millis: entry.commit.author.millis,
            committed_millis: entry.commit.committed_millis,
            message: entry.commit.message.clone(),
        };
        Ok(entries.into_iter().map(row).collect())
    }

    fn refs(&self) -> Result<Vec<RefRow>, QueryError> {
        let branch = |b: crate::repo::BranchInfo| RefRow {
            kind: RefKind::Branch,
            name: b.name,
            commit: b.commit.map(|(id, _)| id.to_string()),
            current: b.current,
            message: None,
        };
        let tag = |t: crate::repo::TagInfo| RefRow {
            kind: RefKind::Tag,
            name: t.name,
            commit: Some(t.tag.commit.to_string()),
            current: false,
            message: (!t.tag.message.is_empty()).then_some(t.tag.message),
        };
        let mut rows: Vec<RefRow> = self.branches()?.into_iter().map(branch).collect();
        rows.extend(self.tags()?.into_iter().map(tag));
        Ok(rows)
    }
}

/// For operations of the floor below that take a query's rows.
impl From<QueryError> for RepoError {
    fn from(error: QueryError) -> RepoError {
        match error {
            QueryError::Repository(error) => error,
            QueryError::Table(error) => RepoError::Table(error),
            QueryError::Interrupted => RepoError::Interrupted,
            other => RepoError::Refused { message: other.to_string(), hint: other.hints().into_iter().next() },
        }
    }
}
