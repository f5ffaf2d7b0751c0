//! Pictures into pixels: decoded, cut, resized, turned, and written where a batch wants them.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageReader, Limits};
use pulp::{Arch, NullaryFnOnce};

use super::random::Draws;

/// What is made of each picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Height and width of the pixels given; without, pictures keep their own, which then must be one for all of a batch.
    pub size: Option<(u32, u32)>,
    /// How a picture of another shape is made to fit.
    pub fit: Fit,
    /// Turned left to right, one in two at random.
    pub flip: bool,
    /// Colours.
    pub channels: Channels,
    /// Order of the numbers.
    pub layout: Layout,
    /// Numbers as floats; without, as the bytes that they are.
    pub normalize: Option<Normalize>,
}

/// Floats of bytes: `(byte / 255 - mean) / std`, by channel, as torchvision's ToTensor and Normalize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// Red, green and blue; of gray pictures the first.
    pub mean: [f32; 3],
    /// Red, green and blue; of gray pictures the first.
    pub std: [f32; 3],
}

impl Default for Normalize {
    /// From 0 to 1.
    fn default() -> Normalize {
        Normalize { mean: [0.0; 3], std: [1.0; 3] }
    }
}

impl Normalize {
    /// The float of each byte, by channel: looked up, so that it is the same bit for bit wherever it is done.
    pub fn floats(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (f64::from(self.mean[channel]), f64::from(self.std[channel]));
            std::array::from_fn(|byte| ((byte as f64 / 255.0 - mean) / std) as f32)
        })
    }
}

/// How a picture is made to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fit {
    /// Each side stretched on its own.
    Stretch,
    /// The largest part of the right shape, from the middle.
    Centre,
    /// A part at random, of so great a share of the area and of such a ratio of width to height (Szegedy et al., "Going deeper with convolutions", 2015, section 6), as torchvision's RandomResizedCrop.
    Random {
        /// The least and the greatest share of the area, above 0 and up to 1.
        area: (f64, f64),
        /// The least and the greatest ratio of width to height.
        ratio: (f64, f64),
    },
    /// The whole picture, and this colour around it.
    Pad([u8; 3]),
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Red, green and blue.
    Rgb,
    /// One luminance.
    Gray,
}

impl Channels {
    /// Numbers of a pixel.
    pub fn count(self) -> usize {
        match self {
            Channels::Rgb => 3,
            Channels::Gray => 1,
        }
    }
}

/// Order of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Channel, row, column, as PyTorch and candle have it.
    Chw,
    /// Row, column, channel.
    Hwc,
}

/// A picture of more pixels than this is refused: nobody trains on them, and a few bytes can claim them.
const SIDE_MAX: u32 = 1 << 15;
const DECODED_BYTES_MAX: u64 = 1 << 29;
/// Draws for a picture.
const DRAWS: u64 = 64;

impl Default for Images {
    fn default() -> Images {
        Images { size: None, fit: Fit::Centre, flip: false, channels: Channels::Rgb, layout: Layout::Chw, normalize: None }
    }
}

/// A decoded picture: rows of pixels, 8 bits a channel.
pub struct Pixels {
    width: u32,
    height: u32,
    channels: usize,
    values: Vec<u8>,
}

/// The picture in the bytes of a file: JPEG, PNG, WebP and the others that dsv imports.
pub fn decode(bytes: &[u8], channels: Channels) -> Result<Pixels, String> {
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height, limits.max_alloc) = (Some(SIDE_MAX), Some(SIDE_MAX), Some(DECODED_BYTES_MAX));
    reader.limits(limits);
    let decoded = reader.decode().map_err(|e| e.to_string())?;
    let (width, height) = (decoded.width(), decoded.height());
    let (channels, values) = match channels {
        Channels::Rgb => (3, decoded.into_rgb8().into_raw()),
        Channels::Gray => (1, decoded.into_luma8().into_raw()),
    };
    if width == 0 || height == 0 {
        return Err("it has no pixels".into());
    }
    Ok(Pixels { width, height, channels, values })
}

/// Pixels as a PNG file: rows of pixels of 1 (gray), 3 (red, green, blue) or 4 (and opacity) bytes.
pub fn png(pixels: &[u8], (height, width): (u32, u32), channels: u8) -> Result<Vec<u8>, String> {
    side_check(height, width)?;
    let kind = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        other => return Err(format!("a picture has 1, 3 or 4 channels, not {other}")),
    };
    let count = height as usize * width as usize * usize::from(channels);
    if pixels.len() != count {
        return Err(format!("{height} x {width} x {channels} are {count} bytes, not {}", pixels.len()));
    }
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(pixels, width, height, kind).map_err(|e| e.to_string())?;
    Ok(file)
}

