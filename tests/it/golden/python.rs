//! Runs the Python reader, where there is a Python with the packages it needs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that can run the reader. Without one this prints that the test is skipped and what it lacked, and gives `None`; where
/// `DSV_REQUIRE` asks for `python` (or `python-reader`) it fails instead.
pub fn python() -> Option<PathBuf> {
    let python = crate::support::python();
    let why = match Command::new(&python).args(["-c", "import blake3, zstandard, cbor2"]).output() {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it does not run").to_owned(),
        Err(error) => error.to_string(),
    };
    let required = env::var("DSV_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| matches!(name.trim(), "python" | "python-reader")), "{}: {why}", python.display());
    println!("skipped: python: {}: {why} (see scripts/requirements.txt)", python.display());
    None
}

/// Runs a script of tests/reader.
pub fn run(python: &Path, script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(python);
    command.arg("-B").arg(root().join("tests/reader").join(script)).args(arguments).env("PYTHONIOENCODING", "utf-8");
    command.output().unwrap()
}

/// The lines that the reader prints; fails with what it says.
pub fn lines(python: &Path, repository: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run(python, "reader.py", &[&[repository.to_str().unwrap()], arguments].concat());
    assert!(output.status.success(), "reader.py {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
