//! One node's process: what it is told, and what it answers.

use super::command::ExecCommand;
use super::error::ExecError;
use netproof_enforcer::EnforcerError;
use netproof_enforcer_process::{Environment, Files, LastWords, Launch, Output, Process as Program};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{ChildStdin, ChildStdout};

/// The variable in which the process finds its node's name.
const NODE_VARIABLE: &str = "NETPROOF_NODE";

/// An answer is shorter.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The process of one node, with all that it started: they end when this is dropped.
pub(super) struct Process {
    pub(super) node: String,
    program: Program,
    input: ChildStdin,
    output: ChildStdout,
    /// What of the output is no whole line yet, or came after one.
    begun: Vec<u8>,
}

impl Process {
    /// Starts the command in a node's network namespace.
    pub(super) fn start(
        command: &ExecCommand,
        node: &str,
        netns: BorrowedFd<'_>,
    ) -> Result<Process, ExecError> {
        let launch = Launch {
            program: command.program().into(),
            arguments: command.arguments().iter().map(Into::into).collect(),
            environment: Environment::Inherited(vec![(NODE_VARIABLE.into(), node.into())]),
            output: Output::Piped,
            files: Files::Open,
        };
        let mut program = Program::start(&launch, netns)
            .map_err(|source| ExecError::Start { command: command.to_string(), source })?;
        let pipes = |source: io::Error| ExecError::Pipes { command: command.to_string(), source };
        let (Some(input), Some(output)) = (program.input.take(), program.output.take()) else {
            return Err(pipes(io::ErrorKind::BrokenPipe.into()));
        };
        for end in [input.as_fd(), output.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| pipes(errno.into()))?;
        }
        Ok(Process { node: node.to_owned(), program, input, output, begun: Vec::new() })
    }

    /// Where the process reads, for `poll`.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Where the process writes, for `poll`.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Writes as much as it takes; says how much.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, ExecError> {
        match self.input.write(bytes) {
            Ok(written) => Ok(written),
            Err(error) if is_later(&error) => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.ended()),
            Err(error) => Err(ExecError::Pipe(error)),
        }
    }

    /// Reads what there is, up to the first whole line, if there is one, without its end.
    pub(super) fn line(&mut self) -> Result<Option<Vec<u8>>, ExecError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.begun, rest);
                line.truncate(end);
                return Ok(Some(line));
            }
            if self.begun.len() > LONGEST_ANSWER {
                return Ok(Some(std::mem::take(&mut self.begun)));
            }
            match self.output.read(&mut buffer) {
                Ok(0) => return Err(self.ended()),
                Ok(read) => self.begun.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_later(&error) => return Ok(None),
                Err(error) => return Err(ExecError::Pipe(error)),
            }
        }
    }

    /// Whether it is still there.
    pub(super) fn check(&mut self) -> Result<(), EnforcerError> {
        match self.program.ended() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                let source = ExecError::Ended { status, said: self.last_words() };
                Err(EnforcerError::node(&self.node, source))
            }
            Err(error) => Err(EnforcerError::node(&self.node, ExecError::Pipe(error))),
        }
    }

    /// What it wrote last to standard error.
    pub(super) fn last_words(&self) -> LastWords {
        self.program.last_words()
    }

    /// To be called before it is told anything: what it has said unasked.
    pub(super) fn begin(&mut self) -> Result<Option<Vec<u8>>, ExecError> {
        self.program.trim();
        self.line()
    }

    /// How it ended: its pipes are closed, which the first process keeps open as long as it is there.
    fn ended(&mut self) -> ExecError {
        match self.program.wait() {
            Ok(status) => ExecError::Ended { status, said: self.last_words() },
            Err(error) => ExecError::Pipe(error),
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
