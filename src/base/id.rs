//! A type of its own for each kind of id, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id: expected {1} hexadecimal digits")]
pub struct NotAnId(pub String, pub usize);

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // `{:.8}` prints the first eight digits.
    let digits = f.precision().unwrap_or(usize::MAX);
    for (i, b) in bytes.iter().enumerate() {
        match digits.saturating_sub(i * 2) {
            0 => break,
            1 => write!(f, "{:x}", b >> 4)?,
            _ => write!(f, "{b:02x}")?,
        }
    }
    Ok(())
}

fn unhex<const N: usize>(s: &str) -> Result<[u8; N], NotAnId> {
    let fail = || NotAnId(s.to_owned(), N * 2);
    if s.len() != N * 2 || !s.is_ascii() {
        return Err(fail());
    }
    let mut out = [0; N];
    for (i, b) in out.iter_mut().enumerate() {
        *b = u8::from_str_radix(&s[i * 2..i * 2 + 2], 16).map_err(|_| fail())?;
    }
    Ok(out)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Bytes in an id of this kind.
            pub const LEN: usize = $len;

            /// The id's bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The id in `bytes`, or `None` where their number is another than [`Self::LEN`].
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:.8})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(s: &str) -> Result<Self, NotAnId> {
                unhex(s).map(Self)
            }
        }
    };
}

macro_rules! object_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        id!($(#[$doc])* $name, 32);

        impl From<$name> for ObjectId {
            fn from(id: $name) -> Self {
                ObjectId(id.0)
            }
        }

        impl From<ObjectId> for $name {
            fn from(id: ObjectId) -> Self {
                $name(id.0)
            }
        }
    )*};
}

id!(
    /// The id of any object, whatever its kind.
    ObjectId, 32
);
id!(
    /// The id of a pack: the hash of its index.
    PackId, 32
);
object_id! {
    /// The id of a chunk.
    ChunkId;
    /// The id of a node of a rope.
    NodeId;
    /// The id of one state of a table. The table itself, through all its states, is a [`TableId`].
    TableObjectId;
    /// The id of a snapshot.
    SnapshotId;
    /// The id of a commit.
    CommitId;
    /// The id of an operation.
    OperationId;
}
id!(
    /// A table through all its states and names; minted once.
    TableId, 16
);
id!(
    /// A column through all its states and names; minted once.
    ColumnId, 16
);
id!(
    /// The write that brought rows into being.
    Origin, 16
);

/// The identity of a row, for as long as it lives: the write it came with, and its number in that write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowId {
    /// The write that brought the row.
    pub origin: Origin,
    /// Its number among the rows of that write, from 0.
    pub number: u64,
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.number)
    }
}

impl FromStr for RowId {
    type Err = NotAnId;
    fn from_str(s: &str) -> Result<Self, NotAnId> {
        let fail = || NotAnId(s.to_owned(), 32);
        let (origin, number) = s.split_once(':').ok_or_else(fail)?;
        Ok(RowId { origin: origin.parse()?, number: number.parse().map_err(|_| fail())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse() {
        let id = ChunkId(std::array::from_fn(|i| i as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:.7}"), "0001020");
        assert!("xyz".parse::<ChunkId>().is_err());
        assert!("é".repeat(32).parse::<ChunkId>().is_err());
        let row = RowId { origin: Origin([7; 16]), number: 12 };
        assert_eq!(row.to_string().parse(), Ok(row));
    }
}
