//! What can go wrong with a process that enforces policy: each with what it wrote to standard error last.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use thiserror::Error;

/// Why a node's process is of no use.
#[derive(Debug, Error)]
pub enum ExecError {
    /// It could not be started.
    #[error("the enforcer `{command}` cannot be started: cannot {doing}: {source}")]
    Start {
        /// The command, as it was written.
        command: String,
        /// What could not be done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended.
    #[error("the enforcer ended ({}); it must run until its standard input is closed{said}", ended(*.status))]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it wrote last.
        said: LastWords,
    },
    /// No answer came in time.
    #[error(
        "the enforcer gave no answer to generation {generation} within {} s: it must print {{\"generation\": {generation}}} and a \
         line end when that is in force, and not keep them in a buffer (--enforcer-timeout gives it longer){said}",
        .patience.as_secs_f64()
    )]
    Silent {
        /// The generation that was sent.
        generation: u64,
        /// How long it had.
        patience: Duration,
        /// What it wrote last.
        said: LastWords,
    },
    /// It answered that it could not.
    #[error("the enforcer could not program generation {generation}: {error}{said}")]
    Refused {
        /// The generation that was sent.
        generation: u64,
        /// In its own words.
        error: String,
        /// What it wrote last.
        said: LastWords,
    },
    /// It answered something else.
    #[error(
        "the enforcer answered generation {generation} with `{answer}`: {problem}; write {{\"generation\": {generation}}} or \
         {{\"error\": \"...\"}} in one line, and everything else to standard error{said}"
    )]
    Nonsense {
        /// The generation that was sent.
        generation: u64,
        /// Its answer, or the beginning of it.
        answer: String,
        /// What is wrong with it.
        problem: String,
        /// What it wrote last.
        said: LastWords,
    },
    /// Nothing could be written to it or read from it.
    #[error("the enforcer cannot be talked to: {0}")]
    Pipe(#[source] io::Error),
}

/// How a process ended: the shell's way of telling a signal.
fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => format!("exit status {code}, which is signal {}", code - 128),
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// The last lines that a process wrote to standard error, in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastWords(String);

/// How many lines are shown, and how many characters of them.
const LINES: usize = 5;
const CHARACTERS: usize = 600;

impl LastWords {
    /// Of what was written.
    pub(super) fn of(written: &[u8]) -> LastWords {
        let text = String::from_utf8_lossy(written);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join(" | ");
        let skip = last.chars().count().saturating_sub(CHARACTERS);
        LastWords(printable(last.chars().skip(skip)))
    }
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("; it wrote nothing to standard error"),
            said => write!(f, "; it wrote last to standard error: {said}"),
        }
    }
}

/// What a terminal and a report can show: control characters escaped.
pub(super) fn printable(characters: impl Iterator<Item = char>) -> String {
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
    fn the_last_lines_are_shown_in_one() {
        let said = |text: &str| LastWords::of(text.as_bytes()).to_string();
        assert_eq!(said(""), "; it wrote nothing to standard error");
        assert_eq!(said("\n\r\n"), "; it wrote nothing to standard error");
        assert_eq!(said("a\nb\n"), "; it wrote last to standard error: a | b");
        assert_eq!(said("1\n2\n3\n4\n5\n6\n7"), "; it wrote last to standard error: 3 | 4 | 5 | 6 | 7");
        assert_eq!(said("\u{1b}[31mred\tink\n"), "; it wrote last to standard error: \\u{1b}[31mred ink");
        let long = said(&"é".repeat(5000));
        assert!(long.chars().count() < 700 && long.ends_with('é'), "{long}");
        assert_eq!(LastWords::of(&[b'a', 0xff]).to_string(), "; it wrote last to standard error: a\u{fffd}");
    }
}
