//! A hash of what a picture looks like: pictures that look alike have hashes of which few bits differ.

use std::f32::consts::PI;

use image::imageops::FilterType;

use super::guarded;

/// The picture is looked at in so many pixels each way...
const SIDE: usize = 32;
/// ... and so many of its lowest frequencies each way make the hash.
const LOW: usize = 8;

/// The 64 bits of a picture's perceptual hash: of the lowest 8 x 8 frequencies of its grey values (a discrete cosine transform of 32 x 32 pixels), whether
/// each is above their median, the constant one left out of it; after Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
/// The lowest frequency is the highest bit. `None` where the bytes do not decode.
pub fn perceptual_hash(bytes: &[u8]) -> Option<u64> {
    let picture = guarded(|| image::load_from_memory(bytes)).ok()?.ok()?;
    let small = image::imageops::resize(&picture.to_luma8(), SIDE as u32, SIDE as u32, FilterType::Triangle);
    let grey: Vec<f32> = small.pixels().map(|pixel| f32::from(pixel.0[0])).collect();
    let wave = |k: usize, x: usize| (PI / SIDE as f32 * (x as f32 + 0.5) * k as f32).cos();
    let mut low = Vec::with_capacity(LOW * LOW);
    for v in 0..LOW {
        for u in 0..LOW {
            let rows = grey.chunks_exact(SIDE).enumerate();
            low.push(rows.map(|(y, row)| wave(v, y) * row.iter().enumerate().map(|(x, grey)| grey * wave(u, x)).sum::<f32>()).sum::<f32>());
        }
    }
    let mut sorted = low.get(1..)?.to_vec();
    sorted.sort_by(f32::total_cmp);
    let median = *sorted.get(sorted.len() / 2)?;
    Some(low.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > median)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    /// A smooth picture that follows from `seed`.
    fn picture(side: u32, seed: u32, format: ImageFormat) -> Vec<u8> {
        let grey = |x: u32, y: u32| ((x * 7919 + y * 104_729 + seed * 1_299_709 + 12_345).wrapping_mul(2_654_435_761) >> 24) as u8;
        let coarse = RgbImage::from_fn(6, 6, |x, y| Rgb([grey(x, y), grey(x + 50, y), grey(x, y + 50)]));
        let mut out = Cursor::new(Vec::new());
        image::imageops::resize(&coarse, side, side, FilterType::CatmullRom).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn what_looks_alike_has_a_hash_that_is_near() {
        let hash = |bytes: &[u8]| perceptual_hash(bytes).unwrap();
        let one = hash(&picture(200, 0, ImageFormat::Png));
        let apart = |other: u64| (one ^ other).count_ones();
        assert!(apart(hash(&picture(200, 0, ImageFormat::Jpeg))) <= 6);
        assert!(apart(hash(&picture(120, 0, ImageFormat::Png))) <= 6);
        assert!(apart(hash(&picture(200, 1, ImageFormat::Png))) >= 16);
        assert_eq!((perceptual_hash(b"no picture"), perceptual_hash(b"")), (None, None));
    }
}
