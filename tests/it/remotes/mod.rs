//! Remotes by the command line: one suite over each kind of store, on servers that the tests start.

mod contend;
mod lazy;
mod network;
mod servers;
mod stores;
mod suite;
mod web;

/// The contract of stores, which the library holds its own against.
#[path = "../../../src/store/conformance/contract.rs"]
mod contract;

use dsv::store::{Store, StoreError};
