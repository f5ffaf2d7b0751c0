//! WAV, FLAC, Ogg and MP3.

use super::{At, Examined, Media, MediaKind, milliseconds};

pub(super) fn examine(bytes: &[u8]) -> Option<Examined> {
    let at = At(bytes);
    if bytes.starts_with(b"RIFF") && at.bytes(8, 4) == Some(b"WAVE") {
        Some(wav(at))
    } else if bytes.starts_with(b"fLaC") {
        Some(flac(at))
    } else if bytes.starts_with(b"OggS") {
        Some(ogg(at))
    } else {
        mp3(at)
    }
}

fn cut_if(cut: bool) -> Result<(), String> {
    if cut { Err("is cut short".to_owned()) } else { Ok(()) }
}

fn wav(at: At<'_>) -> Examined {
    let media = Media::new(MediaKind::Audio, "audio/wav", "wav");
    let mut place = 12usize;
    let mut rate = None;
    while let (Some(name), Some(length)) = (at.bytes(place, 4), at.le32(place + 4)) {
        let body = place + 8;
        match name {
            b"fmt " => rate = at.le32(body + 8),
            b"data" => {
                // Streamed files state no length, or the largest.
                let there = at.0.len().saturating_sub(body);
                let streamed = length == 0 || length == u32::MAX;
                let stated = if streamed { there } else { length as usize };
                let duration_ms = rate.and_then(|rate| milliseconds(stated as u64, rate.into()));
                return (Media { duration_ms, ..media }, cut_if(stated > there).and(rate.map(|_| ()).ok_or_else(|| "has no format".to_owned())));
            }
            _ => {}
        }
        place = body.saturating_add(length as usize).saturating_add(length as usize & 1);
    }
    (media, Err("has no sound".to_owned()))
}

fn flac(at: At<'_>) -> Examined {
    let media = Media::new(MediaKind::Audio, "audio/flac", "flac");
    // 20 bits of rate, 3 of channels, 5 of sample width, 36 of samples.
    let bits = at.be64(18);
    let duration_ms = bits.and_then(|bits| milliseconds(bits & 0xf_ffff_ffff, bits >> 44));
    (Media { duration_ms, ..media }, cut_if(bits.is_none()))
}

fn ogg(at: At<'_>) -> Examined {
    let segments = at.u8(26).map_or(0, usize::from);
    let packet = at.0.get(27 + segments..).unwrap_or_default();
    let start = At(packet);
    if packet.starts_with(b"\x80theora") {
        let size = start.be16(10).zip(start.be16(12)).map(|(width, height)| (u32::from(width) << 4, u32::from(height) << 4));
        return (Media::new(MediaKind::Video, "video/ogg", "ogv").sized(size), Ok(()));
    }
    let rate = if packet.starts_with(b"OpusHead") {
        Some(48_000)
    } else if packet.starts_with(b"\x01vorbis") {
        start.le32(12).map(u64::from)
    } else {
        None
    };
    // The last page tells how many samples there were.
    let last = at.0.windows(4).rposition(|w| w == b"OggS").and_then(|page| at.le64(page + 6)).filter(|samples| *samples != u64::MAX);
    let duration_ms = rate.zip(last).and_then(|(rate, samples)| milliseconds(samples, rate));
    (Media { duration_ms, ..Media::new(MediaKind::Audio, "audio/ogg", "ogg") }, cut_if(packet.is_empty()))
}

/// Behind an ID3 tag, or from the start: a frame whose header makes sense, and another where it ends.
fn mp3(at: At<'_>) -> Option<Examined> {
    let media = Media::new(MediaKind::Audio, "audio/mpeg", "mp3");
    let tagged = at.bytes(0, 3) == Some(b"ID3");
    let start = if tagged { at.array::<4>(6)?.iter().fold(0usize, |n, b| n << 7 | usize::from(b & 0x7f)) + 10 } else { 0 };
    let Some(frame) = Frame::at(at, start) else { return tagged.then(|| (media, Err("has no sound after its tag".to_owned()))) };
    if !tagged && Frame::at(at, start + frame.length).is_none() {
        return None;
    }
    // A first frame without sound may count the others.
    let counted = ["Xing", "Info"].iter().find_map(|name| {
        let place = (start + 4..start + 48).find(|place| at.bytes(*place, 4) == Some(name.as_bytes()))?;
        (at.be32(place + 4)? & 1 == 1).then(|| at.be32(place + 8))?
    });
    let duration_ms = match counted {
        Some(frames) => milliseconds(u64::from(frames) * frame.samples, frame.rate),
        None => milliseconds((at.0.len() - start) as u64 * 8, frame.bits_per_second),
    };
    Some((Media { duration_ms, ..media }, Ok(())))
}

struct Frame {
    length: usize,
    samples: u64,
    rate: u64,
    bits_per_second: u64,
}

impl Frame {
    /// MPEG audio of layer 3, versions 1, 2 and 2.5.
    fn at(at: At<'_>, place: usize) -> Option<Frame> {
        const FIRST: [u64; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const SECOND: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let header = at.be32(place)?;
        let version = header >> 19 & 3;
        if header >> 21 != 0x7ff || version == 1 || header >> 17 & 3 != 1 {
            return None;
        }
        let first = version == 3;
        let kilobits = *(if first { &FIRST } else { &SECOND }).get((header >> 12 & 15) as usize).filter(|k| **k > 0)?;
        let rate = *[44_100u64, 48_000, 32_000].get((header >> 10 & 3) as usize)? / [4, 1, 2, 1][version as usize & 3];
        let samples = if first { 1152 } else { 576 };
        let length = usize::try_from(samples / 8 * kilobits * 1000 / rate).ok()? + (header >> 9 & 1) as usize;
        Some(Frame { length, samples, rate, bits_per_second: kilobits * 1000 })
    }
}
