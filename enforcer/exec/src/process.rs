//! One node's process: how it is started, and what it writes.

use super::command::ExecCommand;
use super::error::{ExecError, LastWords};
use super::init;
use netproof_enforcer::EnforcerError;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The variable in which the process finds its node's name.
const NODE_VARIABLE: &str = "NETPROOF_NODE";

/// An answer is shorter.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How much of the end of standard error is looked at.
const LAST_BYTES: u64 = 4096;

/// When standard error has become as long, it begins anew with the next change.
const MOST_KEPT: u64 = 4 << 20;

/// The process of one node, with all that it started: they end when this is dropped.
pub(super) struct Process {
    pub(super) node: String,
    /// The first process of their PID namespace.
    first: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What of the output is no whole line yet, or came after one.
    begun: Vec<u8>,
    /// Standard error, to be read at any time without anybody having to empty it.
    errors: File,
}

impl Process {
    /// Starts the command in a node's network namespace.
    pub(super) fn start(
        command: &ExecCommand,
        node: &str,
        netns: BorrowedFd<'_>,
    ) -> Result<Process, ExecError> {
        let failed =
            |doing| move |source: io::Error| ExecError::Start { command: command.to_string(), doing, source };
        let errors = memfd_create(c"standard error", MFdFlags::MFD_CLOEXEC)
            .and_then(|file| fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).map(|_| File::from(file)))
            .map_err(|errno| failed("keep its standard error")(errno.into()))?;
        let theirs = errors.try_clone().map_err(failed("keep its standard error"))?;
        let mut program = Command::new(command.program());
        program.args(command.arguments()).env(NODE_VARIABLE, node);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(theirs);
        init::under_an_init(&mut program);
        // A thread of its own, because only children are born into the namespaces that it makes and goes
        // to; it ends as soon as the process is there.
        let mut first = std::thread::scope(|scope| {
            let start = || {
                enter_namespaces(netns).map_err(|(doing, errno)| failed(doing)(errno.into()))?;
                program.spawn().map_err(failed("start the program"))
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, start);
            let thread = thread.map_err(failed("start a thread"))?;
            // It has nothing that could panic; did it, so would we.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let (Some(input), Some(output)) = (first.stdin.take(), first.stdout.take()) else {
            let _ = first.kill();
            return Err(failed("start the program")(io::ErrorKind::BrokenPipe.into()));
        };
        let process = Process { node: node.to_owned(), first, input, output, begun: Vec::new(), errors };
        for end in [process.input.as_fd(), process.output.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map_err(|errno| failed("prepare its pipes")(errno.into()))?;
        }
        Ok(process)
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
        match self.first.try_wait() {
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
        let length = self.errors.metadata().map_or(0, |it| it.len());
        let from = length.saturating_sub(LAST_BYTES);
        let mut end = vec![0; usize::try_from(length - from).unwrap_or_default()];
        // What cannot be read is not shown: it was to explain another error.
        match self.errors.read_at(&mut end, from) {
            Ok(read) => LastWords::of(end.get(..read).unwrap_or_default()),
            Err(_) => LastWords::default(),
        }
    }

    /// To be called before it is told anything: what it has said unasked.
    pub(super) fn begin(&mut self) -> Result<Option<Vec<u8>>, ExecError> {
        if self.errors.metadata().is_ok_and(|it| it.len() > MOST_KEPT) {
            // It is appended to, so that what comes next begins at the start. If not, it is only long.
            let _ = self.errors.set_len(0);
        }
        self.line()
    }

    /// How it ended: its pipes are closed, which the first process keeps open as long as it is there.
    fn ended(&mut self) -> ExecError {
        match self.first.wait() {
            Ok(status) => ExecError::Ended { status, said: self.last_words() },
            Err(error) => ExecError::Pipe(error),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The kernel ends the others with it, and with them their hold on the node's namespaces. Both calls
        // fail only where it has ended.
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Takes the calling thread to the node's network and to mounts of its own, and has its children born into
/// a PID namespace of their own. What failed, if anything did.
fn enter_namespaces(netns: BorrowedFd<'_>) -> Result<(), (&'static str, Errno)> {
    let none: Option<&str> = None;
    setns(netns, CloneFlags::CLONE_NEWNET).map_err(|errno| ("enter the node's network", errno))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .map_err(|errno| ("make a mount and a PID namespace", errno))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|errno| ("make the mounts private", errno))?;
    // Lock files of this node are no other's, and no file stays.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=755"))
        .map_err(|errno| ("mount an empty /run", errno))
}
