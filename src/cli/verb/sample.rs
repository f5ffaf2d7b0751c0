//! `dsv sample`.

use std::collections::BTreeSet;

use crate::cli::answer::{self, Form};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::look::Look;
use crate::cli::ui::format;
use crate::repo::files::FileFormat;

/// Show rows of a table drawn at random
///
/// Every row is as likely as any other; the rows come in table order, and the same seed draws the same rows. With --json, a JSON object for each row.
///
/// Examples:
///
///   dsv sample birds
///   dsv sample birds -n 20 --seed 7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Sample {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// So many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// At this revision, not in the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Only these columns, in this order
    #[arg(long, value_name = "A,B")]
    columns: Vec<String>,
    /// Another number draws other rows; one number always draws the same
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    seed: u64,
}

impl Sample {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let (repo, at) = context.repo_of(self.at.as_deref())?;
        let look = Look { table: self.table, at, columns: args::names("--columns", &self.columns)? };
        let found = look.find(&repo)?;
        let all = found.rows()?;
        let ranks = draw(self.seed, all, self.rows as u64);
        let slots = found.table.slots_of_rows(&found.objects, &ranks)?;
        let form = if context.ui.json { Form::File(FileFormat::JsonLines) } else { Form::Table };
        let schema = found.table.schema.arrow(&found.indices);
        // A few at a time, for a sample of thousands of pictures would fill the memory.
        let mut batches = slots.chunks(64).map(|slots| Ok(found.table.take(&found.objects, slots, &found.indices)?));
        let shown = answer::print(context, form, &schema, &mut batches)?;
        if shown < all && !context.ui.json {
            context.ui.note(format!("{} of {}", format::count(shown), format::plural(all, "row")));
        }
        Ok(())
    }
}

/// `count` different numbers below `all`, ascending; each set as likely as any other (Floyd's method), one seed always the same.
fn draw(seed: u64, all: u64, count: u64) -> Vec<u64> {
    let mut chosen = BTreeSet::new();
    let mut calls = 0u64;
    for top in all.saturating_sub(count)..all {
        let pick = below(seed, &mut calls, top + 1);
        if !chosen.insert(pick) {
            chosen.insert(top);
        }
    }
    chosen.into_iter().collect()
}

/// An even draw from `0..n`, from a counter hashed with the seed.
fn below(seed: u64, calls: &mut u64, n: u64) -> u64 {
    loop {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&calls.to_le_bytes());
        *calls += 1;
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        let x = u64::from_le_bytes(first);
        // The last, incomplete stretch of n numbers would favour small results.
        if x < u64::MAX - u64::MAX % n {
            return x % n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeat() {
        assert_eq!(draw(1, 5, 10), [0, 1, 2, 3, 4]);
        assert_eq!(draw(1, 0, 3), Vec::<u64>::new());
        assert_eq!(draw(7, 1000, 20), draw(7, 1000, 20));
        assert_ne!(draw(7, 1000, 20), draw(8, 1000, 20));
        let mut counts = [0u32; 10];
        for seed in 0..2000 {
            let drawn = draw(seed, 10, 3);
            assert_eq!(drawn.len(), 3);
            drawn.iter().for_each(|i| counts[*i as usize] += 1);
        }
        // 600 each is expected, with a deviation of about 20.
        assert!(counts.iter().all(|n| (500..700).contains(n)), "{counts:?}");
    }
}
