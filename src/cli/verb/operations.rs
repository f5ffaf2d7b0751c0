//! `dsv operations`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;
use crate::history::name_of;

/// List what changed the repository, newest first
///
/// With --json, a line for each operation: {"operation", "parent", "user", "time", "command", "changed",
/// "takes_back"}.
///
/// Examples:
///
///   dsv operations
///   dsv operations -n 5 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Operations {
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    max_count: Option<usize>,
}

impl Operations {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        let mut out = context.ui.page();
        let (paint, now) = (context.ui.paint, format::now());
        for info in repo.operations(self.max_count)? {
            let operation = &info.operation;
            let changed: Option<Vec<String>> = info.changes.as_ref().map(|c| c.iter().map(|c| name_of(&c.key)).collect());
            if context.ui.json {
                let line = json!({
                    "operation": info.id.to_string(), "parent": operation.parent.map(|p| p.to_string()), "user": operation.user,
                    "time": format::iso_date(operation.millis, 0), "command": operation.command, "changed": changed,
                    "takes_back": operation.reverts.map(|id| id.to_string()),
                });
                writeln!(out, "{line}")?;
                continue;
            }
            let id = paint.id(format!("{:.8}", info.id)).to_string();
            let when = format::ago(operation.millis, now);
            write!(out, "{id} {} {}", format::one_line(&operation.command), paint.dim(format!("({when}, {})", operation.user)))?;
            match changed {
                Some(names) if !names.is_empty() => writeln!(out, "\n         {}", paint.dim(format!("changed {}", names.join(", "))))?,
                _ => writeln!(out)?,
            }
        }
        Ok(out.finish()?)
    }
}
