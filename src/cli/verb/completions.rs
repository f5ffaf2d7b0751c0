//! `dsv completions`.

use std::io::Write;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;

/// Print a script that completes dsv's verbs and options in a shell
///
/// Examples:
///
///   dsv completions bash > ~/.local/share/bash-completion/completions/dsv
///   dsv completions zsh > ~/.zfunc/_dsv
///   dsv completions fish > ~/.config/fish/completions/dsv.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        // The generator writes to anything, but panics where that fails: memory does not.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut help::command(), "dsv", &mut script);
        let mut out = context.ui.out();
        out.write_all(&script)?;
        Ok(out.finish()?)
    }
}
