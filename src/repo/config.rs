//! Settings: a repository's `config.toml` over the user's own.

use std::path::{Path, PathBuf};
use std::{fs, io};

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::{Environment, Repo, RepoError};

/// Where a setting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The repository's own file.
    Repository,
    /// The user's file, for all repositories: `$XDG_CONFIG_HOME/dsv/config.toml`, by default in `~/.config`.
    User,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `section.name`.
    pub key: String,
    /// Its value as text.
    pub value: String,
    /// The file that it stands in.
    pub scope: Scope,
}

/// The settings files of one repository, or the user's alone. Files are read at each call.
#[derive(Debug, Clone)]
pub struct Config {
    repository: Option<PathBuf>,
    user: Option<PathBuf>,
}

impl Config {
    /// The settings of the repository kept in `dir` (its `.dsv`), or without one the user's alone.
    pub fn new(dir: Option<&Path>, environment: &Environment) -> Config {
        let home = || environment.variable("HOME").or_else(|| environment.variable("USERPROFILE")).map(|home| PathBuf::from(home).join(".config"));
        let user = environment.variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home).map(|dir| dir.join("dsv").join("config.toml"));
        Config { repository: dir.map(|dir| dir.join("config.toml")), user }
    }

    fn path(&self, scope: Scope) -> Option<&Path> {
        match scope {
            Scope::Repository => self.repository.as_deref(),
            Scope::User => self.user.as_deref(),
        }
    }

    fn load(&self, scope: Scope) -> Result<DocumentMut, RepoError> {
        let Some(path) = self.path(scope) else { return Ok(DocumentMut::new()) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(DocumentMut::new()),
            Err(e) => return Err(RepoError::io(path)(e)),
        };
        text.parse().map_err(|e: toml_edit::TomlError| RepoError::Config { path: path.to_owned(), why: e.message().replace('\n', "; ") })
    }

    /// All settings; where both files have one, the repository's alone.
    pub fn list(&self) -> Result<Vec<Setting>, RepoError> {
        let mut settings: Vec<Setting> = Vec::new();
        for scope in [Scope::Repository, Scope::User] {
            let mut found = Vec::new();
            flatten("", self.load(scope)?.as_table(), &mut found);
            let new = found.into_iter().filter(|(key, _)| !settings.iter().any(|s| s.key == *key)).collect::<Vec<_>>();
            settings.extend(new.into_iter().map(|(key, value)| Setting { key, value, scope }));
        }
        settings.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(settings)
    }

    /// A setting's value as text; none where it is not set.
    pub fn get(&self, key: &str) -> Result<Option<String>, RepoError> {
        parts(key)?;
        Ok(self.list()?.into_iter().find(|setting| setting.key == key).map(|setting| setting.value))
    }

    /// As [`Config::get`], for a setting of which a part may hold any character.
    pub fn get_at(&self, parts: &[&str]) -> Result<Option<String>, RepoError> {
        Ok(self.list()?.into_iter().find(|setting| setting.key == parts.join(".")).map(|setting| setting.value))
    }

    /// Sets a setting. `true`, `false` and whole numbers are kept as such, all else as text; comments and order of the file are kept.
    pub fn set(&self, scope: Scope, key: &str, value: &str) -> Result<(), RepoError> {
        self.set_at(scope, &parts(key)?, value)
    }

    /// As [`Config::set`], for a setting of which a part may hold any character, as a branch's name does.
    pub fn set_at(&self, scope: Scope, parts: &[&str], value: &str) -> Result<(), RepoError> {
        let bad = || RepoError::BadSetting(parts.join("."));
        let mut document = self.load(scope)?;
        let mut table: &mut dyn TableLike = document.as_table_mut();
        let (name, sections) = parts.split_last().ok_or_else(bad)?;
        for section in sections {
            let item = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
            table = item.as_table_like_mut().ok_or_else(bad)?;
        }
        if table.get(name).is_some_and(|item| item.is_table_like()) {
            return Err(bad());
        }
        let value: Value = match (value.parse::<bool>(), value.parse::<i64>()) {
            (Ok(value), _) => value.into(),
            // What would print as other digits is text.
            (_, Ok(number)) if number.to_string() == value => number.into(),
            _ => value.into(),
        };
        table.insert(name, Item::Value(value));
        self.save(scope, &document)
    }

    /// Removes a setting; false where it was not set.
    pub fn unset(&self, scope: Scope, key: &str) -> Result<bool, RepoError> {
        self.unset_at(scope, &parts(key)?)
    }

    /// As [`Config::unset`], for a setting of which a part may hold any character.
    pub fn unset_at(&self, scope: Scope, parts: &[&str]) -> Result<bool, RepoError> {
        let mut document = self.load(scope)?;
        let mut table: &mut dyn TableLike = document.as_table_mut();
        let Some((name, sections)) = parts.split_last() else { return Ok(false) };
        for section in sections {
            match table.get_mut(section).and_then(Item::as_table_like_mut) {
                Some(inner) => table = inner,
                None => return Ok(false),
            }
        }
        let removed = table.remove(name).is_some();
        if removed {
            self.save(scope, &document)?;
        }
        Ok(removed)
    }

    fn save(&self, scope: Scope, document: &DocumentMut) -> Result<(), RepoError> {
        let path = self.path(scope).ok_or_else(|| RepoError::refused("there is no place for settings: neither a repository nor a home folder"))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(RepoError::io(parent))?;
        }
        // A reader sees the old file or the new one.
        let temporary = path.with_extension(format!("toml.{}", std::process::id()));
        let written = fs::write(&temporary, document.to_string()).and_then(|()| fs::rename(&temporary, path));
        written.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            RepoError::io(path)(e)
        })
    }
}

