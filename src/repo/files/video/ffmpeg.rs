//! Runs ffmpeg, and reads what it gives packet by packet.
//!
//! Times come from the muxer `framecrc`, which writes for each packet a line with its time stamp and its size in bytes; `tee` puts that line right before the
//! packet's own bytes, on one pipe and in one order. So each frame has the time that ffmpeg itself gave it, and is cut off by its length, not by looking for marks.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::time::Duration;

use super::super::error::{FileError, Place};
use super::{Encoding, Sample, VideoOptions};
use crate::base::Progress;

/// The longest line that ffmpeg writes about a packet, or keeps of what it says.
const LINE_MAX: u64 = 1 << 14;
/// The most bytes of one frame.
const FRAME_MAX: u64 = 1 << 30;
/// How often it is asked whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// What ffmpeg tells of a stream, and its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The size of its pictures.
    Size(u32, u32),
    /// A packet.
    Packet {
        /// When it is shown, in microseconds from the start of the file.
        micros: i64,
        /// How long.
        duration_micros: i64,
        /// What it holds; empty where only lines were asked for.
        bytes: Vec<u8>,
    },
}

/// Reads items from what `framecrc` writes, with the packets themselves or without.
pub struct Items<R> {
    from: R,
    with_bytes: bool,
    /// Numerator and denominator of the unit of time, in seconds.
    base: (i64, i64),
}

impl<R: BufRead> Items<R> {
    pub fn new(from: R, with_bytes: bool) -> Items<R> {
        Items { from, with_bytes, base: (1, 1_000_000) }
    }

    /// The next item; `None` at the end. Any bytes are read without a panic.
    pub fn item(&mut self) -> io::Result<Option<Item>> {
        loop {
            let mut line = Vec::new();
            (&mut self.from).take(LINE_MAX).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(None);
            }
            let odd = || io::Error::new(io::ErrorKind::InvalidData, "a line that tells of no packet");
            let line = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix('\n')).ok_or_else(odd)?;
            let Some(head) = line.strip_prefix('#') else {
                return self.packet(line, odd).map(Some);
            };
            match head.split_once(": ") {
                Some(("tb 0", base)) => self.base = pair(base, '/').filter(|(_, den)| *den > 0).ok_or_else(odd)?,
                Some(("dimensions 0", size)) => {
                    let (width, height) = pair(size, 'x').ok_or_else(odd)?;
                    return Ok(Some(Item::Size(u32::try_from(width).map_err(|_| odd())?, u32::try_from(height).map_err(|_| odd())?)));
                }
                _ => {}
            }
        }
    }

    fn packet(&mut self, line: &str, odd: impl Fn() -> io::Error) -> io::Result<Item> {
        // Stream, decoding time, time, duration, size, checksum, and more that is of no interest.
        let mut fields = line.split(',').map(str::trim).skip(1);
        let mut number = || fields.next().and_then(|field| field.parse::<i64>().ok()).ok_or_else(&odd);
        let (decoded, shown, duration, size) = (number()?, number()?, number()?, number()?);
        // Old containers tell no time but that of decoding.
        let shown = if shown == i64::MIN { decoded } else { shown };
        let micros = |units: i64| {
            let scaled = i128::from(units) * i128::from(self.base.0) * 1_000_000;
            let den = i128::from(self.base.1);
            i64::try_from((scaled * 2 + den).div_euclid(den * 2)).unwrap_or(0)
        };
        let (micros, duration_micros) = (micros(shown), micros(duration));
        let mut bytes = Vec::new();
        if self.with_bytes {
            let size = u64::try_from(size).ok().filter(|size| *size <= FRAME_MAX).ok_or_else(&odd)?;
            // Grown as bytes arrive: a lying size allocates nothing.
            (&mut self.from).take(size).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Item::Packet { micros, duration_micros, bytes })
    }
}

