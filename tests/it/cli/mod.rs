//! The command line from outside, through the binary.

mod bad_input;
mod checking;
mod differences;
mod formats;
mod frames;
mod help;
mod history;
mod hook_verbs;
mod hooking;
mod interrupted;
mod merging;
mod tables;
mod terminal;
mod writing;
