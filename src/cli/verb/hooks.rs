//! `dsv hooks`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::hooks::change::Change;
use crate::cli::hooks::gate::id;
use crate::cli::hooks::managed::{self, FILE, Managed, take_trust};
use crate::cli::hooks::{Found, Held, Hook, Hooks as Place, Occasion, Runs};
use crate::cli::ui::cell::Cell;
use crate::cli::ui::table::{Heading, draw};
use crate::repo::Repo;

/// Programs of yours that run before and after commits, merges, switches and pushes
///
/// As in Git, an executable file .dsv/hooks/NAME is run by the verbs: pre-commit, prepare-commit-msg, commit-msg, pre-merge-commit and pre-push stop them where they end with another
/// status than 0, post-commit, post-merge and post-checkout are told what was done. They are given the change by variables and on stdin. docs/hooks.md explains each.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Hooks {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
enum Verb {
    List(List),
    Run(Run),
    Trust(Trust),
    Untrust(Untrust),
    New(New),
    Path(PathVerb),
}

impl Hooks {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self.verb {
            Verb::List(verb) => verb.run(context),
            Verb::Run(verb) => verb.run(context),
            Verb::Trust(verb) => verb.run(context),
            Verb::Untrust(verb) => verb.run(context),
            Verb::New(verb) => verb.run(context),
            Verb::Path(verb) => verb.run(context),
        }
    }
}

fn state(found: &Found) -> &'static str {
    match found.held {
        None => "runs",
        Some(Held::NotExecutable) => "not executable",
        Some(Held::NotTrusted) => "not trusted",
        Some(Held::Changed) => "changed since it was trusted",
        Some(Held::FromGit) => "came with the code in Git",
    }
}

/// List the hooks that there are, in the order in which they run
///
/// Scripts of .dsv/hooks come first, then those of dsv.toml, in its order.
///
/// With --json, a line for each: {"hook", "from": "script|dsv.toml", "name", "run", "tables", "stdin", "timeout_ms", "state": "runs|not executable|not trusted|changed since it was
/// trusted"}.
///
/// Examples:
///
///   dsv hooks list
///   dsv hooks list --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct List {}

impl List {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let place = Place::new(context, &repo, false);
        let mut all = Vec::new();
        for hook in Hook::ALL {
            all.extend(place.all(hook)?);
        }
        let ui = &context.ui;
        if all.is_empty() && !ui.json {
            ui.note("No hooks");
            ui.hint("'dsv hooks new pre-commit' makes one");
            return Ok(());
        }
        let mut out = ui.page();
        let mut rows = Vec::new();
        for found in &all {
            let (from, name, run) = match &found.runs {
                Runs::Script(path) => ("script", None, place.short(path).to_string_lossy().into_owned()),
                Runs::Command(name, run) => (FILE, Some(name), run.clone()),
            };
            if ui.json {
                let limit = found.limit.map(|limit| limit.as_millis() as u64);
                let line = json!({
                    "hook": found.hook.name(), "from": from, "name": name, "run": run, "tables": found.tables,
                    "stdin": found.hook.reads_change().then(|| found.form.name()), "timeout_ms": limit, "state": state(found),
                });
                writeln!(out, "{line}")?;
                continue;
            }
            let shown = match name {
                Some(name) => format!("{from}: {name}: {run}"),
                None => run,
            };
            rows.push([found.hook.name().to_owned(), state(found).to_owned(), shown].iter().map(Cell::plain).collect::<Vec<_>>());
        }
        if !ui.json {
            draw(ui, &mut out, ["hook", "state", "what"].map(Heading::left).to_vec(), &rows)?;
        }
        Ok(out.finish()?)
    }
}

/// Try a hook on the present change
///
/// Runs the hooks of that name as a verb would, and exits with 1 where one fails. pre-commit and pre-merge-commit are given what is not committed, post-commit and post-merge what the last
/// commit changed, the hooks of messages a file with the last commit's message, post-checkout the last commit twice, pre-push the branch that is checked out. Arguments after -- take the place of those.
///
/// Examples:
///
///   dsv hooks run pre-commit
///   dsv hooks run commit-msg -- message.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Run {
    /// The hook, such as pre-commit
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is given as arguments
    #[arg(last = true, value_name = "ARG")]
    args: Vec<OsString>,
}