fn pair(text: &str, between: char) -> Option<(i64, i64)> {
    let (a, b) = text.trim().split_once(between)?;
    Some((a.parse().ok()?, b.parse().ok()?))
}

/// What is done with a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Frames are taken and encoded.
    Frames,
    /// Its packets are counted, as they stand in the file.
    Count,
}

/// Arguments of a run. `sync` is the name of the option that keeps frames' own times: it was renamed within ffmpeg 5, and the old name is gone from newer ones.
fn arguments(run: &Run, sync: &str) -> Vec<OsString> {
    let options = &run.options;
    let mut words: Vec<OsString> = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"].map(OsString::from).to_vec();
    if run.strict {
        words.push("-xerror".into());
    }
    // Only files are read, whatever a playlist names; and a name is never taken for an option or a protocol.
    let mut file = OsString::from("file:");
    file.push(&run.path);
    words.extend(["-protocol_whitelist".into(), "file,crypto,data".into(), "-i".into(), file]);
    // The first video stream; covers of songs are none.
    words.extend(["-map", "0:V:0", "-an", "-sn", "-dn"].map(OsString::from));
    if run.task == Task::Count {
        words.extend(["-c", "copy", "-f", "framecrc", "pipe:1"].map(OsString::from));
        return words;
    }
    words.extend(["-vf".into(), filter(options).into(), sync.into(), "passthrough".into(), "-enc_time_base".into(), "1:1000000".into()]);
    let encoder: &[&str] = match options.encoding {
        Encoding::Jpeg => &["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"],
        Encoding::Png => &["-c:v", "png", "-pix_fmt", "rgb24"],
        Encoding::Webp => &["-c:v", "libwebp", "-quality", "90", "-pix_fmt", "yuv420p"],
    };
    words.extend(encoder.iter().map(OsString::from));
    // The same bytes on every machine, whatever its cores.
    words.extend(["-threads:v", "1", "-bitexact"].map(OsString::from));
    words.extend(["-f", "tee", "[f=framecrc:flush_packets=1]pipe:1|[f=image2pipe:flush_packets=1]pipe:1"].map(OsString::from));
    words
}

/// Which frames, and how large: with square pixels, and no wider than asked for.
fn filter(options: &VideoOptions) -> String {
    let choose = match options.sample {
        Sample::All => String::new(),
        Sample::Every(seconds) => {
            // The first frame of each window. Containers round times to milliseconds: a frame that comes so much too early is on time.
            let (rate, slack) = (1.0 / seconds, (seconds / 10.0).min(0.0006));
            let window = |time: &str| format!("floor(({time}+{slack})*{rate})");
            format!("select='isnan(prev_selected_t)+gt({},{})',", window("t"), window("prev_selected_t"))
        }
        // Compared in colour: newer ffmpegs would look at brightness alone.
        Sample::Scenes(threshold) => format!("format=rgb24,select='eq(n,0)+gt(scene,{threshold})',"),
    };
    let size = match options.width {
        Some(width) => format!("scale='max(1,round(min({width},iw*sar)))':'max(1,round(ow/(iw*sar)*ih))'"),
        None => "scale='max(1,round(iw*sar))':ih".to_owned(),
    };
    format!("{choose}{size},setsar=1")
}

/// What ffmpeg said on its stderr.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Said {
    /// The last line that tells what is wrong.
    last: Option<String>,
    /// The last line of those that only tell that something is.
    vague: Option<String>,
    /// The line that tells of a file without its end, of which ffmpeg makes no error.
    cut: Option<String>,
    /// It does not know the option for frames' own times by its new name.
    old: bool,
}

/// Lines that follow each error and tell nothing of it.
const VAGUE: &[&str] = &[
    "Task finished with error",
    "Terminating thread",
    "Error opening input",
    "Error opening output",
    "Error parsing options",
    "Error splitting the argument list",
    "Error while decoding stream",
    "Error processing packet in decoder",
    "Error submitting",
    "Failed to set value",
    "Conversion failed",
    "Nothing was written into output file",
];

