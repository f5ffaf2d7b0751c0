//! `tag`: list, set and delete tags.

use super::{Repo, RepoError};
use crate::base::CommitId;
use crate::base::name::{check_ref, nearest};
use crate::format::operation::Tag;
use crate::history::Transaction;
use crate::history::state::tag_key;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagInfo {
    /// Its name.
    pub name: String,
    /// What it says.
    pub tag: Tag,
}

impl Repo {
    /// All tags by name.
    pub fn tags(&self) -> Result<Vec<TagInfo>, RepoError> {
        Ok(self.view()?.state.tags()?.into_iter().map(|(name, tag)| TagInfo { name, tag }).collect())
    }

    /// Sets a tag at a revision, by default `HEAD`. `force` moves one that exists.
    pub fn create_tag(&self, name: &str, revision: Option<&str>, message: Option<&str>, force: bool) -> Result<CommitId, RepoError> {
        check_ref("tag", name)?;
        let view = self.view()?;
        if !force && view.state.tag(name)?.is_some() {
            return Err(RepoError::Taken { what: "tag", name: name.to_owned() });
        }
        let commit = self.resolve_in(&view, revision.unwrap_or("HEAD"))?;
        let identity = self.identity()?;
        let message = message.map(|text| text.trim_end().to_owned()).unwrap_or_default();
        let tag = Tag { commit, message, name: identity.name, email: identity.email, millis: self.environment.now_millis() };
        let mut transaction = Transaction::new(Some(view));
        transaction.set(&tag_key(name), Some(tag.encode()))?;
        self.publish(transaction, format!("tag {name}"))?;
        Ok(commit)
    }

    /// Deletes a tag; returns what it named.
    pub fn delete_tag(&self, name: &str) -> Result<CommitId, RepoError> {
        let view = self.view()?;
        let Some(tag) = view.state.tag(name)? else {
            let tags = view.state.tags()?;
            let nearest = nearest(name, tags.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
            return Err(RepoError::NoTag { name: name.to_owned(), nearest });
        };
        let mut transaction = Transaction::new(Some(view));
        transaction.set(&tag_key(name), None)?;
        self.publish(transaction, format!("tag -d {name}"))?;
        Ok(tag.commit)
    }
}
