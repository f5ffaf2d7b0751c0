//! The one integration binary: many modules, linked once.

#[path = "../../fixtures/scenes.rs"]
mod scenes;

mod drawn;
mod replay;
mod walls;
