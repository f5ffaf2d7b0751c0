//! The cache of far stores' pages: one for all repositories of a user.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Config, Environment, RepoError};
use crate::base::size::bytes_of;
use crate::store::PageCache;

/// Bytes that are kept where nothing else is said.
const BYTES_MAX: u64 = 10_000_000_000;

/// The cache: in `$DSV_CACHE_DIR`, else where the setting `cache.dir` of the user says, else in `$XDG_CACHE_HOME/dsv` or `~/.cache/dsv`; of at most `$DSV_CACHE_SIZE` bytes, else `cache.size`, else 10 GB.
/// None where no folder is known.
pub fn page_cache(environment: &Environment) -> Result<Option<Arc<PageCache>>, RepoError> {
    let settings = Config::new(None, environment);
    let setting = |variable: &str, key: &str| match environment.variable(variable) {
        Some(value) => Ok(Some((variable.to_owned(), value))),
        None => settings.get(key).map(|value| value.map(|value| (key.to_owned(), value))),
    };
    let usual = || {
        let home = || environment.variable("HOME").or_else(|| environment.variable("USERPROFILE")).map(|home| PathBuf::from(home).join(".cache"));
        environment.variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).map(|dir| dir.join("dsv"))
    };
    let dir = setting("DSV_CACHE_DIR", "cache.dir")?.map(|(_, dir)| PathBuf::from(dir)).or_else(usual);
    let bytes_max = match setting("DSV_CACHE_SIZE", "cache.size")? {
        Some((name, text)) => {
            bytes_of(&text).ok_or_else(|| RepoError::refused_with(format!("{name}: '{text}' is no size"), "write one such as 20GB, or 0 to keep nothing"))?
        }
        None => BYTES_MAX,
    };
    Ok(dir.map(|dir| Arc::new(PageCache::new(dir, bytes_max))))
}
