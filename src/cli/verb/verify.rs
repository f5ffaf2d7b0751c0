//! `dsv verify`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::format;

/// Re-hash everything reachable
///
/// Reads every object that a branch, a tag, a working state or an operation reaches, and compares it with its id. Each fault is told with what it
/// harms. Exits with 3 where there is one.
///
/// With --json, a line for each fault: {"fault", "object", "pack", "harms"}; then {"packs", "objects", "bytes", "reached", "elsewhere", "faults"}.
///
/// Examples:
///
///   dsv verify
///   dsv verify --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Verify {}

impl Verify {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.working_repo()?;
        let found = repo.verify()?;
        let mut out = context.ui.page();
        for fault in &found.faults {
            if context.ui.json {
                let (object, pack) = (fault.object.map(|id| id.to_string()), fault.pack.map(|id| id.to_string()));
                writeln!(out, "{}", json!({"fault": fault.why, "object": object, "pack": pack, "harms": fault.harms}))?;
                continue;
            }
            writeln!(out, "{} {}", context.ui.paint.removed("fault:"), format::one_line(&fault.why))?;
            for harm in &fault.harms {
                writeln!(out, "       {} {}", context.ui.paint.dim("harms"), format::one_line(harm))?;
            }
        }
        if context.ui.json {
            let line = json!({
                "packs": found.packs, "objects": found.objects, "bytes": found.bytes, "reached": found.reached, "elsewhere": found.elsewhere, "faults": found.faults.len(),
            });
            writeln!(out, "{line}")?;
        }
        out.finish()?;
        let read = format!("{} in {}, {}", format::plural(found.objects, "object"), format::plural(found.packs, "pack"), format::bytes(found.bytes));
        if !found.faults.is_empty() {
            let error = CliError::fault(format!("{} found ({read} read)", format::plural(found.faults.len() as u64, "fault")));
            return Err(error.hint("reading what is harmed fails rather than giving wrong data; copy the object's pack from another copy of the repository"));
        }
        context.ui.note(format!("All is well: {read}, {} reached", format::count(found.reached)));
        if found.elsewhere > 0 {
            context.ui.note(format!("{} of this lazy clone are on its remote, with all below them", format::plural(found.elsewhere, "object")));
        }
        Ok(())
    }
}
