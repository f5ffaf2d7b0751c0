//! Floor 8: the command line. One file for each verb under `verb/`; what a person sees under `ui/`. Knows terminals, words and exit codes; does no
//! work of its own on data.

pub mod answer;
pub mod args;
pub mod context;
pub mod describe;
pub mod diff;
pub mod dispute;
pub mod error;
pub mod help;
pub mod hooks;
mod junit;
pub mod look;
mod pinning;
pub mod refs;
pub mod replayed;
pub mod sql;
pub mod transport;
pub mod ui;
mod value;
pub mod verb;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};

use clap::{FromArgMatches, Parser};

use crate::base::Progress;
use context::Context;
use ui::{ColorChoice, Ui, Within};

/// Git for datasets
///
/// dsv keeps tables of images, text, embeddings and scores under version control: commits, branches and history by column and by cell, SQL over any
/// revision. Nothing is ever copied to make a branch or a subset.
#[derive(Debug, Parser)]
#[command(name = "dsv", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: verb::Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, display_order = 900)]
    pub run_in: Option<PathBuf>,
    /// Print JSON lines instead of text for people
    #[arg(long, global = true, display_order = 901)]
    pub json: bool,
    /// When to colour: auto, always or never
    ///
    /// `auto` colours on a terminal, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t, hide_possible_values = true, hide_default_value = true, display_order = 902)]
    pub color: ColorChoice,
    /// Say only data and errors
    #[arg(short, long, global = true, display_order = 903)]
    pub quiet: bool,
    /// Do not start a pager
    ///
    /// On a terminal, what may be longer than a screen goes through $DSV_PAGER, $PAGER or less.
    #[arg(long, global = true, display_order = 904)]
    pub no_pager: bool,
}

/// Runs the command line of this process; the exit code is 0 when done, 1 where the answer is no, 2 after wrong use, 3 where the repository or the data
/// is at fault, 130 after Ctrl-C.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os().skip(1)))
}

/// The same with these words, those behind `dsv`.
pub fn run(words: impl IntoIterator<Item = impl Into<OsString>>) -> u8 {
    let words = std::iter::once(OsString::from("dsv")).chain(words.into_iter().map(Into::into));
    let matches = match help::command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(refusal) => {
            return refused(&refusal);
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(refusal) => return refused(&refusal),
    };
    ui::progress::listen_to_signals();
    let global = cli.global;
    let ui = Ui::new(global.color, global.json, global.quiet, global.no_pager);
    let context = Context::new(ui, global.run_in);
    match cli.verb.run_pinned(&context) {
        Ok(()) => 0,
        Err(error) => {
            error.print(context.ui.paint_err, context.ui.quiet);
            error.exit
        }
    }
}

/// What a verb said to a program that ran it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its data: JSON lines, as under `--json`.
    pub data: Vec<u8>,
    /// Its warnings, a line each.
    pub warnings: Vec<String>,
}

/// Runs a verb within a program, on the repository that `dir` is in: `words` are those of the command line, without `dsv`. With `branch` it runs as if that were checked out. Nothing is
/// written to the process's own streams, and no signal is listened to: `progress` tells when to stop.
pub fn within(words: &[String], dir: &Path, branch: Option<&str>, progress: Arc<dyn Progress>) -> Result<Said, error::CliError> {
    let matches = help::command().try_get_matches_from(std::iter::once("dsv").chain(words.iter().map(String::as_str)));
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|refusal| in_a_line(&refusal.render().to_string()))?;
    let within = Within { data: Arc::default(), warnings: Arc::default(), progress };
    let context = Context::new(Ui::within(within.clone()), Some(dir.to_owned())).on_branch(branch.map(str::to_owned));
    cli.verb.run_pinned(&context)?;
    let (data, warnings) =
        (within.data.lock().unwrap_or_else(PoisonError::into_inner).clone(), within.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone());
    Ok(Said { data, warnings })
}

/// Help and version go to stdout and exit 0; wrong use is told as all errors are, in a line with hints, and exits 2.
fn refused(refusal: &clap::Error) -> u8 {
    if !refusal.use_stderr() || refusal.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = refusal.print();
        return u8::try_from(refusal.exit_code()).unwrap_or(error::USAGE);
    }
    let told = in_a_line(&refusal.render().to_string());
    told.print(Ui::new(ColorChoice::default(), false, false, true).paint_err, false);
    told.exit
}

/// What clap tells in paragraphs: the first becomes the error, tips and the usage become hints.
fn in_a_line(text: &str) -> error::CliError {
    let mut lines = text.lines();
    let first: Vec<&str> = lines.by_ref().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let (head, list) = first.split_first().map_or(("wrong use", &first[..]), |(head, list)| (head.trim_start_matches("error: "), list));
    let message = if list.is_empty() { head.to_owned() } else { format!("{} {}", head, list.join(", ")) };
    let mut error = error::CliError::usage(message);
    for line in lines.map(str::trim) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            error = error.hint(tip);
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            error = error.hint(format!("usage: {usage}"));
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_use_is_one_line_with_hints() {
        let told = |args: &[&str]| in_a_line(&help::command().try_get_matches_from(args).unwrap_err().render().to_string());
        let missing = told(&["dsv", "rebase"]);
        assert_eq!(missing.message, "the following required arguments were not provided: <UPSTREAM>");
        assert_eq!(missing.hints, ["usage: dsv rebase <UPSTREAM>"]);
        let slip = told(&["dsv", "comit"]);
        assert_eq!(slip.message, "unrecognized subcommand 'comit'");
        assert!(slip.hints[0].contains("'commit'"), "{:?}", slip.hints);
        let value = told(&["dsv", "merge", "x", "--strategy", "mine"]);
        assert!(value.message.contains("[possible values: ours, theirs]"), "{}", value.message);
    }
}
