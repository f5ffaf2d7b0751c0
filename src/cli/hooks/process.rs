//! One run of a hook's program: fed, listened to, and ended with all that it started where it takes too long or Ctrl-C is pressed.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::output::{Target, pass_on};
use super::{Found, Runs};
use crate::cli::error::CliError;

/// Time to end in peace, before what is left of it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long the end of what it says is waited for, once it ended: something that it left in the background may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The longest pause between two looks at it.
const LOOK: Duration = Duration::from_millis(20);
/// The shell that runs commands, and scripts that name no program.
const SHELL: &str = "sh";

/// Writes what a hook reads; on a thread of its own.
pub type Feed = Box<dyn FnOnce(&mut dyn Write) -> Result<(), CliError> + Send>;

/// What is to be run, and how.
pub struct Job<'a> {
    /// The hook.
    pub found: &'a Found,
    /// Adds its arguments, its folder and its variables.
    pub fill: &'a dyn Fn(&mut Command) -> Result<(), CliError>,
    /// What it reads; nothing where there is nothing.
    pub input: &'a dyn Fn() -> Result<Option<Feed>, CliError>,
    /// Where its words go.
    pub target: Target,
    /// True once it is to be stopped.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// How it ended.
enum End {
    Exit(ExitStatus),
    TooLong,
    Interrupted,
}

/// Runs it, and tells in a line what went wrong.
pub fn run(job: &Job) -> Result<(), CliError> {
    let title = job.found.title();
    let stopped = |why: String| {
        let after = job.found.hook.is_after();
        let error = CliError::no(format!("{title} {why}{}", if after { "" } else { ": nothing was changed" }));
        if job.found.hook.verifies() { error.hint("--no-verify goes on without it") } else { error }
    };
    let feed = (job.input)()?;
    let (mut child, words) = match start(job, feed.is_some())? {
        Ok(started) => started,
        Err(error) => return Err(stopped(format!("cannot be run: {}", reason(job.found, &error)))),
    };
    let threads = attend(job.target, &mut child, words, feed);
    let Ok((said, fed)) = threads else {
        end(&child, true);
        let _ = child.wait();
        return Err(CliError::fault("no thread could be started"));
    };
    let ended = watch(&mut child, job);
    let said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
    // What it did not care to read is no fault; what could not be read for it is.
    let fed = fed.and_then(|fed| fed.try_recv().ok());
    let why = match ended {
        Err(error) => format!("cannot be waited for: {error}"),
        Ok(End::Interrupted) if job.found.hook.is_after() => return Err(CliError { message: format!("{title} was interrupted"), ..CliError::interrupted() }),
        Ok(End::Interrupted) => return Err(CliError::interrupted()),
        Ok(End::TooLong) => format!("took longer than {}, and was ended", seconds(job.found.limit.unwrap_or_default())),
        Ok(End::Exit(status)) if status.success() => {
            return match fed {
                Some(Err(error)) if error.exit != 0 => Err(error),
                _ => Ok(()),
            };
        }
        Ok(End::Exit(status)) => words_of(status),
    };
    let error = stopped(why);
    Err(if said.is_empty() { error } else { error.hint(format!("it said: {said}")) })
}

fn seconds(time: Duration) -> String {
    match (time.as_secs(), time.subsec_millis()) {
        (s, 0) if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        (s, 0) => format!("{s}s"),
        (_, _) => format!("{}ms", time.as_millis()),
    }
}

/// Starts it in a process group of its own, with one pipe for all that it says.
fn start(job: &Job, is_fed: bool) -> Result<io::Result<(Child, io::PipeReader)>, CliError> {
    let attempt = |mut command: Command| -> Result<io::Result<(Child, io::PipeReader)>, CliError> {
        (job.fill)(&mut command)?;
        own_group(&mut command);
        Ok((|| {
            let (reader, writer) = io::pipe()?;
            command.stdin(if is_fed { Stdio::piped() } else { Stdio::null() }).stdout(writer.try_clone()?).stderr(writer);
            // The pipe ends with the last that can write to it: the command here is dropped.
            spawn(&mut command).map(|child| (child, reader))
        })())
    };
    match &job.found.runs {
        Runs::Script(path) => {
            let by_shell = || {
                let mut command = Command::new(SHELL);
                command.arg(path);
                command
            };
            if cfg!(not(unix)) {
                return attempt(by_shell());
            }
            match attempt(Command::new(path))? {
                // A script that does not say what runs it is a shell's.
                Err(error) if error.raw_os_error() == Some(NO_FORMAT) => attempt(by_shell()),
                other => Ok(other),
            }
        }
        Runs::Command(name, run) => {
            let mut probe = Command::new(SHELL);
            (job.fill)(&mut probe)?;
            let mut command = Command::new(SHELL);
            let script = if probe.get_args().len() > 0 { format!("{run} \"$@\"") } else { run.clone() };
            command.arg("-c").arg(script).arg(name);
            attempt(command)
        }
    }
}