fn side_check(height: u32, width: u32) -> Result<(), String> {
    if (1..=SIDE_MAX).contains(&height) && (1..=SIDE_MAX).contains(&width) {
        return Ok(());
    }
    Err(format!("{height} x {width} is no size for pictures: a side has 1 to {SIDE_MAX} pixels"))
}

/// A part of a picture: left, top, width and height.
type Part = (f64, f64, f64, f64);

impl Images {
    /// Refuses what cannot be done to any picture.
    pub fn check(&self) -> Result<(), String> {
        if let Some((height, width)) = self.size {
            side_check(height, width)?;
        }
        if let Fit::Random { area, ratio } = self.fit {
            let is_range = |(low, high): (f64, f64), most: f64| low > 0.0 && low <= high && high <= most;
            if !is_range(area, 1.0) || !is_range(ratio, f64::MAX) {
                return Err(format!(
                    "a random part of {area:?} of the area with sides of {ratio:?} cannot be cut: both go up, from above 0, the first to 1 at most"
                ));
            }
        }
        match &self.normalize {
            Some(normalize) if normalize.std.iter().any(|std| *std == 0.0 || std.is_nan()) => Err("a standard deviation of 0 cannot be divided by".into()),
            _ => Ok(()),
        }
    }

    /// Writes the floats of the pixels of one picture, which stand in the order of `layout`.
    pub fn write_floats(&self, floats: &[[f32; 256]; 3], pixels: &[u8], to: &mut [f32]) {
        let look_up = |table: &[f32; 256], pixels: &[u8], to: &mut [f32]| to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = table[usize::from(*pixel)]);
        match (self.channels, self.layout) {
            (Channels::Gray, _) => look_up(&floats[0], pixels, to),
            (Channels::Rgb, Layout::Chw) => {
                let plane = (pixels.len() / 3).max(1);
                floats.iter().zip(pixels.chunks(plane)).zip(to.chunks_mut(plane)).for_each(|((table, pixels), to)| look_up(table, pixels, to));
            }
            (Channels::Rgb, Layout::Hwc) => {
                for (to, pixel) in to.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<3>().0) {
                    *to = std::array::from_fn(|channel| floats[channel][usize::from(pixel[channel])]);
                }
            }
        }
    }

    /// Shape of one picture: as [`Images::layout`] has it.
    pub fn shape(&self, pixels: &Pixels) -> [usize; 3] {
        let (height, width) = self.size.unwrap_or((pixels.height, pixels.width));
        let (height, width) = (height as usize, width as usize);
        match self.layout {
            Layout::Chw => [pixels.channels, height, width],
            Layout::Hwc => [height, width, pixels.channels],
        }
    }

    /// Writes the pixels as bytes, in the order of `layout`, to `to`, which has room for them exactly. `draws` are those of the epoch for augmentation, `place` is the sample's in it.
    pub fn write(&self, pixels: &Pixels, resizer: &mut Resizer, draws: &Draws, place: u64, to: &mut [u8]) -> Result<(), String> {
        let (height, width) = self.size.unwrap_or((pixels.height, pixels.width));
        side_check(height, width)?;
        let count = height as usize * width as usize * pixels.channels;
        if to.len() != count {
            return Err(format!("it has {count} numbers, where there is room for {}", to.len()));
        }
        let at = place.wrapping_mul(DRAWS);
        let flip = self.flip && draws.below(at, 2) == 1;
        let fitted = self.fitted(pixels, (height, width), resizer, draws, at + 1)?;
        let rows = fitted.as_deref().unwrap_or(&pixels.values).chunks_exact(width as usize * pixels.channels);
        match (self.layout, pixels.channels) {
            (Layout::Hwc, n) | (_, n @ 1) => {
                for (to, row) in to.chunks_exact_mut(width as usize * n).zip(rows) {
                    if flip {
                        to.chunks_exact_mut(n).zip(row.chunks_exact(n).rev()).for_each(|(to, pixel)| to.copy_from_slice(pixel));
                    } else {
                        to.copy_from_slice(row);
                    }
                }
            }
            (Layout::Chw, _) => {
                let (red, rest) = to.split_at_mut(count / 3);
                let (green, blue) = rest.split_at_mut(count / 3);
                let planes = red.chunks_exact_mut(width as usize).zip(green.chunks_exact_mut(width as usize)).zip(blue.chunks_exact_mut(width as usize));
                for (((red, green), blue), row) in planes.zip(rows) {
                    split(row, [&mut *red, &mut *green, &mut *blue]);
                    if flip {
                        [red, green, blue].into_iter().for_each(<[u8]>::reverse);
                    }
                }
            }
        }
        Ok(())
    }

    /// The pixels in another size; `None` where they have it.
    fn fitted(&self, pixels: &Pixels, (height, width): (u32, u32), resizer: &mut Resizer, draws: &Draws, at: u64) -> Result<Option<Vec<u8>>, String> {
        let (w, h) = (f64::from(pixels.width), f64::from(pixels.height));
        let part = match self.fit {
            _ if self.size.is_none() => return Ok(None),
            Fit::Stretch => (0.0, 0.0, w, h),
            Fit::Centre => centre(w, h, f64::from(width) / f64::from(height)),
            Fit::Random { area, ratio } => random(w, h, area, ratio, draws, at),
            Fit::Pad(colour) => return padded(pixels, (height, width), resizer, colour).map(Some),
        };
        if part == (0.0, 0.0, w, h) && (pixels.height, pixels.width) == (height, width) {
            return Ok(None);
        }
        resized(pixels, part, (height, width), resizer).map(Some)
    }
}

