//! What data beside the code costs whoever works in Git: a pin that is unchanged, a checkout, a commit.
//!
//! ```text
//! cargo bench --profile full --bench beside                       10,000,000 rows, 2,000 files of code
//! cargo bench --profile full --bench beside -- --rows 100000
//! ```
//!
//! Whole processes, as a hook runs them, one after the other in each round. The yardsticks are processes of the same machine in the same round: `dsv --version`, which only starts, and
//! what Git itself takes for `git status` and for a checkout without hooks.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

struct Options {
    rows: u64,
    files: u64,
    rounds: usize,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { rows: 10_000_000, files: 2000, rounds: 25 };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).ok_or(format!("{argument} needs a number"));
        match argument.as_str() {
            "--rows" => options.rows = number()?.max(1),
            "--files" => options.files = number()?.max(1),
            "--rounds" => options.rounds = number()?.max(1) as usize,
            // What cargo says to every benchmark.
            "--bench" => {}
            other => return Err(format!("'{other}' is none of: --rows N, --files N, --rounds N")),
        }
    }
    Ok(options)
}

fn run(dir: &Path, program: &str, arguments: &[&str]) {
    let done =
        Command::new(program).args(arguments).current_dir(dir).env("HOME", dir.join(".home")).stdin(Stdio::null()).output().expect("a program that starts");
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let dsv = env!("CARGO_BIN_EXE_dsv");
    let path = std::env::join_paths(
        Path::new(dsv).parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    // SAFETY: nothing else runs yet.
    unsafe { std::env::set_var("PATH", path.expect("a path")) };
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    std::fs::create_dir(dir.join(".home")).expect("a folder");
    std::fs::write(dir.join(".home/.gitconfig"), "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n").expect("a file");
    std::fs::write(dir.join(".gitignore"), "/.home/\n").expect("a file");
    for n in 0..options.files {
        let file = dir.join(format!("src/{}/{n}.py", n % 40));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, format!("print({n})\n")).expect("a file");
    }
    run(dir, dsv, &["init"]);
    run(
        dir,
        dsv,
        &[
            "query",
            &format!("SELECT value AS id, value % 97 AS label, value * 0.5 AS score FROM generate_series(1, {})", options.rows),
            "-o",
            ".home/rows.parquet",
        ],
    );
    run(dir, dsv, &["import", "rows", ".home/rows.parquet", "--key", "id"]);
    run(dir, dsv, &["commit", "-m", "rows"]);
    run(dir, "git", &["init", "-q"]);
    run(dir, dsv, &["git", "init"]);
    run(dir, "git", &["add", "."]);
    run(dir, "git", &["commit", "-q", "-m", "one"]);
    run(dir, dsv, &["query", "UPDATE rows SET score = 0 WHERE id = 7"]);
    run(dir, dsv, &["commit", "-m", "a score"]);
    run(dir, "git", &["commit", "-q", "-a", "-m", "two"]);
    let cases: [(&str, &str, &[&str]); 7] = [
        ("dsv --version", dsv, &["--version"]),
        ("dsv git pin --check", dsv, &["git", "pin", "--check"]),
        ("dsv git pin --hook", dsv, &["git", "pin", "--hook"]),
        ("dsv git status", dsv, &["git", "status"]),
        ("git status", "git", &["status", "--short"]),
        ("git checkout, there and back", "sh", &["-c", "git checkout -q HEAD~1 && git checkout -q main"]),
        ("the same without hooks", "sh", &["-c", "git -c core.hooksPath=/dev/null checkout -q HEAD~1 && git -c core.hooksPath=/dev/null checkout -q main"]),
    ];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); cases.len()];
    for _ in 0..options.rounds {
        for ((_, program, arguments), times) in cases.iter().zip(&mut times) {
            let start = Instant::now();
            run(dir, program, arguments);
            times.push(start.elapsed());
        }
    }
    println!("{} rows, {} files of code, {} rounds", options.rows, options.files, options.rounds);
    println!("| | median | least |\n|---|---|---|");
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for ((name, ..), mut times) in cases.into_iter().zip(times) {
        times.sort_unstable();
        println!("| `{name}` | {:.1} ms | {:.1} ms |", ms(times[times.len() / 2]), ms(times[0]));
    }
    ExitCode::SUCCESS
}
