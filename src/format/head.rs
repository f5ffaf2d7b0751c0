//! The head pointer and the catalogue of packs (docs/format.md, section 2).

use super::FormatError;
use super::cbor::{Reader, Writer};
use crate::base::{ObjectId, OperationId, PackId};

/// The version of the format that this build writes, and the only one it reads.
pub const VERSION: u64 = 1;
const MAGIC: &[u8; 7] = b"DSVHEAD";

/// A pack, as the catalogue lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackEntry {
    /// The pack.
    pub id: PackId,
    /// Bytes of its file.
    pub length: u64,
    /// Bytes of its index.
    pub index_length: u64,
    /// How many objects it holds.
    pub objects: u64,
}

impl PackEntry {
    /// Where the file stands in the repository.
    pub fn path(&self) -> String {
        pack_path(self.id)
    }
}

/// Where the file of a pack stands in the repository.
pub fn pack_path(id: PackId) -> String {
    format!("packs/{id}.pack")
}

/// Where a part of the catalogue stands in the repository.
pub fn catalog_path(id: ObjectId) -> String {
    format!("catalogs/{id}")
}

/// The head pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest operation.
    pub operation: OperationId,
    /// How many garbage collections condemned something.
    pub generation: u64,
    /// The newest packs, the newest last.
    pub packs: Vec<PackEntry>,
    /// The part of the catalogue that lists older packs, if there is one.
    pub older: Option<ObjectId>,
    /// Packs that have left the catalogue, and when, in milliseconds since 1970.
    pub condemned: Vec<(PackId, u64)>,
}

fn put_packs(w: &mut Writer, packs: &[PackEntry]) {
    w.array(packs.len() as u64);
    for pack in packs {
        w.array(4).bytes(pack.id.as_bytes()).u64(pack.length).u64(pack.index_length).u64(pack.objects);
    }
}

fn packs(r: &mut Reader<'_>) -> Result<Vec<PackEntry>, FormatError> {
    r.list(|r| r.record(4, |r| Ok(PackEntry { id: PackId(r.fixed()?), length: r.u64()?, index_length: r.u64()?, objects: r.u64()? })))
}

fn put_older(w: &mut Writer, older: Option<ObjectId>) {
    match older {
        Some(id) => w.bytes(id.as_bytes()),
        None => w.null(),
    };
}

impl Head {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.array(6).u64(VERSION).bytes(self.operation.as_bytes()).u64(self.generation);
        put_packs(&mut w, &self.packs);
        put_older(&mut w, self.older);
        w.array(self.condemned.len() as u64);
        for (id, when) in &self.condemned {
            w.array(2).bytes(id.as_bytes()).u64(*when);
        }
        let mut out = MAGIC.to_vec();
        out.push(VERSION as u8);
        out.extend(w.finish());
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// Reads the file's bytes; refuses other versions and any damage.
    pub fn decode(bytes: &[u8]) -> Result<Head, FormatError> {
        let what = "head pointer";
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| FormatError::malformed(what, "it does not start as one"))?;
        match rest.first() {
            Some(version) if u64::from(*version) != VERSION => return Err(FormatError::Version { found: (*version).into(), known: VERSION }),
            _ => {}
        }
        let (body, hash) = bytes.split_last_chunk::<32>().ok_or_else(|| FormatError::malformed(what, "it is too short"))?;
        if blake3::hash(body).as_bytes() != hash {
            return Err(FormatError::malformed(what, "its hash does not match: the file is damaged"));
        }
        let mut r = Reader::new(what, body.get(8..).unwrap_or_default());
        r.record(6, |r| {
            let version = r.u64()?;
            if version != VERSION {
                return Err(FormatError::Version { found: version, known: VERSION });
            }
            Ok(Head {
                operation: OperationId(r.fixed()?),
                generation: r.u64()?,
                packs: packs(r)?,
                older: r.optional(Reader::fixed)?.map(ObjectId),
                condemned: r.list(|r| r.record(2, |r| Ok((PackId(r.fixed()?), r.u64()?))))?,
            })
        })
    }
}

/// An older part of the catalogue of packs: a file in `catalogs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Packs, the newest last.
    pub packs: Vec<PackEntry>,
    /// The part that lists packs older still.
    pub older: Option<ObjectId>,
}

impl Catalog {
    /// The file's bytes and its id, which is their hash. The nonce makes the file this writer's alone, as that of a pack does.
    pub fn encode(&self, nonce: [u8; 16]) -> (Vec<u8>, ObjectId) {
        let mut w = Writer::default();
        w.array(3);
        put_packs(&mut w, &self.packs);
        put_older(&mut w, self.older);
        w.bytes(&nonce);
        let bytes = w.finish();
        let id = ObjectId(*blake3::hash(&bytes).as_bytes());
        (bytes, id)
    }

    /// Reads the bytes of the file named `id`.
    pub fn decode(id: ObjectId, bytes: &[u8]) -> Result<Catalog, FormatError> {
        let what = "catalogue";
        if blake3::hash(bytes).as_bytes() != id.as_bytes() {
            return Err(FormatError::malformed(what, format!("the hash of {id:.8} does not match: the file is damaged")));
        }
        Reader::new(what, bytes).record(2, |r| Ok(Catalog { packs: packs(r)?, older: r.optional(Reader::fixed)?.map(ObjectId) }))
    }
}
