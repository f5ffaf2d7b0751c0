//! Going to the data that a pin names.

use super::Pin;
use crate::base::CommitId;
use crate::base::name::check_ref;
use crate::format::operation::HeadRef;
use crate::history::Transaction;
use crate::history::state::{HEAD, branch_key, working_key};
use crate::repo::branch::branch_exists;
use crate::repo::{Repo, RepoError};

/// What became of following a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The pinned commit was checked out already, on the branch that the pin names.
    Already,
    /// The branch that the pin names is checked out, at the pinned commit.
    Branch {
        /// Its name.
        name: String,
        /// True where it was made.
        created: bool,
        /// True where it went forward to the commit.
        forward: bool,
    },
    /// The commit is checked out without a branch: the pin names none, or its branch is elsewhere.
    Detached {
        /// The branch that the pin names, and where it is.
        branch: Option<(String, CommitId)>,
    },
    /// Nothing was changed: what is checked out has uncommitted changes, or a merge is in progress.
    Uncommitted,
    /// Nothing was changed: the commit is not in this repository.
    Missing,
}

impl Repo {
    /// Checks out the commit that a pin names. Its branch is checked out where it is at that commit, can move forward to it, or has to be made; else the commit
    /// alone is, and no branch moves. Uncommitted changes are never left behind: then nothing happens.
    pub fn follow(&self, pin: &Pin) -> Result<Followed, RepoError> {
        let view = self.view()?;
        let from = view.state.head()?;
        if view.state.head_commit()? == Some(pin.commit)
            && (pin.branch.is_none() || matches!(&from, HeadRef::Branch(name) if pin.branch.as_ref() == Some(name)))
        {
            return Ok(Followed::Already);
        }
        if view.state.working(&from)?.is_some() {
            return Ok(Followed::Uncommitted);
        }
        if !self.has_commit(pin.commit)? {
            return Ok(Followed::Missing);
        }
        let mut transaction = Transaction::new(Some(view.clone()));
        // A working state that appears meanwhile must not be left where nobody sees it.
        transaction.rely_on(&working_key(&from))?;
        let mut move_to = |name: &str| -> Result<(), RepoError> {
            transaction.set(&branch_key(name), Some(pin.commit.as_bytes().to_vec()))?;
            transaction.set(HEAD, Some(HeadRef::Branch(name.to_owned()).encode()))?;
            Ok(())
        };
        let named = pin.branch.as_deref().filter(|name| check_ref("branch", name).is_ok());
        let followed = match named {
            Some(name) if !branch_exists(&view.state, name)? => {
                move_to(name)?;
                Followed::Branch { name: name.to_owned(), created: true, forward: false }
            }
            Some(name) => {
                let tip = view.state.branch(name)?;
                let to = HeadRef::Branch(name.to_owned());
                // Uncommitted changes of a branch belong to the commit that they were made from.
                let idle = view.state.working(&to)?.is_none();
                match tip {
                    Some(tip) if tip == pin.commit => {
                        transaction.rely_on(&branch_key(name))?;
                        transaction.set(HEAD, Some(to.encode()))?;
                        Followed::Branch { name: name.to_owned(), created: false, forward: false }
                    }
                    _ if idle && tip.map_or(Ok(true), |tip| self.graph.is_ancestor(tip, pin.commit))? => {
                        move_to(name)?;
                        transaction.rely_on(&working_key(&to))?;
                        Followed::Branch { name: name.to_owned(), created: false, forward: true }
                    }
                    tip => Followed::Detached { branch: tip.map(|tip| (name.to_owned(), tip)) },
                }
            }
            None => Followed::Detached { branch: None },
        };
        if matches!(followed, Followed::Detached { .. }) {
            let to = HeadRef::Commit(pin.commit);
            // There is one working state without a branch, and it belongs to another commit.
            if view.state.working(&to)?.is_some() {
                return Ok(Followed::Uncommitted);
            }
            transaction.set(HEAD, Some(to.encode()))?;
        }
        self.publish(transaction, "git follow")?;
        if let Followed::Branch { name, created: true, .. } = &followed {
            self.follow_upstream(name)?;
        }
        if let Followed::Branch { .. } = &followed {
            self.drop_passing(pin.commit)?;
        }
        Ok(followed)
    }

    /// Lets a new branch follow the remote's of its name, if exactly one remote has it.
    fn follow_upstream(&self, name: &str) -> Result<(), RepoError> {
        let tracked = self.view()?.state.remotes()?;
        let having = |remote: &crate::repo::remotes::RemoteInfo| tracked.contains_key(&format!("{}/{name}", remote.name));
        let having: Vec<_> = self.remotes()?.into_iter().filter(having).collect();
        match having.as_slice() {
            [only] => self.set_upstream(name, &only.name, name),
            _ => Ok(()),
        }
    }
}
