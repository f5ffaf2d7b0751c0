//! Containers of several tracks: ISO base media (MP4, QuickTime, AVIF, HEIC), Matroska and WebM, AVI.

use super::{At, Examined, Media, MediaKind, milliseconds};

/// Boxes and elements looked at, in all: a bound on hostile nests.
const STEPS_MAX: u32 = 100_000;

pub(super) fn examine(bytes: &[u8]) -> Option<Examined> {
    let at = At(bytes);
    if at.bytes(4, 4) == Some(b"ftyp") {
        Some(iso(at))
    } else if bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        Some(matroska(at))
    } else if bytes.starts_with(b"RIFF") && at.bytes(8, 4) == Some(b"AVI ") {
        Some(avi(at))
    } else {
        None
    }
}

/// What the boxes of an ISO file say.
#[derive(Default)]
struct Iso {
    steps: u32,
    moov: bool,
    cut: bool,
    video: bool,
    audio: bool,
    /// Size of the track that is being read.
    track: Option<(u32, u32)>,
    size: Option<(u32, u32)>,
    /// The largest picture property of a still image.
    still: Option<(u32, u32)>,
    duration_ms: Option<u64>,
}

impl Iso {
    /// The boxes in `range`, and in those that hold others.
    fn boxes(&mut self, at: At<'_>, mut place: usize, end: usize, depth: u32) {
        while place < end && self.steps < STEPS_MAX {
            self.steps += 1;
            let (Some(size), Some(name)) = (at.be32(place), at.array::<4>(place + 4)) else {
                self.cut |= depth == 0;
                return;
            };
            let (header, length) = match size {
                0 => (8, end - place),
                1 => match at.be64(place + 8).map(usize::try_from) {
                    Some(Ok(length)) => (16, length),
                    _ => {
                        self.cut |= depth == 0;
                        return;
                    }
                },
                size => (8, size as usize),
            };
            if length < header {
                self.cut |= depth == 0;
                return;
            }
            let stop = place.saturating_add(length);
            if stop > end {
                self.cut |= depth == 0;
            }
            let (body, stop) = (place + header, stop.min(end));
            self.one(at, &name, body, stop, depth);
            place = stop;
        }
    }

    fn one(&mut self, at: At<'_>, name: &[u8; 4], body: usize, stop: usize, depth: u32) {
        match name {
            b"moov" => {
                self.moov = true;
                self.inside(at, body, stop, depth);
            }
            b"mdia" | b"iprp" | b"ipco" => self.inside(at, body, stop, depth),
            // A box with four bytes before those it holds.
            b"meta" => self.inside(at, body + 4, stop, depth),
            b"trak" => {
                self.track = None;
                self.inside(at, body, stop, depth);
            }
            b"mvhd" => {
                let long = at.u8(body) == Some(1);
                let (scale, duration) = if long { (at.be32(body + 20), at.be64(body + 24)) } else { (at.be32(body + 12), at.be32(body + 16).map(u64::from)) };
                self.duration_ms = scale.zip(duration).and_then(|(scale, duration)| milliseconds(duration, scale.into()));
            }
            b"tkhd" => {
                let place = if at.u8(body) == Some(1) { body + 88 } else { body + 76 };
                // Fixed point, 16 bits each.
                self.track = at.be32(place).zip(at.be32(place + 4)).map(|(width, height)| (width >> 16, height >> 16));
            }
            b"hdlr" => match at.bytes(body + 8, 4) {
                Some(b"vide") => {
                    self.video = true;
                    self.size = self.size.or(self.track);
                }
                Some(b"soun") => self.audio = true,
                _ => {}
            },
            b"ispe" => {
                let size = at.be32(body + 4).zip(at.be32(body + 8));
                let area = |s: Option<(u32, u32)>| s.map(|(w, h)| u64::from(w) * u64::from(h));
                if area(size) > area(self.still) {
                    self.still = size;
                }
            }
            _ => {}
        }
    }

    fn inside(&mut self, at: At<'_>, body: usize, stop: usize, depth: u32) {
        if depth < 8 {
            self.boxes(at, body, stop, depth + 1);
        }
    }
}

fn iso(at: At<'_>) -> Examined {
    let mut iso = Iso::default();
    iso.boxes(at, 0, at.0.len(), 0);
    let whole = if iso.cut { Err("is cut short".to_owned()) } else { Ok(()) };
    let brand = at.bytes(8, 4).unwrap_or_default();
    let still = match brand {
        b"avif" | b"avis" => Some(("image/avif", "avif")),
        b"heic" | b"heix" | b"mif1" | b"msf1" => Some(("image/heic", "heic")),
        _ => None,
    };
    if let Some((media_type, extension)) = still {
        return (Media::new(MediaKind::Image, media_type, extension).sized(iso.still), whole);
    }
    let sound = !iso.video && (iso.audio || matches!(brand, b"M4A " | b"M4B "));
    let media = match (sound, brand) {
        (true, _) => Media::new(MediaKind::Audio, "audio/mp4", "m4a"),
        (false, b"qt  ") => Media::new(MediaKind::Video, "video/quicktime", "mov").sized(iso.size),
        (false, _) => Media::new(MediaKind::Video, "video/mp4", "mp4").sized(iso.size),
    };
    let whole = whole.and(if iso.moov { Ok(()) } else { Err("has no index of its tracks".to_owned()) });
    (Media { duration_ms: iso.duration_ms, ..media }, whole)
}

