//! `dsv git merge`, and the driver that Git runs for pins.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::refs::head_text;
use crate::cli::ui::format;
use crate::history::short;
use crate::repo::git::{Code, Doing};
use crate::repo::pin::{Pin, PinMerge};
use crate::repo::{Repo, RepoError};

use super::places::{Place, pin_text};

/// Merge the data of a pin that Git left in conflict
///
/// Git runs dsv's merge driver for pins by itself, once `dsv git init` has told it. Where it could not (a commit was not here, the data had uncommitted changes, cells
/// conflict), the pin stays in conflict, and this ends it: it merges the data of both sides, or, where a merge of them was committed meanwhile, pins that.
///
/// Examples:
///
///   dsv git merge
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Merge {}

impl Merge {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let code = Code::called(context.dir())?;
        let top = code.require_top()?;
        let unmerged = code.unmerged()?;
        if unmerged.is_empty() {
            return Err(CliError::usage("Git has no pin in conflict").hint("'dsv merge REV' merges data"));
        }
        for conflict in unmerged {
            let place = Place::at(context, &top, conflict.path)?;
            let repo = place.repo.as_ref().ok_or_else(|| CliError::fault(format!("the data of {} is not here", place.name())))?;
            let [_, ours, theirs] = conflict.texts.map(|text| text.map(|text| Pin::parse(&String::from_utf8_lossy(&text))));
            let side = |side: Option<Result<Pin, String>>, whose: &str| match side {
                Some(Ok(pin)) => Ok(pin),
                Some(Err(why)) => Err(CliError::fault(format!("{} of {whose} is not a pin: {why}", place.name()))),
                None => Err(CliError::usage(format!("{} was deleted on one side", place.name())).hint("'git rm' or 'git checkout' decides")),
            };
            let (ours, theirs) = (side(ours, "ours")?, side(theirs, "theirs")?);
            let pin = match settled(repo, &ours, &theirs)? {
                // What a rebase takes along is theirs to Git: its branch goes on when the rebase has ended.
                Some(pin) if code.doing() == Some(Doing::Rewriting) => Pin { branch: theirs.branch, ..pin },
                Some(pin) => pin,
                None => merged(&code, repo, &ours, &theirs)?,
            };
            pin.write(&place.file)?;
            context.ui.note(format!("{} pins {}", place.name(), pin_text(&pin)));
            context.ui.hint(format!("'git add {}' tells Git", place.name()));
        }
        Ok(())
    }
}

/// What is checked out, where it has the commits of both pins: the merge was ended by hand.
fn settled(repo: &Repo, ours: &Pin, theirs: &Pin) -> Result<Option<Pin>, CliError> {
    let working = repo.working()?;
    match working.tip {
        Some(tip) if !working.dirty && repo.contains_both(tip, ours, theirs)? => Ok(Some(repo.pin()?)),
        _ => Ok(None),
    }
}

/// One pin of two; an answer of no where their data conflict.
fn merged(code: &Code, repo: &Repo, ours: &Pin, theirs: &Pin) -> Result<Pin, CliError> {
    match repo.merge_pins(ours, theirs, code.doing() == Some(Doing::Rewriting))? {
        PinMerge::Merged(pin) => Ok(pin),
        PinMerge::Conflicts { branch, conflicts } => {
            let here = head_text(&repo.working()?.head);
            let place = branch.map_or_else(|| here.clone(), |branch| format!("branch {branch}"));
            let mut error = CliError::no(format!("the data conflict in {}: the merge is in progress on {place}", format::plural(conflicts as u64, "place")));
            if place != here {
                error = error.hint(format!("'dsv switch {}' goes there", place.trim_start_matches("branch ")));
            }
            Err(error.hint("'dsv conflicts' and 'dsv resolve' settle them; then 'dsv commit', 'dsv git merge' and 'git add'"))
        }
    }
}

/// Merge two pins for Git
///
/// Git runs this by the setting merge.dsv.driver, which `dsv git init` writes: with the base, ours and theirs in three files. The merged pin is written over ours. The exit
/// code is 1 where the pin stays in conflict; both sides stand in the file then.
///
/// Examples:
///
///   git config merge.dsv.driver 'dsv git merge-driver %O %A %B %P'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct MergeDriver {
    /// The file of the base
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The file of ours, which is written
    #[arg(value_name = "OURS")]
    ours: PathBuf,
    /// The file of theirs
    #[arg(value_name = "THEIRS")]
    theirs: PathBuf,
    /// The pin's path from the top of the worktree
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

impl MergeDriver {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let (ours, theirs) = (context.path(&self.ours), context.path(&self.theirs));
        let done = self.merge(context, &ours, &theirs);
        match done {
            Ok(pin) => Ok(pin.write(&ours).map(drop)?),
            Err(error) => {
                // Nothing of either side is lost, and whoever looks sees both.
                let text = |path: &Path| fs::read(path).unwrap_or_default();
                let mut both = b"<<<<<<< ours\n".to_vec();
                both.extend(text(&ours));
                both.extend(b"=======\n");
                both.extend(text(&theirs));
                both.extend(b">>>>>>> theirs\n");
                fs::write(&ours, both).map_err(RepoError::io(&ours))?;
                Err(CliError { exit: crate::cli::error::NO, ..error })
            }
        }
    }

    fn merge(&self, context: &Context, ours: &Path, theirs: &Path) -> Result<Pin, CliError> {
        let code = Code::called(context.dir())?;
        let top = code.require_top()?;
        let read = |path: &Path, whose: &str| -> Result<Pin, CliError> {
            let text = fs::read_to_string(path).map_err(RepoError::io(path))?;
            Pin::parse(&text).map_err(|why| CliError::fault(format!("{} of {whose} is not a pin: {why}", self.path.display())))
        };
        let (ours, theirs) = (read(ours, "ours")?, read(theirs, "theirs")?);
        if ours.commit == theirs.commit {
            return Ok(ours);
        }
        // One side may have left the data alone; that needs no data here.
        if let Ok(base) = read(&context.path(&self.base), "the base") {
            if base.commit == theirs.commit {
                return Ok(ours);
            }
            if base.commit == ours.commit {
                return Ok(theirs);
            }
        }
        let place = Place::at(context, &top, self.path.clone())?;
        let Some(repo) = &place.repo else {
            return Err(CliError::fault(format!("{} names different data on both sides, which is not here to be merged", place.name()))
                .hint("clone it with dsv, then 'dsv git merge'"));
        };
        let pin = merged(&code, repo, &ours, &theirs)?;
        context.ui.note(format!("{}: merged the data of {} and {}", place.name(), short(&ours.commit), short(&theirs.commit)));
        Ok(pin)
    }
}
