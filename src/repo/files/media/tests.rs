//! Media of every kind, made here and sniffed.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::repo::files::tests::real_data;

fn drawn(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(37, 21, |x, y| image::Rgb([(x * 7) as u8, (y * 11) as u8, 90]));
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut out, format).unwrap();
    out.into_inner()
}

const FORMATS: [(ImageFormat, &str); 6] = [
    (ImageFormat::Jpeg, "image/jpeg"),
    (ImageFormat::Png, "image/png"),
    (ImageFormat::Gif, "image/gif"),
    (ImageFormat::WebP, "image/webp"),
    (ImageFormat::Bmp, "image/bmp"),
    (ImageFormat::Tiff, "image/tiff"),
];

#[test]
fn drawn_images_are_known_and_their_torn_halves_refused() {
    for (format, media_type) in FORMATS {
        let bytes = drawn(format);
        for how in [Check::Structure, Check::Decode] {
            let media = check(&bytes, how).unwrap();
            assert_eq!((media.media_type, media.width, media.height), (media_type, Some(37), Some(21)));
        }
        if format == ImageFormat::Tiff {
            continue; // Its directory may stand first; the decoder is the judge.
        }
        for length in [bytes.len() / 2, bytes.len() - 3] {
            let torn = &bytes[..length];
            assert!(check(torn, Check::Structure).is_err(), "{media_type} of {length}");
        }
    }
    let mut png = drawn(ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 1;
    assert!(check(&png, Check::Structure).unwrap_err().contains("checksum"));
    assert!(check(b"not a picture", Check::Structure).is_err());
    assert!(check(b"", Check::Structure).is_err());
}

fn wav(seconds: u32) -> Vec<u8> {
    let data = vec![0u8; (seconds * 16_000) as usize];
    let mut out = b"RIFF".to_vec();
    out.extend((36 + data.len() as u32).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend(8000u32.to_le_bytes());
    out.extend(16_000u32.to_le_bytes());
    out.extend(b"\x02\0\x10\0data");
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out
}

#[test]
fn sounds() {
    let bytes = wav(3);
    let media = check(&bytes, Check::Structure).unwrap();
    assert_eq!((media.kind, media.duration_ms), (MediaKind::Audio, Some(3000)));
    assert!(check(&bytes[..bytes.len() - 10], Check::Structure).is_err());
}

#[test]
fn real_pictures_have_the_size_that_the_decoder_sees() {
    let Some(data) = real_data() else { return };
    let mut seen = 0;
    for folder in ["images-captioned", "images-labelled-bccd"] {
        for path in crate::repo::files::tests::files_below(&data.join(folder)) {
            if !path.extension().is_some_and(|e| e == "jpg" || e == "png" || e == "jpeg") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let media = check(&bytes, Check::Structure).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let size = image::ImageReader::new(Cursor::new(&bytes)).with_guessed_format().unwrap().into_dimensions().unwrap();
            assert_eq!((media.width, media.height), (Some(size.0), Some(size.1)), "{}", path.display());
            assert!(check(&bytes[..bytes.len() / 2], Check::Structure).is_err(), "half of {}", path.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 404);
}

#[test]
fn real_videos() {
    let Some(data) = real_data() else { return };
    for (name, media_type, seconds) in
        [("flower.mp4", "video/mp4", 5), ("chroma-video.mp4", "video/mp4", 24), ("stream-of-water-audioless.webm", "video/webm", 4)]
    {
        let Ok(bytes) = std::fs::read(data.join("video").join(name)) else { panic!("{name} is missing") };
        let media = check(&bytes, Check::Structure).unwrap();
        assert_eq!((media.kind, media.media_type), (MediaKind::Video, media_type), "{name}");
        assert!(media.width.is_some_and(|w| w > 100) && media.height.is_some_and(|h| h > 100), "{name}: {media:?}");
        assert!(media.duration_ms.is_some_and(|ms| ms.abs_diff(seconds * 1000) < 1500), "{name}: {media:?}");
        assert!(check(&bytes[..bytes.len() - 100], Check::Structure).is_err(), "{name} torn");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe(kind in 0usize..14, tail: Vec<u8>, from in 0usize..200) {
        let starts: [&[u8]; 14] = [b"", b"\xff\xd8\xff\xc0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\xff\0\0\0WEBPVP8X", b"BM\0\0\0\0\0\0\0\0", b"II*\0\x08\0\0\0", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67", b"RIFF\0\0\0\0AVI ", b"RIFF\0\0\0\0WAVEfmt ", b"OggS", b"fLaC", b"\xff\xfb\x90\0"];
        let mut bytes = starts[kind].to_vec();
        bytes.extend(&tail);
        let _ = (sniff(&bytes), check(&bytes, Check::Structure));
        bytes.truncate(from);
        let _ = check(&bytes, Check::Decode);
    }

    /// A real file with a few bytes changed.
    #[test]
    fn damaged_files_are_safe(format in 0usize..6, places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = drawn(FORMATS[format].0);
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = (sniff(&bytes), check(&bytes, Check::Decode));
    }
}
