//! The one integration binary: many modules, linked once.

#[path = "../../fixtures/proxy.rs"]
#[allow(dead_code)] // The benchmarks use what the tests do not.
mod proxy;
#[path = "../../fixtures/scenes.rs"]
#[allow(dead_code)] // The example writes what the tests only draw.
mod scenes;

mod beside;
mod cli;
mod curation;
mod damage;
mod demo;
mod drawn;
mod gitrepo;
mod golden;
mod merges;
mod postgres;
mod real;
mod remotes;
mod replay;
mod slt;
mod story;
mod support;
mod tally;
mod tpch;
mod train;
mod vectors;
mod walls;
