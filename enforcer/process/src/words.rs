//! What a program wrote last, and how it ended, in words that a terminal and a report can show.

use std::fmt;
use std::process::ExitStatus;

/// How a program ended: the shell's way of telling a signal.
pub fn how_it_ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => format!("exit status {code}, which is signal {}", code - 128),
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// The last lines that a program wrote, in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    said: String,
    to: &'static str,
    lacked_buffer: bool,
}

/// How many lines are shown, and how many characters of them.
const LINES: usize = 5;
const CHARACTERS: usize = 600;

/// How far back the last lines are looked for, in bytes: the trace of a panic, and what was said before it.
pub(super) const LAST_BYTES: usize = 16 << 10;
/// What `nft` and `iptables-nft-restore` print of EMSGSIZE: a netlink message was larger than the socket's send buffer.
const TOO_LONG: &[u8] = b"Message too long";

impl LastWords {
    /// Of all that was written `to` a stream, as in `standard error`.
    pub(super) fn of(written: &[u8], to: &'static str) -> LastWords {
        let (_, end) = written.split_at(written.len().saturating_sub(LAST_BYTES));
        let text = String::from_utf8_lossy(end);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let lines = without_trace(&lines);
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join(" | ");
        let skip = last.chars().count().saturating_sub(CHARACTERS);
        let lacked_buffer = written.windows(TOO_LONG.len()).any(|words| words == TOO_LONG);
        LastWords { said: printable(last.chars().skip(skip)), to, lacked_buffer }
    }

    /// Whether the program wrote, at any time, that a netlink message did not fit into a socket's buffer.
    pub fn lacked_buffer(&self) -> bool {
        self.lacked_buffer
    }
}

/// A program in Go that panics writes the trace of its goroutines after what it has to say.
fn without_trace<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let begins = |line: &&str| line.starts_with("goroutine ") && line.ends_with("]:");
    match lines.iter().position(begins) {
        Some(trace) if trace > 0 => lines.split_at(trace).0,
        _ => lines,
    }
}

/// What follows the text of an error.
impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said.as_str() {
            "" => write!(f, "; it wrote nothing to {}", self.to),
            said => write!(f, "; it wrote last to {}: {said}", self.to),
        }
    }
}

/// What a terminal and a report can show: control characters escaped.
pub fn printable(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for character in characters {
        match character {
            '\t' => text.push(' '),
            _ if character.is_control() => text.extend(character.escape_default()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_no_words() {
        let said = |text: &str| LastWords::of(text.as_bytes(), "standard error").to_string();
        let trace =
            "goroutine 185 [running]:\nmain.apply(0xc0)\n\t/src/table.go:1188 +0xaa9\ncreated by main.loop\n";
        let other = "goroutine 1 [chan receive, 2 minutes]:\nmain.main()\n\t/src/main.go:12 +0x1d\n";
        let panic = format!("ready\n[PANIC] no table\npanic: no table\n\n{trace}\n{other}");
        assert_eq!(
            said(&panic),
            "; it wrote last to standard error: ready | [PANIC] no table | panic: no table"
        );
        // What is kept may begin within it.
        assert!(said(trace).ends_with("created by main.loop"), "{}", said(trace));
    }

    /// Also where it has said much since.
    #[test]
    fn a_message_that_did_not_fit_is_remembered() {
        let later = "trying again\n".repeat(5000);
        let of = |text: &str| LastWords::of(text.as_bytes(), "standard error").lacked_buffer();
        assert!(of(&format!("line 439 failed: Message too long.\n{later}")));
        assert!(!of(&later));
        assert!(!of(""));
    }

    #[test]
    fn the_last_lines_are_shown_in_one() {
        let of = |bytes: &[u8]| LastWords::of(bytes, "standard error").to_string();
        let said = |text: &str| of(text.as_bytes());
        assert_eq!(said(""), "; it wrote nothing to standard error");
        assert_eq!(said("\n\r\n"), "; it wrote nothing to standard error");
        assert_eq!(said("a\nb\n"), "; it wrote last to standard error: a | b");
        assert_eq!(said("1\n2\n3\n4\n5\n6\n7"), "; it wrote last to standard error: 3 | 4 | 5 | 6 | 7");
        assert_eq!(said("\u{1b}[31mred\tink\n"), "; it wrote last to standard error: \\u{1b}[31mred ink");
        let long = said(&"é".repeat(5000));
        assert!(long.chars().count() < 700 && long.ends_with('é'), "{long}");
        assert_eq!(of(&[b'a', 0xff]), "; it wrote last to standard error: a\u{fffd}");
    }
}
