//! Floor 8: the command line. One file for each verb under `verb/`; what a person sees under `ui/`. Knows terminals, words and exit codes; does no
//! work of its own on data.

pub mod answer;
pub mod args;
pub mod context;
pub mod describe;
pub mod dispute;
pub mod error;
pub mod help;
pub mod look;
pub mod page;
pub mod refs;
pub mod replayed;
pub mod sql;
pub mod ui;
mod value;
pub mod verb;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser};

use context::Context;
use ui::{ColorChoice, Ui};

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
    let matches = match help::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refusal) => {
            // Help and version go to stdout and exit 0, the rest to stderr and exit 2.
            let _ = refusal.print();
            return ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(error::USAGE));
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(refusal) => {
            let _ = refusal.print();
            return ExitCode::from(error::USAGE);
        }
    };
    ui::progress::listen_to_signals();
    let global = cli.global;
    let ui = Ui::new(global.color, global.json, global.quiet, global.no_pager);
    let context = Context::new(ui, global.run_in);
    match cli.verb.run(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(context.ui.paint_err, context.ui.quiet);
            ExitCode::from(error.exit)
        }
    }
}
