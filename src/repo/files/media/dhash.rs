//! A hash of where a picture grows lighter: copies of a picture, smaller or compressed anew, have hashes of which few bits differ.

use image::imageops::FilterType;

use super::guarded;

/// The 64 bits of a picture's difference hash: of its grey values in 9 x 8 pixels, whether each is lighter than its neighbour to the left; after Krawetz,
/// "Kind of Like That", 2013. The first pixel of the first row is the highest bit. `None` where the bytes do not decode.
pub fn difference_hash(bytes: &[u8]) -> Option<u64> {
    let picture = guarded(|| image::load_from_memory(bytes)).ok()?.ok()?;
    let small = image::imageops::resize(&picture.to_luma8(), 9, 8, FilterType::Triangle);
    let grey: Vec<u8> = small.pixels().map(|pixel| pixel.0[0]).collect();
    let bits = grey.chunks_exact(9).flat_map(|row| row.windows(2).map(|pair| matches!(pair, [left, right] if left < right)));
    Some(bits.fold(0, |hash, bit| hash << 1 | u64::from(bit)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn picture(side: u32, lighter: impl Fn(u32) -> bool, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        let grey = |x: u32| if lighter(x) { (x * 200 / side) as u8 } else { (200 - x * 200 / side) as u8 };
        RgbImage::from_fn(side, side, |x, y| Rgb([grey(x), grey(x), grey(x).saturating_add((y % 2) as u8)])).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn bits_say_where_it_grows_lighter() {
        let hash = |bytes: &[u8]| difference_hash(bytes).unwrap();
        assert_eq!(hash(&picture(180, |_| true, ImageFormat::Png)), u64::MAX);
        assert_eq!(hash(&picture(180, |_| false, ImageFormat::Png)), 0);
        let half = hash(&picture(180, |x| x < 90, ImageFormat::Png));
        assert!((20..44).contains(&half.count_ones()), "{half:064b}");
        // Compressed anew and made smaller.
        assert!((half ^ hash(&picture(180, |x| x < 90, ImageFormat::Jpeg))).count_ones() <= 4);
        assert!((half ^ hash(&picture(90, |x| x < 45, ImageFormat::Png))).count_ones() <= 4);
        assert_eq!((difference_hash(b"no picture"), difference_hash(b"")), (None, None));
    }
}
