//! The part of `dsv import` that replays a file's history in Git.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::cli::ui::progress::INTERRUPTED_EXIT;
use crate::history::short;
use crate::repo::{GitImport, GitImported, ImportMode, ImportOptions, RepoError};

/// The options of reading that make no sense of a file's history.
const OF_FILES: [&str; 8] = ["append", "media", "schema", "on_error", "fps", "every", "scene", "keep"];

/// The options of `dsv import` for histories in Git.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct FromGit {
    /// Replay the history of FILE, a path in this Git repository, as commits
    #[arg(long = "from-git", value_name = "REPO", conflicts_with_all = OF_FILES, help_heading = "From Git")]
    pub from_git: Option<String>,
    /// The history of this commit in Git; HEAD's without it
    #[arg(long, value_name = "REV", requires = "from_git", default_value = "HEAD", hide_default_value = true, help_heading = "From Git")]
    rev: String,
    /// Go on past the commits in which the file was moved here, unchanged, from another path
    #[arg(long, requires = "from_git", help_heading = "From Git")]
    follow: bool,
    /// Of merges, follow the first parent alone
    #[arg(long, requires = "from_git", help_heading = "From Git")]
    first_parent: bool,
    /// Stop at a version that cannot be read, instead of leaving it out
    #[arg(long, requires = "from_git", help_heading = "From Git")]
    strict: bool,
}

impl FromGit {
    /// Replays, if that was asked for: whether it was.
    pub fn run(&self, context: &Context, table: &str, files: &[String], options: &ImportOptions, command: &str) -> Result<bool, CliError> {
        let Some(repository) = &self.from_git else { return Ok(false) };
        let [path] = files else {
            return Err(CliError::usage(format!("--from-git replays the history of one file, and {} are named", files.len())));
        };
        let from = GitImport {
            repository: context.path(repository),
            path: path.clone(),
            revision: self.rev.clone(),
            key: options.key.clone(),
            read: options.read.clone(),
            replace: options.mode == ImportMode::Replace,
            strict: self.strict,
            follow: self.follow,
            first_parent: self.first_parent,
        };
        let mut repo = context.working_repo()?;
        let done = repo.import_git(table, &from, command)?;
        tell(context, table, path, &done)?;
        let made = done.made();
        match done.stopped {
            None => Ok(true),
            Some(RepoError::Interrupted) => {
                let message = format!("interrupted: {} made; the same command goes on behind them", format::plural(made, "commit"));
                Err(CliError { exit: INTERRUPTED_EXIT, message, mark: None, hints: Vec::new() })
            }
            Some(error) => Err(CliError::from(error).hint("what was made until then stays; the same command goes on behind it")),
        }
    }

    /// What the operation log says of it.
    pub fn words(&self) -> Vec<String> {
        let Some(repository) = &self.from_git else { return Vec::new() };
        let mut words = vec!["--from-git".to_owned(), repository.clone()];
        if self.rev != "HEAD" {
            words.extend(["--rev".to_owned(), self.rev.clone()]);
        }
        for (said, word) in [(self.follow, "--follow"), (self.first_parent, "--first-parent"), (self.strict, "--strict")] {
            if said {
                words.push(word.to_owned());
            }
        }
        words
    }
}

fn tell(context: &Context, table: &str, path: &str, done: &GitImported) -> Result<(), CliError> {
    let (made, skipped) = (done.made(), done.skipped().count() as u64);
    if context.ui.json {
        let mut out = context.ui.out();
        for version in &done.versions {
            let mut line = json!({ "git_commit": version.git_commit, "git_path": version.path, "commit": null, "skipped": null });
            match &version.outcome {
                Ok((id, changes)) => {
                    line["commit"] = json!(id.to_string());
                    for (name, n) in
                        [("rows_added", changes.added), ("rows_removed", changes.removed), ("rows_changed", changes.changed), ("cells_changed", changes.cells)]
                    {
                        line[name] = json!(n);
                    }
                }
                Err(why) => line["skipped"] = json!(why),
            }
            writeln!(out, "{line}")?;
        }
        let (rows, columns) = done.size.unzip();
        let last = json!({
            "table": table, "rows": rows, "columns": columns, "commits": made, "skipped_total": skipped, "known": done.known, "shallow": done.shallow,
        });
        writeln!(out, "{last}")?;
        return Ok(out.finish()?);
    }
    if let Some((first, why)) = done.skipped().next() {
        let all = format::plural(done.versions.len() as u64, "version");
        let were = if skipped == 1 { "was" } else { "were" };
        context.ui.warn(format!(
            "{} of {all} cannot be read and {were} left out; the first, commit {:.8} in Git: {why}",
            format::count(skipped),
            first.git_commit
        ));
    }
    if let Some(commit) = &done.shallow {
        context.ui.hint(format!("the clone is shallow, and its history begins with commit {commit:.8}: 'git fetch --unshallow' brings what was before"));
    }
    let size = match done.size {
        Some((rows, columns)) => format!("now {}, {}", format::plural(rows, "row"), format::plural(columns as u64, "column")),
        None => "the file was deleted".to_owned(),
    };
    let last = done.versions.iter().rev().find_map(|version| Some(short(&version.outcome.as_ref().ok()?.0)));
    context.ui.note(match last {
        Some(last) => format!("Table {table}: {} from the history of {path}, the last {last}; {size}", format::plural(made, "commit")),
        None => format!("Table {table}: no new version of {path}; {} are here", format::count(done.known)),
    });
    Ok(())
}
