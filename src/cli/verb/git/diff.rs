//! `dsv git diff`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::verb::diff;
use crate::repo::git::Code;

/// Show what differs in the data of two revisions of the code
///
/// As `dsv diff`, with revisions of Git's: what is compared is the data that dsv.lock names there. With one, it is compared with the data as it is now; A...B compares with
/// where B left A in Git. All else is as `dsv diff` has it.
///
/// Examples:
///
///   dsv git diff origin/main --stat
///   dsv git diff v1.0 v2.0 -- birds label
///   dsv git diff origin/main...HEAD --stat --format markdown
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct PinnedDiff {
    #[command(flatten)]
    diff: diff::Diff,
}

impl PinnedDiff {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let Some(file) = context.repo()?.pin_path() else { return Err(CliError::usage("this repository has no folder")) };
        let top = code.require_top()?;
        let path = file.strip_prefix(&top).map_err(|_| CliError::usage("the data is outside the code"))?;
        let commit =
            |revision: &str| -> Result<String, CliError> {
                let revision = if revision.is_empty() { "HEAD" } else { revision };
                let pin = code.pin_at(revision, path)?;
                match pin {
                    Some(pin) => Ok(pin.commit.to_string()),
                    None => Err(CliError::usage(format!("there is no pin in '{revision}' of Git's, or no such revision"))
                        .hint("'dsv git log' lists commits that have one")),
                }
            };
        let given = self.diff.revisions();
        let revisions = match given {
            [one] => match (one.split_once("..."), one.split_once("..")) {
                (Some((a, b)), _) => {
                    let base = code.merge_base(a, b)?;
                    vec![commit(&base)?, commit(b)?]
                }
                (None, Some((a, b))) => vec![commit(a)?, commit(b)?],
                (None, None) => vec![commit(one)?],
            },
            [] => vec![commit("HEAD")?],
            many => many.iter().map(|one| commit(one)).collect::<Result<_, _>>()?,
        };
        self.diff.between(revisions).run(context)
    }
}
