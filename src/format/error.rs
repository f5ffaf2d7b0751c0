//! The one error of this floor.

/// Bytes that do not follow the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A structure does not read as docs/format.md has it.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// The structure: "chunk header", "leaf of values", ...
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A repository of another version of the format.
    #[error("the repository has format version {found}; this dsv reads version {known}")]
    Version {
        /// The version it states.
        found: u64,
        /// The version this build reads.
        known: u64,
    },
    /// A type that does not read.
    #[error(transparent)]
    Type(#[from] super::TypeError),
}

impl FormatError {
    /// A [`FormatError::Malformed`].
    pub fn malformed(what: &'static str, why: impl ToString) -> Self {
        FormatError::Malformed { what, why: why.to_string() }
    }
}