/// ENOEXEC and ETXTBSY, which have these numbers everywhere.
const NO_FORMAT: i32 = 8;
const BUSY: i32 = 26;

fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            // Somebody still writes the script, perhaps a process that is just about to be another.
            Err(error) if error.raw_os_error() == Some(BUSY) && cfg!(unix) && tries < 20 => tries += 1,
            other => return other,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Why it did not start.
fn reason(found: &Found, error: &io::Error) -> String {
    if let Runs::Script(path) = &found.runs
        && error.kind() == io::ErrorKind::NotFound
        && let Some(interpreter) = interpreter(path)
    {
        return format!("there is no '{interpreter}', which its first line names");
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn interpreter(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.to_owned();
    // A line end of Windows shows.
    Some(String::from_utf8_lossy(&line).trim_matches(' ').escape_debug().to_string())
}

/// Feeds it and listens to it, each on a thread; both may outlive it, where something that it left in the background holds the pipes.
#[allow(clippy::type_complexity)]
fn attend(
    target: Target,
    child: &mut Child,
    words: io::PipeReader,
    feed: Option<Feed>,
) -> io::Result<(Receiver<String>, Option<Receiver<Result<(), CliError>>>)> {
    let (sender, said) = channel();
    Builder::new().name("dsv-hook-words".into()).spawn(move || {
        // Nobody listens any more where it takes too long.
        let _ = sender.send(pass_on(words, target));
    })?;
    let Some((feed, stdin)) = feed.zip(child.stdin.take()) else { return Ok((said, None)) };
    let (sender, fed) = channel();
    Builder::new().name("dsv-hook-input".into()).spawn(move || {
        let mut out = BufWriter::with_capacity(64 << 10, stdin);
        let done = feed(&mut out).and_then(|()| Ok(out.flush()?));
        // Told before its end is: a hook that waits for the end cannot be over before.
        let _ = sender.send(done);
        drop(out.into_parts());
    })?;
    Ok((said, Some(fed)))
}

/// Waits until it ends, or its time is over, or Ctrl-C is pressed.
fn watch(child: &mut Child, job: &Job) -> io::Result<End> {
    let began = Instant::now();
    let over = loop {
        if has_ended(child)? {
            return Ok(End::Exit(child.wait()?));
        }
        if (job.interrupted)() {
            break End::Interrupted;
        }
        if job.found.limit.is_some_and(|limit| began.elapsed() >= limit) {
            break End::TooLong;
        }
        std::thread::sleep((began.elapsed() / 8).clamp(Duration::from_micros(200), LOOK));
    };
    end(child, false);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && !has_ended(child)? {
        std::thread::sleep(LOOK);
    }
    // What it started and left behind as well. It itself is not waited for before, so that its number is nobody else's.
    end(child, true);
    child.wait()?;
    Ok(over)
}

/// How it ended, in words.
fn words_of(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("ended with exit status {code}");
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {}", signal_name(signal));
    }
    format!("ended: {status}")
}

#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    use rustix::process::Signal;
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
    ];
    names.iter().find(|(known, _)| known.as_raw() == signal).map_or_else(|| signal.to_string(), |(_, name)| format!("{name} ({signal})"))
}

/// True where the file may be executed by somebody.
pub fn is_executable(about: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    return about.is_file();
}

fn own_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

#[cfg(unix)]
fn id(child: &Child) -> Option<rustix::process::Pid> {
    i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw)
}

/// True once it has ended; its number stays its own until it is waited for.
fn has_ended(child: &mut Child) -> io::Result<bool> {
    #[cfg(unix)]
    if let Some(id) = id(child) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        return Ok(waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?.is_some());
    }
    Ok(child.try_wait()?.is_some())
}

/// Asks it and all that it started to end, or ends them. Those that are gone already are no fault.
fn end(child: &Child, is_hard: bool) {
    #[cfg(unix)]
    if let Some(id) = id(child) {
        use rustix::process::{Signal, kill_process_group};
        let _ = kill_process_group(id, if is_hard { Signal::KILL } else { Signal::TERM });
    }
    #[cfg(not(unix))]
    let _ = (child, is_hard);
}
