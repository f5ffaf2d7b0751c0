//! `dsv branch`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::cli::ui::table::width;
use crate::format::commit::Commit;
use crate::format::operation::HeadRef;
use crate::history::short;
use crate::query::{Params, filter_slots};
use crate::repo::{BranchInfo, NewSubset, Repo};

/// List, create, rename or delete branches
///
/// A branch costs a name: no data is copied. Each branch has its own working state, so switching between them loses nothing.
///
/// With --table and --where the new branch is a subset: its first commit hides the other rows of one table, without touching a column. Merged back, what was
/// done on it comes, and the rows that it hides stay.
///
/// With --json, a line for each branch: {"branch", "commit", "current", "uncommitted", "subset", "time", "message"}.
///
/// Examples:
///
///   dsv branch                           list
///   dsv branch fix-labels                from here
///   dsv branch fix-labels v1.0           from a revision
///   dsv branch train --table frames --where "quality > 0.8"
///   dsv branch -m fix-labels labels      rename
///   dsv branch -d labels                 delete, if its commits are elsewhere too
///   dsv branch -D labels                 delete
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Branch {
    /// The new branch; without it, branches are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Where it starts; with -m, the new name
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// List branches, also with other options
    #[arg(short, long, conflicts_with_all = ["rename", "delete", "force_delete", "name"])]
    list: bool,
    /// Rename a branch: -m NEW, or -m OLD NEW
    #[arg(short = 'm', long = "move", requires = "name")]
    rename: bool,
    /// Delete a branch that another holds the commits of
    #[arg(short, long, requires = "name", conflicts_with = "rename")]
    delete: bool,
    /// Delete a branch, whatever becomes of its commits and working state
    #[arg(short = 'D', requires = "name", conflicts_with_all = ["rename", "delete"])]
    force_delete: bool,
    /// Move a branch that exists to REV
    #[arg(short, long)]
    force: bool,
    /// Make a subset: of this table the branch shows only the rows of --where
    #[arg(long, value_name = "TABLE", requires = "where", conflicts_with_all = ["rename", "delete", "force_delete", "force"])]
    table: Option<String>,
    /// The rows of a subset: those for which this SQL predicate is true
    #[arg(long, value_name = "SQL", requires = "table")]
    r#where: Option<String>,
}

impl Branch {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let Some(name) = self.name else { return list(context, &repo) };
        if self.delete || self.force_delete {
            if let Some(extra) = self.revision {
                return Err(CliError::usage(format!("one branch at a time: '{extra}' is too much")));
            }
            let commit = repo.delete_branch(&name, self.force_delete)?;
            let was = commit.map_or("without a commit".to_owned(), |id| format!("was {}", short(&id)));
            context.ui.note(format!("Deleted branch {name} ({was})"));
            return Ok(());
        }
        if self.rename {
            let (old, new) = match &self.revision {
                Some(new) => (Some(name.as_str()), new.as_str()),
                None => (None, name.as_str()),
            };
            let old = repo.rename_branch(old, new, self.force)?;
            context.ui.note(format!("Renamed branch {old} to {new}"));
            return Ok(());
        }
        if let (Some(table), Some(predicate)) = (&self.table, &self.r#where) {
            let new = NewSubset { branch: &name, start: self.revision.as_deref(), table, kept: predicate };
            let made = repo.create_subset(&new, |table| Ok::<_, CliError>(filter_slots(repo.objects(), table, predicate, &Params::new())?))?;
            let (shown, hidden) = (format::plural(made.shown, "row"), format::count(made.hidden));
            context.ui.note(format!("Branch {name} is at {}: a subset of {table}, {shown}, {hidden} hidden", short(&made.commit)));
            if made.author_guessed {
                context.ui.hint("the author was guessed; say who you are with 'dsv config --global user.name NAME' and user.email");
            }
            return Ok(());
        }
        let commit = repo.create_branch(&name, self.revision.as_deref(), self.force)?;
        context.ui.note(format!("Branch {name} is at {}", short(&commit)));
        Ok(())
    }
}

/// True where the branch shows only some rows of a table.
fn subset(branch: &BranchInfo) -> bool {
    branch.commit.as_ref().is_some_and(|(_, commit)| commit.flags & Commit::FLAG_ON_SUBSET != 0)
}

fn list(context: &Context, repo: &Repo) -> Result<(), CliError> {
    let branches = repo.branches()?;
    let mut out = context.ui.page();
    if context.ui.json {
        for branch in branches {
            let (commit, time, message) = match &branch.commit {
                Some((id, commit)) => (Some(id.to_string()), Some(format::iso_date(commit.committed_millis, 0)), Some(commit.subject().to_owned())),
                None => (None, None, None),
            };
            let line = json!({
                "branch": branch.name, "commit": commit, "current": branch.current, "uncommitted": branch.uncommitted,
                "subset": subset(&branch), "time": time, "message": message,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(out.finish()?);
    }
    let paint = context.ui.paint;
    if let HeadRef::Commit(id) = repo.view()?.state.head()? {
        writeln!(out, "* {}", paint.current(format!("(detached at {})", short(&id))))?;
    }
    let wide = branches.iter().map(|b| width(&b.name)).max().unwrap_or(0);
    for branch in &branches {
        let pad = " ".repeat(wide - width(&branch.name));
        let (mark, name) = if branch.current { ("*", paint.current(&branch.name)) } else { (" ", paint.branch(&branch.name)) };
        write!(out, "{mark} {name}{pad}")?;
        match &branch.commit {
            Some((id, commit)) => write!(out, " {} {}", paint.id(short(id)), format::one_line(commit.subject()))?,
            None => write!(out, " {}", paint.dim("no commit yet"))?,
        }
        if subset(branch) {
            write!(out, " {}", paint.dim("(subset)"))?;
        }
        if branch.uncommitted {
            write!(out, " {}", paint.changed("(uncommitted changes)"))?;
        }
        writeln!(out)?;
    }
    Ok(out.finish()?)
}
