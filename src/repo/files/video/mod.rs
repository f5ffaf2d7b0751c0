//! Videos: their frames as rows, by the program ffmpeg, with the subtitles beside them; or the videos themselves, a row each.

mod captions;
mod ffmpeg;
mod frames;
mod whole;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{FileError, Place};
use super::reading::Reader;
use super::source::Source;
use super::{OnError, ReadOptions};
use captions::Captions;

const ENDINGS: [&str; 16] = ["mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "wmv", "flv", "ogv", "3gp", "mxf"];

/// True for names that videos have.
pub(super) fn is_video_name(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Which frames are taken.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Sample {
    /// All of them.
    #[default]
    All,
    /// The first at or after each multiple of so many seconds; never one twice.
    Every(f64),
    /// The first of each scene: the first of all, and those that differ from the one before by more than this, between 0 and 1.
    Scenes(f64),
}

/// How frames are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// JPEG, of a quality that hides what it costs.
    #[default]
    Jpeg,
    /// PNG, without loss.
    Png,
    /// WebP, with loss.
    Webp,
}

/// Where captions come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Subtitles {
    /// A file beside the video, of its name and ending in .vtt or .srt; where there is none, there are no captions.
    #[default]
    Beside,
    /// This file, for one video.
    File(PathBuf),
    /// There are none.
    None,
}

/// What `video_id` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VideoName {
    /// The file's name without its ending.
    #[default]
    Stem,
    /// The file's path, as `source` has it.
    Path,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VideoRows {
    /// A frame: `video_id`, `frame_index`, `timestamp`, `frame`, `width`, `height`, `caption` where there are any, and `source`.
    #[default]
    Frames,
    /// A video: `video_id`, `source`, `duration`, `fps`, `width`, `height` and `video`.
    Videos,
}

/// How videos are read.
#[derive(Debug, Clone, Default)]
pub struct VideoOptions {
    /// What a row is.
    pub rows: VideoRows,
    /// Which frames are taken.
    pub sample: Sample,
    /// Frames are scaled down to be so many pixels wide, and not scaled up.
    pub width: Option<u32>,
    /// How frames are stored.
    pub encoding: Encoding,
    /// Where captions come from.
    pub subtitles: Subtitles,
    /// What `video_id` is.
    pub name: VideoName,
    /// `source` is relative to this folder, where it is within it.
    pub folder: Option<PathBuf>,
    /// The program; otherwise `ffmpeg`, wherever the system finds it.
    pub ffmpeg: Option<PathBuf>,
}

impl VideoOptions {
    /// The columns that name a row.
    pub fn key(&self) -> Vec<String> {
        match self.rows {
            VideoRows::Frames => vec!["video_id".to_owned(), "frame_index".to_owned()],
            VideoRows::Videos => vec!["video_id".to_owned()],
        }
    }

    /// `source` of a file: its path, with `/` between its parts.
    fn source(&self, path: &Path) -> Result<String, FileError> {
        let path = self.folder.as_deref().and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
        let text = path.to_str().ok_or_else(|| FileError::bad(path.display(), Place::File, "its name is not UTF-8, which a text column holds"))?;
        let text = if std::path::MAIN_SEPARATOR == '/' { text.to_owned() } else { text.replace(std::path::MAIN_SEPARATOR, "/") };
        Ok(text.strip_prefix("./").map_or(text.clone(), str::to_owned))
    }

    /// `video_id` of a file.
    fn id(&self, path: &Path) -> Result<String, FileError> {
        let source = self.source(path)?;
        let name = source.rsplit('/').next().unwrap_or(&source);
        Ok(match self.name {
            VideoName::Path => source,
            VideoName::Stem => Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name).to_owned(),
        })
    }

    /// The subtitles of a video, if it has any.
    fn subtitles_of(&self, path: &Path) -> Option<PathBuf> {
        match &self.subtitles {
            Subtitles::None => None,
            Subtitles::File(file) => Some(file.clone()),
            Subtitles::Beside => ["vtt", "srt", "VTT", "SRT"].iter().map(|ending| path.with_extension(ending)).find(|file| file.is_file()),
        }
    }
}

/// Holds that each video has an id of its own, and that one file of subtitles is meant for one video.
pub(super) fn check(sources: &[Arc<Source>], options: &VideoOptions) -> Result<(), FileError> {
    if matches!(options.subtitles, Subtitles::File(_)) && sources.len() > 1 {
        return Err(FileError::usage(format!("one file of subtitles is named for {} videos", sources.len()))
            .with_hint("lay the subtitles of each video beside it: clip.vtt or clip.srt for clip.mp4"));
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    for source in sources {
        let id = options.id(&source.path)?;
        if let Some(other) = seen.get(id.as_str()) {
            return Err(if options.source(Path::new(other))? == options.source(&source.path)? {
                FileError::usage(format!("{} is named twice", source.name))
            } else {
                FileError::usage(format!("{other} and {} would both have the video_id '{id}'", source.name)).with_hint("--video-id path tells them apart")
            });
        }
        seen.insert(id, &source.name);
    }
    Ok(())
}

/// The reader of a video.
pub(super) fn reader(source: Arc<Source>, options: &ReadOptions) -> Result<Box<dyn Reader>, FileError> {
    let video = options.video.clone().unwrap_or_default();
    if options.on_error == OnError::Null {
        return Err(FileError::usage("of a broken video no cell can be made null").with_hint("--on-error skip takes what can be read of it"));
    }
    Ok(match video.rows {
        VideoRows::Frames => Box::new(frames::Frames::new(source, video)),
        VideoRows::Videos => Box::new(whole::Whole::new(source, video)),
    })
}

/// A file of subtitles, with the cues that were left out of it and why. Bad ones are an error unless they may be skipped.
fn read_captions(path: &Path, on_error: OnError) -> Result<(Captions, Vec<String>), FileError> {
    const BYTES_MAX: u64 = 64 << 20;
    let length = std::fs::metadata(path).map_err(|e| FileError::io(path.display(), e))?.len();
    if length > BYTES_MAX {
        return Err(FileError::bad(path.display(), Place::File, "is too large to be a file of subtitles"));
    }
    let captions = Captions::parse(&std::fs::read(path).map_err(|e| FileError::io(path.display(), e))?);
    let told = |(line, why): &(u64, String)| FileError::bad(path.display(), Place::Line(*line), why).with_hint("--on-error skip leaves such cues out");
    match captions.bad.first() {
        Some(bad) if on_error == OnError::Stop => Err(told(bad)),
        _ => {
            let left_out = captions.bad.iter().map(|bad| told(bad).to_string()).collect();
            Ok((captions, left_out))
        }
    }
}

#[cfg(test)]
mod tests;