impl Run {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let hook = Hook::parse(&self.name)?;
        let repo = context.working_repo()?;
        let place = Place::new(context, &repo, false);
        let all = place.all(hook)?;
        let Some(first) = all.first() else {
            return Err(CliError::no(format!("there is no hook '{}' here", hook.name())).hint(format!("'dsv hooks new {}' makes one", hook.name())));
        };
        let ready: Vec<Found> = all.iter().filter(|found| found.held.is_none()).cloned().collect();
        if ready.is_empty() {
            let help = match (&first.held, &first.runs) {
                (Some(Held::NotExecutable), Runs::Script(path)) => format!("chmod +x {}", path.display()),
                _ => "look at them and say so: 'dsv hooks trust'".to_owned(),
            };
            return Err(CliError::no(format!("{} does not run: {}", first.title(), state(first))).hint(help));
        }
        let message = match (hook, self.args.is_empty()) {
            (Hook::PrepareCommitMsg | Hook::CommitMsg, true) => Some(message_file(&repo)?),
            _ => None,
        };
        let mut occasion = occasion(&place, &repo, hook)?;
        if let Some(path) = &message {
            occasion.args.insert(0, path.as_os_str().to_owned());
        }
        if !self.args.is_empty() {
            occasion.args = self.args;
        }
        for found in &ready {
            place.try_one(found, &occasion)?;
        }
        context.ui.note(format!("Hook {} passes", hook.name()));
        Ok(())
    }
}

fn message_file(repo: &Repo) -> Result<tempfile::TempPath, CliError> {
    let head = repo.working()?.tip.map(|tip| repo.commit_of(tip)).transpose()?;
    let failed = |error: std::io::Error| CliError::fault(format!("the message's file: {error}"));
    let mut file = tempfile::Builder::new().prefix("COMMIT_EDITMSG-").tempfile().map_err(failed)?;
    file.write_all(format!("{}\n", head.map(|head| head.message.clone()).unwrap_or_default()).as_bytes()).map_err(failed)?;
    Ok(file.into_temp_path())
}

/// What a hook is told without a verb around it.
fn occasion(place: &Place, repo: &Repo, hook: Hook) -> Result<Occasion, CliError> {
    let working = repo.working()?;
    let head = working.tip;
    let plain = Occasion { head, ..Occasion::default() };
    Ok(match (hook, head) {
        (Hook::PreCommit | Hook::PreMergeCommit, _) => {
            let before = head.map(|head| repo.snapshot_of(head)).transpose()?.unwrap_or_default();
            Occasion { change: Change::between(&before, &working.snapshot), ..plain }
        }
        (Hook::PostCommit, Some(made)) => place.made(made, repo.commit_of(made)?.parents.first().copied(), &[])?,
        (Hook::PostMerge, Some(made)) => place.made(made, repo.commit_of(made)?.parents.first().copied(), &["0"])?,
        (Hook::PrepareCommitMsg, _) => Occasion { args: vec!["message".into()], ..plain },
        (Hook::PostCheckout, _) => Occasion { args: vec![id(head).into(), id(head).into(), "1".into()], commit: head, ..plain },
        (Hook::PrePush, _) => {
            let branch = repo.current_branch()?;
            let follows = branch.as_deref().map(|branch| repo.upstream(branch)).transpose()?.flatten();
            let remote = follows.as_ref().map_or_else(|| repo.default_remote(), |(remote, _)| Ok(remote.clone()))?;
            let url = repo.remote_url(&remote)?;
            let there = follows.map(|(_, there)| there).or(branch.clone()).unwrap_or_default();
            let known = repo.resolve(&format!("{remote}/{there}")).ok();
            let lines = branch.zip(head).map(|(branch, head)| format!("refs/heads/{branch} {head} refs/heads/{there} {}\n", id(known)));
            Occasion { args: vec![remote.into(), url.into()], lines: lines.unwrap_or_default().into_bytes(), ..plain }
        }
        _ => plain,
    })
}

/// Let the hooks of dsv.toml run
///
/// dsv.toml may come with a code repository, so nothing in it runs before you said so. This shows the commands and notes in this repository's settings that they are trusted, as they are: where
/// one of them changes, none runs until they are trusted again. What the commands themselves run is not looked at.
///
/// Examples:
///
///   dsv hooks trust
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Trust {}

impl Trust {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let place = Place::new(context, &repo, false);
        let managed: Managed = place.managed()?.ok_or_else(|| {
            let file = place.file().unwrap_or_else(|| PathBuf::from(FILE));
            CliError::no(format!("{} asks for no hooks", file.display())).hint("write [hooks.pre-commit.NAME] with run = \"...\" into it")
        })?;
        managed.give_trust(&repo)?;
        for one in &managed.hooks {
            context.ui.note(format!("  {}.{}: {}", one.hook.name(), one.name, shown(&one.run)));
        }
        context.ui.note(format!("Trusted, as they are now in {FILE}"));
        Ok(())
    }
}

