//! DuckDB and Lance in a process of Python that answers one request after the other, so that they take turns with the sides that run here.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// The process, with what is said to it and what it says.
pub struct Peers {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

/// The Python that has the peers, if one is named.
pub fn python() -> Option<PathBuf> {
    std::env::var_os("DSV_BENCH_PYTHON").map(PathBuf::from)
}

impl Peers {
    /// Starts it, with so many threads for DuckDB; `None`, with a word, where there is no Python for it.
    pub fn start(threads: usize) -> Option<Peers> {
        let Some(python) = python() else {
            println!("  DSV_BENCH_PYTHON is not set: DuckDB and Lance are left out");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sql/peers.py");
        let mut command = Command::new(python);
        command.arg(script).arg(threads.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the Python that DSV_BENCH_PYTHON names");
        let pipes = (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
        Some(Peers { child, pipes: RefCell::new(pipes) })
    }

    /// What is answered to a request.
    pub fn ask(&self, request: &Value) -> Value {
        let (to, from) = &mut *self.pipes.borrow_mut();
        writeln!(to, "{request}").expect("a process that listens");
        let mut line = String::new();
        from.read_line(&mut line).expect("a process that answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(answer.get("error").is_none(), "{request}: {answer}");
        answer
    }

    /// How many rows DuckDB answers.
    pub fn sql(&self, sql: &str) -> usize {
        rows(&self.ask(&json!({"do": "sql", "sql": sql})))
    }
}

/// The rows that an answer speaks of.
pub fn rows(answer: &Value) -> usize {
    answer["rows"].as_u64().expect("a number of rows") as usize
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
