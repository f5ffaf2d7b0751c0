//! The error of this floor, with what a caller makes of it: whose fault it is, and what helps.

use std::io;
use std::path::PathBuf;

use crate::base::name::{BadName, did_you_mean};
use crate::base::{CommitId, ObjectId};
use crate::chunk::ChunkError;
use crate::format::FormatError;
use crate::history::{HistoryError, short};
use crate::store::{RemoteFault, StoreError};
use crate::table::TableError;
use crate::tree::TreeError;

use super::checks::Tested;
use super::files::FileError;

/// Whose fault an error is. The command line exits with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The question was understood, and the answer is no.
    Answer = 1,
    /// The operation was asked for wrongly: a name that does not exist, a value that does not fit.
    Usage = 2,
    /// The repository, its data, or the place where it is kept is at fault.
    Fault = 3,
}

/// Why an operation on a repository failed. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// There is none.
    #[error("{} is not in a dsv repository", .0.display())]
    NoRepository(PathBuf),
    /// There is one already.
    #[error("{} is a dsv repository already", .0.display())]
    Exists(PathBuf),
    /// Nothing differs from the last commit.
    #[error("nothing to commit: no table differs from {}", commit.map_or("an empty repository".to_owned(), |id| format!("commit {}", short(&id))))]
    NothingToCommit {
        /// The last commit.
        commit: Option<CommitId>,
    },
    /// A table that does not exist.
    #[error("there is no table '{name}'{}", at.as_ref().map(|at| format!(" in {at}")).unwrap_or_default())]
    NoTable {
        /// Its name.
        name: String,
        /// The revision that was searched; the working state where it is `None`.
        at: Option<String>,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// A branch that does not exist.
    #[error("there is no branch '{name}'")]
    NoBranch {
        /// Its name.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
        /// True if a tag or a commit goes by that name.
        other: bool,
    },
    /// A tag that does not exist.
    #[error("there is no tag '{name}'")]
    NoTag {
        /// Its name.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// A remote that does not exist.
    #[error("there is no remote '{name}'")]
    NoRemote {
        /// Its name.
        name: String,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// A name that is taken.
    #[error("{what} '{name}' exists already")]
    Taken {
        /// "branch", "tag", "table", ...
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that breaks the rules.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The branch moved under its uncommitted changes.
    #[error("branch '{branch}' has moved to commit {} since its uncommitted changes were made", short(tip))]
    Outdated {
        /// The branch.
        branch: String,
        /// Where it is now.
        tip: CommitId,
    },
    /// A merge has to be ended first.
    #[error("a {verb} of '{revision}' is in progress")]
    InProgress {
        /// `merge`, `cherry-pick`, ...
        verb: String,
        /// What is merged.
        revision: String,
    },
    /// Conflicts that nobody has settled.
    #[error("{left} {} left of the {verb} of '{revision}'", if *left == 1 { "conflict is" } else { "conflicts are" })]
    Conflicts {
        /// How many.
        left: u64,
        /// `merge`, `cherry-pick`, ...
        verb: String,
        /// What is merged.
        revision: String,
    },
    /// The data breaks checks that are kept with it.
    #[error("{}", broken.iter().map(Tested::summary).collect::<Vec<_>>().join("; "))]
    Checks {
        /// The checks that do not hold.
        broken: Vec<Tested>,
    },
    /// Whoever has a say before it is done said no: see [`super::Gate`].
    #[error("{0}")]
    Stopped(String),
    /// A check in SQL, and nothing that understands it.
    #[error("check '{check}' is written in SQL, which this build of dsv does not have")]
    NoSql {
        /// The check.
        check: String,
    },
    /// The operation is refused as asked for.
    #[error("{message}")]
    Refused {
        /// Why, in one line.
        message: String,
        /// What helps.
        hint: Option<String>,
    },
    /// Settings that do not read.
    #[error("{}: {why}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        why: String,
    },
    /// A setting's name that is none.
    #[error("'{0}' is not a setting: write it as section.name")]
    BadSetting(String),
    /// Objects are damaged or missing.
    #[error("{faults} damaged or missing, of {objects} objects")]
    Damaged {
        /// How many.
        faults: u64,
        /// Of how many.
        objects: u64,
    },
    /// The work was stopped.
    #[error("interrupted")]
    Interrupted,
    /// History.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A table, or what was to go into it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file of another tool's.
    #[error(transparent)]
    File(#[from] FileError),
    /// The object store.
    #[error(transparent)]
    Objects(#[from] ChunkError),
    /// An object that does not follow the format.
    #[error("object {id:.12}: {source}")]
    Format {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A Git repository beside this one.
    #[error("{what}: {why}")]
    Git {
        /// What could not be done.
        what: String,
        /// Git's reason.
        why: String,
    },
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl RepoError {
    /// A refusal in the caller's words.
    pub fn refused(message: impl Into<String>) -> RepoError {
        RepoError::Refused { message: message.into(), hint: None }
    }

    /// A refusal with a hint.
    pub fn refused_with(message: impl Into<String>, hint: impl Into<String>) -> RepoError {
        RepoError::Refused { message: message.into(), hint: Some(hint.into()) }
    }

    /// An input or output error of a path.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> RepoError {
        let path = path.into();
        move |source| RepoError::Io { path, source }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        use HistoryError as H;
        if matches!(self.store_error(), Some(StoreError::Remote { fault: RemoteFault::Address, .. })) {
            return ErrorKind::Usage;
        }
        match self {
            RepoError::NothingToCommit { .. } | RepoError::Conflicts { .. } | RepoError::Checks { .. } | RepoError::Stopped(_) => ErrorKind::Answer,
            RepoError::History(H::NothingToUndo | H::NothingToRedo | H::MovedSince { .. }) => ErrorKind::Answer,
            RepoError::NoRepository(_)
            | RepoError::Exists(_)
            | RepoError::NoTable { .. }
            | RepoError::NoBranch { .. }
            | RepoError::NoTag { .. }
            | RepoError::NoRemote { .. }
            | RepoError::Taken { .. }
            | RepoError::BadName(_)
            | RepoError::Outdated { .. }
            | RepoError::InProgress { .. }
            | RepoError::Refused { .. }
            | RepoError::BadSetting(_)
            | RepoError::File(FileError::Usage { .. })
            | RepoError::Table(
                TableError::NoColumn { .. } | TableError::DuplicateColumn(_) | TableError::Schema(_) | TableError::Name(_) | TableError::Type(_),
            ) => ErrorKind::Usage,
            RepoError::History(
                H::BadRevision(_)
                | H::Unknown { .. }
                | H::Ambiguous { .. }
                | H::NoCommit(_)
                | H::NoParent { .. }
                | H::NoMessage(_)
                | H::NotATime(_)
                | H::LogTooShort { .. }
                | H::UnknownOperation(_)
                | H::AmbiguousOperation(_),
            ) => ErrorKind::Usage,
            _ => ErrorKind::Fault,
        }
    }

    /// What to do about it, a line each.
    pub fn hints(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        match self {
            RepoError::NoRepository(_) => one("'dsv init' makes one here"),
            RepoError::NoTable { nearest, .. } | RepoError::NoTag { nearest, .. } | RepoError::NoRemote { nearest, .. } => {
                did_you_mean(nearest).into_iter().collect()
            }
            RepoError::Table(TableError::NoColumn { near, .. }) => did_you_mean(near).into_iter().collect(),
            RepoError::File(error) => error.hint().map(str::to_owned).into_iter().collect(),
            RepoError::NoBranch { name, other: true, .. } => vec![format!("'{name}' is a commit or a tag: look at it with 'dsv switch --detach {name}'")],
            RepoError::NoBranch { name, nearest, .. } if nearest.is_empty() => vec![format!("'dsv switch -c {name}' makes it")],
            RepoError::NoBranch { nearest, .. } => did_you_mean(nearest).into_iter().collect(),
            RepoError::Checks { broken } if broken.iter().any(|check| !check.fits) => broken
                .iter()
                .filter(|check| !check.fits)
                .map(|check| {
                    format!("nothing was changed; 'dsv check drop {0}' gives it up, and 'dsv check add {0}' then keeps another in its place", check.check)
                })
                .collect(),
            RepoError::Checks { .. } => one("nothing was changed; 'dsv check run' lists the rows, 'dsv check drop NAME' gives a check up"),
            RepoError::Outdated { .. } => one("'dsv reset' puts the changes on top of where the branch is now; 'dsv reset --hard' drops them"),
            RepoError::InProgress { verb, .. } => {
                vec![format!("settle what 'dsv conflicts' lists and end it with 'dsv {verb} --continue', or give it up with 'dsv {verb} --abort'")]
            }
            RepoError::Conflicts { verb, .. } => vec![format!("'dsv conflicts' lists them, 'dsv resolve' settles them; 'dsv {verb} --abort' gives up")],
            RepoError::Refused { hint, .. } => hint.iter().cloned().collect(),
            RepoError::History(HistoryError::Unknown { nearest, .. }) => did_you_mean(nearest).into_iter().collect(),
            RepoError::History(HistoryError::Moved { .. } | HistoryError::Contended(_)) => {
                one("another dsv changed the repository meanwhile, and nothing was changed here: run the command again")
            }
            RepoError::History(HistoryError::MovedSince { .. }) => one("undo the later operations first; 'dsv operations' lists them"),
            RepoError::History(HistoryError::UnknownOperation(_)) => one("'dsv operations' lists them"),
            RepoError::History(HistoryError::NoCommit(_)) => one("make a first commit with 'dsv commit -m MESSAGE'"),
            RepoError::History(HistoryError::Head(FormatError::Version { .. })) => one("a newer dsv made it: use that one"),
            other => match other.store_error() {
                Some(StoreError::ReadOnly { .. }) => one("nothing was changed; what only reads works here"),
                Some(StoreError::Full { .. }) => one("nothing was changed; make room and run the command again"),
                Some(StoreError::Remote { fault, .. }) => remote_hint(*fault).map(str::to_owned).into_iter().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// What the store said, where it is at fault.
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            RepoError::History(HistoryError::Store(error) | HistoryError::Objects(ChunkError::Store(error))) => Some(error),
            RepoError::Objects(ChunkError::Store(error)) | RepoError::Table(TableError::Chunk(ChunkError::Store(error))) => Some(error),
            RepoError::Tree(TreeError::Store(error)) | RepoError::Table(TableError::Tree(TreeError::Store(error))) => {
                match error.downcast_ref::<ChunkError>() {
                    Some(ChunkError::Store(error)) => Some(error),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// What helps against a remote's failure.
fn remote_hint(fault: RemoteFault) -> Option<&'static str> {
    Some(match fault {
        RemoteFault::Unreachable => "look at the address, the endpoint and the network; nothing was changed, and a second try goes on with what arrived",
        RemoteFault::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE for s3://, GOOGLE_APPLICATION_CREDENTIALS for gs://, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY for az://"
        }
        RemoteFault::Credentials => "the keys are wrong, or no longer good: renew them",
        RemoteFault::Denied => "ask for the right to read, and to push that to write, in this bucket",
        RemoteFault::NoBucket => "make the bucket first, or look at its name and region",
        RemoteFault::NoConditions => "two pushes at once could lose one of them there; '--lock' uses it all the same, with a file that says who writes",
        RemoteFault::NoList => "run it where the repository is kept",
        RemoteFault::Address | RemoteFault::Other => return None,
    })
}
