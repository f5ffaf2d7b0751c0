//! Hooks that dsv.toml asks for. The file may come with a code repository, so nothing of it runs before somebody has looked at it and said so.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use toml_edit::{DocumentMut, Item, TableLike};

use super::Hook;
use super::settings::{Form, limit};
use crate::cli::error::CliError;
use crate::repo::{Repo, Scope};

/// Its name, in the folder that holds `.dsv`.
pub const FILE: &str = "dsv.toml";
/// The setting of the repository that holds what was trusted.
const TRUSTED: &str = "hooks.trusted";
/// A file of settings is not longer.
const BYTES_MAX: u64 = 1 << 20;

/// One hook of dsv.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct One {
    /// When it runs.
    pub hook: Hook,
    /// What it is called.
    pub name: String,
    /// A shell's words.
    pub run: String,
    /// The tables of which one must have changed; any without.
    pub tables: Vec<String>,
    /// How it reads the change, if it says so.
    pub form: Option<Form>,
    /// How long it may take, if it says so; `None` within for ever.
    pub limit: Option<Option<Duration>>,
}

/// What dsv.toml asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Managed {
    /// Its hooks, in the order of the file.
    pub hooks: Vec<One>,
}

/// Whether somebody has said that its hooks may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// These very hooks are trusted.
    Given,
    /// None ever were.
    Never,
    /// Others were.
    Changed,
}

impl Managed {
    /// Reads the file; nothing where it is missing or asks for no hooks.
    pub fn read(path: &Path) -> Result<Option<Managed>, CliError> {
        let failed = |why: String| CliError::usage(format!("{}: {why}", path.display()));
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let mut text = String::new();
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(failed("it is too long".to_owned()));
        }
        Managed::parse(&text).map(|managed| Some(managed).filter(|managed| !managed.hooks.is_empty())).map_err(failed)
    }

    fn parse(text: &str) -> Result<Managed, String> {
        let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().replace('\n', "; "))?;
        let Some(hooks) = document.get("hooks") else { return Ok(Managed::default()) };
        let mut managed = Managed::default();
        for (kind, item) in table("hooks", hooks)?.iter() {
            let hook = Hook::parse(kind).map_err(|error| error.message)?;
            for (name, item) in table(&format!("hooks.{kind}"), item)?.iter() {
                let place = format!("hooks.{kind}.{name}");
                managed.hooks.push(one(hook, name, &place, table(&place, item)?)?);
            }
        }
        Ok(managed)
    }

    /// What is hashed to tell whether these are the hooks that were trusted: all that decides about what runs, whatever the file's spaces and comments.
    pub fn mark(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for hook in Hook::ALL {
            for one in self.hooks.iter().filter(|one| one.hook == hook) {
                let limit = one.limit.map(|limit| limit.map_or(0, |limit| limit.as_millis() as u64));
                let line = json!([hook.name(), one.name, one.run, one.tables, one.form.map(Form::name), limit]);
                hasher.update(line.to_string().as_bytes());
                hasher.update(b"\n");
            }
        }
        hasher.finalize().to_string()
    }

    /// Whether somebody trusted them, in this repository.
    pub fn trust(&self, repo: &Repo) -> Result<Trust, CliError> {
        let said = repo.config().list()?.into_iter().find(|setting| setting.key == TRUSTED && setting.scope == Scope::Repository);
        Ok(match said {
            None => Trust::Never,
            Some(setting) if setting.value == self.mark() => Trust::Given,
            Some(_) => Trust::Changed,
        })
    }

    /// Notes that they are trusted.
    pub fn give_trust(&self, repo: &Repo) -> Result<(), CliError> {
        Ok(repo.config().set(Scope::Repository, TRUSTED, &self.mark())?)
    }
}

/// Forgets what was trusted; false where nothing was.
pub fn take_trust(repo: &Repo) -> Result<bool, CliError> {
    Ok(repo.config().unset(Scope::Repository, TRUSTED)?)
}

