//! Whether a store keeps the promise on which all rests: that a condition of a PUT is heeded.

use object_store::path::Path;
use object_store::{Error as RemoteError, PutMode, UpdateVersion};

use super::super::{Store, StoreError};
use super::RemoteStore;

impl RemoteStore {
    /// Fails with [`RemoteFault::NoConditions`](super::RemoteFault::NoConditions) where the store writes over a file that was to be new, or that is another than was expected. Takes four requests, and leaves nothing.
    pub fn check_conditions(&self, nonce: &str) -> Result<(), StoreError> {
        let path = format!("probe-{nonce}");
        let checked = self.conditions(&path);
        // What is left of it is small, and no part of the repository.
        let _ = self.delete(&path);
        checked
    }

    /// The name of something in the folder of the repository that is none of its parts; none where there is nothing, or it may not be looked.
    pub fn foreign(&self) -> Result<Option<String>, StoreError> {
        let listed = self.ask("", 0, |shared, _| async move {
            let folder = (!shared.prefix.is_empty()).then(|| Path::from(shared.prefix.as_str()));
            shared.client.list_with_delimiter(folder.as_ref()).await
        })?;
        // Who may write to a bucket need not be allowed to list it.
        let Ok(listed) = listed else { return Ok(None) };
        let names = listed.objects.iter().map(|object| &object.location).chain(&listed.common_prefixes).filter_map(Path::filename);
        let is_own = |name: &&str| ["head", "lock", "packs", "catalogs"].contains(name) || name.starts_with("probe-");
        Ok(names.filter(|name| !is_own(name)).map(str::to_owned).min())
    }

    fn conditions(&self, path: &str) -> Result<(), StoreError> {
        let first = self.put_if(path, b"1".to_vec(), PutMode::Create)?;
        let version = match first {
            Ok(version) => version,
            Err(error) => return Err(self.shared.error(path, &error)),
        };
        let refused = |result: Result<UpdateVersion, RemoteError>| match result {
            Err(RemoteError::AlreadyExists { .. } | RemoteError::Precondition { .. }) => Ok(()),
            Err(error) => Err(self.shared.error(path, &error)),
            Ok(_) => Err(self.no_conditions()),
        };
        refused(self.put_if(path, b"2".to_vec(), PutMode::Create)?)?;
        match self.put_if(path, b"3".to_vec(), PutMode::Update(version.clone()))? {
            Ok(_) => {}
            Err(error) => return Err(self.shared.error(path, &error)),
        }
        // The first version is no longer there.
        refused(self.put_if(path, b"4".to_vec(), PutMode::Update(version))?)
    }
}
