//! Videos become frames, by a real ffmpeg: which frames, their times, their pictures and captions, and what happens to broken ones.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

use crate::support::{Sandbox, ffmpeg};

/// A repository, and the ffmpeg that makes videos in it and takes frames of them.
struct Studio {
    s: Sandbox,
    ffmpeg: PathBuf,
}

/// A picture whose grey tells its number: frame n is of brightness 40 + 5n.
const COUNTING: &str = "color=black:size=64x48:rate=10:duration=3,format=gray,geq=lum='40+5*N'";

/// What is seen of a frame.
#[derive(Debug, PartialEq)]
struct Frame {
    video: String,
    index: i64,
    /// Milliseconds, to the nearest.
    at: i64,
    size: (i32, i32),
    /// Red, green and blue of the middle.
    color: [u8; 3],
    format: Option<image::ImageFormat>,
}

impl Frame {
    /// The number of a frame of [`COUNTING`].
    fn number(&self) -> i64 {
        (f64::from(self.color[1]) / 5.0 - 8.0).round() as i64
    }

    fn is(&self, color: [u8; 3]) -> bool {
        self.color.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 24)
    }
}

impl Studio {
    fn new() -> Option<Studio> {
        let ffmpeg = ffmpeg()?;
        let mut s = Sandbox::repo();
        s.set("DSV_FFMPEG", &ffmpeg);
        Some(Studio { s, ffmpeg })
    }

