//! The part of `dsv import` that makes frames of videos.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::repo::files::video::{Encoding, Sample, Subtitles, VideoName, VideoOptions};

/// The options that make a file a video, of which one is given.
const SAMPLING: &str = "sampling";
/// The options of reading that make no sense of videos.
const OF_TABLES: [&str; 7] = ["media", "schema", "format", "records", "delimiter", "no_header", "nulls"];

/// The options of `dsv import` for videos.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Videos {
    /// Take so many frames of each second: the first at or after each moment, never one twice
    #[arg(long, value_name = "N", group = SAMPLING, conflicts_with_all = OF_TABLES, help_heading = "Videos")]
    fps: Option<String>,
    /// Take a frame every 0.5s, 500ms, 2m or 1h; `frame` takes each one
    #[arg(long, value_name = "TIME", group = SAMPLING, conflicts_with_all = OF_TABLES, help_heading = "Videos")]
    every: Option<String>,
    /// Take the first frame of each scene: one that differs from the frame before it by more than the threshold, from 0 to 1; 0.3 without one
    #[arg(
        long,
        value_name = "THRESHOLD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0.3",
        group = SAMPLING,
        conflicts_with_all = OF_TABLES,
        help_heading = "Videos"
    )]
    scene: Option<String>,
    /// Scale frames down to so many pixels across; narrower ones stay as they are
    #[arg(long, value_name = "PIXELS", requires = SAMPLING, help_heading = "Videos")]
    width: Option<u32>,
    /// How frames are stored: jpeg, which it is without this, png or webp
    #[arg(long, value_name = "FORMAT", requires = SAMPLING, help_heading = "Videos")]
    frame_format: Option<String>,
    /// The video's subtitles, WebVTT or SRT; `none` passes over those beside it
    #[arg(long, value_name = "FILE|none", requires = SAMPLING, help_heading = "Videos")]
    subtitles: Option<String>,
    /// What video_id is: the file's stem, or its path, where stems are not unique
    #[arg(long, value_name = "stem|path", requires = SAMPLING, help_heading = "Videos")]
    video_id: Option<String>,
    /// Store the videos themselves too, a row each, in a table of that name, or `videos`; without this they are only linked
    #[arg(long, value_name = "TABLE", num_args = 0..=1, require_equals = true, default_missing_value = "videos", requires = SAMPLING, help_heading = "Videos")]
    pub keep: Option<String>,
}

impl Videos {
    /// How videos are read, if that is what the files are.
    pub fn options(&self, context: &Context) -> Result<Option<VideoOptions>, CliError> {
        let sample = match (&self.fps, &self.every, &self.scene) {
            (Some(fps), ..) => Sample::Every(1.0 / rate(fps)?),
            (_, Some(every), _) if every == "frame" => Sample::All,
            (_, Some(every), _) => Sample::Every(interval(every)?),
            (.., Some(threshold)) => Sample::Scenes(threshold_of(threshold)?),
            _ => return Ok(None),
        };
        if self.width.is_some_and(|width| !(1..=WIDTH_MAX).contains(&width)) {
            return Err(CliError::usage(format!("--width: frames are from 1 to {WIDTH_MAX} pixels wide")));
        }
        let encoding = match self.frame_format.as_deref() {
            None | Some("jpeg" | "jpg") => Encoding::Jpeg,
            Some("png") => Encoding::Png,
            Some("webp") => Encoding::Webp,
            Some(other) => return Err(CliError::usage(format!("--frame-format: '{other}' is none of jpeg, png, webp"))),
        };
        let name = match self.video_id.as_deref() {
            None | Some("stem") => VideoName::Stem,
            Some("path") => VideoName::Path,
            Some(other) => return Err(CliError::usage(format!("--video-id: '{other}' is none of stem, path"))),
        };
        let subtitles = match self.subtitles.as_deref() {
            None => Subtitles::Beside,
            Some("none") => Subtitles::None,
            Some(file) => Subtitles::File(context.path(file)),
        };
        let folder = Some(context.dir().to_path_buf());
        Ok(Some(VideoOptions { sample, width: self.width, encoding, subtitles, name, folder, ..VideoOptions::default() }))
    }

    /// What the operation log says.
    pub fn words(&self) -> Vec<String> {
        let width = self.width.map(|width| width.to_string());
        let options = [
            ("--fps", &self.fps),
            ("--every", &self.every),
            ("--width", &width),
            ("--frame-format", &self.frame_format),
            ("--subtitles", &self.subtitles),
            ("--video-id", &self.video_id),
        ];
        let mut words: Vec<String> = options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value.clone()?])).flatten().collect();
        words.extend(self.scene.as_ref().map(|threshold| format!("--scene={threshold}")));
        words.extend(self.keep.as_ref().map(|table| format!("--keep={table}")));
        words
    }
}

/// The widest picture that a JPEG holds, about.
const WIDTH_MAX: u32 = 65_000;

/// Frames a second: `2`, `0.1`, `30000/1001`.
fn rate(text: &str) -> Result<f64, CliError> {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let ratio = above.trim().parse::<f64>().ok().zip(below.trim().parse::<f64>().ok()).map(|(above, below)| above / below);
    let fits = ratio.filter(|ratio| (1e-6..=1000.0).contains(ratio));
    fits.ok_or_else(|| {
        CliError::usage(format!("--fps: '{text}' is no number of frames a second, from 0.000001 to 1000")).hint("write it as 2, 0.5 or 30000/1001")
    })
}

/// A time between frames, in seconds: `0.5s`, `500ms`.
fn interval(text: &str) -> Result<f64, CliError> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let parsed = units.iter().find_map(|(unit, seconds)| Some(text.strip_suffix(unit)?.trim_end().parse::<f64>().ok()? * seconds));
    let fits = parsed.filter(|seconds| (0.001..=1e6).contains(seconds));
    fits.ok_or_else(|| {
        let error = CliError::usage(format!("--every: '{text}' is no time between frames, from 1ms to 1000000s"));
        error.hint("write it as 0.5s, 500ms, 2m or 1h; 'frame' takes every frame")
    })
}

fn threshold_of(text: &str) -> Result<f64, CliError> {
    let threshold = text.trim().parse::<f64>().ok().filter(|threshold| (0.0..=1.0).contains(threshold));
    threshold.ok_or_else(|| CliError::usage(format!("--scene: '{text}' is no threshold, from 0 to 1")).hint("write it as --scene=0.4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_times_and_thresholds() {
        assert_eq!((rate("2").unwrap(), rate("0.1").unwrap(), rate("30000/1001").unwrap()), (2.0, 0.1, 30_000.0 / 1001.0));
        assert_eq!(["0.5s", "500ms", "2m", "1 h"].map(|text| interval(text).unwrap()), [0.5, 0.5, 120.0, 3600.0]);
        assert_eq!(threshold_of("0.4").unwrap(), 0.4);
        for bad in ["", "x", "-1", "0", "1/0", "1001", "NaN", "inf", "1/2/3"] {
            assert_eq!(rate(bad).unwrap_err().exit, 2, "{bad}");
        }
        for bad in ["", "5", "s", "-1s", "0s", "0.1ms", "NaNs", "infh", "1d"] {
            assert_eq!(interval(bad).unwrap_err().exit, 2, "{bad}");
        }
        for bad in ["", "-0.1", "1.1", "NaN"] {
            assert_eq!(threshold_of(bad).unwrap_err().exit, 2, "{bad}");
        }
    }
}
