//! A cache bounded by bytes, which drops what was used least recently.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values by key, at most so many bytes of them. Shared by threads; held only for a look-up.
#[derive(Debug)]
pub struct Cache<K, V> {
    inner: Mutex<Inner<K, V>>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner<K, V> {
    values: HashMap<K, Slot<V>>,
    /// By the time of last use.
    order: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// An empty cache of at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Cache { inner: Mutex::new(Inner { values: HashMap::new(), order: BTreeMap::new(), clock: 0, bytes: 0 }), bytes_max }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `key`, which becomes the one used last.
    pub fn get(&self, key: &K) -> Option<V> {
        let inner = &mut *self.inner();
        let slot = inner.values.get_mut(key)?;
        inner.clock += 1;
        if let Some(key) = inner.order.remove(&slot.used) {
            inner.order.insert(inner.clock, key);
        }
        slot.used = inner.clock;
        Some(slot.value.clone())
    }

    /// Keeps a value that takes so many bytes, and drops others to make room. A value larger than a quarter of the cache is not kept.
    pub fn insert(&self, key: K, value: V, bytes: usize) {
        if bytes > self.bytes_max / 4 {
            return;
        }
        let inner = &mut *self.inner();
        inner.drop_key(&key);
        while inner.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = inner.order.pop_first() else { break };
            inner.drop_key(&oldest);
        }
        inner.clock += 1;
        inner.bytes += bytes;
        inner.order.insert(inner.clock, key.clone());
        inner.values.insert(key, Slot { value, bytes, used: inner.clock });
    }

    /// Forgets a value.
    pub fn remove(&self, key: &K) {
        self.inner().drop_key(key);
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn drop_key(&mut self, key: &K) {
        if let Some(slot) = self.values.remove(key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_what_was_used_least_recently() {
        let cache = Cache::new(40);
        for key in 0..4 {
            cache.insert(key, key, 10);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(4, 4, 10);
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&4)), (Some(0), None, Some(4)));
        cache.insert(4, 5, 1);
        assert_eq!(cache.get(&4), Some(5));
        assert_eq!(cache.inner().bytes, 31);
        cache.insert(9, 9, 11);
        assert_eq!(cache.get(&9), None, "larger than a quarter");
        cache.remove(&4);
        assert_eq!((cache.get(&4), cache.inner().bytes), (None, 30));
        let inner = cache.inner();
        assert_eq!(inner.order.len(), inner.values.len());
    }
}
