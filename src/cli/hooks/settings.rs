//! What settings and scripts say about hooks: how they read the change, and how long they may take.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::Hook;
use crate::cli::args;
use crate::cli::error::CliError;
use crate::repo::Repo;

/// How long a hook may take where nothing else is said.
const LIMIT: Duration = Duration::from_secs(600);
/// Lines at the beginning of a script in which it may say what it wants, and the bytes that they are looked for in.
const LINES: usize = 20;
const BYTES: u64 = 8 << 10;

/// How the change is written to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Lines of JSON.
    #[default]
    Json,
    /// A stream of Arrow for each table.
    Arrow,
    /// Not at all.
    None,
}

impl Form {
    /// From its name.
    pub fn parse(place: &str, text: &str) -> Result<Form, CliError> {
        match text {
            "json" => Ok(Form::Json),
            "arrow" => Ok(Form::Arrow),
            "none" => Ok(Form::None),
            other => Err(CliError::usage(format!("{place}: '{other}' is not json, arrow or none"))),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Arrow => "arrow",
            Form::None => "none",
        }
    }
}

/// A time limit such as `30s`; `0s` is none.
pub fn limit(place: &str, text: &str) -> Result<Option<Duration>, CliError> {
    let millis = args::age(place, text).map_err(|error| CliError { message: error.message.replace("an age", "a time"), ..error })?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

/// What the settings say for one hook.
#[derive(Debug)]
pub struct Settings {
    /// How it reads the change.
    pub form: Form,
    /// How long it may take.
    pub limit: Option<Duration>,
    // Said for this hook alone, which counts more than what a script says.
    own: (bool, bool),
}

impl Settings {
    /// `hooks.NAME.stdin` and `hooks.NAME.timeout`, else `hooks.stdin` and `hooks.timeout`.
    pub fn read(repo: &Repo, hook: Hook) -> Result<Settings, CliError> {
        let config = repo.config();
        let mut found = Settings { form: Form::default(), limit: Some(LIMIT), own: (false, false) };
        for (key, is_own) in [("hooks".to_owned(), false), (format!("hooks.{}", hook.name()), true)] {
            if let Some(text) = config.get(&format!("{key}.stdin"))? {
                (found.form, found.own.0) = (Form::parse(&format!("{key}.stdin"), &text)?, is_own);
            }
            if let Some(text) = config.get(&format!("{key}.timeout"))? {
                (found.limit, found.own.1) = (limit(&format!("{key}.timeout"), &text)?, is_own);
            }
        }
        Ok(found)
    }

    /// The same for a script, which may say otherwise in a comment: `# dsv-hook: stdin=arrow timeout=30s`.
    pub fn of_script(&self, path: &Path) -> Result<(Form, Option<Duration>), CliError> {
        let (mut form, mut time) = (self.form, self.limit);
        let mut head = Vec::new();
        // A file that cannot be read may still be run.
        let _ = File::open(path).and_then(|file| file.take(BYTES).read_to_end(&mut head));
        let head = String::from_utf8_lossy(&head);
        let said = head.lines().take(LINES).filter_map(|line| line.split_once("dsv-hook:"));
        for word in said.flat_map(|(_, words)| words.split_whitespace()) {
            match word.split_once('=') {
                Some(("stdin", text)) if !self.own.0 => form = Form::parse(&path.display().to_string(), text)?,
                Some(("timeout", text)) if !self.own.1 => time = limit(&path.display().to_string(), text)?,
                Some(("stdin" | "timeout", _)) => {}
                _ => {
                    return Err(CliError::usage(format!("{}: 'dsv-hook: {word}' says nothing that is known", path.display()))
                        .hint("it knows stdin=json|arrow|none and timeout=30s"));
                }
            }
        }
        Ok((form, time))
    }
}
