//! Reading and writing together.

use std::path::{Path, PathBuf};

/// The folder of real data, or `None`, said on standard error.
pub(super) fn real_data() -> Option<PathBuf> {
    let path = match std::env::var_os("DSV_TEST_DATA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no real data at {} (DSV_TEST_DATA)", path.display());
    None
}

/// All files below a folder, sorted.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
