//! Tells every process of a change and waits for all answers, as long as patience lasts.

use super::error::ExecError;
use super::process::Process;
use netproof_enforcer::EnforcerError;
use netproof_enforcer_process::printable;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// How much of an answer is shown that means nothing.
const SHOWN: usize = 120;

/// What a process answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    generation: Option<u64>,
    error: Option<String>,
}

/// A process that has not answered yet, and what it has still to be told.
struct Turn<'a> {
    process: &'a mut Process,
    unsent: &'a [u8],
}

/// Sends the line to every process, and returns when all have answered that the generation is in force there.
pub(super) fn tell(
    processes: &mut [Process],
    line: &[u8],
    generation: u64,
    patience: Duration,
) -> Result<(), EnforcerError> {
    let deadline = Instant::now() + patience;
    let mut open: Vec<Turn<'_>> =
        processes.iter_mut().map(|process| Turn { process, unsent: line }).collect();
    for turn in &mut open {
        let said = turn.process.begin().map_err(|source| turn.failed(source))?;
        if let Some(line) = said {
            let problem = "nothing was asked; each generation is answered once";
            return Err(turn.failed(misunderstood(&line, generation, problem, turn.process)));
        }
    }
    while !open.is_empty() {
        // Who had no processor while the time ran out is looked at once more.
        let left = deadline.saturating_duration_since(Instant::now());
        wait(&open, left)?;
        let mut waiting = Vec::new();
        for mut turn in open {
            let answered = turn.go_on(generation);
            match answered {
                Ok(true) => {}
                Ok(false) if left.is_zero() => {
                    let said = turn.process.last_words();
                    return Err(turn.failed(ExecError::Silent { generation, patience, said }));
                }
                Ok(false) => waiting.push(turn),
                Err(source) => return Err(turn.failed(source)),
            }
        }
        open = waiting;
    }
    Ok(())
}

/// Waits until something can be written or read, or the time is over.
fn wait(open: &[Turn<'_>], left: Duration) -> Result<(), EnforcerError> {
    let mut polled = Vec::with_capacity(2 * open.len());
    for turn in open {
        polled.push(PollFd::new(turn.process.output(), PollFlags::POLLIN));
        if !turn.unsent.is_empty() {
            polled.push(PollFd::new(turn.process.input(), PollFlags::POLLOUT));
        }
    }
    // Rounded up: a wait that ends a moment too early would be repeated.
    let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    match poll(&mut polled, PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => {
            // There is one: nobody waits for none.
            let failed = open.first().map(|turn| turn.failed(ExecError::Pipe(errno.into())));
            failed.map_or(Ok(()), Err)
        }
    }
}

impl Turn<'_> {
    fn failed(&self, source: ExecError) -> EnforcerError {
        EnforcerError::node(&self.process.node, source)
    }

    /// Writes and reads what can be at once; whether the answer has come, and says what was sent.
    fn go_on(&mut self, generation: u64) -> Result<bool, ExecError> {
        while !self.unsent.is_empty() {
            match self.process.write(self.unsent)? {
                0 => break,
                written => self.unsent = self.unsent.get(written..).unwrap_or_default(),
            }
        }
        match self.process.line()? {
            None => Ok(false),
            Some(line) if !self.unsent.is_empty() => {
                Err(misunderstood(&line, generation, "it has not read yet what changed", self.process))
            }
            Some(line) => match serde_json::from_slice(&line) {
                Ok(Answer { generation: Some(answered), error: None }) if answered == generation => Ok(true),
                Ok(Answer { generation: Some(answered), error: None }) => {
                    let problem = format!("that is generation {answered}");
                    Err(misunderstood(&line, generation, &problem, self.process))
                }
                Ok(_) => {
                    let problem = "it has neither a generation nor an error";
                    Err(misunderstood(&line, generation, problem, self.process))
                }
                Err(error) => Err(misunderstood(&line, generation, &error.to_string(), self.process)),
            },
        }
    }
}

/// What a line says that is not the answer to a generation: that the process cannot go on, or nothing that
/// it may say there.
fn misunderstood(line: &[u8], generation: u64, problem: &str, process: &Process) -> ExecError {
    let said = process.last_words();
    if let Ok(Answer { error: Some(error), .. }) = serde_json::from_slice(line) {
        let error = printable(error.chars().take(10 * SHOWN));
        return ExecError::Refused { generation, error, said };
    }
    let text = String::from_utf8_lossy(line);
    let mut answer = printable(text.chars().take(SHOWN));
    if text.chars().nth(SHOWN).is_some() {
        answer.push('…');
    }
    ExecError::Nonsense { generation, answer, problem: problem.to_owned(), said }
}
