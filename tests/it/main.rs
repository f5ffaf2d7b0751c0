//! The one integration binary: many modules, linked once.

#[path = "../../fixtures/scenes.rs"]
mod scenes;

mod damage;
mod drawn;
mod golden;
mod replay;
mod walls;
