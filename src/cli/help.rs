//! How `--help` looks: verbs in groups, the common ones first, and examples after the options.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};

use super::Cli;

/// The verbs in the order in which `dsv --help` shows them.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Start", &["init", "import", "status", "commit"]),
    ("Look", &["log", "show", "diff", "blame", "bisect", "head", "sample", "cat", "stats", "query", "export"]),
    ("Branch", &["branch", "switch", "tag"]),
    ("Merge", &["merge", "conflicts", "resolve", "cherry-pick", "revert", "rebase"]),
    ("Share", &["clone", "remote", "fetch", "pull", "push", "ls-remote", "serve"]),
    ("Beside Git", &["git"]),
    ("Shape tables", &["table", "column", "view", "check", "hooks"]),
    ("Go back", &["undo", "redo", "restore", "reset", "operations"]),
    ("Keep house", &["verify", "gc", "cache", "compact", "config", "completions"]),
];

/// The command line's description, with its help arranged.
pub fn command() -> Command {
    let command = examples_last(Cli::command());
    let text = groups(&command);
    command
        .help_template(StyledStr::from(format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{text}\nGlobal options:\n{{options}}{{after-help}}")))
        .after_help("`dsv VERB --help` explains a verb, with examples. Start with `dsv init` and `dsv import`.")
}

/// Moves what follows a line `Examples:` in a verb's description to the end of its help.
fn examples_last(command: Command) -> Command {
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let command = match about.split_once("\nExamples:\n") {
        Some((text, examples)) => {
            let examples = format!("Examples:\n{}", examples.trim_end());
            command.long_about(flow(text)).after_long_help(examples)
        }
        None => command,
    };
    command.mut_subcommands(examples_last)
}

/// Joins the lines of each paragraph, for clap to break where the terminal ends; indented lines stay as they are.
fn flow(text: &str) -> String {
    let paragraphs = text.trim_end().split("\n\n").map(|paragraph| {
        let keep = paragraph.starts_with(' ');
        paragraph.lines().collect::<Vec<_>>().join(if keep { "\n" } else { " " })
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (heading, verbs) in GROUPS {
        let _ = writeln!(text, "{heading}:");
        for verb in *verbs {
            let about = command.find_subcommand(verb).and_then(|c| c.get_about()).map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {verb:<12}{about}");
        }
        text.push('\n');
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_stands_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        let command = Cli::command();
        let mut verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        grouped.sort_unstable();
        verbs.sort_unstable();
        assert_eq!(grouped, verbs);
    }

    #[test]
    fn every_verb_explains_itself_with_examples() {
        fn look(command: &Command, path: &str) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                assert!(verb.get_about().is_some_and(|about| !about.to_string().ends_with('.')), "{path}: a summary without a full stop");
                if verb.get_subcommands().next().is_none() {
                    let help = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
                    assert!(help.lines().all(|line| line.chars().count() <= 100), "{path}: an example is too wide");
                    assert!(help.contains(path.trim_start_matches("dsv ")), "{path}: no example");
                }
                for arg in verb.get_arguments().filter(|a| !a.is_hide_set()) {
                    assert!(arg.get_help().is_some(), "{path}: {} is not explained", arg.get_id());
                }
                look(verb, &path);
            }
        }
        look(&command(), "dsv");
        command().debug_assert();
    }
}
