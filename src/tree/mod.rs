//! Floor placeholder.