impl Repo {
    /// The repository's settings.
    pub fn config(&self) -> Config {
        Config::new(self.dir.as_deref(), &self.environment)
    }
}

fn parts(key: &str) -> Result<Vec<&str>, RepoError> {
    let parts: Vec<&str> = key.split('.').collect();
    let plain = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if parts.len() < 2 || !parts.iter().all(plain) {
        return Err(RepoError::BadSetting(key.to_owned()));
    }
    Ok(parts)
}

fn flatten(prefix: &str, table: &dyn TableLike, out: &mut Vec<(String, String)>) {
    for (name, item) in table.iter() {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match (item.as_table_like(), item) {
            (Some(inner), _) => flatten(&key, inner, out),
            (None, Item::Value(Value::String(text))) => out.push((key, text.value().clone())),
            (None, Item::Value(value)) => out.push((key, value.clone().decorated("", "").to_string())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::ErrorKind;

    fn config(dir: &Path) -> Config {
        let home = dir.join("home");
        Config::new(Some(dir), &Environment::fixed(|| 0, &[("HOME", home.to_str().unwrap())]))
    }

    #[test]
    fn the_repositorys_settings_come_before_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        assert_eq!(config.list().unwrap(), []);
        config.set(Scope::User, "user.name", "Ada").unwrap();
        config.set(Scope::User, "core.threads", "4").unwrap();
        config.set(Scope::Repository, "user.name", "Ada L. = \"ü\"").unwrap();
        config.set(Scope::Repository, "remote.origin.url", "007").unwrap();
        assert_eq!(config.get("user.name").unwrap().as_deref(), Some("Ada L. = \"ü\""));
        assert_eq!(config.get("remote.origin.url").unwrap().as_deref(), Some("007"));
        assert_eq!(config.get("user.email").unwrap(), None);
        let listed: Vec<_> = config.list().unwrap().into_iter().map(|s| (s.key, s.value, s.scope)).collect();
        assert_eq!(listed[0], ("core.threads".into(), "4".into(), Scope::User));
        assert_eq!(listed.len(), 3);
        assert!(config.unset(Scope::Repository, "user.name").unwrap());
        assert!(!config.unset(Scope::Repository, "user.name").unwrap());
        assert_eq!(config.get("user.name").unwrap().as_deref(), Some("Ada"));
    }

    #[test]
    fn what_a_person_wrote_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, "# mine\n[user]\nname = \"Ada\" # me\n").unwrap();
        config(dir.path()).set(Scope::Repository, "user.email", "a@b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n[user]\nname = \"Ada\" # me\nemail = \"a@b\"\n");
    }

    #[test]
    fn faults_name_the_file_or_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        for bad in ["name", "", ".name", "user.", "us er.name"] {
            assert!(matches!(config.set(Scope::Repository, bad, "x"), Err(RepoError::BadSetting(key)) if key == bad));
        }
        config.set(Scope::Repository, "a.b", "1").unwrap();
        assert!(config.set(Scope::Repository, "a.b.c", "1").is_err());
        config.set(Scope::Repository, "x.y.z", "1").unwrap();
        assert!(config.set(Scope::Repository, "x.y", "1").is_err());
        fs::write(dir.path().join("config.toml"), "[user\n").unwrap();
        let error = config.get("user.name").unwrap_err();
        assert!(error.to_string().contains("config.toml") && !error.to_string().contains('\n'), "{error}");
        assert_eq!(error.kind(), ErrorKind::Fault);
    }
}
