//! Leaves of a map: the repository's state, by path.

use super::super::FormatError;
use super::super::cbor::{Reader, Writer};
use super::{Entry, Kind, Measure, NodeLimits};

/// The rope of keys and values, in the order of the keys.
#[derive(Debug, Clone, Copy)]
pub struct Map;

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key; unique in its map.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

impl Kind for Map {
    const NUMBER: u64 = 3;
    const LEAF_FIELDS: usize = 4;
    const LIMITS: NodeLimits = NodeLimits { min: 256, mean: 1024, cap: 2048 };
    type Item = KeyValue;
    /// The last key.
    type Summary = String;
    type Listed = ();

    fn rows(_: &KeyValue) -> u64 {
        1
    }

    fn join(_: &KeyValue, _: &KeyValue) -> Option<KeyValue> {
        None
    }

    fn cut(item: &KeyValue, _: u64, _: u64) -> KeyValue {
        item.clone()
    }

    fn measure(item: &KeyValue, _: u64, _: &mut ()) -> Measure {
        Measure::of(4 + item.key.len() + item.value.len(), &[item.key.as_bytes(), &[0], &item.value])
    }

    fn encode_leaf(items: &[KeyValue]) -> Vec<u8> {
        let mut out = Writer::default();
        out.array(4).u64(Self::NUMBER).u64(0).u64(items.len() as u64).array(items.len() as u64);
        for item in items {
            out.array(2).str(&item.key).bytes(&item.value);
        }
        out.finish()
    }

    fn decode_leaf(_: u64, leaf: &mut Reader<'_>) -> Result<Vec<KeyValue>, FormatError> {
        let items = leaf.list(|r| r.record(2, |r| Ok(KeyValue { key: r.str()?.to_owned(), value: r.bytes()?.to_vec() })))?;
        if !items.is_sorted_by(|a, b| a.key < b.key) {
            return Err(leaf.fail("keys out of order"));
        }
        Ok(items)
    }

    fn summarize(items: &[KeyValue]) -> String {
        items.last().map(|i| i.key.clone()).unwrap_or_default()
    }

    fn merge(entries: &[Entry<String>]) -> String {
        entries.last().map(|e| e.summary.clone()).unwrap_or_default()
    }

    fn encode_summary(summary: &String, out: &mut Writer) {
        out.str(summary);
    }

    fn decode_summary(reader: &mut Reader<'_>) -> Result<String, FormatError> {
        Ok(reader.str()?.to_owned())
    }
}