impl Said {
    /// Takes a line: `[mov @ 0x55d3fe1db340] [error] moov atom not found`.
    fn hear(&mut self, line: &str, path: &Path) {
        let error = ["[error] ", "[fatal] ", "[panic] "].iter().find_map(|level| line.split_once(level)).map(|(_, text)| text.trim());
        let Some(text) = error.filter(|text| !text.is_empty()) else { return };
        let named = format!("file:{}: ", path.display());
        let text = text.strip_prefix(&named).unwrap_or(text);
        self.old |= text.contains("Unrecognized option 'fps_mode'");
        if VAGUE.iter().any(|vague| text.starts_with(vague)) {
            self.vague = Some(text.to_owned());
            return;
        }
        let told = if text.contains("matches no streams") { "it has no video stream" } else { text };
        if ["ended prematurely", "partial file"].iter().any(|cut| text.contains(cut)) {
            self.cut = Some(told.to_owned());
        }
        self.last = Some(told.to_owned());
    }

    fn reason(&self) -> Option<&String> {
        self.last.as_ref().or(self.vague.as_ref())
    }
}

/// How long the video is: `  Duration: 00:01:02.50, start: 0.000000, bitrate: 277 kb/s`.
fn duration_of(line: &str) -> Option<u64> {
    let text = line.split_once("Duration: ")?.1.split(',').next()?;
    let mut parts = text.trim().split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let micros = ((hours * 60.0 + minutes) * 60.0 + seconds) * 1e6;
    (micros > 0.0).then_some(micros as u64)
}

/// What is asked of ffmpeg.
#[derive(Debug, Clone)]
pub struct Run {
    /// The video.
    pub path: PathBuf,
    pub options: VideoOptions,
    pub task: Task,
    /// It ends at the first damage, and does not go on past it.
    pub strict: bool,
}

/// A run of ffmpeg. It is killed where this is dropped before its end.
pub struct Running {
    run: Run,
    child: Child,
    items: Receiver<io::Result<Item>>,
    said: Receiver<Said>,
    duration_micros: Arc<AtomicU64>,
    /// It was started as an old ffmpeg is, or has given something: there is no other way to start it.
    settled: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// All was read; with what ffmpeg complained of on its way.
    Whole(Option<String>),
    /// Something is wrong with the video, or with ffmpeg.
    Broken(String),
}

/// What a run gives.
#[derive(Debug)]
pub enum Next {
    Item(Item),
    End(Ended),
}

impl Running {
    /// Starts ffmpeg.
    pub fn start(run: Run) -> Result<Running, FileError> {
        Running::spawn(run, false)
    }

