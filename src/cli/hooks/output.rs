//! What a hook says goes to our stderr, since stdout is for data: bytes as they are, but on a terminal nothing that moves the cursor.

use std::io::{self, IsTerminal, Read, Write};

use crate::cli::ui::format;

/// What is passed on of one hook; more is read, so that it does not wait, and dropped.
const SHOWN_MAX: u64 = 8 << 20;
/// What is kept for a program.
const KEPT_MAX: usize = 2 << 10;

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To stderr, byte by byte.
    Plain,
    /// To stderr, which is a terminal.
    Terminal,
    /// Nowhere: the last of it is kept.
    Kept,
}

impl Target {
    /// As stderr is.
    pub fn of_stderr() -> Target {
        if io::stderr().is_terminal() { Target::Terminal } else { Target::Plain }
    }
}

/// Passes on what comes until it ends; returns the last of it where it is kept.
pub fn pass_on(mut from: impl Read, target: Target) -> String {
    let (mut part, mut shown, mut kept, mut cut) = (vec![0; 16 << 10], 0u64, Vec::new(), Vec::new());
    loop {
        let n = match from.read(&mut part) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let bytes = part.get(..n).unwrap_or_default();
        if target == Target::Kept {
            kept.extend_from_slice(bytes);
            kept.drain(..kept.len().saturating_sub(KEPT_MAX));
            continue;
        }
        if shown > SHOWN_MAX {
            continue;
        }
        shown += n as u64;
        let mut err = io::stderr().lock();
        // Where stderr cannot be written there is nobody to tell.
        let _ = if target == Target::Terminal { err.write_all(tame(&mut cut, bytes).as_bytes()) } else { err.write_all(bytes) };
        if shown > SHOWN_MAX {
            let _ = writeln!(err, "\n(it says more than {}; the rest is not shown)", format::bytes(SHOWN_MAX));
        }
    }
    tame(&mut Vec::new(), &kept).trim().to_owned()
}

/// Text in which no character moves the cursor but line ends and tabs. `cut` holds a character's first bytes from one part to the next.
fn tame(cut: &mut Vec<u8>, bytes: &[u8]) -> String {
    let mut all = std::mem::take(cut);
    all.extend_from_slice(bytes);
    let mut out = String::with_capacity(all.len());
    let mut chunks = all.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        out.extend(chunk.valid().chars().map(|c| match c {
            '\n' | '\t' => c,
            '\u{7f}' => '\u{2421}',
            // The pictures of control characters.
            c if (c as u32) < 0x20 => char::from_u32(0x2400 + c as u32).unwrap_or('?'),
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        }));
        let rest = chunk.invalid();
        if chunks.peek().is_none() && !rest.is_empty() && std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none()) {
            *cut = rest.to_vec();
        } else if !rest.is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        let tamed = |parts: &[&[u8]]| {
            let mut cut = Vec::new();
            parts.iter().map(|part| tame(&mut cut, part)).collect::<String>()
        };
        assert_eq!(tamed(&[b"a\tb\n", b"\x1b[2J\r\x07\x7f"]), "a\tb\n\u{241b}[2J\u{240d}\u{2407}\u{2421}");
        // A character cut in two is whole again; bytes that are none are marked.
        assert_eq!(tamed(&[b"\xe2\x82", b"\xac \xff\xfe", b"\xc2\x9b1m"]), "\u{20ac} \u{fffd}\u{fffd}\u{fffd}1m");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let told = pass_on(io::repeat(b'x').take(1 << 20).chain(&b" the end\n"[..]), Target::Kept);
        assert!(told.len() <= KEPT_MAX && told.ends_with("x the end"));
    }
}
