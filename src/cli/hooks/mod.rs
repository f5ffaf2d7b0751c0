//! Hooks, as Git has them: programs of a repository's owner that verbs run before and after what they do. They belong to the command line, and are no part
//! of a repository's data: none comes with a clone. What each is told: docs/hooks.md.

pub mod change;
pub mod gate;
pub mod managed;
mod message;
mod output;
mod process;
pub mod settings;

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::CliError;
use crate::base::{CommitId, Progress};
use crate::repo::git::Code;
use crate::repo::{Committed, Repo};
use change::Change;
use managed::{Managed, Trust};
use settings::{Form, Settings};

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Their names are those of Git.
pub enum Hook {
    PreCommit,
    PrepareCommitMsg,
    CommitMsg,
    PostCommit,
    PreMergeCommit,
    PostMerge,
    PostCheckout,
    PrePush,
}

impl Hook {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Hook; 8] =
        [Hook::PreCommit, Hook::PrepareCommitMsg, Hook::CommitMsg, Hook::PostCommit, Hook::PreMergeCommit, Hook::PostMerge, Hook::PostCheckout, Hook::PrePush];

    /// Its name, which is its file's.
    pub fn name(self) -> &'static str {
        match self {
            Hook::PreCommit => "pre-commit",
            Hook::PrepareCommitMsg => "prepare-commit-msg",
            Hook::CommitMsg => "commit-msg",
            Hook::PostCommit => "post-commit",
            Hook::PreMergeCommit => "pre-merge-commit",
            Hook::PostMerge => "post-merge",
            Hook::PostCheckout => "post-checkout",
            Hook::PrePush => "pre-push",
        }
    }

    /// The hook of that name.
    pub fn parse(name: &str) -> Result<Hook, CliError> {
        let names = || Hook::ALL.map(Hook::name);
        Hook::ALL
            .into_iter()
            .find(|hook| hook.name() == name)
            .ok_or_else(|| CliError::usage(format!("there is no hook '{name}'")).hint(format!("hooks: {}", names().join(", "))))
    }

    /// True where it comes too late to stop anything.
    pub fn is_after(self) -> bool {
        matches!(self, Hook::PostCommit | Hook::PostMerge | Hook::PostCheckout)
    }

    /// True for those that `--no-verify` leaves out.
    pub fn verifies(self) -> bool {
        matches!(self, Hook::PreCommit | Hook::CommitMsg | Hook::PreMergeCommit | Hook::PrePush)
    }

    /// True for those that read the change on stdin.
    pub fn reads_change(self) -> bool {
        matches!(self, Hook::PreCommit | Hook::PostCommit | Hook::PreMergeCommit | Hook::PostMerge)
    }
}

/// A hook that was found: a script, or a command of dsv.toml.
#[derive(Debug, Clone)]
pub struct Found {
    /// When it runs.
    pub hook: Hook,
    /// What runs.
    pub runs: Runs,
    /// Only where one of these tables changed; always without any.
    pub tables: Vec<String>,
    /// How the change is written to it.
    pub form: Form,
    /// How long it may take; for ever without.
    pub limit: Option<Duration>,
    /// Why it does not run, if it does not.
    pub held: Option<Held>,
}

/// What a hook runs.
#[derive(Debug, Clone)]
pub enum Runs {
    /// A file of the hooks' folder.
    Script(PathBuf),
    /// A command of dsv.toml: its name there, and the shell's words.
    Command(String, String),
}

/// Why a hook does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The file may not be executed.
    NotExecutable,
    /// Nobody has trusted dsv.toml.
    NotTrusted,
    /// dsv.toml is not what was trusted.
    Changed,
    /// Git tracks what is in `.dsv`: it came with the code, settings and trust included.
    FromGit,
}

impl Found {
    /// What to call it in what is said.
    pub fn title(&self) -> String {
        match &self.runs {
            Runs::Script(_) => format!("hook '{}'", self.hook.name()),
            Runs::Command(name, _) => format!("hook '{}.{name}' of {}", self.hook.name(), managed::FILE),
        }
    }

    fn wants(&self, tables: &[String]) -> bool {
        self.tables.is_empty() || !self.hook.reads_change() || self.tables.iter().any(|table| tables.contains(table))
    }
}

