//! What the verbs that speak with remotes share: options of the network, and how refs that moved are told.

use std::io::Write;

use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::ui::format;
use crate::base::size::bytes_of;
use crate::history::short;
use crate::repo::remotes::{RefChange, RefUpdate, RemoteOptions};

/// How remotes are asked.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// The address of a store that speaks S3's, Azure's or Google's protocol elsewhere
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The region of a bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Requests at the same time [default: 16]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Bytes a second at most, such as 10MB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
    /// How often a request that failed is tried again [default: 5]
    #[arg(long, value_name = "N")]
    retries: Option<usize>,
    /// Seconds until a request without an answer has failed [default: 60]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

impl Network {
    /// The same, for the repository.
    pub fn options(&self, lock: bool) -> RemoteOptions {
        RemoteOptions {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            concurrency: self.jobs,
            bytes_per_second: self.limit_rate,
            retries: self.retries,
            timeout_ms: self.timeout.map(|seconds| seconds.saturating_mul(1000)),
            lock,
        }
    }
}

/// `10MB`, `500k`, `1000`: bytes, in thousands.
fn rate(text: &str) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let number = bytes_of(lower.strip_suffix("/s").unwrap_or(&lower)).filter(|number| *number > 0);
    number.ok_or_else(|| "write a rate such as 500k or 10MB".to_owned())
}

/// Tells refs that moved: lines of JSON, or one line each for people.
pub fn tell(context: &Context, remote: &str, refs: &[RefUpdate], is_push: bool) -> Result<(), CliError> {
    let ui = &context.ui;
    if ui.json {
        let mut out = ui.page();
        for update in refs {
            let (change, why) = words(&update.kind);
            let line = json!({
                "remote": remote, "ref": update.name, "kind": if update.is_tag { "tag" } else { "branch" }, "change": change,
                "old": update.old.map(|id| id.to_string()), "new": update.new.map(|id| id.to_string()), "why": why,
            });
            writeln!(out, "{line}")?;
        }
        return Ok(out.finish()?);
    }
    for update in refs {
        let place = if update.is_tag { format!("tag {}", update.name) } else { format!("{remote}/{}", update.name) };
        let moved = match (update.old, update.new) {
            (Some(old), Some(new)) if old != new => format!("{} -> {}", short(&old), short(&new)),
            (_, Some(new)) => short(&new),
            (Some(old), None) => format!("was {}", short(&old)),
            (None, None) => String::new(),
        };
        ui.note(match &update.kind {
            RefChange::Same => format!("  {place}: up to date"),
            RefChange::New => format!("  {place}: new, {moved}"),
            RefChange::Forward => format!("  {place}: {moved}"),
            RefChange::Forced if is_push => format!("  {place}: {moved}, forced"),
            RefChange::Forced => format!("  {place}: {moved}, and no longer has all that it had: somebody took commits back"),
            RefChange::Deleted => format!("  {place}: deleted, {moved}"),
            RefChange::Refused(why) => format!("  {place}: refused: {why}"),
        });
    }
    Ok(())
}

fn words(kind: &RefChange) -> (&'static str, Option<&str>) {
    match kind {
        RefChange::Same => ("same", None),
        RefChange::New => ("new", None),
        RefChange::Forward => ("forward", None),
        RefChange::Forced => ("forced", None),
        RefChange::Deleted => ("deleted", None),
        RefChange::Refused(why) => ("refused", Some(why)),
    }
}

/// `3 commits, 12 objects, 4.1 kB`.
pub fn amount(commits: u64, objects: u64, bytes: u64) -> String {
    format!("{}, {}, {}", format::plural(commits, "commit"), format::plural(objects, "object"), format::bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates() {
        for (text, expected) in [("1000", 1000), ("500k", 500_000), ("10MB", 10_000_000), ("1.5gb/s", 1_500_000_000)] {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        assert!(["", "0", "-1", "fast", "0.1", "NaN"].iter().all(|text| rate(text).is_err()));
    }
}