fn table<'a>(place: &str, item: &'a Item) -> Result<&'a dyn TableLike, String> {
    item.as_table_like().ok_or_else(|| format!("{place} is not a table: write [hooks.pre-commit.NAME] with run = \"...\""))
}

fn one(hook: Hook, name: &str, place: &str, table: &dyn TableLike) -> Result<One, String> {
    let mut one = One { hook, name: name.to_owned(), run: String::new(), tables: Vec::new(), form: None, limit: None };
    for (key, item) in table.iter() {
        let place = format!("{place}.{key}");
        let text = || item.as_str().ok_or_else(|| format!("{place} is not a text"));
        match key {
            "run" => one.run = text()?.to_owned(),
            "tables" => {
                let names = item.as_array().ok_or_else(|| format!("{place} is not a list of tables"))?;
                one.tables = names
                    .iter()
                    .map(|name| name.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .ok_or_else(|| format!("{place} is not a list of tables"))?;
            }
            "stdin" => one.form = Some(Form::parse(&place, text()?).map_err(|error| error.message)?),
            "timeout" => one.limit = Some(limit(&place, text()?).map_err(|error| error.message)?),
            _ => return Err(format!("{place} is not known: run, tables, stdin and timeout are")),
        }
    }
    if one.run.trim().is_empty() || one.run.contains('\0') {
        return Err(format!("{place} says nothing to run: run = \"...\""));
    }
    Ok(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
[hooks.pre-commit.boxes]   # boxes
run = \"python tools/check_boxes.py\"
tables = [\"boxes\"]
stdin = \"arrow\"
timeout = \"30s\"
[hooks.pre-commit.a]
run = \"true\"
[hooks.post-commit.tell]
run = \"tools/tell\"
";

    #[test]
    fn hooks_keep_the_files_order() {
        let managed = Managed::parse(TEXT).unwrap();
        let names: Vec<&str> = managed.hooks.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["boxes", "a", "tell"]);
        let boxes = &managed.hooks[0];
        assert_eq!((boxes.tables.as_slice(), boxes.form, boxes.limit), (&["boxes".to_owned()][..], Some(Form::Arrow), Some(Some(Duration::from_secs(30)))));
        assert_eq!(Managed::parse("[data]\nx = 1\n"), Ok(Managed::default()));
    }

    #[test]
    fn the_mark_is_of_what_runs_alone() {
        let mark = |text: &str| Managed::parse(text).unwrap().mark();
        let same = TEXT.replace("# boxes", "").replace("run = \"true\"", "# a comment\nrun   =  'true'");
        assert_eq!(mark(TEXT), mark(&format!("{same}\n[other]\nx = 1\n")));
        for (from, to) in [
            ("true", "false"),
            ("30s", "31s"),
            ("[\"boxes\"]", "[]"),
            ("arrow", "json"),
            ("post-commit.tell", "post-merge.tell"),
            (".a]", ".b]"),
            ("timeout = \"30s\"\n", ""),
        ] {
            assert_ne!(mark(TEXT), mark(&TEXT.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_in_a_line() {
        for bad in [
            "hooks = 1",
            "[hooks]\npre-commit = 'x'",
            "[hooks.pre-comit.a]\nrun = 'x'",
            "[hooks.pre-commit]\nrun = 'x'",
            "[hooks.pre-commit.a]",
            "[hooks.pre-commit.a]\nrun = 1",
            "[hooks.pre-commit.a]\nrun = 'x'\ntables = 'boxes'",
            "[hooks.pre-commit.a]\nrun = 'x'\nstdin = 'xml'",
            "[hooks.pre-commit.a]\nrun = 'x'\ntimeout = 'soon'",
            "[hooks.pre-commit.a]\nrun = 'x'\nwhen = 'always'",
            "[hooks.pre-commit.a\n",
        ] {
            let told = Managed::parse(bad).unwrap_err();
            assert!(!told.is_empty() && !told.contains('\n'), "{bad}: {told}");
        }
    }
}
