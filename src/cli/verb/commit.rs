//! `dsv commit`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::describe;
use crate::cli::error::CliError;
use crate::cli::hooks::Hooks;
use crate::cli::refs::head_text;
use crate::history::short;
use crate::repo::{CommitOptions, Identity, RepoError};

/// Record the working state as a commit
///
/// The commit holds the tables as they are now. The author is taken from `user.name` and `user.email` (see `dsv config`), else from Git's settings.
/// Where nothing changed since the last commit, this says so and exits with 1. Hooks are run before and after (see `dsv hooks`); then the checks kept in the data must hold.
///
/// Examples:
///
///   dsv commit -m "fix the labels of 12 birds"
///   dsv commit -m "import release 3" -m "From the archive of 2026-02-11, without duplicates."
///   dsv commit --amend -m "a better message"
///   dsv commit -m "start" --allow-empty
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Commit {
    /// What changed and why; a second one becomes a second paragraph
    #[arg(short, long, value_name = "MSG")]
    message: Vec<String>,
    /// Replace the last commit instead of following it
    #[arg(long)]
    amend: bool,
    /// Commit even where nothing changed
    #[arg(long)]
    allow_empty: bool,
    /// Another author
    #[arg(long, value_name = "NAME <EMAIL>")]
    author: Option<String>,
    /// Do not run the hooks pre-commit and commit-msg; checks kept in the data still count
    #[arg(short = 'n', long)]
    no_verify: bool,
}

impl Commit {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let author = self.author.as_deref().map(Identity::parse).transpose()?;
        let message = (!self.message.is_empty()).then(|| self.message.join("\n\n"));
        let repo = context.repo()?;
        if message.is_none() && !self.amend && repo.working()?.merging.is_none() {
            return Err(CliError::usage("a commit needs a message").hint("dsv commit -m 'what changed and why'"));
        }
        let options = CommitOptions { message, amend: self.amend, allow_empty: self.allow_empty, author, source: Default::default() };
        let hooks = Hooks::new(context, &repo, self.no_verify);
        let head = hooks.head()?;
        let options = hooks.before_commit(&options)?;
        let made = repo.commit(&options);
        if let Err(RepoError::Checks { broken }) = &made {
            super::check::show(context, broken)?;
        }
        let made = made?;
        super::check::warn(context, &made.warnings);
        let changes = describe::tables(&repo, &made.tables)?;
        let views = describe::others(&made.views, &[]);
        if context.ui.json {
            let mut out = context.ui.out();
            let tables: Vec<_> = changes.iter().map(describe::TableChange::json).collect();
            let views: Vec<_> = views.iter().map(describe::TableChange::json).collect();
            let parents: Vec<String> = made.commit.parents.iter().map(|p| p.to_string()).collect();
            let warnings = super::check::warnings(&made.warnings);
            let line = json!({"commit": made.id.to_string(), "parents": parents, "message": made.commit.message, "tables": tables, "views": views, "warnings": warnings});
            writeln!(out, "{line}")?;
            out.finish()?;
        } else {
            let place = head_text(&made.head);
            context.ui.note(format!("[{} {}] {}", place.trim_start_matches("branch "), short(&made.id), made.commit.subject()));
            for change in changes.iter().chain(&views) {
                context.ui.note(change.line(context.ui.paint_err));
            }
        }
        if made.author_guessed {
            let author = &made.commit.author;
            context.ui.hint(format!("signed as {} <{}>; say who you are with 'dsv config --global user.name NAME' and user.email", author.name, author.email));
        }
        hooks.committed(&made, head)
    }
}