    #[track_caller]
    fn run(&self, args: &[&str]) {
        let done = Command::new(&self.ffmpeg).args(["-v", "error", "-nostdin", "-y"]).args(args).current_dir(self.s.path(".")).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Makes a video of what the filters draw.
    #[track_caller]
    fn film(&self, name: &str, filters: &str, args: &[&str]) {
        std::fs::create_dir_all(self.s.path(name).parent().unwrap()).unwrap();
        self.run(&[&["-f", "lavfi", "-i", filters], args, &["-pix_fmt", "yuv420p", name]].concat());
    }

    fn import(&self, args: &str) -> String {
        let words: Vec<&str> = args.split(' ').collect();
        self.s.ok([&["import"][..], &words, &["--json"]].concat())
    }

    /// The frames of a table, decoded.
    fn frames(&self, table: &str) -> Vec<Frame> {
        self.s.ok(["export", table, "out.arrow", "--force"]);
        let reader = arrow::ipc::reader::FileReader::try_new(std::fs::File::open(self.s.path("out.arrow")).unwrap(), None).unwrap();
        let mut frames = Vec::new();
        for batch in reader {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            for row in 0..batch.num_rows() {
                let bytes = column("frame").as_binary::<i32>().value(row).to_vec();
                let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
                let side = |name: &str| column(name).as_primitive::<Int32Type>().value(row);
                assert_eq!((side("width"), side("height")), (picture.width() as i32, picture.height() as i32));
                frames.push(Frame {
                    video: column("video_id").as_string::<i32>().value(row).to_owned(),
                    index: column("frame_index").as_primitive::<Int64Type>().value(row),
                    at: ((column("timestamp").as_primitive::<Float64Type>().value(row) * 1e6).round() as i64 + 500) / 1000,
                    size: (side("width"), side("height")),
                    color: picture.get_pixel(picture.width() / 2, picture.height() / 2).0,
                    format: image::guess_format(&bytes).ok(),
                });
            }
        }
        frames
    }

    fn csv(&self, sql: &str) -> String {
        self.s.ok(["query", sql, "--format", "csv"])
    }
}

fn times(frames: &[Frame]) -> Vec<i64> {
    assert!(frames.iter().enumerate().all(|(i, frame)| frame.index == i as i64));
    frames.iter().map(|frame| frame.at).collect()
}

#[test]
fn frames_are_those_of_their_moments() {
    let Some(studio) = Studio::new() else { return };
    studio.film("clips/count.mp4", COUNTING, &[]);
    let done = studio.import("two clips/count.mp4 --fps 2");
    assert!(done.starts_with(r#"{"table":"two","created":true,"rows":6,"columns":7,"rows_added":6,"#), "{done}");
    let frames = studio.frames("two");
    assert_eq!(times(&frames), [0, 500, 1000, 1500, 2000, 2500]);
    for frame in &frames {
        // The picture is that of the moment.
        assert_eq!((frame.number() * 100, frame.size, frame.video.as_str()), (frame.at, (64, 48), "count"));
        assert_eq!(frame.format, Some(image::ImageFormat::Jpeg));
    }
    assert_eq!(studio.csv("SELECT DISTINCT source FROM two"), "source\nclips/count.mp4\n");
    assert!(studio.s.ok(["table", "describe", "two"]).contains("key"), "{}", studio.s.ok(["table", "describe", "two"]));
    // Between two frames: the next one. More than there are: each once.
    studio.import("odd clips/count.mp4 --every 250ms --frame-format png");
    let frames = studio.frames("odd");
    assert_eq!(times(&frames), [0, 300, 500, 800, 1000, 1300, 1500, 1800, 2000, 2300, 2500, 2800]);
    assert!(frames.iter().all(|frame| frame.number() * 100 == frame.at && frame.format == Some(image::ImageFormat::Png)));
    for (table, how) in [("many", "--fps 60000/1001"), ("each", "--every frame")] {
        studio.import(&format!("{table} clips/count.mp4 {how}"));
        assert_eq!(times(&studio.frames(table)), (0..30).map(|i| i * 100).collect::<Vec<_>>(), "{how}");
    }
    assert!(studio.s.ok(["operations"]).contains("import many clips/count.mp4 --fps 60000/1001"));
}

#[test]
fn times_are_exact_at_any_rate() {
    let Some(studio) = Studio::new() else { return };
    // Thirtieths of a second, of which some frames are missing; a rate that is no whole number; and a video that begins after its sound.
    studio.film("vfr.mp4", "testsrc2=size=64x48:rate=30:duration=2,select='not(mod(n,7))+not(mod(n,3))'", &["-fps_mode", "passthrough"]);
    studio.film("ntsc.mov", "testsrc2=size=64x48:rate=30000/1001:duration=2", &[]);
    studio.film("late.mp4", "sine=duration=2", &["-itsoffset", "0.4", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1"]);
    studio.import("frames vfr.mp4 ntsc.mov late.mp4 --every frame");
    let all = studio.frames("frames");
    let of = |video: &str| all.iter().filter(|frame| frame.video == video).map(|frame| frame.at).collect::<Vec<_>>();
    let vfr: Vec<i64> = (0..60).filter(|n| n % 7 == 0 || n % 3 == 0).map(|n| (f64::from(n) / 0.03).round() as i64).collect();
    assert_eq!(of("vfr"), vfr);
    assert_eq!(of("ntsc"), (0..60).map(|n| (f64::from(n) * 1001.0 / 30.0).round() as i64).collect::<Vec<_>>());
    assert_eq!(of("late"), (4..14).map(|n| n * 100).collect::<Vec<_>>());
    // To the microsecond.
    assert_eq!(studio.csv("SELECT timestamp FROM frames WHERE video_id = 'ntsc' AND frame_index IN (1, 3)"), "timestamp\n0.033367\n0.1001\n");
}

#[test]
fn scenes_are_found_by_their_colours() {
    let Some(studio) = Studio::new() else { return };
    // Red and green are of one brightness; the last scene is hardly another.
    let scene = |color: &str| format!("color={color}:size=64x48:rate=10:duration=1");
    let film = format!("{}[a];{}[b];{}[c];{}[d];[a][b][c][d]concat=n=4", scene("0xdd0000"), scene("0x009900"), scene("0x2222ee"), scene("0x4444ee"));
    studio.film("film.mp4", &film, &[]);
    studio.import("shots film.mp4 --scene");
    let frames = studio.frames("shots");
    assert_eq!(times(&frames), [0, 1000, 2000]);
    assert!(frames.iter().zip([[0xdd, 0, 0], [0, 0x99, 0], [0x22, 0x22, 0xee]]).all(|(frame, color)| frame.is(color)), "{frames:?}");
    for (table, how, at) in [("more", "--scene=0.02", &[0, 1000, 2000, 3000][..]), ("one", "--scene=1", &[0])] {
        studio.import(&format!("{table} film.mp4 {how}"));
        assert_eq!(times(&studio.frames(table)), at, "{how}");
    }
}

#[test]
fn frames_are_scaled_down_and_made_square() {
    let Some(studio) = Studio::new() else { return };
    studio.film("wide.mp4", "testsrc2=size=320x200:rate=5:duration=0.4", &[]);
    studio.film("small.mp4", "testsrc2=size=64x48:rate=5:duration=0.4", &[]);
    studio.film("anamorphic.mp4", "testsrc2=size=120x96:rate=5:duration=0.4,setsar=2/1", &[]);
    studio.import("frames wide.mp4 small.mp4 anamorphic.mp4 --every frame --width 128 --frame-format webp");
    let frames = studio.frames("frames");
    let sizes: Vec<_> = frames.iter().map(|frame| (frame.video.as_str(), frame.size)).collect();
    let each = [("wide", (128, 80)), ("small", (64, 48)), ("anamorphic", (128, 51))];
    assert_eq!(sizes, each.iter().flat_map(|frame| [*frame, *frame]).collect::<Vec<_>>());
    assert!(frames.iter().all(|frame| frame.format == Some(image::ImageFormat::WebP)));
}

#[test]
fn captions_are_those_of_the_moment() {
    let Some(studio) = Studio::new() else { return };
    for name in ["a.mp4", "b.mp4", "c.mp4"] {
        studio.film(name, COUNTING, &[]);
    }
    studio.s.file("a.vtt", "WEBVTT\n\n00:00.500 --> 00:01.000 align:start\n<v Ada>one\n\n00:00.500 --> 00:02.001\ntwo &amp; more\n");
    studio.s.file("b.srt", "\u{feff}1\r\n00:00:02,000 --> 00:00:02,500\r\n<i>late</i>\r\n");
    studio.s.file("other.srt", "1\n00:00:00,000 --> 01:00:00,000\nall along\n");
    let done = studio.import("frames a.mp4 b.mp4 c.mp4 --fps 2");
    assert!(done.contains("\"rows\":18,\"columns\":8"), "{done}");
    assert_eq!(
        studio.csv("SELECT video_id, timestamp, replace(caption, chr(10), '|') AS caption FROM frames WHERE caption IS NOT NULL ORDER BY 1, 2"),
        "video_id,timestamp,caption\na,0.5,one|two & more\na,1.0,two & more\na,1.5,two & more\na,2.0,two & more\nb,2.0,late\n"
    );
    studio.import("without a.mp4 --fps 1 --subtitles none");
    assert!(
        studio.s.ok(["query", "SELECT * EXCLUDE (frame) FROM without", "--format", "csv"]).starts_with("video_id,frame_index,timestamp,width,height,source\n")
    );
    studio.import("named a.mp4 --fps 1 --subtitles other.srt");
    assert_eq!(studio.csv("SELECT DISTINCT caption FROM named"), "caption\nall along\n");
}

#[test]
fn a_second_import_goes_by_the_frames_keys() {
    let Some(studio) = Studio::new() else { return };
    studio.film("a.mp4", COUNTING, &[]);
    studio.film("b.mp4", "testsrc2=size=64x48:rate=10:duration=1", &[]);
    studio.import("frames a.mp4 --fps 1");
    studio.s.ok(["commit", "-m", "a"]);
    // The same again gives the same bytes: nothing differs.
    for how in ["--replace", "--key video_id,frame_index"] {
        let done = studio.import(&format!("frames a.mp4 --fps 1 {how}"));
        assert!(done.contains("\"rows_added\":0,\"rows_removed\":0,\"rows_changed\":0,"), "{how}: {done}");
        assert!(studio.s.ok(["status", "--json"]).contains("\"clean\":true"), "{how}");
    }
    assert!(studio.s.refused(2, ["import", "frames", "b.mp4", "--fps", "1"]).contains("'frames' exists already"));
    assert!(studio.s.refused(3, ["import", "frames", "a.mp4", "--fps", "1", "--append"]).contains("(video_id, frame_index) = (a, 0) stands twice"));
    let done = studio.import("frames b.mp4 --fps 2 --append");
    assert!(done.contains("\"rows\":5,") && done.contains("\"rows_added\":2,"), "{done}");
    let done = studio.import("frames b.mp4 --fps 5 --replace");
    assert!(done.contains("\"rows\":5,") && done.contains("\"rows_removed\":3,"), "{done}");
    studio.s.ok(["undo"]);
    assert_eq!(studio.csv("SELECT count(*) AS n FROM frames"), "n\n5\n");
}

#[test]
fn videos_are_kept_as_large_values() {
    let Some(studio) = Studio::new() else { return };
    // Over 4 MiB, and under.
    studio.film("clips/large.avi", "testsrc2=size=320x240:rate=25:duration=2", &["-c:v", "rawvideo"]);
    studio.film("clips/small.mp4", COUNTING, &[]);
    assert!(std::fs::metadata(studio.s.path("clips/large.avi")).unwrap().len() > 5 << 20);
    let done = studio.import("frames clips --fps 1 --keep");
    let lines: Vec<&str> = done.lines().collect();
    assert_eq!(lines.len(), 2, "{done}");
    assert!(
        lines[0].starts_with(r#"{"table":"frames","created":true,"rows":5,"#) && lines[1].starts_with(r#"{"table":"videos","created":true,"rows":2,"#),
        "{done}"
    );
    assert_eq!(
        studio.csv("SELECT video_id, source, duration, fps, width, height, byte_length(video) AS bytes FROM videos"),
        format!(
            "video_id,source,duration,fps,width,height,bytes\nlarge,clips/large.avi,2.0,25.0,320,240,{}\nsmall,clips/small.mp4,3.0,10.0,64,48,{}\n",
            std::fs::metadata(studio.s.path("clips/large.avi")).unwrap().len(),
            std::fs::metadata(studio.s.path("clips/small.mp4")).unwrap().len()
        )
    );
    for name in ["large.avi", "small.mp4"] {
        let stem = name.split('.').next().unwrap();
        let kept = studio.s.command(["cat", "videos", "video", stem]).output().unwrap();
        assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
        assert!(kept.stdout == std::fs::read(studio.s.path(&format!("clips/{name}"))).unwrap(), "{name}: other bytes");
    }
    // Both tables are one operation; and videos that are there are not written again.
    studio.s.ok(["commit", "-m", "clips"]);
    let done = studio.import("frames clips --fps 1 --keep --replace");
    assert_eq!(done.matches("\"rows_added\":0,\"rows_removed\":0,\"rows_changed\":0,").count(), 2, "{done}");
    assert!(studio.s.ok(["status", "--json"]).contains("\"clean\":true"));
    studio.import("more clips/small.mp4 --fps 2 --keep=films");
    studio.s.ok(["undo"]);
    let tables = studio.s.ok(["table", "list"]);
    assert!(!tables.contains("more") && !tables.contains("films") && tables.contains("videos"), "{tables}");
    assert!(studio.s.refused(2, ["import", "x", "clips/small.mp4", "--fps", "1", "--keep=x"]).contains("'x' is to hold the frames and the videos"));
    studio.s.ok(["verify"]);
}

#[test]
fn broken_videos_are_told_and_change_nothing() {
    let Some(studio) = Studio::new() else { return };
    let s = &studio.s;
    studio.film("good.mp4", COUNTING, &[]);
    studio.film("noise.mkv", "testsrc2=size=160x120:rate=10:duration=3", &[]);
    studio.run(&["-i", "noise.mkv", "-c", "copy", "-movflags", "+faststart", "noise.mp4"]);
    studio.run(&["-f", "lavfi", "-i", "sine=duration=1", "sound.mp3"]);
    let half = |from: &str, to: &str| {
        let bytes = std::fs::read(s.path(from)).unwrap();
        s.file(to, &bytes[..bytes.len() / 2]);
    };
    half("good.mp4", "headless.mp4");
    half("noise.mp4", "half.mp4");
    half("noise.mkv", "half.mkv");
    s.file("text.mp4", "no video at all, and yet longer than a header would be");
    s.file("empty.mp4", "");
    let mut bytes = std::fs::read(s.path("noise.mp4")).unwrap();
    let length = bytes.len();
    bytes[length / 2..length / 2 + 3000].fill(0x55);
    s.file("damaged.mp4", bytes);
    for (file, why) in [
        ("headless.mp4", "moov atom not found"),
        ("half.mp4", ""),
        ("half.mkv", "File ended prematurely"),
        ("text.mp4", "moov atom not found"),
        ("empty.mp4", ""),
        ("damaged.mp4", ""),
        ("sound.mp3", "it has no video stream"),
    ] {
        let told = s.refused(3, ["import", "frames", "good.mp4", file, "--fps", "5"]);
        assert!(told.starts_with(&format!("error: {file}: ")) && told.contains(why) && told.contains("hint: --on-error skip"), "{told}");
    }
    let ran = s.run(["import", "frames", "half.mkv", "headless.mp4", "good.mp4", "--every", "frame", "--on-error", "skip"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: half.mkv: frames are missing after the first ") && ran.stderr.contains("warning: headless.mp4: left out: "),
        "{}",
        ran.stderr
    );
    let frames = studio.frames("frames");
    let count = |video: &str| frames.iter().filter(|frame| frame.video == video).count();
    assert!((5..30).contains(&count("half")) && count("headless") == 0 && count("good") == 30, "{} {}", count("half"), count("good"));
}

#[test]
fn wrong_use_and_what_is_missing() {
    let mut s = Sandbox::repo();
    s.file("clip.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isom\0\0\0\x08free");
    s.file("more/clip.mp4", "x");
    s.file("clip.srt", "1\n00:00:01,000 -> 00:00:02,000\nhello\n");
    s.set("PATH", s.path("nothing-here"));
    let mut told = String::new();
    for args in [
        "clip.mp4",
        "clip.mp4 --fps 2 --scene",
        "clip.mp4 --width 100",
        "clip.mp4 --fps 0",
        "clip.mp4 --every 5",
        "clip.mp4 --scene=2",
        "clip.mp4 --fps 1 --width 0",
        "clip.mp4 --fps 1 --frame-format gif",
        "clip.mp4 --fps 1 --on-error null",
        "clip.mp4 --fps 1 --media path",
        "- --fps 1",
        "clop.mp4 --fps 1",
        "clip.mp4 more/clip.mp4 --fps 1",
        "clip.mp4 more/clip.mp4 --fps 1 --video-id path --subtitles clip.srt",
        "clip.mp4 --fps 1",
        "clip.mp4 --fps 1 --subtitles none",
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let code = if s.run([&["import", "t"][..], &words].concat()).code == 2 { 2 } else { 3 };
        told += &format!("$ dsv import t {args}\n{}[exit {code}]\n", s.refused(code, [&["import", "t"][..], &words].concat()));
    }
    insta::assert_snapshot!(told);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_ffmpeg_too() {
    let mut s = Sandbox::birds();
    let before = (s.files(), s.state());
    s.file("clip.mp4", "x");
    let program = s.file("bin/ffmpeg", format!("#!/bin/sh\necho $$ > '{0}.new'; mv '{0}.new' '{0}'\nexec sleep 600\n", s.path("pid").display()));
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    s.set("DSV_FFMPEG", program);
    let child = s.command(["import", "frames", "clip.mp4", "--fps", "1"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let within = |what: &str, mut is_so: Box<dyn FnMut() -> bool + '_>| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    within("ffmpeg starts", Box::new(|| s.path("pid").exists()));
    let pid = s.read("pid");
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(130), "error: interrupted: nothing was changed\n"));
    within("ffmpeg ends", Box::new(|| !Path::new("/proc").join(pid.trim()).exists()));
    assert_eq!((s.files(), s.state()), before);
}