/// Takes the colours of a row of pixels apart, by the widest instructions that the processor has: byte by byte it takes as long as a fifth of decoding.
fn split(row: &[u8], planes: [&mut [u8]; 3]) {
    thread_local!(static ARCH: Arch = Arch::new());
    ARCH.with(|arch| arch.dispatch(Split { row, planes }));
}

struct Split<'a> {
    row: &'a [u8],
    planes: [&'a mut [u8]; 3],
}

impl NullaryFnOnce for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [red, green, blue] = self.planes;
        for (((red, green), blue), pixel) in red.iter_mut().zip(green).zip(blue).zip(self.row.as_chunks::<3>().0) {
            [*red, *green, *blue] = *pixel;
        }
    }
}

/// The largest part of that ratio of width to height, from the middle.
fn centre(w: f64, h: f64, ratio: f64) -> Part {
    // Rounding must not lead out of the picture.
    let (width, height) = if w > h * ratio { (h * ratio, h) } else { (w, (w / ratio).min(h)) };
    ((w - width) / 2.0, (h - height) / 2.0, width, height)
}

fn random(w: f64, h: f64, area: (f64, f64), ratio: (f64, f64), draws: &Draws, at: u64) -> Part {
    let between = |at, (low, high): (f64, f64)| low + (high - low) * draws.unit(at);
    let logs = (ratio.0.ln(), ratio.1.ln());
    for attempt in 0..10 {
        let at = at + attempt * 4;
        let (area, ratio) = (w * h * between(at, area), between(at + 1, logs).exp());
        let (width, height) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if (1.0..=w).contains(&width) && (1.0..=h).contains(&height) {
            let place = |at, room: f64| draws.below(at, room as u64 + 1) as f64;
            return (place(at + 2, w - width), place(at + 3, h - height), width, height);
        }
    }
    // As torchvision has it: the whole, or as much of it as the ratios allow.
    centre(w, h, (w / h).clamp(ratio.0, ratio.1))
}

fn kind(channels: usize) -> PixelType {
    if channels == 1 { PixelType::U8 } else { PixelType::U8x3 }
}

fn resized(pixels: &Pixels, (left, top, part_width, part_height): Part, (height, width): (u32, u32), resizer: &mut Resizer) -> Result<Vec<u8>, String> {
    let from = ImageRef::new(pixels.width, pixels.height, &pixels.values, kind(pixels.channels)).map_err(|e| e.to_string())?;
    let mut to = Image::new(width, height, kind(pixels.channels));
    // Triangles as wide as the step in the picture, as Pillow's and torchvision's bilinear with antialias.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(left, top, part_width, part_height);
    resizer.resize(&from, &mut to, &options).map_err(|e| e.to_string())?;
    Ok(to.into_vec())
}

