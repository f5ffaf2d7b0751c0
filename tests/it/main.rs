//! The one integration binary: many modules, linked once.

#[path = "../../fixtures/scenes.rs"]
mod scenes;

mod cli;
mod drawn;
mod real;
mod replay;
mod support;
mod walls;