    fn spawn(run: Run, old: bool) -> Result<Running, FileError> {
        let program = run.options.ffmpeg.clone().unwrap_or_else(|| "ffmpeg".into());
        let mut command = Command::new(&program);
        command.args(arguments(&run, if old { "-vsync" } else { "-fps_mode" }));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C on a terminal goes to a whole group: who is to stop ffmpeg is us.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| absent(&program, run.options.ffmpeg.is_some(), e))?;
        let lost = || FileError::io("ffmpeg", io::ErrorKind::BrokenPipe.into());
        let (stdout, stderr) = (child.stdout.take().ok_or_else(lost)?, child.stderr.take().ok_or_else(lost)?);
        let with_bytes = run.task == Task::Frames;
        let (sender, items) = sync_channel(2);
        let read = move || {
            let mut from = Items::new(BufReader::with_capacity(1 << 18, stdout), with_bytes);
            while let Some(item) = from.item().transpose() {
                let last = item.is_err();
                if sender.send(item).is_err() || last {
                    return;
                }
            }
        };
        let (tell, said) = channel();
        let duration_micros = Arc::new(AtomicU64::new(0));
        let (duration, file) = (duration_micros.clone(), run.path.clone());
        let listen = move || {
            let _ = tell.send(listen(stderr, &file, &duration));
        };
        let running = Running { run, child, items, said, duration_micros, settled: old };
        std::thread::Builder::new().name("dsv-ffmpeg".to_owned()).spawn(read).map_err(|e| FileError::io("ffmpeg", e))?;
        std::thread::Builder::new().name("dsv-ffmpeg-log".to_owned()).spawn(listen).map_err(|e| FileError::io("ffmpeg", e))?;
        Ok(running)
    }

    /// How long the video is, in microseconds, once that is known.
    pub fn duration_micros(&self) -> Option<u64> {
        Some(self.duration_micros.load(Ordering::Relaxed)).filter(|micros| *micros > 0)
    }

    /// The next item, or the end; after that there is nothing more to ask for.
    pub fn next(&mut self, progress: &dyn Progress) -> Result<Next, FileError> {
        loop {
            if progress.interrupted() {
                self.stop();
                return Err(FileError::Interrupted);
            }
            match self.items.recv_timeout(TICK) {
                Ok(Ok(item)) => {
                    self.settled = true;
                    return Ok(Next::Item(item));
                }
                Ok(Err(odd)) => {
                    // Where the pipe just ends, ffmpeg has died and says why.
                    if odd.kind() != io::ErrorKind::UnexpectedEof {
                        self.stop();
                        return Ok(Next::End(Ended::Broken(format!("ffmpeg gave something else than frames: {odd}"))));
                    }
                    return match self.end(progress)? {
                        Some(Ended::Whole(_)) => Ok(Next::End(Ended::Broken("ffmpeg stopped within a frame".to_owned()))),
                        Some(ended) => Ok(Next::End(ended)),
                        None => continue,
                    };
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match self.end(progress)? {
                    Some(ended) => return Ok(Next::End(ended)),
                    None => continue,
                },
            }
        }
    }

    /// Waits for the end, and judges it; `None` where ffmpeg is too old for the first try, and was started again.
    fn end(&mut self, progress: &dyn Progress) -> Result<Option<Ended>, FileError> {
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(|e| FileError::io("ffmpeg", e))? {
                break status;
            }
            if progress.interrupted() {
                self.stop();
                return Err(FileError::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // A grandchild that keeps the pipe open is not waited for.
        let said = self.said.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        if said.old && !self.settled {
            *self = Running::spawn(self.run.clone(), true)?;
            return Ok(None);
        }
        Ok(Some(match (status.success(), &said.cut) {
            (true, None) => Ended::Whole(said.reason().cloned()),
            (true, Some(cut)) => Ended::Broken(cut.clone()),
            (false, _) => Ended::Broken(said.reason().cloned().unwrap_or_else(|| died(status))),
        }))
    }

    fn stop(&mut self) {
        // Where it has ended already there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn died(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("ffmpeg was ended by signal {signal}");
    }
    format!("ffmpeg failed with exit code {}", status.code().unwrap_or(-1))
}

/// ffmpeg cannot be started.
fn absent(program: &Path, named: bool, error: io::Error) -> FileError {
    if error.kind() != io::ErrorKind::NotFound {
        return FileError::io(program.display(), error);
    }
    let hint = "install ffmpeg (apt install ffmpeg, brew install ffmpeg), or name the program in DSV_FFMPEG";
    if named {
        return FileError::bad(program.display(), Place::File, "there is no such program, which DSV_FFMPEG names").with_hint(hint);
    }
    FileError::bad("ffmpeg", Place::File, "is not installed, and frames of videos are taken with it").with_hint(hint)
}

/// Reads all that ffmpeg says, and keeps what counts of it.
fn listen(stderr: ChildStderr, path: &Path, duration: &AtomicU64) -> Said {
    let (mut said, mut from) = (Said::default(), BufReader::new(stderr));
    loop {
        let mut line = Vec::new();
        match (&mut from).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return said,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        for line in line.split('\r') {
            said.hear(line, path);
            if duration.load(Ordering::Relaxed) == 0
                && let Some(micros) = duration_of(line)
            {
                duration.store(micros, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], with_bytes: bool) -> Result<Vec<Item>, io::ErrorKind> {
        let mut items = Items::new(bytes, with_bytes);
        std::iter::from_fn(|| items.item().transpose()).collect::<io::Result<Vec<_>>>().map_err(|e| e.kind())
    }

    fn packet(micros: i64, duration_micros: i64, bytes: &[u8]) -> Item {
        Item::Packet { micros, duration_micros, bytes: bytes.to_vec() }
    }

    #[test]
    fn packets_are_cut_off_by_their_size() {
        let text =
            b"#tb 0: 1/1000\n#codec_id 0: mjpeg\n#dimensions 0: 320x240\n0,  0,  0,  40,  3, 0x01\n#\n\n0, 33, 33, 1, 2, 0x2, S=1, Quality stats, 8, 0x3\nab";
        assert_eq!(all(text, true), Ok(vec![Item::Size(320, 240), packet(0, 40_000, b"#\n\n"), packet(33_000, 1000, b"ab")]));
        assert_eq!(all(&text[..text.len() - 1], true), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(all(b"\xff\xd8\xff\n", true), Err(io::ErrorKind::InvalidData));
        assert_eq!(all(b"0, 1, 2, 3, 99999999999999, 0x1\n", true), Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn times_are_in_the_units_of_the_stream() {
        let lines = b"#tb 0: 1001/30000\n0, -9223372036854775808, 1, 1, 9, 0x0\n0, 3, -9223372036854775808, 1, 9, 0x0\n";
        assert_eq!(all(lines, false), Ok(vec![packet(33_367, 33_367, b""), packet(100_100, 33_367, b"")]));
    }

    #[test]
    fn what_is_wrong_is_picked_from_what_is_said() {
        let said = |lines: &[&str]| {
            let mut said = Said::default();
            lines.iter().for_each(|line| said.hear(line, Path::new("a.mp4")));
            said
        };
        let torn = said(&[
            "[in#0 @ 0x55] [error] moov atom not found",
            "[in#0 @ 0x55] [error] Error opening input: Invalid data found when processing input",
            "[fatal] Error opening input files: Invalid data found when processing input",
        ]);
        assert_eq!(torn.reason().unwrap(), "moov atom not found");
        let odd = said(&["[info] x", "[in#0 @ 0x55] [error] Error opening input: Invalid data found when processing input"]);
        assert_eq!(odd.reason().unwrap(), "Error opening input: Invalid data found when processing input");
        assert_eq!(said(&["[fatal] file:a.mp4: corrupt input packet in stream 0"]).reason().unwrap(), "corrupt input packet in stream 0");
        assert_eq!(said(&["[fatal] Stream map '' matches no streams."]).reason().unwrap(), "it has no video stream");
        assert!(said(&["[matroska,webm @ 0x5] [error] File ended prematurely"]).cut.is_some());
        assert!(said(&["[error] Unrecognized option 'fps_mode'."]).old);
        assert_eq!(said(&["[h264 @ 0x1] [warning] x", "[error] "]), Said::default());
    }

    #[test]
    fn durations() {
        assert_eq!(duration_of("[info]   Duration: 01:00:02.50, start: 0.000000, bitrate: 277 kb/s"), Some(3_602_500_000));
        assert_eq!(duration_of("[info]   Duration: N/A, bitrate: N/A"), None);
        assert_eq!(duration_of("Duration: "), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), lines in "[#0-9, :/x\n-]{0,80}", with_bytes: bool) {
            let _ = all(&bytes, with_bytes);
            let _ = all(lines.as_bytes(), with_bytes);
            let _ = all(format!("#tb 0: {lines}\n#dimensions 0: {lines}\n0, {lines}\n").as_bytes(), with_bytes);
        }
    }
}
