//! A rope that is opened when it is first used, so that a table of many columns costs what is read of it.

use std::sync::{Arc, OnceLock};

use crate::format::FormatError;
use crate::format::cbor::{Reader, Writer};
use crate::format::node::Kind;
use crate::tree::{NodeStore, Reference, Rope, TreeError};

/// A rope by reference, or one that was just made and has no reference yet.
#[derive(Debug)]
pub struct LazyRope<K: Kind>(Arc<Inner<K>>);

#[derive(Debug)]
struct Inner<K: Kind> {
    reference: OnceLock<Reference>,
    rope: OnceLock<Rope<K>>,
}

impl<K: Kind> Clone for LazyRope<K> {
    fn clone(&self) -> Self {
        LazyRope(self.0.clone())
    }
}

impl<K: Kind> LazyRope<K> {
    /// A rope that was just made.
    pub fn new(rope: Rope<K>) -> Self {
        LazyRope(Arc::new(Inner { reference: OnceLock::new(), rope: OnceLock::from(rope) }))
    }

    /// The rope that a reference, one CBOR item, means.
    pub fn from_reference(item: &[u8]) -> Result<Self, FormatError> {
        let reference = Reference::decode(&mut Reader::new("reference to a rope", item))?;
        Ok(LazyRope(Arc::new(Inner { reference: OnceLock::from(reference), rope: OnceLock::new() })))
    }

    /// The rope, opened now if it was not.
    pub fn get(&self, store: &dyn NodeStore) -> Result<&Rope<K>, TreeError> {
        if let Some(rope) = self.0.rope.get() {
            return Ok(rope);
        }
        // One of the two is always there; an empty reference cannot be opened.
        let reference = self.0.reference.get().cloned().unwrap_or(Reference::Inline(Arc::new([])));
        let rope = Rope::open(store, &reference)?;
        Ok(self.0.rope.get_or_init(|| rope))
    }

    /// Its reference, known or known now.
    pub fn known_reference(&self) -> Option<&Reference> {
        self.0.reference.get()
    }

    /// The reference as one CBOR item. A root goes in place if it is no larger than `inline_max` and than what is left of `inline_left`.
    pub fn reference(&self, store: &dyn NodeStore, inline_max: usize, inline_left: &mut usize) -> Result<Vec<u8>, TreeError> {
        let reference = match (self.0.reference.get(), self.0.rope.get()) {
            (Some(reference), _) => reference.clone(),
            (None, Some(rope)) => {
                let reference = rope.reference(store, inline_max.min(*inline_left))?;
                self.0.reference.get_or_init(|| reference).clone()
            }
            (None, None) => Reference::Inline(Arc::new([])),
        };
        if let Reference::Inline(content) = &reference {
            *inline_left = inline_left.saturating_sub(content.len());
        }
        let mut out = Writer::default();
        reference.encode(&mut out);
        Ok(out.finish())
    }

    /// True if the two are known to be equal without reading anything. False proves nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        match (self.0.rope.get(), other.0.rope.get()) {
            (Some(a), Some(b)) => a.content() == b.content(),
            _ => self.known_reference().zip(other.known_reference()).is_some_and(|(a, b)| a == b),
        }
    }
}