/// An EBML number of up to 8 bytes, without the mark of its length if `value`; and how many bytes it takes.
fn vint(at: At<'_>, place: usize, value: bool) -> Option<(u64, usize)> {
    let first = at.u8(place)?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let mut n = u64::from(first);
    if value {
        n &= (1u64 << (8 - length)) - 1;
    }
    for i in 1..length {
        n = n << 8 | u64::from(at.u8(place + i)?);
    }
    Some((n, length))
}

fn unsigned(at: At<'_>, place: usize, length: usize) -> Option<u64> {
    Some(at.bytes(place, length.min(8))?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

#[derive(Default)]
struct Matroska {
    steps: u32,
    webm: bool,
    cut: bool,
    video: bool,
    audio: bool,
    width: Option<u32>,
    height: Option<u32>,
    scale: Option<u64>,
    duration: Option<f64>,
}

impl Matroska {
    fn elements(&mut self, at: At<'_>, mut place: usize, end: usize, depth: u32) {
        while place < end && self.steps < STEPS_MAX {
            self.steps += 1;
            let Some((id, id_length)) = vint(at, place, false) else { return };
            let Some((length, length_length)) = vint(at, place + id_length, true) else {
                self.cut |= depth <= 1;
                return;
            };
            let body = place + id_length + length_length;
            // All ones: up to the end.
            let unknown = length == (1u64 << (7 * length_length)) - 1;
            let stop = if unknown { end } else { body.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)) };
            self.cut |= stop > end && depth <= 1;
            let stop = stop.min(end);
            let size = stop.saturating_sub(body);
            match id {
                0x1a45_dfa3 | 0x1853_8067 | 0x1549_a966 | 0x1654_ae6b | 0xae | 0xe0 if depth < 6 => self.elements(at, body, stop, depth + 1),
                0x4282 => self.webm = at.bytes(body, size).is_some_and(|name| name.starts_with(b"webm")),
                0x2a_d7b1 => self.scale = unsigned(at, body, size),
                0x4489 => {
                    self.duration = match size {
                        4 => at.be32(body).map(|bits| f32::from_bits(bits).into()),
                        _ => at.be64(body).map(f64::from_bits),
                    }
                }
                0x83 => match at.u8(body) {
                    Some(1) => self.video = true,
                    Some(2) => self.audio = true,
                    _ => {}
                },
                0xb0 => self.width = self.width.or(unsigned(at, body, size).and_then(|n| n.try_into().ok())),
                0xba => self.height = self.height.or(unsigned(at, body, size).and_then(|n| n.try_into().ok())),
                _ => {}
            }
            // A cluster of unknown size ends where its segment does: nothing of interest follows.
            place = stop.max(place + 1);
        }
    }
}

fn matroska(at: At<'_>) -> Examined {
    let mut found = Matroska::default();
    found.elements(at, 0, at.0.len(), 0);
    let sound = found.audio && !found.video;
    let media = match (sound, found.webm) {
        (true, true) => Media::new(MediaKind::Audio, "audio/webm", "weba"),
        (true, false) => Media::new(MediaKind::Audio, "audio/matroska", "mka"),
        (false, true) => Media::new(MediaKind::Video, "video/webm", "webm"),
        (false, false) => Media::new(MediaKind::Video, "video/matroska", "mkv"),
    };
    // In units of `scale` nanoseconds.
    let duration_ms =
        found.duration.map(|d| d * found.scale.unwrap_or(1_000_000) as f64 / 1e6).filter(|ms| (0.0..1e15).contains(ms)).map(|ms| ms.round() as u64);
    let whole = if found.cut {
        Err("is cut short".to_owned())
    } else if found.video || found.audio {
        Ok(())
    } else {
        Err("has no tracks".to_owned())
    };
    (Media { duration_ms, ..media.sized(found.width.zip(found.height)) }, whole)
}

fn avi(at: At<'_>) -> Examined {
    let media = Media::new(MediaKind::Video, "video/x-msvideo", "avi");
    let whole = at.le32(4).filter(|length| *length as usize <= at.0.len().saturating_sub(8)).map(|_| ()).ok_or_else(|| "is cut short".to_owned());
    if at.bytes(24, 4) != Some(b"avih") {
        return (media, whole.and(Err("has no header".to_owned())));
    }
    let duration_ms = at.le32(32).zip(at.le32(48)).map(|(each, frames)| u64::from(each) * u64::from(frames) / 1000);
    (Media { duration_ms, ..media.sized(at.le32(64).zip(at.le32(68))) }, whole)
}
