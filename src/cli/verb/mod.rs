//! One file for each verb: its arguments, its help (the doc comment) and its function together.

mod bisect;
mod blame;
mod branch;
mod cache;
mod cat;
pub mod check;
mod cherry_pick;
mod clone;
mod column;
mod commit;
mod compact;
mod completions;
mod config;
mod conflicts;
pub mod diff;
mod export;
mod fetch;
mod from_git;
mod gc;
mod git;
mod head;
mod hooks;
mod import;
mod init;
mod log;
mod ls_remote;
pub mod merge;
mod operations;
mod pull;
mod push;
mod query;
mod rebase;
mod redo;
mod remote;
mod reset;
mod resolve;
mod restore;
mod revert;
mod row_log;
mod sample;
mod serve;
mod show;
mod stats;
mod status;
mod switch;
mod table;
mod tag;
mod undo;
mod verify;
mod videos;
mod view;

use super::context::Context;
use super::error::CliError;

macro_rules! verbs {
    ($($name:ident $module:ident),* $(,)?) => {
        /// What to do. Each verb's help stands on its own type.
        #[derive(Debug, clap::Subcommand)]
        pub enum Verb {
            $(#[allow(missing_docs)] $name($module::$name),)*
        }

        impl Verb {
            /// Does it.
            pub fn run(self, context: &Context) -> Result<(), CliError> {
                match self {
                    $(Verb::$name(verb) => verb.run(context),)*
                }
            }
        }
    };
}

verbs! {
    Init init, Import import, Status status, Commit commit,
    Log log, Show show, Blame blame, Bisect bisect, Head head, Sample sample, Cat cat, Stats stats, Query query, Export export,
    Branch branch, Switch switch, Tag tag, Diff diff, Merge merge, Conflicts conflicts, Resolve resolve,
    CherryPick cherry_pick, Revert revert, Rebase rebase,
    Remote remote, Clone clone, Fetch fetch, Pull pull, Push push, LsRemote ls_remote, Serve serve,
    Table table, Column column, View view, Check check, Hooks hooks,
    Undo undo, Redo redo, Restore restore, Reset reset, Operations operations,
    Git git, Verify verify, Gc gc, Cache cache, Compact compact, Config config, Completions completions,
}
