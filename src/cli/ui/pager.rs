//! Stdout, or a pager in front of it.

use std::io::{self, BufWriter, Stdout, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// A writer of a verb's data. Dropping it flushes, and waits until the pager is left.
pub struct Out {
    to: To,
}

enum To {
    Stdout(BufWriter<Stdout>),
    Memory(Kept),
    Pager { child: Child, stdin: Option<BufWriter<ChildStdin>> },
}

/// Bytes that are kept for a program.
pub type Kept = Arc<Mutex<Vec<u8>>>;

impl Out {
    /// Nowhere but into memory.
    pub fn kept(kept: Kept) -> Out {
        Out { to: To::Memory(kept) }
    }

    /// Stdout, buffered.
    pub fn plain() -> Out {
        Out { to: To::Stdout(BufWriter::new(io::stdout())) }
    }

    /// A pager: `$DSV_PAGER`, else `$PAGER`, else `less -FRX`; stdout itself where there is none, or it is `cat` or empty.
    pub fn paged() -> Out {
        let wanted = ["DSV_PAGER", "PAGER"].iter().find_map(|name| std::env::var(name).ok());
        let command = wanted.unwrap_or_else(|| "less".to_owned());
        if command.trim().is_empty() || command.trim() == "cat" {
            return Out::plain();
        }
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        shell.arg(if cfg!(windows) { "/C" } else { "-c" });
        // `exec` keeps a missing pager apart from one that ran: the shell then ends with 127.
        let script = if cfg!(windows) { command } else { format!("command -v {} >/dev/null 2>&1 && exec {command}", first_word(&command)) };
        shell.arg(script).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            shell.env("LESS", "FRX");
        }
        match shell.spawn() {
            Ok(mut child) => match child.stdin.take() {
                // A pager that is missing ends at once; what was to be shown must not be lost then.
                Some(_) if is_gone(&mut child) => Out::plain(),
                Some(stdin) => Out { to: To::Pager { child, stdin: Some(BufWriter::new(stdin)) } },
                None => Out::plain(),
            },
            Err(_) => Out::plain(),
        }
    }

    /// Flushes and, where there is a pager, waits for the person to leave it. Errors where stdout cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(out) => out.flush(),
            To::Memory(_) => Ok(()),
            To::Pager { child, stdin } => {
                let flushed = match stdin.take() {
                    Some(mut stdin) => stdin.flush(),
                    None => Ok(()),
                };
                child.wait()?;
                // Leaving a pager early closes its pipe: that is no fault.
                if flushed.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) { Ok(()) } else { flushed }
            }
        }
    }
}

fn first_word(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or("")
}

fn is_gone(child: &mut Child) -> bool {
    // The shell needs a moment to look the pager up.
    for _ in 0..10 {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    false
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Stdout(out) => out.write(bytes),
            To::Memory(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
            To::Pager { stdin: Some(stdin), .. } => stdin.write(bytes),
            To::Pager { stdin: None, .. } => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(out) => out.flush(),
            To::Memory(_) => Ok(()),
            To::Pager { stdin: Some(stdin), .. } => stdin.flush(),
            To::Pager { stdin: None, .. } => Ok(()),
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        // An error here was already seen by whoever called `finish`, or the verb is failing with one of its own.
        let _ = self.end();
    }
}
