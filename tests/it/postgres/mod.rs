//! PostgreSQL with pgvector beside dsv: the same rows, the same questions. `docs/design/sql-suites.md` says what is compared.

mod queries;
mod vectors;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dsv::query::{Options, Params, Session};
use dsv::repo::Repo;

use crate::support::{Sandbox, skip};

/// The cells of a row as PostgreSQL writes them; none for null.
type Row = Vec<Option<String>>;

/// PostgreSQL, in a process of its own.
struct Postgres {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What PostgreSQL answered: rows, and the ids of the columns' types.
struct Answer {
    rows: Vec<Row>,
    types: Vec<u64>,
}

impl Postgres {
    /// PostgreSQL from the packages in `DSV_TEST_PGVECTOR`, which `scripts/test.py` installs: one for all tests, for it takes seconds to start. `None` where they or Node are
    /// missing, which is then told.
    fn start() -> Option<MutexGuard<'static, Postgres>> {
        static ONE: OnceLock<Result<Mutex<Postgres>, String>> = OnceLock::new();
        match ONE.get_or_init(Postgres::spawn) {
            // A test that failed leaves it as it is.
            Ok(one) => Some(one.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(why) => {
                skip("pgvector", why);
                None
            }
        }
    }

    fn spawn() -> Result<Mutex<Postgres>, String> {
        let folder = std::env::var_os("DSV_TEST_PGVECTOR").ok_or("PostgreSQL with pgvector for Node is not here (DSV_TEST_PGVECTOR)")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/postgres.mjs");
        let child = Command::new("node").arg(script).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        // It ends with its input, when the tests' process does.
        let mut child = child.map_err(|e| format!("node: {e}"))?;
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Ok(Mutex::new(Postgres { input, output }))
    }

    fn ask(&mut self, sql: &str) -> Result<Answer, String> {
        writeln!(self.input, "{}", serde_json::to_string(sql).unwrap()).unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{sql}: {e}: {line:?}"));
        if let Some(error) = told["error"].as_str() {
            return Err(error.to_owned());
        }
        let cell = |cell: &serde_json::Value| cell.as_str().map(str::to_owned);
        let rows = told["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(cell).collect()).collect();
        Ok(Answer { rows, types: told["types"].as_array().unwrap().iter().map(|oid| oid.as_u64().unwrap()).collect() })
    }

    /// A statement that must succeed.
    #[track_caller]
    fn run(&mut self, sql: &str) {
        if let Err(error) = self.ask(sql) {
            panic!("{error}: {}", sql.chars().take(200).collect::<String>());
        }
    }
}

/// A session on the repository of a sandbox.
fn session(s: &Sandbox) -> Session {
    Session::new(std::sync::Arc::new(Repo::open(&s.path(".")).unwrap()), Options { threads: 2, ..Options::default() }).unwrap()
}

/// What dsv answers, written as PostgreSQL would.
fn dsv(session: &Session, sql: &str) -> Result<Vec<Row>, String> {
    let answer = session.query(sql, &Params::new(), None).map_err(|e| e.to_string())?;
    let batches = answer.collect::<Result<Vec<RecordBatch>, _>>().map_err(|e| e.to_string())?;
    let row = |batch: &RecordBatch, row: usize| batch.columns().iter().map(|column| cell(column, row)).collect();
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect())
}

fn cell(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) || column.data_type().is_null() {
        return None;
    }
    let format = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f")).with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let text = || ArrayFormatter::try_new(column, &format).unwrap().value(row).to_string();
    Some(match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::List(_) | DataType::FixedSizeList(..) => {
            let items = match column.data_type() {
                DataType::List(_) => column.as_list::<i32>().value(row),
                _ => column.as_fixed_size_list().value(row),
            };
            let items: Vec<String> = (0..items.len()).map(|at| cell(&items, at).unwrap_or_else(|| "NULL".into())).collect();
            format!("{{{}}}", items.join(","))
        }
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => {
            // PostgreSQL leaves out zeros at the end of a fraction.
            let text = text();
            match text.split_once('.') {
                Some((whole, fraction)) => {
                    let (digits, zone) = fraction.split_at(fraction.find('+').unwrap_or(fraction.len()));
                    let digits = digits.trim_end_matches('0');
                    format!("{whole}{}{digits}{zone}", if digits.is_empty() { "" } else { "." })
                }
                None => text,
            }
        }
        _ => text(),
    })
}

/// The numbers among PostgreSQL's types: integers, floats, decimals.
const NUMBERS: [u64; 6] = [20, 21, 23, 700, 701, 1700];

/// True where two answers are the same rows in the same order. Numbers may differ by `tolerance` of the larger of themselves and 1, for they are float64 in one and decimal in
/// the other; all else must be the same text.
fn same(answer: &Answer, rows: &[Row], tolerance: f64) -> bool {
    let number = |text: &str| match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        other => other.parse().unwrap_or(f64::NAN),
    };
    let near = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0);
    let same_cell = |oid: u64, a: &Option<String>, b: &Option<String>| match (a, b) {
        (Some(a), Some(b)) if NUMBERS.contains(&oid) => near(number(a), number(b)),
        (a, b) => a == b,
    };
    let same_row = |a: &Row, b: &Row| a.len() == b.len() && a.iter().zip(b).zip(&answer.types).all(|((a, b), oid)| same_cell(*oid, a, b));
    answer.rows.len() == rows.len() && answer.rows.iter().zip(rows).all(|(a, b)| same_row(a, b))
}
