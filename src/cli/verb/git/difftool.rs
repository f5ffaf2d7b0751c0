//! `dsv git difftool`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::read::{about, is_absent, raw};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::describe;
use crate::cli::diff::count::count;
use crate::cli::diff::{Differing, lines, text};
use crate::cli::error::CliError;
use crate::cli::ui::progress::INTERRUPTED_EXIT;
use crate::query::expressions;
use crate::repo::files::{Input, ReadOptions};
use crate::repo::{FilePair, OpenOptions};

/// Rows of a kind that are shown unless more are asked for.
const ROWS: u64 = 10;

/// Compare two data files by row and by cell, for Git
///
/// Shows what `dsv diff` shows of two versions of a table. LOCAL and REMOTE are the older and the newer file; /dev/null is one that is not there. Git may also call it as an
/// external diff, with PATH OLD-FILE OLD-HEX OLD-MODE NEW-FILE NEW-HEX NEW-MODE.
///
/// Rows are matched by the columns of --key, or of the setting diff.dsv.key in Git, where both files have them and no value stands twice; otherwise by content in order, as a
/// text diff does. What cannot be read as a table is told, and compared as a whole.
///
/// To let `git difftool` ask for it, or `git diff` show it always (then name the files in .gitattributes):
///
///   git config difftool.dsv.cmd 'dsv git difftool "$LOCAL" "$REMOTE"'
///   git config diff.dsv.command 'dsv git difftool'
///   echo '*.parquet diff=dsv' >> .gitattributes
///
/// Examples:
///
///   dsv git difftool old.parquet new.parquet --key id
///   git difftool --no-prompt --tool=dsv HEAD~1 -- birds.parquet
///   GIT_EXTERNAL_DIFF='dsv git difftool' git diff -- birds.csv
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Difftool {
    /// LOCAL and REMOTE, or what Git gives to an external diff
    #[arg(value_name = "FILE", required = true, num_args = 1..=9)]
    files: Vec<String>,
    /// Match rows by these columns
    #[arg(long, value_name = "COL[,COL]")]
    key: Vec<String>,
    /// At most so many rows that were added, removed and changed, each (10 in the text, else all)
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

/// What to compare: what it is called, and both files.
struct Sides {
    name: String,
    old: PathBuf,
    new: PathBuf,
}

impl Difftool {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let Some(sides) = self.sides(context)? else {
            context.ui.note(format!("{}: unmerged", self.files.first().map_or("", String::as_str)));
            return Ok(());
        };
        let said = args::names("--key", &self.key)?;
        let key = if said.is_empty() { key_of_git(context.dir()) } else { said.clone() };
        let pair = match self.open(context, &sides, &key) {
            // Git's setting is for all files: one that has no such key is compared without.
            Err(_) if said.is_empty() && !key.is_empty() => self.open(context, &sides, &[]),
            other => other,
        };
        let mut out = context.ui.page();
        match pair {
            Ok(pair) => self.tell(context, &sides, &pair, &mut out)?,
            // Git stops where an external diff fails.
            Err(error) if error.exit != INTERRUPTED_EXIT && self.files.len() != 2 && !context.ui.json => whole(&sides, &error, &mut out)?,
            Err(error) => return Err(error),
        }
        Ok(out.finish()?)
    }

    fn sides(&self, context: &Context) -> Result<Option<Sides>, CliError> {
        let path = |text: &String| if is_absent(Path::new(text)) { PathBuf::from(text) } else { context.path(text) };
        match self.files.as_slice() {
            [_] => Ok(None),
            [old, new] => {
                // `git difftool` says what the two are versions of.
                let named = ["BASE", "MERGED"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
                let shown = if is_absent(Path::new(new)) { old } else { new };
                Ok(Some(Sides { name: named.unwrap_or_else(|| shown.clone()), old: path(old), new: path(new) }))
            }
            [name, old, _, _, new, _, _] => Ok(Some(Sides { name: name.clone(), old: path(old), new: path(new) })),
            [from, old, _, _, new, _, _, to, ..] => Ok(Some(Sides { name: format!("{from} -> {to}"), old: path(old), new: path(new) })),
            other => Err(CliError::usage(format!("two files are compared, or the 7 words that Git gives to an external diff, not {}", other.len()))),
        }
    }

    fn open(&self, context: &Context, sides: &Sides, key: &[String]) -> Result<FilePair, CliError> {
        let input = |path: &PathBuf| (!is_absent(path)).then(|| Input::Path(path.clone()));
        let options = OpenOptions { expressions: Some(expressions()), ..OpenOptions::default() };
        Ok(FilePair::open(&sides.name, input(&sides.old), input(&sides.new), key, &ReadOptions::default(), &options, context.ui.progress())?)
    }

    fn tell(&self, context: &Context, sides: &Sides, pair: &FilePair, out: &mut dyn Write) -> Result<(), CliError> {
        let Some(change) = &pair.change else { return self.same(context, sides, out) };
        let table = Differing::open(&pair.repo, change.clone(), &[], None)?;
        if context.ui.json {
            lines::write(&table, out, self.limit.unwrap_or(u64::MAX))?;
            return Ok(());
        }
        let (counts, first) = count(&table.rows, None, self.limit.unwrap_or(ROWS))?;
        let line = describe::compared(&pair.repo, &table, counts.clone())?;
        if !table.is_other_table() && !line.is_any() {
            return self.same(context, sides, out);
        }
        writeln!(out, "{}", line.line(context.ui.paint))?;
        text::write(context, out, &table, &counts, &first)
    }

    fn same(&self, context: &Context, sides: &Sides, out: &mut dyn Write) -> Result<(), CliError> {
        if !context.ui.json {
            writeln!(out, "  same:     {}  no value differs: the files are written in another way", crate::cli::ui::format::one_line(&sides.name))?;
        }
        Ok(())
    }
}

/// Both files, where they cannot be compared as tables.
fn whole(sides: &Sides, error: &CliError, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(
        out,
        "  {}: cannot be compared by row: {}",
        crate::cli::ui::format::one_line(&sides.name),
        about(error, &sides.new).replace(&sides.old.display().to_string(), "the older")
    )?;
    let read = |path: &Path| -> Result<String, CliError> {
        let mut bytes = Vec::new();
        if !is_absent(path) {
            raw(path, &mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (old, new) = (read(&sides.old)?, read(&sides.new)?);
    let input = imara_diff::InternedInput::new(old.as_str(), new.as_str());
    let mut diff = imara_diff::Diff::compute(imara_diff::Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let printer = imara_diff::BasicLineDiffPrinter(&input.interner);
    write!(out, "{}", diff.unified_diff(&printer, imara_diff::UnifiedDiffConfig::default(), &input))?;
    Ok(())
}

/// The key that Git's settings name for this tool.
fn key_of_git(dir: &Path) -> Vec<String> {
    let said = gix::discover(dir).ok().and_then(|repository| repository.config_snapshot().string("diff.dsv.key"));
    said.and_then(|said| args::names("diff.dsv.key", &[said.to_string()]).ok()).unwrap_or_default()
}
