//! Who commits.

use std::collections::BTreeMap;

use super::{Repo, RepoError};
use crate::format::commit::Signature;

/// The person that commits and tags are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// True where nobody said so: it was made of the login name and the machine's.
    pub guessed: bool,
}

impl Identity {
    /// Reads `NAME <EMAIL>`.
    pub fn parse(text: &str) -> Result<Identity, RepoError> {
        let fail = || RepoError::refused_with(format!("'{text}' is not an author"), "write it as NAME <EMAIL>");
        let (name, email) = text.trim().strip_suffix('>').and_then(|text| text.split_once('<')).ok_or_else(fail)?;
        let (name, email) = (name.trim(), email.trim());
        if name.is_empty() || email.contains(['<', '>']) {
            return Err(fail());
        }
        Ok(Identity { name: name.to_owned(), email: email.to_owned(), guessed: false })
    }

    /// A signature with that time.
    pub fn sign(&self, millis: i64, offset_minutes: i32) -> Signature {
        Signature { name: self.name.clone(), email: self.email.clone(), millis, offset_minutes }
    }
}

impl Repo {
    /// The person, from the first that says: `DSV_AUTHOR_NAME` and `DSV_AUTHOR_EMAIL`, the settings `user.name` and `user.email`, Git's
    /// settings of those names, else the login name at the machine's. Name and address are looked for each on its own.
    pub fn identity(&self) -> Result<Identity, RepoError> {
        let config = self.config();
        let find = |variable: &str, key: &str| self.environment.variable(variable).map_or_else(|| config.get(key), |value| Ok(Some(value)));
        let (mut name, mut email) = (find("DSV_AUTHOR_NAME", "user.name")?, find("DSV_AUTHOR_EMAIL", "user.email")?);
        if name.is_none() || email.is_none() {
            let (git_name, git_email) = self.environment.git_user();
            (name, email) = (name.or(git_name), email.or(git_email));
        }
        let guessed = name.is_none() || email.is_none();
        let (user, machine) = self.environment.login();
        Ok(Identity { email: email.unwrap_or_else(|| format!("{user}@{machine}")), name: name.unwrap_or(user), guessed })
    }

    /// The code that a commit is made at, for its source: see [`super::Environment::code`]. The setting `git.record` turns it off.
    pub(super) fn made_at(&self) -> Result<BTreeMap<String, String>, RepoError> {
        let Some(dir) = self.dir.as_deref().and_then(|dir| dir.parent()) else { return Ok(BTreeMap::new()) };
        if self.config().get("git.record")?.as_deref() == Some("false") {
            return Ok(BTreeMap::new());
        }
        Ok(self.environment.code(dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_read() {
        let identity = Identity::parse(" Ada Lovelace <ada@example.org> ").unwrap();
        assert_eq!((identity.name.as_str(), identity.email.as_str()), ("Ada Lovelace", "ada@example.org"));
        assert_eq!(Identity::parse("Ada <>").unwrap().email, "");
        for bad in ["", "Ada", "<a@b>", "Ada a@b", "Ada <a@b", "Ada <<a>>"] {
            assert!(Identity::parse(bad).is_err(), "{bad}");
        }
    }
}
