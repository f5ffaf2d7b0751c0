//! The command line from outside, through the binary.

mod bad_input;
mod checking;
mod differences;
mod formats;
mod frames;
mod from_git;
mod help;
mod history;
mod hook_verbs;
mod hooking;
mod interrupted;
mod merging;
mod pointers;
mod tables;
mod terminal;
mod through_git;
mod writing;
