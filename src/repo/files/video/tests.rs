//! Frames from a program that plays ffmpeg: what comes of its output, its complaints and its death.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::tests::{lines, quiet, read_all};
use super::super::{Input, LargeCell, open};
use super::*;
use crate::base::progress::Unit;
use crate::base::{NoProgress, Progress};
use crate::format::Type;

/// A folder with videos and a program that plays ffmpeg.
struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    /// The program runs `script`, in which `frame MICROS` writes a frame of 6 by 4 pixels.
    fn new(script: &str) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("picture.jpg");
        image::RgbImage::from_pixel(6, 4, image::Rgb([200, 30, 30])).save(&picture).unwrap();
        let size = std::fs::metadata(&picture).unwrap().len();
        let text = format!(
            "#!/bin/sh\necho $$ > '{0}/pid'\necho \"$*\" > '{0}/arguments'\n\
             frame() {{ echo \"0, $1, $1, 40000, {size}, 0x0\"; cat '{0}/picture.jpg'; }}\necho '#tb 0: 1/1000000'\n{script}\n",
            dir.path().display()
        );
        let program = dir.path().join("ffmpeg");
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Stage { dir }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn options(&self) -> ReadOptions {
        let video = VideoOptions { ffmpeg: Some(self.dir.path().join("ffmpeg")), folder: Some(self.dir.path().to_owned()), ..VideoOptions::default() };
        ReadOptions { video: Some(video), ..ReadOptions::default() }
    }

    fn with(&self, change: impl FnOnce(&mut VideoOptions)) -> ReadOptions {
        let mut options = self.options();
        change(options.video.as_mut().unwrap());
        options
    }

    /// All rows of files as JSON lines without their pictures; or the error, and its hint.
    fn rows(&self, files: &[&PathBuf], options: &ReadOptions) -> Result<Vec<String>, String> {
        let paths: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
        let (columns, rows) = read_all(&paths, options).map_err(|e| self.told(&e))?;
        let kept: Vec<usize> = (0..columns.len()).filter(|i| columns[*i].0 != "frame").collect();
        Ok(lines(&(kept.iter().map(|i| columns[*i].clone()).collect(), rows.project(&kept).unwrap())))
    }

    fn told(&self, error: &FileError) -> String {
        let text = format!("{error}{}", error.hint().map(|hint| format!(" [{hint}]")).unwrap_or_default());
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// True once the program has ended.
    fn is_over(&self) -> bool {
        // It may have been ended before it could say who it is.
        let Ok(pid) = std::fs::read_to_string(self.dir.path().join("pid")) else { return true };
        let began = Instant::now();
        while Path::new("/proc").join(pid.trim()).exists() {
            if began.elapsed() > Duration::from_secs(5) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

#[test]
fn frames_become_rows() {
    let stage = Stage::new("frame 0; frame 500000; frame 1033367");
    let (a, b) = (stage.file("clips/a.b.mp4", "x"), stage.file("clips/b.mov", "x"));
    let options = stage.options();
    assert_eq!(
        stage.rows(&[&a], &options).unwrap(),
        [
            r#"{"video_id":"a.b","frame_index":0,"timestamp":0.0,"width":6,"height":4,"source":"clips/a.b.mp4"}"#,
            r#"{"video_id":"a.b","frame_index":1,"timestamp":0.5,"width":6,"height":4,"source":"clips/a.b.mp4"}"#,
            r#"{"video_id":"a.b","frame_index":2,"timestamp":1.033367,"width":6,"height":4,"source":"clips/a.b.mp4"}"#,
        ]
    );
    // One of two has captions: the column is there, and null for the other.
    stage.file("clips/b.srt", "1\n00:00:00,500 --> 00:00:01,000\nhalf\n\n2\n00:00:00,400 --> 00:00:09,000\nand all");
    assert_eq!(
        stage.rows(&[&a, &b], &stage.with(|video| video.name = VideoName::Path)).unwrap()[2..],
        [
            r#"{"video_id":"clips/a.b.mp4","frame_index":2,"timestamp":1.033367,"width":6,"height":4,"source":"clips/a.b.mp4","caption":null}"#,
            r#"{"video_id":"clips/b.mov","frame_index":0,"timestamp":0.0,"width":6,"height":4,"source":"clips/b.mov","caption":null}"#,
            r#"{"video_id":"clips/b.mov","frame_index":1,"timestamp":0.5,"width":6,"height":4,"source":"clips/b.mov","caption":"and all\nhalf"}"#,
            r#"{"video_id":"clips/b.mov","frame_index":2,"timestamp":1.033367,"width":6,"height":4,"source":"clips/b.mov","caption":"and all"}"#,
        ]
    );
    assert!(!stage.rows(&[&b], &stage.with(|video| video.subtitles = Subtitles::None)).unwrap()[1].contains("caption"));
    // The table that is appended to may have other types.
    let hints = vec![("timestamp".to_owned(), "float32".parse().unwrap()), ("width".to_owned(), "int64".parse().unwrap())];
    let (columns, rows) = read_all(&[&a], &ReadOptions { hints, ..options }).unwrap();
    assert_eq!(
        super::super::tests::types(&(columns, rows)),
        "video_id: text, frame_index: int64, timestamp: float32, frame: image, width: int64, height: int32, source: text"
    );
}

#[test]
fn ffmpeg_is_asked_for_files_alone() {
    let stage = Stage::new("frame 0");
    let file = stage.file("-i http:x 'y'.mp4", "x");
    let asked = |options: &ReadOptions| {
        stage.rows(&[&file], options).unwrap();
        std::fs::read_to_string(stage.dir.path().join("arguments")).unwrap()
    };
    let said = asked(&stage.with(|video| (video.sample, video.width) = (Sample::Every(0.5), Some(512))));
    assert!(said.contains(&format!("-xerror -protocol_whitelist file,crypto,data -i file:{} -map 0:V:0", file.display())), "{said}");
    assert!(said.contains("floor((t+0.0006)*2)") && said.contains("min(512,iw*sar)") && said.contains("-c:v mjpeg"), "{said}");
    let said = asked(&stage.with(|video| (video.sample, video.encoding) = (Sample::Scenes(0.25), Encoding::Png)));
    assert!(said.contains("gt(scene,0.25)") && said.contains("-c:v png"), "{said}");
    let said = asked(&ReadOptions { on_error: OnError::Skip, ..stage.options() });
    assert!(!said.contains("-xerror") && !said.contains("select"), "{said}");
}

#[test]
fn an_older_ffmpeg_is_asked_again() {
    let stage = Stage::new("case \"$*\" in *-fps_mode*) echo \"[error] Unrecognized option 'fps_mode'.\" >&2; exit 1;; esac\nframe 0");
    let file = stage.file("a.mp4", "x");
    assert_eq!(stage.rows(&[&file], &stage.options()).unwrap().len(), 1);
    assert!(std::fs::read_to_string(stage.dir.path().join("arguments")).unwrap().contains("-vsync passthrough"));
}

const HINT: &str = "[--on-error skip takes the frames that can be read, and goes on with the next video]";

#[test]
fn a_broken_video_is_told_by_its_name() {
    for (script, why) in [
        (
            "frame 0; echo '[mov @ 0x1] [error] moov atom not found' >&2; echo '[fatal] Error opening input files: Invalid data' >&2; exit 183",
            "moov atom not found",
        ),
        ("frame 0; echo '[matroska,webm @ 0x1] [error] File ended prematurely' >&2", "File ended prematurely"),
        ("frame 0; exit 3", "ffmpeg failed with exit code 3"),
        ("frame 0; kill -9 $$", "ffmpeg was ended by signal 9"),
        ("frame 0; echo '0, 0, 0, 0, 99, 0x0'; echo cut", "ffmpeg stopped within a frame"),
        ("frame 0; echo '0, 0, 0, 0, 4, 0x0'; echo text", "ffmpeg gave something else than a picture"),
        ("", "it has no frames"),
    ] {
        let stage = Stage::new(script);
        let (bad, good) = (stage.file("bad.mp4", "x"), stage.file("good.mp4", "x"));
        assert_eq!(stage.rows(&[&bad, &good], &stage.options()).unwrap_err(), format!("bad.mp4: {why} {HINT}"), "{script}");
        // What was read before the damage can be had, with a word.
        let mut batches = open(&[Input::Path(bad)], &ReadOptions { on_error: OnError::Skip, ..stage.options() }, &quiet()).unwrap();
        let mut rows = 0;
        while let Some(batch) = batches.next().unwrap() {
            rows += batch.rows.num_rows();
        }
        assert_eq!(rows, usize::from(!script.is_empty()), "{script}");
        let told: Vec<&str> = batches.skipped().iter().map(|skipped| skipped.why.as_str()).collect();
        assert_eq!(told, [if rows > 0 { format!("frames are missing after the first 1: {why}") } else { format!("left out: {why}") }], "{script}");
    }
}

#[test]
fn what_no_longer_counts_is_ended() {
    // It would go on for ever: after nonsense, and after the rows that were asked for.
    let stage = Stage::new("echo nonsense; exec sleep 600");
    let file = stage.file("a.mp4", "x");
    assert_eq!(
        stage.rows(&[&file], &stage.options()).unwrap_err(),
        format!("a.mp4: ffmpeg gave something else than frames: a line that tells of no packet {HINT}")
    );
    assert!(stage.is_over());
    let stage = Stage::new("while frame 0; do :; done");
    let file = stage.file("a.mp4", "x");
    let mut batches = open(&[Input::Path(file)], &ReadOptions { batch_rows: 3, ..stage.options() }, &quiet()).unwrap();
    assert_eq!(batches.next().unwrap().unwrap().rows.num_rows(), 3);
    drop(batches);
    assert!(stage.is_over());
}

/// Tells to stop when it was asked some times; keeps what it is told.
struct Impatient {
    patience: AtomicU64,
    told: Mutex<Vec<u64>>,
}

impl Impatient {
    fn new(patience: u64) -> Arc<Impatient> {
        Arc::new(Impatient { patience: patience.into(), told: Mutex::default() })
    }
}

impl Progress for Impatient {
    fn start(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, amount: u64) {
        self.told.lock().unwrap().extend((amount > 0).then_some(amount));
    }
    fn finish(&self) {}
    fn interrupted(&self) -> bool {
        self.patience.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn an_interrupt_ends_ffmpeg() {
    for script in ["frame 0; exec sleep 600", "exec sleep 600", "exec 1>&-; exec sleep 600"] {
        let stage = Stage::new(script);
        let file = stage.file("a.mp4", "x");
        let progress: Arc<dyn Progress> = Impatient::new(12);
        let mut batches = open(&[Input::Path(file)], &stage.options(), &progress).unwrap();
        assert!(matches!(batches.next(), Err(FileError::Interrupted)), "{script}");
        assert!(stage.is_over(), "{script}");
    }
}

#[test]
fn progress_goes_with_the_time_that_is_played() {
    for (duration, told) in [("00:00:10.00", &[250, 500, 250][..]), ("N/A", &[1000])] {
        let script = "sleep 0.2; frame 0; frame 2500000; frame 7500000";
        let stage = Stage::new(&format!("echo '[info]   Duration: {duration}, start: 0.000000' >&2; {script}"));
        let progress = Impatient::new(u64::MAX);
        let mut batches = open(&[Input::Path(stage.file("a.mp4", [0; 1000]))], &stage.options(), &(progress.clone() as Arc<dyn Progress>)).unwrap();
        while batches.next().unwrap().is_some() {}
        assert_eq!(*progress.told.lock().unwrap(), told);
    }
}

#[test]
fn without_ffmpeg() {
    let stage = Stage::new("");
    let file = stage.file("a.mp4", "x");
    let told = stage.rows(&[&file], &stage.with(|video| video.ffmpeg = Some("/nowhere/ffmpeg".into()))).unwrap_err();
    assert_eq!(
        told,
        "/nowhere/ffmpeg: there is no such program, which DSV_FFMPEG names [install ffmpeg (apt install ffmpeg, brew install ffmpeg), or name the program in DSV_FFMPEG]"
    );
}

#[test]
fn videos_are_told_apart() {
    let stage = Stage::new("frame 0");
    let (a, b) = (stage.file("train/1.mp4", "x"), stage.file("test/1.mkv", "x"));
    assert_eq!(
        stage.rows(&[&a, &b], &stage.options()).unwrap_err(),
        "train/1.mp4 and test/1.mkv would both have the video_id '1' [--video-id path tells them apart]"
    );
    let by_path = stage.with(|video| video.name = VideoName::Path);
    assert_eq!(stage.rows(&[&a, &b], &by_path).unwrap().len(), 2);
    assert_eq!(stage.rows(&[&a, &a], &by_path).unwrap_err(), "train/1.mp4 is named twice");
    let one = stage.with(|video| (video.name, video.subtitles) = (VideoName::Path, Subtitles::File("x.vtt".into())));
    assert!(stage.rows(&[&a, &b], &one).unwrap_err().starts_with("one file of subtitles is named for 2 videos"));
    // A folder's videos in order, and nothing else of it.
    stage.file("train/sub/0.MOV", "x");
    stage.file("train/sub/notes.txt", "x");
    stage.file("train/.hidden.mp4", "x");
    let rows = stage.rows(&[&stage.dir.path().join("train")], &stage.options()).unwrap();
    assert_eq!(rows.iter().map(|row| row.split(',').next().unwrap()).collect::<Vec<_>>(), ["{\"video_id\":\"1\"", "{\"video_id\":\"0\""]);
    let empty = stage.dir.path().join("none");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(stage.rows(&[&empty], &stage.options()).unwrap_err(), "none: the folder has no videos [name the files]");
    assert_eq!(
        stage.rows(&[&stage.dir.path().join("train/2.mp4")], &stage.options()).unwrap_err(),
        "train/2.mp4: there is no such file [did you mean '1.mp4'?]"
    );
}

#[test]
fn a_bad_cue_stops_or_is_left_out() {
    let stage = Stage::new("frame 0; frame 1500000");
    let file = stage.file("a.mp4", "x");
    stage.file("a.vtt", "WEBVTT\n\n00:00.000 --> 00:61.000\nbad\n\n00:01.000 --> 00:02.000\ngood\n");
    assert_eq!(
        stage.rows(&[&file], &stage.options()).unwrap_err().replace("00:01:02.500", "T"),
        "a.vtt, line 3: '00:61.000' is not a time, as T is [--on-error skip leaves such cues out]"
    );
    let skip = ReadOptions { on_error: OnError::Skip, ..stage.options() };
    let rows = stage.rows(&[&file], &skip).unwrap();
    assert!(rows[0].ends_with(r#""caption":null,"source":"a.mp4"}"#) && rows[1].contains(r#""caption":"good""#), "{rows:?}");
    let mut batches = open(&[Input::Path(file)], &skip, &quiet()).unwrap();
    while batches.next().unwrap().is_some() {}
    assert_eq!((batches.skipped().len(), batches.skipped()[0].row), (1, 0));
    assert!(batches.skipped()[0].why.contains("a.vtt, line 3"));
}

#[test]
fn whole_videos_are_rows_too() {
    let stage = Stage::new("echo '#dimensions 0: 320x240'; for i in 0 40000 80000; do echo \"0, $i, $i, 40000, 9, 0x0\"; done");
    let file = stage.file("a.mp4", "bytes of a video");
    let options = stage.with(|video| video.rows = VideoRows::Videos);
    assert_eq!(
        stage.rows(&[&file], &options).unwrap(),
        [r#"{"video_id":"a","source":"a.mp4","duration":0.12,"fps":25.0,"width":320,"height":240,"video":"Ynl0ZXMgb2YgYSB2aWRlbw=="}"#]
    );
    let mut batches = open(&[Input::Path(file.clone())], &ReadOptions { large_bytes: 3, ..options }, &(Arc::new(NoProgress) as Arc<dyn Progress>)).unwrap();
    assert_eq!(batches.columns().last(), Some(&("video".to_owned(), Type::Video)));
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.large, [LargeCell { row: 0, column: 6, source: file }]);
    // A broken one is an error, or kept as it is.
    let stage = Stage::new("echo '[error] moov atom not found' >&2; exit 1");
    let file = stage.file("a.mp4", "x");
    let options = stage.with(|video| video.rows = VideoRows::Videos);
    assert_eq!(stage.rows(&[&file], &options).unwrap_err(), "a.mp4: moov atom not found");
    let rows = stage.rows(&[&file], &ReadOptions { on_error: OnError::Skip, ..options }).unwrap();
    assert_eq!(rows, [r#"{"video_id":"a","source":"a.mp4","duration":null,"fps":null,"width":null,"height":null,"video":"eA=="}"#]);
}
