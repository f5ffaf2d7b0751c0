//! Objects by the first digits of their ids.

use super::{ChunkError, Objects};
use crate::base::ObjectId;
use crate::format::pack::Kind;

impl Objects {
    /// The ids of all objects of a kind that start with these hexadecimal digits, in order. Text that is not of such digits starts none.
    pub fn with_prefix(&self, kind: Kind, digits: &str) -> Result<Vec<ObjectId>, ChunkError> {
        let padded = |fill: &str| format!("{digits}{}", fill.repeat(64usize.saturating_sub(digits.len())));
        let (Ok(first), Ok(last)) = (padded("0").parse::<ObjectId>(), padded("f").parse::<ObjectId>()) else { return Ok(Vec::new()) };
        let mut found = self.anew_where_vanished(|| self.listed_between(kind, first, last))?;
        found.extend(self.written_between(kind, first, last));
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn listed_between(&self, kind: Kind, first: ObjectId, last: ObjectId) -> Result<Vec<ObjectId>, ChunkError> {
        let mut found = Vec::new();
        for pack in self.catalogue.packs(self.store.as_ref())? {
            let index = &pack.index(self.store.as_ref())?.entries;
            let from = index.partition_point(|entry| entry.id < first);
            let entries = index.get(from..).unwrap_or_default().iter().take_while(|entry| entry.id <= last);
            found.extend(entries.filter(|entry| entry.kind == kind).map(|entry| entry.id));
        }
        Ok(found)
    }
}