/// What a hook is told, besides where it is.
#[derive(Debug, Default)]
pub struct Occasion {
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The commit that was checked out before.
    pub head: Option<CommitId>,
    /// The commit that was made, or gone to.
    pub commit: Option<CommitId>,
    /// The commits that are merged.
    pub merged: Vec<CommitId>,
    /// What changes.
    pub change: Change,
    /// What it reads, where that is not the change.
    pub lines: Vec<u8>,
}

/// The hooks of a repository, for one run of a verb.
pub struct Hooks<'a> {
    context: &'a Context,
    repo: &'a Repo,
    no_verify: bool,
    /// Its `.dsv`, and the folder around it.
    place: Option<(PathBuf, PathBuf)>,
    told: Cell<bool>,
}

impl std::fmt::Debug for Hooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<'a> Hooks<'a> {
    /// The hooks of a repository; with `no_verify` those that verify are left out.
    pub fn new(context: &'a Context, repo: &'a Repo, no_verify: bool) -> Hooks<'a> {
        let place = repo.dir().and_then(|dir| Some((dir.to_owned(), dir.parent()?.to_owned())));
        Hooks { context, repo, no_verify, place, told: Cell::new(false) }
    }

    /// The folder of the scripts: `core.hooksPath`, relative to the folder that holds `.dsv`, else `.dsv/hooks`.
    pub fn folder(&self) -> Result<Option<PathBuf>, CliError> {
        let Some((dir, root)) = &self.place else { return Ok(None) };
        Ok(Some(match self.repo.config().get("core.hooksPath")? {
            Some(path) => {
                let home = || self.repo.environment().variable("HOME").or_else(|| self.repo.environment().variable("USERPROFILE"));
                let path = path.strip_prefix("~/").and_then(|rest| Some(Path::new(&home()?).join(rest))).unwrap_or_else(|| PathBuf::from(&path));
                root.join(path)
            }
            None => dir.join("hooks"),
        }))
    }

    /// A path as seen from the folder that holds `.dsv`.
    pub fn short<'p>(&self, path: &'p Path) -> &'p Path {
        self.place.as_ref().and_then(|(_, root)| path.strip_prefix(root).ok()).unwrap_or(path)
    }

    /// Where dsv.toml stands, whether it does or not.
    pub fn file(&self) -> Option<PathBuf> {
        self.place.as_ref().map(|(_, root)| root.join(managed::FILE))
    }

    /// All hooks of a kind, in the order in which they run: the script, then those of dsv.toml in its order.
    pub fn all(&self, hook: Hook) -> Result<Vec<Found>, CliError> {
        let Some(folder) = self.folder()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let path = folder.join(hook.name());
        if let Ok(about) = std::fs::metadata(&path)
            && about.is_file()
        {
            let settings = Settings::read(self.repo, hook)?;
            let (form, limit) = settings.of_script(&path)?;
            let held = (!process::is_executable(&about)).then_some(Held::NotExecutable);
            found.push(Found { hook, runs: Runs::Script(path), tables: Vec::new(), form, limit, held });
        }
        let managed = self.managed()?;
        let Some(managed) = managed else { return self.held_if_tracked(found) };
        let mine: Vec<_> = managed.hooks.iter().filter(|managed| managed.hook == hook).collect();
        if !mine.is_empty() {
            let settings = Settings::read(self.repo, hook)?;
            let held = match managed.trust(self.repo)? {
                Trust::Given => None,
                Trust::Never => Some(Held::NotTrusted),
                Trust::Changed => Some(Held::Changed),
            };
            found.extend(mine.into_iter().map(|one| {
                let (form, limit) = (one.form.unwrap_or(settings.form), one.limit.unwrap_or(settings.limit));
                Found { hook, runs: Runs::Command(one.name.clone(), one.run.clone()), tables: one.tables.clone(), form, limit, held }
            }));
        }
        self.held_if_tracked(found)
    }

    /// The same, but none that runs where Git tracks `.dsv`: whoever cloned the code has said nothing of its hooks.
    fn held_if_tracked(&self, mut found: Vec<Found>) -> Result<Vec<Found>, CliError> {
        let Some((dir, root)) = self.place.as_ref().filter(|_| !found.is_empty()) else { return Ok(found) };
        // A Git repository that cannot be read says nothing.
        if let Ok(Some(code)) = Code::around(root)
            && code.tracks_below(dir).unwrap_or(false)
        {
            found.iter_mut().for_each(|found| found.held = Some(Held::FromGit));
        }
        Ok(found)
    }

    /// What dsv.toml asks for, if there is one.
    pub fn managed(&self) -> Result<Option<Managed>, CliError> {
        self.file().map_or(Ok(None), |file| Managed::read(&file))
    }

    /// The hooks of a kind that run now. Says once what does not, and why.
    fn ready(&self, hook: Hook) -> Result<Vec<Found>, CliError> {
        if (hook.verifies() && self.no_verify) || self.is_within(hook) {
            return Ok(Vec::new());
        }
        let ui = &self.context.ui;
        let all = match self.all(hook) {
            Ok(all) => all,
            // What was done is done.
            Err(error) if hook.is_after() => {
                ui.warn(error.message);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut ready = Vec::new();
        for found in all {
            match (found.held, &found.runs) {
                (None, _) => ready.push(found),
                (Some(Held::NotExecutable), Runs::Script(path)) => {
                    ui.warn(format!("{} is not run: it is not executable", found.title()));
                    ui.hint(format!("chmod +x {}", path.display()));
                }
                (Some(Held::FromGit), _) => {
                    if !self.told.replace(true) {
                        ui.warn("Git tracks .dsv here, so that its hooks came with the code: they are not run");
                        ui.hint("'git rm -r --cached .dsv' and a line /.dsv/ in .gitignore keep the data out of Git");
                    }
                }
                (Some(held), _) => {
                    if !self.told.replace(true) {
                        let why = if held == Held::Changed { "that were changed since you trusted them" } else { "that you have not trusted" };
                        ui.warn(format!("{} asks for hooks {why}, and they are not run: 'dsv hooks trust'", managed::FILE));
                    }
                }
            }
        }
        Ok(ready)
    }

    /// True within a hook of the same kind of this repository: a post-commit hook that commits does not run itself without end.
    fn is_within(&self, hook: Hook) -> bool {
        let is = |name: &str, value: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|set| set == value);
        self.place.as_ref().is_some_and(|(dir, _)| is("DSV_HOOK", hook.name().as_ref()) && is("DSV_DIR", dir.as_os_str()))
    }

    /// Runs the hooks of a kind, if there are any; true where one ran. The first that fails stops what is to be done; one that comes after it only warns.
    pub fn run(&self, hook: Hook, occasion: impl FnOnce() -> Result<Occasion, CliError>) -> Result<bool, CliError> {
        let ready = self.ready(hook)?;
        if ready.is_empty() {
            return Ok(false);
        }
        let occasion = match occasion() {
            Ok(occasion) => occasion,
            Err(error) if hook.is_after() => {
                self.context.ui.warn(format!("hook '{}' is not run: {}", hook.name(), error.message));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.run_found(&ready, &occasion)
    }

    /// Runs these hooks, which are of one kind, as [`Hooks::run`] does.
    pub fn run_found(&self, ready: &[Found], occasion: &Occasion) -> Result<bool, CliError> {
        let (tables, mut ran) = (occasion.change.names(), false);
        for found in ready.iter().filter(|found| found.wants(&tables)) {
            ran = true;
            match self.run_one(found, occasion, &tables) {
                Err(error) if found.hook.is_after() => {
                    let hint = if error.hints.is_empty() { String::new() } else { format!("; {}", error.hints.join("; ")) };
                    self.context.ui.warn(format!("{}{hint}", error.message));
                    if error.exit == super::ui::progress::INTERRUPTED_EXIT {
                        break;
                    }
                }
                other => other?,
            }
        }
        Ok(ran)
    }

    /// Runs one hook, and fails where it does, whenever it is run.
    pub fn try_one(&self, found: &Found, occasion: &Occasion) -> Result<(), CliError> {
        let tables = occasion.change.names();
        if !found.wants(&tables) {
            self.context.ui.note(format!("{} is not run: none of its tables changed", found.title()));
            return Ok(());
        }
        self.run_one(found, occasion, &tables)
    }

    fn run_one(&self, found: &Found, occasion: &Occasion, tables: &[String]) -> Result<(), CliError> {
        let Some((dir, root)) = &self.place else { return Ok(()) };
        let fill = |command: &mut Command| -> Result<(), CliError> {
            command.args(&occasion.args).current_dir(root);
            self.surround(command, found, occasion, dir, tables)
        };
        let progress: Arc<dyn Progress> = self.context.ui.progress();
        process::run(&process::Job {
            found,
            fill: &fill,
            input: &|| self.input(found, occasion),
            target: if self.context.ui.is_within() { output::Target::Kept } else { output::Target::of_stderr() },
            interrupted: &|| progress.interrupted(),
        })
    }

    /// What a hook reads.
    fn input(&self, found: &Found, occasion: &Occasion) -> Result<Option<process::Feed>, CliError> {
        if found.hook == Hook::PrePush {
            let lines = occasion.lines.clone();
            return Ok(Some(Box::new(move |out| Ok(out.write_all(&lines)?))));
        }
        if !found.hook.reads_change() || found.form == Form::None {
            return Ok(None);
        }
        let (opened, form) = (occasion.change.open(self.repo)?, found.form);
        Ok(Some(Box::new(move |out| opened.write(form, out))))
    }

    /// The variables of a hook.
    fn surround(&self, command: &mut Command, found: &Found, occasion: &Occasion, dir: &Path, tables: &[String]) -> Result<(), CliError> {
        let id = |id: Option<CommitId>| id.map(|id| id.to_string()).unwrap_or_default();
        command.env("DSV_DIR", dir).env("DSV_HOOK", found.hook.name()).env("DSV", own_program());
        command.env("DSV_BRANCH", self.repo.current_branch()?.unwrap_or_default()).env("DSV_HEAD", id(occasion.head));
        for (name, value, is_known) in [
            ("DSV_COMMIT", id(occasion.commit), occasion.commit.is_some()),
            ("DSV_MERGE_HEAD", occasion.merged.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), !occasion.merged.is_empty()),
            // A system bounds what surrounds a program.
            ("DSV_TABLES", tables.join("\n"), found.hook.reads_change() && tables.iter().map(String::len).sum::<usize>() < TABLES_BYTES_MAX),
        ] {
            // A hook may run within another one.
            if is_known {
                command.env(name, value)
            } else {
                command.env_remove(name)
            };
        }
        Ok(())
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Result<Option<CommitId>, CliError> {
        Ok(self.repo.view()?.state.head_commit()?)
    }

    /// The occasion of a commit that was made: what it changes of its first parent.
    pub fn made(&self, commit: CommitId, head: Option<CommitId>, args: &[&str]) -> Result<Occasion, CliError> {
        let parents = self.repo.commit_of(commit)?.parents.clone();
        let before = parents.first().map(|parent| self.repo.snapshot_of(*parent)).transpose()?.unwrap_or_default();
        let change = Change::between(&before, &self.repo.snapshot_of(commit)?);
        let merged = parents.into_iter().skip(1).collect();
        Ok(Occasion { args: args.iter().map(OsString::from).collect(), head, commit: Some(commit), merged, change, lines: Vec::new() })
    }

    /// After a commit of the working state.
    pub fn committed(&self, made: &Committed, head: Option<CommitId>) -> Result<(), CliError> {
        self.run(Hook::PostCommit, || self.made(made.id, head, &[])).map(drop)
    }
}

/// The names of changed tables are not given where they are longer.
const TABLES_BYTES_MAX: usize = 64 << 10;

/// The program that runs, for a hook to run it again; within Python's interpreter, the one beside it or on PATH.
fn own_program() -> PathBuf {
    let is_dsv = |path: &Path| path.file_stem().is_some_and(|stem| stem == "dsv");
    let exe = std::env::current_exe().ok();
    let beside = || Some(exe.as_ref()?.with_file_name(if cfg!(windows) { "dsv.exe" } else { "dsv" })).filter(|path| path.is_file());
    match &exe {
        Some(exe) if is_dsv(exe) => exe.clone(),
        _ => std::env::var_os("DSV").map(PathBuf::from).or_else(beside).unwrap_or_else(|| "dsv".into()),
    }
}
