//! DVC: a `.dvc` file beside the place of a file or folder, and the cache that has its bytes.

use std::path::{Path, PathBuf};

use md5::Md5;
use serde::Deserialize;

use super::super::Kept;
use super::super::error::{FileError, Place};
use super::{hash, is_hex};

/// More than this no `.dvc` file has, and no list of a folder's files.
const FILE_MAX: u64 = 1 << 20;
const LIST_MAX: u64 = 1 << 30;

/// What a `.dvc` file stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::repo) struct Out {
    /// Its path, relative to the `.dvc` file.
    pub path: String,
    /// MD5 in hexadecimal; of a folder with `.dir` behind it.
    pub md5: String,
    /// Bytes, where they are said.
    pub size: Option<u64>,
    /// Written by DVC 3, which hashes bytes as they are.
    pub hash: Option<String>,
}

/// What a `.dvc` file stands for, from the cache around it.
pub(super) fn resolve(path: &Path) -> Result<Kept, FileError> {
    let shown = path.display().to_string();
    let text = read(path, FILE_MAX)?;
    let outs = parse(&shown, &String::from_utf8_lossy(&text))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let cache = Cache::around(&folder).ok_or_else(|| {
        FileError::bad(&shown, Place::File, "is not in a DVC project: no folder above it has a folder .dvc")
            .with_hint("'dvc init' makes one, 'dvc pull' fills its cache")
    })?;
    let mut kept = Kept { folder: folder.clone(), files: Vec::new(), is_folder: false };
    for out in &outs {
        let is_folder = out.md5.ends_with(".dir");
        let found = cache.find(&shown, out, Some(&folder.join(&out.path)))?;
        kept.is_folder |= is_folder && outs.len() == 1;
        let named = |name: String| if is_folder && outs.len() == 1 { name } else { folder.join(name).display().to_string() };
        kept.files.extend(found.into_iter().map(|(name, path)| (named(name), path)));
    }
    Ok(kept)
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let length = std::fs::metadata(path).map_err(|e| FileError::io(path.display(), e))?.len();
    if length > bytes_max {
        return Err(FileError::bad(path.display(), Place::File, format!("is no file of DVC's: it has {length} bytes")));
    }
    std::fs::read(path).map_err(|e| FileError::io(path.display(), e))
}

/// Reads the outputs of a `.dvc` file, in the form that DVC writes: a list `outs` of mappings of plain or quoted scalars. What else YAML allows is refused where it
/// matters, and passed over where it does not. `file` is what it is called in errors.
pub(in crate::repo) fn parse(file: &str, text: &str) -> Result<Vec<Out>, FileError> {
    let mut outs: Vec<Out> = Vec::new();
    // Whether the list is being read; where its dashes stand; the key that a line further in goes on with.
    let (mut inside, mut dashes, mut last): (bool, Option<usize>, Option<String>) = (false, None, None);
    for (number, line) in (1..).zip(text.lines()) {
        let bad = |what: &str| {
            FileError::bad(file, Place::Line(number), format!("{what}: this is not how DVC writes its files")).with_hint("'dvc commit' writes it anew")
        };
        let line = line.trim_end();
        let content = line.trim_start_matches(' ');
        if content.is_empty() || content.starts_with('#') || line == "---" {
            continue;
        }
        let mut indent = line.len() - content.len();
        let is_dash = content == "-" || content.starts_with("- ");
        if !inside || (indent == 0 && !is_dash) {
            inside = line == "outs:";
            if !inside && line.starts_with("outs:") && line != "outs: []" {
                return Err(bad("'outs' is not a list of lines"));
            }
            (dashes, last) = (None, None);
            continue;
        }
        let mut entry = content;
        if is_dash && dashes.is_none_or(|at| at == indent) {
            dashes = Some(indent);
            outs.push(Out::default());
            last = None;
            entry = content.trim_start_matches('-').trim_start_matches(' ');
            indent += content.len() - entry.len();
            if entry.is_empty() {
                continue;
            }
        }
        let (Some(at), Some(out)) = (dashes, outs.last_mut()) else { return Err(bad("'outs' is not a list")) };
        if indent <= at {
            return Err(bad("a line stands too far left"));
        }
        // The keys of an item stand behind its dash; what is further in belongs to the key before.
        if indent > at + 2 {
            match last.as_deref() {
                Some("path") if !out.path.is_empty() => out.path = format!("{} {entry}", out.path),
                Some("md5" | "size" | "hash" | "path") => return Err(bad("a value spans lines")),
                _ => {}
            }
            continue;
        }
        let (key, value) = match entry.split_once(": ") {
            Some((key, value)) => (key, value.trim()),
            None => (entry.strip_suffix(':').ok_or_else(|| bad("there is no key"))?, ""),
        };
        last = Some(key.to_owned());
        if !["path", "md5", "size", "hash"].contains(&key) {
            continue;
        }
        let value = scalar(value).ok_or_else(|| bad("a value is written in a way that is not read"))?;
        match key {
            "path" => out.path = value,
            "md5" => out.md5 = value,
            "hash" => out.hash = Some(value),
            _ => out.size = Some(value.parse().map_err(|_| bad("a size is no number"))?),
        }
    }
    let bad = |what: &str| FileError::bad(file, Place::File, what);
    if outs.is_empty() {
        return Err(bad("names no file: it has no 'outs'"));
    }
    for out in &outs {
        if out.path.is_empty() || !is_hex(out.md5.strip_suffix(".dir").unwrap_or(&out.md5), 32) {
            return Err(bad("names a file without a path or an MD5 hash")
                .with_hint("of files that DVC leaves in a cloud or in another repository, import the file itself"));
        }
        if out.hash.as_deref().is_some_and(|hash| hash != "md5") {
            return Err(bad("is written with another hash than MD5"));
        }
    }
    Ok(outs)
}

