//! The one integration binary: many modules, linked once.

mod golden;
