//! Floor placeholder.

pub mod profile;
