//! `dsv query`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Ask in SQL, of any revision
///
/// A schema is a revision: `FROM birds` is the working state (or --at), `FROM "v1.0".birds` the table as it was at v1.0, and both may stand in one query.
/// SQL that starts with @ is a file's name; - reads stdin.
///
/// Examples:
///
///   dsv query "SELECT species, count(*) FROM birds GROUP BY species ORDER BY 2 DESC LIMIT 5"
///   dsv query "SELECT a.label AS was, b.label FROM \"v1.0\".birds a JOIN birds b USING (id)"
///   dsv query "SELECT * FROM birds WHERE weight > :least" -p least=2.5
///   dsv query "SELECT * FROM birds" --at v1.0 --format parquet -o birds.parquet
///   dsv query @report.sql --format markdown
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Query {
    /// The query
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    sql: String,
    /// A value for :NAME in the query; numbers, true, false and null are taken as such, quote 'text' to force text
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Tables without a schema are those of this revision, not of the working state
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// How to write the answer: table, csv, tsv, json, parquet, arrow or markdown
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Where to; the format then follows the name
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Query {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        context.unwired("query")
    }
}
