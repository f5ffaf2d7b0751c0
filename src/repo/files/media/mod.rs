//! Encoded images, audio and video: what they are, told from their bytes without decoding them.
//!
//! Every parser here takes any bytes, returns in time linear in their number, and allocates nothing that they ask for.

mod container;
mod dhash;
mod phash;
mod picture;
mod sound;

pub use dhash::difference_hash;
pub use phash::perceptual_hash;

use super::guard::guarded;
use crate::format::Type;

/// The three kinds of media, which are column types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound alone.
    Audio,
    /// Moving pictures, with sound or not.
    Video,
}

impl MediaKind {
    /// The column type.
    pub fn column_type(self) -> Type {
        match self {
            MediaKind::Image => Type::Image,
            MediaKind::Audio => Type::Audio,
            MediaKind::Video => Type::Video,
        }
    }
}

/// What an encoded file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Image, audio or video.
    pub kind: MediaKind,
    /// The registered media type: `image/jpeg`.
    pub media_type: &'static str,
    /// The usual end of a file's name, without a point: `jpg`.
    pub extension: &'static str,
    /// Pixels across, as stored.
    pub width: Option<u32>,
    /// Pixels down, as stored.
    pub height: Option<u32>,
    /// How long it plays.
    pub duration_ms: Option<u64>,
}

impl Media {
    fn new(kind: MediaKind, media_type: &'static str, extension: &'static str) -> Media {
        Media { kind, media_type, extension, width: None, height: None, duration_ms: None }
    }

    fn sized(mut self, size: Option<(u32, u32)>) -> Media {
        self.width = size.map(|(width, _)| width);
        self.height = size.map(|(_, height)| height);
        self
    }
}

/// How closely a media file is looked at before it is taken for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// Its header, and by the marks of its format that its end is there; in a PNG the checksums too. Costs next to nothing.
    #[default]
    Structure,
    /// Images are decoded as well, which finds damage in the middle of a JPEG, at a hundred times the cost.
    Decode,
}

/// What `bytes` are, by their first ones; `None` if they are of no known kind. Of a file that is cut short, sizes and durations may be missing.
pub fn sniff(bytes: &[u8]) -> Option<Media> {
    examine(bytes).map(|(media, _)| media)
}

/// What `bytes` are, if they are a whole file; otherwise what is wrong with them.
pub fn check(bytes: &[u8], check: Check) -> Result<Media, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let (media, whole) = examine(bytes).ok_or("it is not an image, audio or video file of a known kind")?;
    whole.map_err(|what| format!("the {} file {what}", media.media_type))?;
    if check == Check::Decode && matches!(media.extension, "jpg" | "png" | "gif" | "webp" | "bmp" | "tiff") {
        let decoded = guarded(|| ::image::load_from_memory(bytes).map(|_| ()));
        decoded?.map_err(|e| format!("the {} file cannot be decoded: {e}", media.media_type))?;
    }
    Ok(media)
}

/// A file's kind, and whether it is whole.
type Examined = (Media, Result<(), String>);

fn examine(bytes: &[u8]) -> Option<Examined> {
    picture::examine(bytes).or_else(|| container::examine(bytes)).or_else(|| sound::examine(bytes))
}

/// Reads numbers at places of a slice, or `None` outside of it.
#[derive(Clone, Copy)]
struct At<'a>(&'a [u8]);

impl<'a> At<'a> {
    fn bytes(self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(length)?)
    }

    fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes(at, N)?.try_into().ok()
    }

    fn be16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn be32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn be64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    fn le16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn le32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn le64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

/// `units` of which there are so many in a second, in milliseconds.
fn milliseconds(units: u64, per_second: u64) -> Option<u64> {
    u64::try_from((u128::from(units) * 1000).checked_div(u128::from(per_second))?).ok()
}

#[cfg(test)]
mod tests;
