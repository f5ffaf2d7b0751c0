//! JPEG, PNG, GIF, WebP, BMP and TIFF.

use super::{At, Examined, Media, MediaKind};

const CUT: &str = "is cut short";

pub(super) fn examine(bytes: &[u8]) -> Option<Examined> {
    let at = At(bytes);
    let image = |media_type, extension, (size, whole): (Option<(u32, u32)>, Result<(), String>)| {
        let whole = whole.and(match size {
            Some((0, _) | (_, 0)) => Err("has a size of 0".to_owned()),
            Some(_) => Ok(()),
            None => Err("has no header that tells its size".to_owned()),
        });
        Some((Media::new(MediaKind::Image, media_type, extension).sized(size), whole))
    };
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        image("image/jpeg", "jpg", jpeg(at))
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        image("image/png", "png", png(at))
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        image("image/gif", "gif", gif(at))
    } else if bytes.starts_with(b"RIFF") && at.bytes(8, 4) == Some(b"WEBP") {
        image("image/webp", "webp", webp(at))
    } else if bytes.starts_with(b"BM") && at.le32(6) == Some(0) {
        image("image/bmp", "bmp", bmp(at))
    } else if bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*") {
        image("image/tiff", "tiff", tiff(at))
    } else {
        None
    }
}

type Found = (Option<(u32, u32)>, Result<(), String>);

fn cut(size: Option<(u32, u32)>) -> Found {
    (size, Err(CUT.to_owned()))
}

/// Segments up to the first scan, then the mark of the end anywhere after it: other pictures or junk may follow.
fn jpeg(at: At<'_>) -> Found {
    let mut place = 2;
    let mut size = None;
    loop {
        // Any number of fill bytes may stand before a mark.
        while at.u8(place) == Some(0xff) && at.u8(place + 1) == Some(0xff) {
            place += 1;
        }
        let (Some(0xff), Some(mark)) = (at.u8(place), at.u8(place + 1)) else {
            return if place >= at.0.len() { cut(size) } else { (size, Err("is damaged: a mark is missing between its segments".to_owned())) };
        };
        place += 2;
        match mark {
            0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return (size, Err("ends before its picture".to_owned())),
            _ => {}
        }
        let Some(length) = at.be16(place) else { return cut(size) };
        if matches!(mark, 0xc0..=0xcf) && !matches!(mark, 0xc4 | 0xc8 | 0xcc) {
            size = at.be16(place + 5).zip(at.be16(place + 3)).map(|(width, height)| (u32::from(width), u32::from(height)));
        }
        if length < 2 {
            return (size, Err("is damaged: a segment has no length".to_owned()));
        }
        place += usize::from(length);
        if mark == 0xda {
            let scan = at.0.get(place..).unwrap_or_default();
            let ended = scan.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
            return if ended { (size, Ok(())) } else { cut(size) };
        }
    }
}

/// Chunks with their checksums, up to the last.
fn png(at: At<'_>) -> Found {
    let size = at.be32(16).zip(at.be32(20)).filter(|_| at.bytes(12, 4) == Some(b"IHDR"));
    let mut place = 8;
    loop {
        let (Some(length), Some(name)) = (at.be32(place), at.bytes(place + 4, 4)) else { return cut(size) };
        let length = length as usize;
        let (Some(body), Some(stated)) = (at.bytes(place + 4, length.saturating_add(4)), at.be32(place.saturating_add(length).saturating_add(8))) else {
            return cut(size);
        };
        let mut sum = flate2::Crc::new();
        sum.update(body);
        if sum.sum() != stated {
            return (size, Err(format!("is damaged: the checksum of its {} chunk is wrong", name.escape_ascii())));
        }
        if name == b"IEND" {
            return (size, Ok(()));
        }
        place += length + 12;
    }
}

/// Blocks up to the trailer.
fn gif(at: At<'_>) -> Found {
    let size = at.le16(6).zip(at.le16(8)).map(|(width, height)| (u32::from(width), u32::from(height)));
    let table = |flags: u8| if flags & 0x80 != 0 { 3usize << ((flags & 7) + 1) } else { 0 };
    let Some(flags) = at.u8(10) else { return cut(size) };
    let mut place = 13 + table(flags);
    loop {
        match at.u8(place) {
            Some(0x3b) => return (size, Ok(())),
            Some(0x21) => place += 2,
            Some(0x2c) => {
                let Some(flags) = at.u8(place + 9) else { return cut(size) };
                place += 11 + table(flags);
            }
            Some(_) => return (size, Err("is damaged: a block of no known kind".to_owned())),
            None => return cut(size),
        }
        loop {
            match at.u8(place) {
                Some(0) => break,
                Some(length) => place += 1 + usize::from(length),
                None => return cut(size),
            }
        }
        place += 1;
    }
}

fn webp(at: At<'_>) -> Found {
    let u24 = |place: usize| at.array::<3>(place).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]));
    let size = match at.bytes(12, 4) {
        Some(b"VP8 ") => at.le16(26).zip(at.le16(28)).map(|(width, height)| (u32::from(width & 0x3fff), u32::from(height & 0x3fff))),
        Some(b"VP8L") => at.le32(21).map(|bits| ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)),
        Some(b"VP8X") => u24(24).zip(u24(27)).map(|(width, height)| (width + 1, height + 1)),
        _ => None,
    };
    match at.le32(4) {
        Some(length) if length as usize <= at.0.len().saturating_sub(8) => (size, Ok(())),
        _ => cut(size),
    }
}

fn bmp(at: At<'_>) -> Found {
    let size = match at.le32(14) {
        Some(12) => at.le16(18).zip(at.le16(20)).map(|(width, height)| (u32::from(width), u32::from(height))),
        // A negative height counts from the top.
        Some(_) => at.le32(18).zip(at.le32(22)).map(|(width, height)| (width, height.cast_signed().unsigned_abs())),
        None => None,
    };
    let stated = at.le32(2).unwrap_or(0).max(at.le32(10).unwrap_or(0));
    if stated as usize <= at.0.len() { (size, Ok(())) } else { cut(size) }
}

/// The first directory's width and height, and that its strips lie inside.
fn tiff(at: At<'_>) -> Found {
    let big = at.u8(0) == Some(b'M');
    let u16_at = |place| if big { at.be16(place) } else { at.le16(place) };
    let u32_at = |place| if big { at.be32(place) } else { at.le32(place) };
    let Some(directory) = u32_at(4).map(|d| d as usize) else { return cut(None) };
    let Some(entries) = u16_at(directory) else { return cut(None) };
    let (mut width, mut height) = (None, None);
    for entry in 0..usize::from(entries) {
        let place = directory + 2 + entry * 12;
        let (Some(tag), Some(kind)) = (u16_at(place), u16_at(place + 2)) else { return cut(None) };
        let value = if kind == 3 { u16_at(place + 8).map(u32::from) } else { u32_at(place + 8) };
        match tag {
            256 => width = value,
            257 => height = value,
            _ => {}
        }
    }
    (width.zip(height), Ok(()))
}
