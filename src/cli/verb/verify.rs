//! `dsv verify`.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::transport::Network;
use crate::cli::ui::format;

/// Re-hash everything reachable
///
/// Reads every object that a branch, a tag, a working state or an operation reaches, and compares it with its id. Each fault is told with what it
/// harms. Exits with 3 where there is one.
///
/// With --remote the copy on a remote is checked: all of it is read over the network. With --repair what is damaged or missing here is brought anew from a remote that has it.
///
/// With --json, a line for each fault: {"fault", "object", "pack", "harms"}; then {"packs", "objects", "bytes", "reached", "elsewhere", "faults"}.
///
/// Examples:
///
///   dsv verify
///   dsv verify --json
///   dsv verify --remote origin
///   dsv verify --repair --from origin
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Verify {
    /// Check the copy on this remote
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Bring what is damaged anew
    #[arg(long, conflicts_with = "remote")]
    repair: bool,
    /// The remote to bring it from [default: the only one, or origin]
    #[arg(long, value_name = "NAME", requires = "repair")]
    from: Option<String>,
    #[command(flatten)]
    network: Network,
}

impl Verify {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let mut repo = context.working_repo()?;
        if let Some(name) = &self.remote {
            let remote = repo.open_remote(name, &self.network.options(false))?;
            remote.existing()?;
            repo = remote.into_repo();
            repo.set_progress(context.ui.progress());
        }
        let mut found = repo.verify()?;
        if self.repair && !found.faults.is_empty() {
            let name = self.from.clone().map_or_else(|| repo.default_remote(), Ok)?;
            let done = repo.repair(&found, &repo.open_remote(&name, &self.network.options(false))?)?;
            let came = format!("{} from {name}, {} written anew", format::plural(done.objects, "object"), format::plural(done.copied, "sound one"));
            context.ui.note(match done.lost.len() {
                0 => format!("Repaired: {came}; {} replaced", format::plural(done.packs, "pack")),
                lost => format!("Repaired in part: {came}; {} on neither side", format::plural(lost as u64, "object")),
            });
            // As it is now, read anew.
            repo = context.working_repo()?;
            found = repo.verify()?;
        }
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
            return Err(error.hint("reading what is harmed fails rather than giving wrong data; 'dsv verify --repair' brings it from a remote that has it"));
        }
        context.ui.note(format!("All is well: {read}, {} reached", format::count(found.reached)));
        if found.elsewhere > 0 {
            context.ui.note(format!("{} of this lazy clone are on its remote, with all below them", format::plural(found.elsewhere, "object")));
        }
        Ok(())
    }
}