/// The whole picture in the middle, with a colour around it.
fn padded(pixels: &Pixels, (height, width): (u32, u32), resizer: &mut Resizer, colour: [u8; 3]) -> Result<Vec<u8>, String> {
    let (w, h) = (f64::from(pixels.width), f64::from(pixels.height));
    let scale = (f64::from(width) / w).min(f64::from(height) / h);
    let side = |length: f64, most: u32| ((length * scale).round() as u32).clamp(1, most);
    let (inner_width, inner_height) = (side(w, width), side(h, height));
    let inner = resized(pixels, (0.0, 0.0, w, h), (inner_height, inner_width), resizer)?;
    let n = pixels.channels;
    let colour = if n == 1 { &colour[..1] } else { &colour[..] };
    let mut out: Vec<u8> = colour.iter().copied().cycle().take(width as usize * height as usize * n).collect();
    let (left, top) = (((width - inner_width) / 2) as usize, ((height - inner_height) / 2) as usize);
    for (row, from) in out.chunks_exact_mut(width as usize * n).skip(top).zip(inner.chunks_exact(inner_width as usize * n)) {
        if let Some(to) = row.get_mut(left * n..left * n + from.len()) {
            to.copy_from_slice(from);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random::Use;
    use super::*;

    /// A picture of these rows of colours, as a PNG file.
    fn png(rows: &[&[[u8; 3]]]) -> Vec<u8> {
        let mut image = image::RgbImage::new(rows[0].len() as u32, rows.len() as u32);
        for (y, row) in rows.iter().enumerate() {
            row.iter().enumerate().for_each(|(x, colour)| image.put_pixel(x as u32, y as u32, image::Rgb(*colour)));
        }
        let mut file = std::io::Cursor::new(Vec::new());
        image.write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn made(images: &Images, file: &[u8], place: u64) -> Vec<u8> {
        let pixels = decode(file, images.channels).unwrap();
        let mut to = vec![0; images.shape(&pixels).iter().product()];
        images.write(&pixels, &mut Resizer::new(), &Draws::new(1, 0, Use::Augment), place, &mut to).unwrap();
        to
    }

    const A: [u8; 3] = [1, 2, 3];
    const B: [u8; 3] = [40, 50, 60];
    const C: [u8; 3] = [255, 0, 7];

    #[test]
    fn pixels_stand_where_the_layout_has_them() {
        let file = png(&[&[A, B, C], &[C, C, A]]);
        let hwc = Images { layout: Layout::Hwc, ..Images::default() };
        assert_eq!(made(&hwc, &file, 0), [A, B, C, C, C, A].concat());
        assert_eq!(made(&Images::default(), &file, 0), [[1, 40, 255, 255, 255, 1], [2, 50, 0, 0, 0, 2], [3, 60, 7, 7, 7, 3]].concat());
        let gray = Images { channels: Channels::Gray, ..Images::default() };
        assert_eq!(made(&gray, &png(&[&[[9; 3], [200; 3]]]), 0), [9, 200]);
        assert_eq!(gray.shape(&decode(&file, Channels::Gray).unwrap()), [1, 2, 3]);
        assert_eq!(hwc.shape(&decode(&file, Channels::Rgb).unwrap()), [2, 3, 3]);
    }

    #[test]
    fn a_middle_does_not_reach_beyond_the_picture() {
        let (left, top, width, height) = centre(1032.0, 983.0, 1032.0 / 983.0);
        assert!(left >= 0.0 && top >= 0.0 && left + width <= 1032.0 && top + height <= 983.0);
    }

    #[test]
    fn floats_are_those_of_the_channel() {
        let normalize = Normalize { mean: [0.5, 0.25, 0.0], std: [0.5, 1.0, 2.0] };
        let float = |channel: usize, byte: u8| (f32::from(byte) / 255.0 - normalize.mean[channel]) / normalize.std[channel];
        let file = png(&[&[A, B, C]]);
        for (layout, channels) in [(Layout::Hwc, [0, 1, 2, 0, 1, 2, 0, 1, 2]), (Layout::Chw, [0, 0, 0, 1, 1, 1, 2, 2, 2])] {
            let images = Images { layout, normalize: Some(normalize), ..Images::default() };
            let bytes = made(&images, &file, 0);
            let mut floats = vec![0.0; bytes.len()];
            images.write_floats(&normalize.floats(), &bytes, &mut floats);
            for ((found, byte), channel) in floats.iter().zip(bytes).zip(channels) {
                assert!((found - float(channel, byte)).abs() < 1e-6, "{layout:?}");
            }
        }
        let mut gray = [0.0; 2];
        Images { channels: Channels::Gray, ..Images::default() }.write_floats(&Normalize::default().floats(), &[0, 255], &mut gray);
        assert_eq!(gray, [0.0, 1.0]);
    }

    #[test]
    fn one_in_two_is_turned_and_which_is_settled_by_the_place() {
        let file = png(&[&[A, B, C]]);
        for (layout, plain, turned) in
            [(Layout::Hwc, [A, B, C].concat(), [C, B, A].concat()), (Layout::Chw, vec![1, 40, 255, 2, 50, 0, 3, 60, 7], vec![255, 40, 1, 0, 50, 2, 7, 60, 3])]
        {
            let images = Images { layout, flip: true, ..Images::default() };
            let all: Vec<Vec<u8>> = (0..200).map(|place| made(&images, &file, place)).collect();
            assert!(all.iter().all(|one| *one == plain || *one == turned));
            assert!((70..130).contains(&all.iter().filter(|one| **one == turned).count()));
            assert_eq!(all, (0..200).map(|place| made(&images, &file, place)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn pictures_are_made_to_fit() {
        // Three stripes of four columns each.
        let row: Vec<[u8; 3]> = [[A; 4], [B; 4], [C; 4]].concat();
        let file = png(&[&row, &row, &row, &row]);
        let to = |fit| Images { size: Some((4, 4)), fit, layout: Layout::Hwc, ..Images::default() };
        assert_eq!(made(&to(Fit::Centre), &file, 0), [B; 16].concat());
        let stretched = made(&to(Fit::Stretch), &file, 0);
        assert_eq!((&stretched[..3], &stretched[9..12]), (&A[..], &C[..]));
        // 12 x 4 fits as 4 x 1 into 4 x 4: a row above, two below.
        let padded = made(&to(Fit::Pad([9; 3])), &file, 0);
        let rows: Vec<&[u8]> = padded.chunks_exact(12).collect();
        assert_eq!([rows[0], rows[2], rows[3]], [&[9; 12]; 3]);
        assert_eq!(&rows[1][..3], &A);
        // The same picture in the size it has is not touched.
        assert_eq!(
            made(&Images { size: Some((4, 12)), ..to(Fit::Random { area: (1.0, 1.0), ratio: (3.0, 3.0) }) }, &file, 0),
            [row.concat(), row.concat(), row.concat(), row.concat()].concat()
        );
    }

    proptest! {
        #[test]
        fn random_parts_lie_within_and_are_as_asked(w in 1u32..2000, h in 1u32..2000, place in any::<u32>(), least in 0.01f64..1.0) {
            let (w, h) = (f64::from(w), f64::from(h));
            let draws = Draws::new(3, 1, Use::Augment);
            let part = random(w, h, (least, 1.0), (0.75, 4.0 / 3.0), &draws, u64::from(place));
            let (left, top, width, height) = part;
            prop_assert!(left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0 && left + width <= w + 1e-6 && top + height <= h + 1e-6, "{part:?}");
            prop_assert_eq!(part, random(w, h, (least, 1.0), (0.75, 4.0 / 3.0), &draws, u64::from(place)));
            if w.min(h) >= 100.0 && w / h < 1.3 && h / w < 1.3 {
                prop_assert!(width * height >= w * h * least.min(0.7) * 0.95 && (0.7..1.4).contains(&(width / height)), "{part:?} of {w} x {h}");
            }
        }

        #[test]
        fn damaged_files_are_errors(cut in 0usize..200, flip in any::<(u16, u8)>()) {
            let mut file = png(&[&[A, B, C], &[C, C, A]]);
            let _ = decode(&file[..cut.min(file.len())], Channels::Rgb);
            let at = usize::from(flip.0) % file.len();
            file[at] ^= flip.1;
            let _ = decode(&file, Channels::Rgb);
        }
    }

    #[test]
    fn what_is_no_picture_or_too_large_a_one_is_refused() {
        for bytes in [&b""[..], b"no picture", &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F']] {
            assert!(decode(bytes, Channels::Rgb).is_err());
        }
        // A PNG's header that claims 60,000 x 60,000 pixels.
        let mut file = png(&[&[A]]);
        file[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        assert!(decode(&file, Channels::Rgb).is_err());
        let pixels = decode(&png(&[&[A, B]]), Channels::Rgb).unwrap();
        let error = Images::default().write(&pixels, &mut Resizer::new(), &Draws::new(1, 0, Use::Augment), 0, &mut [0; 3]).unwrap_err();
        assert_eq!(error, "it has 6 numbers, where there is room for 3");
        for size in [(0, 1), (1, 0), (u32::MAX, u32::MAX)] {
            let images = Images { size: Some(size), ..Images::default() };
            assert!(images.write(&pixels, &mut Resizer::new(), &Draws::new(1, 0, Use::Augment), 0, &mut []).is_err());
        }
    }
}
