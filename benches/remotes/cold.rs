//! A query of one row of a table that is far, by a process that has read nothing of it yet.

use std::process::Command;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use dsv::format::Type;
use dsv::repo::{Repo, RepoError};
use dsv::table::write::RowWriter;

use crate::proxy::{Proxy, Weather};
use crate::server::{Server, variables};
use crate::{Options, data, report};

/// Rows that are made at a time.
const STEP: u64 = 100_000;
/// A way so long that all else is short beside it.
const LONG_MS: u64 = 200;

fn columns(batch: &RecordBatch) -> Vec<(String, Type)> {
    batch.schema().fields().iter().map(|field| (field.name().clone(), Type::from_field(field).expect("a type"))).collect()
}

fn made(dir: &std::path::Path, rows: u64) -> Repo {
    let repo = Repo::init(dir, "main").expect("a repository");
    let columns = columns(&data::rows(0..1));
    repo.create_table("rows", &columns, &[], "create").expect("a table");
    let filled = repo.edit_table("rows", "fill", |table| -> Result<_, RepoError> {
        let mut writer = RowWriter::new(repo.objects(), &table, &columns)?;
        for from in (0..rows).step_by(STEP as usize) {
            writer.push(&data::rows(from..rows.min(from + STEP)), &[])?;
        }
        Ok(table.append(repo.objects(), writer.finish()?)?)
    });
    filled.expect("rows");
    data::commit(&repo);
    repo
}

/// What one run of a query took: its time, its requests, and the bytes that came.
fn ask(server: &Server, sql: &str, round_trip_ms: u64, instant_connections: bool) -> (Duration, u64, u64) {
    let cache = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::start(&server.address, Weather { round_trip_ms, instant_connections, ..Weather::default() }).expect("a proxy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsv"));
    command.args(["query", sql, "--at", "s3://data/cold#main", "--format", "csv"]).env("DSV_CACHE_DIR", cache.path()).envs(variables(&proxy.address()));
    let start = Instant::now();
    let output = command.output().expect("a process");
    let took = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.lines().count() == 2, "{text}{}", String::from_utf8_lossy(&output.stderr));
    (took, proxy.exchanges(), proxy.bytes().1)
}

pub fn run(options: &Options) {
    let Some(server) = Server::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let repo = made(dir.path(), options.rows);
    repo.add_remote("origin", "s3://data/cold").expect("a remote");
    drop(repo);
    let mut push = Command::new(env!("CARGO_BIN_EXE_dsv"));
    let pushed = push.current_dir(dir.path()).args(["push", "-q"]).envs(variables(&server.address)).output().expect("a process");
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let id = options.rows * 7 / 10;
    for (what, sql) in [("one column", format!("SELECT caption FROM rows WHERE id = {id}")), ("all ten columns", format!("SELECT * FROM rows WHERE id = {id}"))]
    {
        let (short, requests, bytes) = ask(&server, &sql, 0, true);
        let (long, _, _) = ask(&server, &sql, LONG_MS, true);
        let (longer, _, _) = ask(&server, &sql, LONG_MS, false);
        let rounds = (long.as_secs_f64() - short.as_secs_f64()) * 1e3 / LONG_MS as f64;
        println!(
            "  {what} of one row of {}: {} ms beside the server, {} ms over {LONG_MS} ms, new connections {} ms",
            options.rows,
            short.as_millis(),
            long.as_millis(),
            longer.as_millis()
        );
        report::ratio("requests", requests as f64, 12.0, false);
        report::ratio("rounds of them", rounds, 6.0, false);
        report::ratio("MB that came", bytes as f64 / 1e6, 4.2, false);
    }
}
