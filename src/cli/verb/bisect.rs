//! `dsv bisect`.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use serde_json::json;

use crate::base::CommitId;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::history::bisect::{Found, Verdict, bisect};
use crate::history::{HistoryError, short};
use crate::query::{Options, Params, Session};
use crate::repo::{Repo, RepoError};

/// Find the commit at which something went wrong
///
/// Between a good revision and a bad one, commits are judged by halving until the first bad one is found. --query judges by SQL: one value, true where all is well; tables are those of
/// the commit. A command after -- judges by its exit code: 0 good, 125 cannot be told, 1 to 127 bad; it finds the commit's id in DSV_REV, and {} in its arguments is replaced
/// by it. Nothing is checked out: ask with `--at` or with "COMMIT".table.
///
/// Exits with 1 where only commits that cannot be told are left.
///
/// Examples:
///
///   dsv bisect v1.0 main --query "SELECT count(*) = 0 FROM photos WHERE label IS NULL"
///   dsv bisect v1.0 main -- sh -c 'dsv query --at $DSV_REV "SELECT 1/count(*) FROM photos"'
///   dsv bisect v1.0 main -- python train.py --revision {}
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("judge").required(true).args(["query", "command"]))]
pub struct Bisect {
    /// A revision at which all was well
    #[arg(value_name = "GOOD")]
    good: String,
    /// A revision at which it is not
    #[arg(value_name = "BAD")]
    bad: String,
    /// An SQL query that gives true where all is well
    #[arg(long, value_name = "SQL")]
    query: Option<String>,
    /// A command that exits with 0 where all is well
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Why a commit could not be judged: of the repository, or in the command line's words.
enum Stop {
    History(HistoryError),
    Said(Box<CliError>),
}

impl From<HistoryError> for Stop {
    fn from(error: HistoryError) -> Stop {
        Stop::History(error)
    }
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Stop {
        Stop::Said(Box::new(error))
    }
}

impl Bisect {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = Arc::new(context.repo()?);
        let (good, bad) = (repo.resolve(&self.good)?, repo.resolve(&self.bad)?);
        if good == bad || !repo.graph().is_ancestor(good, bad).map_err(RepoError::from)? {
            let error = CliError::usage(format!("'{}' does not come before '{}'", self.good, self.bad));
            return Err(error.hint("the good revision comes first: 'dsv bisect GOOD BAD'"));
        }
        for (revision, id, wanted, said) in [(&self.good, good, Verdict::Good, "good"), (&self.bad, bad, Verdict::Bad, "bad")] {
            if self.judge(context, &repo, id)? != wanted {
                return Err(CliError::usage(format!("'{revision}' is not {said} itself")).hint("try the query or the command on it alone"));
            }
        }
        let found = bisect::<Stop>(repo.graph(), good, bad, &mut |id, left| {
            let verdict = self.judge(context, &repo, id)?;
            let said = match verdict {
                Verdict::Good => "good",
                Verdict::Bad => "bad",
                Verdict::Skip => "cannot be told",
            };
            let subject = repo.commit_of(id).map_err(CliError::from)?.subject().to_owned();
            context.ui.note(format!("{} {said}: {subject} (of {})", short(&id), format::plural(left as u64, "commit")));
            Ok(verdict)
        });
        let found = match found {
            Ok(found) => found,
            Err(Stop::History(error)) => return Err(RepoError::from(error).into()),
            Err(Stop::Said(error)) => return Err(*error),
        };
        let ids = match &found {
            Found::First(id) => vec![*id],
            Found::Among(ids) => ids.clone(),
        };
        let mut out = context.ui.page();
        for id in &ids {
            let commit = repo.commit_of(*id)?;
            if context.ui.json {
                let first = matches!(found, Found::First(_));
                writeln!(out, "{}", json!({ "commit": id.to_string(), "first_bad": first, "author": commit.author.name, "message": commit.message }))?;
            } else {
                writeln!(out, "{} {}", context.ui.paint.id(short(id)), commit.subject())?;
            }
        }
        out.finish()?;
        match found {
            Found::First(_) => {
                context.ui.note("is the first bad commit");
                Ok(())
            }
            Found::Among(_) => Err(CliError::no("one of these is the first bad commit: the others could not be judged")),
        }
    }

    fn judge(&self, context: &Context, repo: &Arc<Repo>, id: CommitId) -> Result<Verdict, CliError> {
        match &self.query {
            Some(sql) => by_query(repo, sql, id),
            None => by_command(context, &self.command, id),
        }
    }
}

fn by_query(repo: &Arc<Repo>, sql: &str, id: CommitId) -> Result<Verdict, CliError> {
    let mut answer = Session::new(repo.clone(), Options::default())?.query(sql, &Params::new(), Some(&id.to_string()))?;
    let fail = || CliError::usage("the query has to give one value that is true or false").hint("such as SELECT count(*) = 0 FROM photos WHERE label IS NULL");
    let mut verdict = None;
    for batch in answer.by_ref() {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let value = batch.columns().first().and_then(|column| column.as_boolean_opt()).ok_or_else(fail)?;
        if batch.num_columns() != 1 || batch.num_rows() != 1 || verdict.is_some() || value.is_null(0) {
            return Err(fail());
        }
        verdict = Some(if value.value(0) { Verdict::Good } else { Verdict::Bad });
    }
    verdict.ok_or_else(fail)
}

fn by_command(context: &Context, command: &[String], id: CommitId) -> Result<Verdict, CliError> {
    let Some((program, arguments)) = command.split_first() else { return Err(CliError::usage("no command")) };
    let id = id.to_string();
    let run = Command::new(program).args(arguments.iter().map(|argument| argument.replace("{}", &id))).env("DSV_REV", &id).current_dir(context.dir()).status();
    let status = run.map_err(|e| CliError::usage(format!("{program}: {e}")))?;
    match status.code() {
        Some(0) => Ok(Verdict::Good),
        Some(125) => Ok(Verdict::Skip),
        Some(1..=127) => Ok(Verdict::Bad),
        _ => Err(CliError::fault(format!("{program} ended with {status} at commit {id:.8}"))),
    }
}
