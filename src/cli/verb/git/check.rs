//! `dsv git check`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::Tested;
use crate::repo::git::Code;
use crate::repo::pin::Pin;

use super::places::{Place, pin_text};

/// Rows of each check that are shown.
const SHOWN: usize = 10;

/// Test the checks of the data that the code pins
///
/// The commit that each dsv.lock names is held to the checks that are kept with it. Where it is not here, it is read from the remote that the pin names. The exit code
/// is 1 where a check does not hold that is not only a warning.
///
/// Examples:
///
///   dsv git check
///   dsv git check data/dsv.lock
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Check {
    /// Pins; all that Git tracks where none is named
    #[arg(value_name = "LOCK")]
    locks: Vec<PathBuf>,
}

impl Check {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let places = if self.locks.is_empty() {
            Place::all(context, &Code::called(context.dir())?)?
        } else {
            let named = self.locks.into_iter().map(|lock| Place::at(context, &context.path(""), lock));
            named.collect::<Result<Vec<_>, _>>()?
        };
        let mut broken = Vec::new();
        for place in &places {
            let Some(pin) = Pin::read(&place.file)? else {
                return Err(CliError::usage(format!("there is no {}", place.name())));
            };
            let commit = pin.commit.to_string();
            let tested = match (&place.repo, &pin.remote) {
                (Some(repo), _) if repo.has_commit(pin.commit)? => repo.run_checks(&[], Some(&commit), None, SHOWN)?,
                (_, Some(url)) => {
                    let (repo, _) = context.repo_at(url)?;
                    repo.run_checks(&[], Some(&commit), None, SHOWN)?
                }
                (_, None) => {
                    return Err(CliError::fault(format!("{} names {}, which is not here, and no remote", place.name(), pin_text(&pin)))
                        .hint("ask whoever made it to 'dsv push' and to pin it again"));
                }
            };
            crate::cli::verb::check::show(context, &tested)?;
            let (failed, fine): (Vec<&Tested>, Vec<&Tested>) = tested.iter().partition(|tested| tested.refuses());
            let warnings: Vec<Tested> = fine.into_iter().filter(|tested| !tested.holds()).cloned().collect();
            crate::cli::verb::check::warn(context, &warnings);
            if failed.is_empty() {
                context.ui.note(format!("{}: {} of {} held", place.name(), crate::cli::ui::format::plural(tested.len() as u64, "check"), pin_text(&pin)));
            }
            broken.extend(failed.into_iter().map(|tested| format!("{}: {}", place.name(), tested.summary())));
        }
        if broken.is_empty() { Ok(()) } else { Err(CliError::no(broken.join("; "))) }
    }
}
