//! A stand-in for `chunk::Objects` until that floor is there.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;

use crate::base::{NodeId, ObjectId};
use crate::tree::{NodeStore, TreeError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Chunk = 1,
    Node,
    Table,
    Snapshot,
    Commit,
    Operation,
}

#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    #[error("object {id:.12} is missing")]
    Missing { id: ObjectId },
}

#[derive(Debug, Default)]
pub struct Objects {
    objects: Mutex<BTreeMap<ObjectId, (Kind, Bytes)>>,
}

impl Objects {
    pub fn get(&self, _kind: Kind, id: ObjectId) -> Result<Bytes, ChunkError> {
        self.objects.lock().unwrap().get(&id).map(|o| o.1.clone()).ok_or(ChunkError::Missing { id })
    }

    pub fn put(&self, kind: Kind, content: &[u8]) -> Result<ObjectId, ChunkError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind as u8]).update(content);
        let id = ObjectId(*hasher.finalize().as_bytes());
        self.objects.lock().unwrap().insert(id, (kind, Bytes::copy_from_slice(content)));
        Ok(id)
    }

    pub fn discard(&self) {}

    pub fn with_prefix(&self, kind: Kind, prefix: &str) -> Result<Vec<ObjectId>, ChunkError> {
        Ok(self.objects.lock().unwrap().iter().filter(|(id, o)| o.0 == kind && id.to_string().starts_with(prefix)).map(|(id, _)| *id).collect())
    }
}

impl NodeStore for Objects {
    fn node(&self, id: NodeId) -> Result<Bytes, TreeError> {
        self.get(Kind::Node, id.into()).map_err(|e| TreeError::Store(Box::new(e)))
    }

    fn put_node(&self, content: &[u8]) -> Result<NodeId, TreeError> {
        self.put(Kind::Node, content).map(Into::into).map_err(|e| TreeError::Store(Box::new(e)))
    }
}
