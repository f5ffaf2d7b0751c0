//! `dsv git`: life beside a code repository in Git, and what Git runs.

mod check;
mod diff;
mod difftool;
mod follow;
mod hook;
mod init;
mod log;
mod merge;
mod no_data;
mod pin;
mod places;
mod pushed;
mod read;
mod status;
mod textconv;

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Keep code in Git and its data in dsv, side by side
///
/// A small text file in Git, dsv.lock, names the data that the code goes with: its pin. `dsv git init` sets this up once in each clone. From then on, Git and dsv go
/// along with each other: a commit of code pins the data that is checked out; a checkout, a merge or a rebase of code goes to the data that it names; and where two
/// branches of code are merged, so is their data.
///
/// Examples:
///
///   dsv git init                       hooks, the merge driver, and the first pin
///   dsv git status                     does the data go with the code?
///   dsv git log                        which code used which data
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Git {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    Init(init::Init),
    Pin(pin::Pin),
    Follow(follow::Follow),
    Status(status::Status),
    Log(log::Log),
    Diff(diff::PinnedDiff),
    Merge(merge::Merge),
    Check(check::Check),
    NoData(no_data::NoData),
    Pushed(pushed::Pushed),
    Hook(hook::Hook),
    MergeDriver(merge::MergeDriver),
    Textconv(textconv::Textconv),
    Difftool(difftool::Difftool),
}

impl Git {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::Init(verb) => verb.run(context),
            Verb::Pin(verb) => verb.run(context),
            Verb::Follow(verb) => verb.run(context),
            Verb::Status(verb) => verb.run(context),
            Verb::Log(verb) => verb.run(context),
            Verb::Diff(verb) => verb.run(context),
            Verb::Merge(verb) => verb.run(context),
            Verb::Check(verb) => verb.run(context),
            Verb::NoData(verb) => verb.run(context),
            Verb::Pushed(verb) => verb.run(context),
            Verb::Hook(verb) => verb.run(context),
            Verb::MergeDriver(verb) => verb.run(context),
            Verb::Textconv(verb) => verb.run(context),
            Verb::Difftool(verb) => verb.run(context),
        }
    }
}