/// A command on one line; nothing in it moves the cursor.
fn shown(command: &str) -> String {
    command.trim().chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Let the hooks of dsv.toml run no longer
///
/// Examples:
///
///   dsv hooks untrust
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Untrust {}

impl Untrust {
    fn run(self, context: &Context) -> Result<(), CliError> {
        if !take_trust(&context.repo()?)? {
            return Err(CliError::no("no hooks are trusted here"));
        }
        context.ui.note(format!("The hooks of {} run no longer", managed::FILE));
        Ok(())
    }
}

/// Write an example of a hook, to be changed
///
/// The file is executable and lets everything pass.
///
/// Examples:
///
///   dsv hooks new pre-commit
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct New {
    /// The hook, such as pre-commit
    #[arg(value_name = "NAME")]
    name: String,
}

impl New {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let hook = Hook::parse(&self.name)?;
        let repo = context.repo()?;
        let folder = Place::new(context, &repo, false).folder()?.ok_or_else(|| CliError::usage("this repository has no folder, and no hooks"))?;
        let path = folder.join(hook.name());
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => CliError::usage(format!("'{}' exists already", path.display())),
            _ => CliError::fault(format!("{}: {error}", path.display())),
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
        options.open(&path).and_then(|mut file| file.write_all(example(hook).as_bytes())).map_err(failed)?;
        context.ui.note(format!("Wrote {}", path.display()));
        Ok(())
    }
}

fn example(hook: Hook) -> String {
    let (about, body) = match hook {
        Hook::PreCommit => (
            "Before a commit. stdin has the change, as 'dsv diff --json' writes it. Another exit status than 0 stops the commit.",
            "# For example, a limit to how many lines of change one commit has:\n# test \"$(wc -l)\" -le 100000 || { echo 'too much at once'; exit 1; }",
        ),
        Hook::PrepareCommitMsg => {
            ("Words a commit's message: $1 is the file that holds it, $2 says where it came from.", "# echo \"Tables: $(echo $DSV_TABLES)\" >> \"$1\"")
        }
        Hook::CommitMsg => {
            ("Looks at a commit's message in the file $1, and may change it.", "# grep -q '[A-Z]*-[0-9]' \"$1\" || { echo 'name an issue'; exit 1; }")
        }
        Hook::PostCommit => ("After a commit: DSV_COMMIT is its id, stdin has what it changed.", "# echo \"$DSV_COMMIT on $DSV_BRANCH\" >> commits.log"),
        Hook::PreMergeCommit => {
            ("Before a merge is committed. stdin has what it changes here.", "# test \"$DSV_BRANCH\" != main || { echo 'main is merged elsewhere'; exit 1; }")
        }
        Hook::PostMerge => ("After a merge or a fast-forward: DSV_COMMIT is where the branch is now, stdin has what changed.", "# echo \"merged $DSV_TABLES\""),
        Hook::PostCheckout => ("After 'dsv switch': $1 is the commit before, $2 the one now.", "# echo \"now on $DSV_BRANCH\""),
        Hook::PrePush => (
            "Before a push to the remote $1 at $2. stdin has a line for each ref: here, its commit, there, its commit.",
            "# while read here id there old; do\n#   test \"$there\" != refs/heads/main || { echo 'main is protected'; exit 1; }\n# done",
        ),
    };
    format!("#!/bin/sh\n# {}\n# {about}\n# \"$DSV\" runs dsv; the folder is the one that holds .dsv. More: docs/hooks.md.\n\n{body}\nexit 0\n", hook.name())
}

/// Tell the folder of the scripts
///
/// It is .dsv/hooks, or what the setting core.hooksPath names. It need not exist.
///
/// Examples:
///
///   dsv hooks path
///   cp check.sh "$(dsv hooks path)/pre-commit"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct PathVerb {}

impl PathVerb {
    fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let folder = Place::new(context, &repo, false).folder()?.unwrap_or_default();
        let mut out = context.ui.out();
        if context.ui.json {
            writeln!(out, "{}", json!({ "path": folder }))?;
        } else {
            writeln!(out, "{}", folder.display())?;
        }
        Ok(out.finish()?)
    }
}
