//! `dsv switch`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::refs::head_text;
use crate::history::short;
use crate::repo::SwitchOptions;

/// Go to another branch
///
/// What is not committed stays with the branch that it was made on, and is there again when you come back.
///
/// Examples:
///
///   dsv switch main
///   dsv switch -c fix-labels             create, and go there
///   dsv switch -c hotfix v1.0
///   dsv switch -                         the branch before
///   dsv switch --detach v1.0             look at a revision without a branch
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Switch {
    /// The branch, - for the one before, or with --detach a revision
    #[arg(value_name = "NAME", required_unless_present = "create")]
    name: Option<String>,
    /// Create it first, at REV or here
    #[arg(short, long, value_name = "NAME")]
    create: Option<String>,
    /// Check out a commit, not a branch
    #[arg(long, conflicts_with = "create")]
    detach: bool,
}

impl Switch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        // With -c the positional is where the new branch starts, as Git has it.
        let (target, options) = match (self.create, self.name) {
            (Some(new), start) => (new, SwitchOptions { create: true, start, detach: false }),
            (None, Some(name)) => (name, SwitchOptions { create: false, start: None, detach: self.detach }),
            (None, None) => return Err(CliError::usage("name a branch")),
        };
        let hooks = Hooks::new(context, &repo, false);
        let before = hooks.head()?;
        let switched = repo.switch(&target, &options)?;
        let ui = &context.ui;
        let what = match (options.create, switched.from == switched.to) {
            (true, _) => "Switched to new branch",
            (false, true) => "Already on",
            (false, false) => "Switched to",
        };
        let place = head_text(&switched.to);
        ui.note(if options.create { format!("{what} {}", place.trim_start_matches("branch ")) } else { format!("{what} {place}") });
        if switched.carried {
            ui.note("The uncommitted changes came along");
        }
        if switched.left_behind {
            ui.note(format!("The uncommitted changes stay on {}", head_text(&switched.from)));
        }
        if let Some(id) = switched.left {
            ui.note(format!("Left commit {} behind, which is on no branch", short(&id)));
            ui.hint(format!("'dsv branch NAME {}' keeps it", short(&id)));
        }
        if switched.uncommitted && !switched.carried {
            ui.note("There are uncommitted changes here: see 'dsv status'");
        }
        hooks.checked_out(before, switched.commit)
    }
}