/// A scalar of one line.
fn scalar(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        return (!inner.replace("''", "").contains('\'')).then(|| inner.replace("''", "'"));
    }
    if text.starts_with('"') {
        return serde_json::from_str(text).ok();
    }
    let plain = text.split(" #").next().unwrap_or_default().trim_end();
    (!plain.starts_with(['&', '*', '!', '|', '>', '@', '%', '{', '[', '`', '?'])).then(|| plain.to_owned())
}

/// A file of a folder, as DVC lists it.
#[derive(Deserialize)]
struct Listed {
    md5: String,
    relpath: String,
}

/// The folder in which DVC keeps files by their hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repo) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// That of the nearest project around a folder.
    pub fn around(folder: &Path) -> Option<Cache> {
        let folder = std::fs::canonicalize(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).ok()?;
        let project = folder.ancestors().map(|above| above.join(".dvc")).find(|dvc| dvc.is_dir())?;
        let own = [project.join("config.local"), project.join("config")];
        let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
        let files = own.into_iter().chain(user.map(|user| user.join("dvc").join("config")));
        let said = files.into_iter().find_map(|file| {
            let dir = cache_dir(&std::fs::read_to_string(&file).ok()?)?;
            // Relative to the file that says so.
            Some(file.parent()?.join(dir))
        });
        Some(Cache { folder: said.unwrap_or_else(|| project.join("cache")) })
    }

    /// The files that an output stands for, by their names: one, or those of a folder, relative to it. `beside` is where the output itself may be.
    pub fn find(&self, file: &str, out: &Out, beside: Option<&Path>) -> Result<Vec<(String, PathBuf)>, FileError> {
        let legacy = out.hash.is_none();
        let Some(list) = out.md5.strip_suffix(".dir").map(|_| out.md5.as_str()) else {
            return Ok(vec![(out.path.clone(), self.one(file, &out.path, &out.md5, legacy, beside)?)]);
        };
        let list = self.one(file, &out.path, list, legacy, None)?;
        let bytes = read(&list, LIST_MAX)?;
        let listed: Vec<Listed> = serde_json::from_slice(&bytes).map_err(|e| {
            FileError::bad(file, Place::File, format!("DVC's list of the files of {} does not read: {e}", out.path)).with_hint("'dvc pull' brings it anew")
        })?;
        if listed.is_empty() {
            return Err(FileError::bad(file, Place::File, format!("the folder {} is empty", out.path)));
        }
        let found = listed.into_iter().map(|Listed { md5, relpath }| {
            if !is_hex(&md5, 32) {
                return Err(FileError::bad(file, Place::File, format!("DVC's list of the files of {} has a damaged hash", out.path)));
            }
            let beside = beside.map(|folder| folder.join(&relpath));
            let path = self.one(file, &format!("{}/{relpath}", out.path), &md5, legacy, beside.as_deref())?;
            Ok((relpath, path))
        });
        let mut found = found.collect::<Result<Vec<_>, _>>()?;
        found.sort();
        Ok(found)
    }

    /// One file, tested against its hash: where DVC 3 keeps it, where DVC 2 did, or in its own place.
    fn one(&self, file: &str, name: &str, md5: &str, legacy: bool, beside: Option<&Path>) -> Result<PathBuf, FileError> {
        let (a, b) = md5.split_at_checked(2).ok_or_else(|| FileError::bad(file, Place::File, "a hash is damaged"))?;
        let new = self.folder.join("files").join("md5").join(a).join(b);
        let old = self.folder.join(a).join(b);
        let digits = md5.strip_suffix(".dir").unwrap_or(md5);
        let matches = |path: &Path| -> Result<bool, FileError> {
            if hash::<Md5>(path, |_| None)?.0 == digits {
                return Ok(true);
            }
            // DVC 2 hashed text with the line ends of Unix.
            Ok(legacy && hash::<Md5>(path, |part| part.windows(2).any(|two| two == b"\r\n").then(|| unix(part)))?.0 == digits)
        };
        for path in if legacy { [old, new] } else { [new, old] } {
            if path.is_file() {
                if matches(&path)? {
                    return Ok(path);
                }
                let what = format!("{name} is damaged in DVC's cache: {} has another hash", path.display());
                return Err(FileError::bad(file, Place::File, what).with_hint("delete it there and fetch it again: dvc pull"));
            }
        }
        if let Some(path) = beside.filter(|path| path.is_file())
            && matches(path)?
        {
            return Ok(path.to_owned());
        }
        Err(FileError::bad(file, Place::File, format!("{name} is not in DVC's cache ({})", self.folder.display()))
            .with_hint("'dvc pull' brings it; 'dvc fetch --all-commits' all versions"))
    }
}

fn unix(part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    for (i, byte) in part.iter().enumerate() {
        if *byte != b'\r' || part.get(i + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

/// `dir` in the section `cache` of DVC's settings.
fn cache_dir(text: &str) -> Option<String> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[cache]";
        } else if inside && let Some((key, value)) = line.split_once('=').filter(|(key, _)| key.trim() == "dir") {
            let (_, value) = (key, value.trim());
            let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            found = Some(quoted.unwrap_or(value).to_owned());
        }
    }
    found
}
