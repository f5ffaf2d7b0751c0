//! Queries over tables with deleted, edited and missing cells in many small leaves, against DataFusion over the same rows in memory.

mod checks;
mod expressions;
mod joins;
mod maps;
mod postgres;
mod repository;
mod sessions;
mod support;
mod twin;
mod vectors;
mod writes;
