//! What a repository may lack because another has it: the clone that brings data when it is read.

use std::fmt;
use std::sync::Arc;

use super::ChunkError;
use super::objects::Objects;
use super::place::Place;
use crate::base::ObjectId;

/// Finds the objects of another repository, which has what this one lacks. Asked when something is missing for the first time.
pub trait Beyond: Send + Sync + fmt::Debug {
    /// Those objects, as of a head that was read.
    fn objects(&self) -> Result<Arc<Objects>, ChunkError>;
    /// The same, if they were asked for before.
    fn opened(&self) -> Option<Arc<Objects>>;
}

impl Objects {
    /// Lets what is missing here be found beyond; to be called once, before anything is read.
    pub fn set_beyond(&self, beyond: Arc<dyn Beyond>) {
        // Whoever comes second is told nothing new: both read the same settings.
        let _ = self.beyond.set(beyond);
    }

    /// True where another repository has what this one lacks.
    pub fn is_partial(&self) -> bool {
        self.beyond.get().is_some()
    }

    /// The objects of that repository.
    pub fn beyond(&self) -> Result<Option<Arc<Objects>>, ChunkError> {
        self.beyond.get().map(|beyond| beyond.objects()).transpose()
    }

    pub(super) fn place_beyond(&self, id: ObjectId) -> Result<Place, ChunkError> {
        let missing = ChunkError::Missing { object: id };
        let Some(far) = self.beyond()? else { return Err(missing) };
        match far.locate(id, usize::MAX)? {
            Some(Place::Pack(found)) => Ok(Place::Beyond(far, found)),
            _ => Err(missing),
        }
    }

    /// Reads the heads anew, here and beyond; false where that brings nothing.
    pub(super) fn reload_all(&self) -> bool {
        let beyond = self.beyond.get().and_then(|beyond| beyond.opened());
        let far = beyond.is_some_and(|far| far.reload().unwrap_or(false));
        self.reload().unwrap_or(false) || far
    }

    /// Drops what is kept near of the pack that an error blames; true where there was any.
    pub(super) fn forget_near(&self, error: &ChunkError) -> bool {
        let (ChunkError::Damaged { pack, .. } | ChunkError::DamagedPack { pack, .. }) = error else { return false };
        let beyond = self.beyond.get().and_then(|beyond| beyond.opened());
        let forget = |objects: &Objects| {
            let known = objects.store.is_far().then(|| objects.catalogue.known(*pack)).flatten();
            known.is_some_and(|pack| {
                // What was read of its frames came from there too.
                let _ = objects.forget_frames(&pack);
                objects.store.forget(&pack.entry.path(), pack.entry.length)
            })
        };
        forget(self) || beyond.is_some_and(|far| forget(&far))
    }
}
