//! Floor placeholder.

pub mod files;
