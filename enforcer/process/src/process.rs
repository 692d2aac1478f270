//! The running program: how it is started, what it writes, and its end.

use super::init;
use super::launch::{Environment, Launch, Output};
use super::words::LastWords;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::env;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use thiserror::Error;

/// How much of the end of what it wrote is looked at.
const LAST_BYTES: u64 = 4096;

/// When it has written as much, what is kept begins anew.
const MOST_KEPT: u64 = 4 << 20;

/// Why a program was not started.
#[derive(Debug, Error)]
#[error("cannot {doing}: {source}")]
pub struct StartError {
    /// What could not be done, as in `start the program`.
    pub doing: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl StartError {
    pub(super) fn new(doing: impl Into<String>, source: impl Into<io::Error>) -> StartError {
        StartError { doing: doing.into(), source: source.into() }
    }
}

/// A program with all that it started: they end when this is dropped.
pub struct Process {
    /// The first process of their PID namespace.
    first: Child,
    /// What it reads. Closed, it ends.
    pub input: ChildStdin,
    /// What it writes, where that is a pipe ([`Output::Piped`]).
    pub output: Option<ChildStdout>,
    written: Written,
}

/// What the program writes that nobody reads as it comes: in memory, to be looked at at any time.
struct Written {
    file: File,
    /// Where it wrote it, in words.
    to: &'static str,
}

impl Process {
    /// Starts the program in a network namespace.
    pub fn start(launch: &Launch, netns: BorrowedFd<'_>) -> Result<Process, StartError> {
        let to = match launch.output {
            Output::Piped => "standard error",
            Output::Kept => "standard output and error",
        };
        let keep = |source: io::Error| StartError::new(format!("keep its {to}"), source);
        let file = memfd_create(c"written", MFdFlags::MFD_CLOEXEC)
            .and_then(|file| fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND)).map(|_| File::from(file)))
            .map_err(|errno| keep(errno.into()))?;
        let mut program = Command::new(&launch.program);
        program.args(&launch.arguments);
        match &launch.environment {
            Environment::Inherited(more) => program.envs(more.iter().cloned()),
            Environment::Only(all) => {
                let path = env::var_os("PATH").map(|path| ("PATH", path));
                program.env_clear().envs(path).env("HOME", "/tmp").envs(all.iter().cloned())
            }
        };
        program.stdin(Stdio::piped()).stderr(file.try_clone().map_err(keep)?);
        match launch.output {
            Output::Piped => program.stdout(Stdio::piped()),
            Output::Kept => program.stdout(file.try_clone().map_err(keep)?),
        };
        init::under_an_init(&mut program);
        // A thread of its own, because only children are born into the namespaces that it makes and goes
        // to; it ends as soon as the process is there.
        let mut first = thread::scope(|scope| {
            let start = || {
                enter_namespaces(netns)?;
                program.spawn().map_err(|error| StartError::new("start the program", error))
            };
            let thread = thread::Builder::new().spawn_scoped(scope, start);
            let thread = thread.map_err(|error| StartError::new("start a thread", error))?;
            // It has nothing that could panic; did it, so would we.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let Some(input) = first.stdin.take() else {
            let _ = first.kill();
            let _ = first.wait();
            return Err(StartError::new("start the program", io::ErrorKind::BrokenPipe));
        };
        let output = first.stdout.take();
        Ok(Process { first, input, output, written: Written { file, to } })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.first.try_wait()
    }

    /// Waits for its end. Call it where its pipes are closed: the first process keeps them open as long as it is there.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.first.wait()
    }

    /// What it wrote last, of what is kept.
    pub fn last_words(&self) -> LastWords {
        LastWords::of(&self.written.end(), self.written.to)
    }

    /// Takes the room of what it wrote, but for the end, if that is much. Call it now and then: what is kept lies in
    /// memory.
    pub fn trim(&mut self) {
        self.written.trim();
    }
}

impl Written {
    fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |it| it.len())
    }

    /// What cannot be read is not shown: it was to explain another error.
    fn end(&self) -> Vec<u8> {
        let from = self.length().saturating_sub(LAST_BYTES);
        let mut end = Vec::new();
        let mut buffer = [0; LAST_BYTES as usize];
        if let Ok(read) = self.file.read_at(&mut buffer, from) {
            end.extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
        end
    }

    fn trim(&mut self) {
        if self.length() > MOST_KEPT {
            let end = self.end();
            // It is appended to, so that what comes next begins at the start. If not, it is only long, or its end lost.
            let _ = self.file.set_len(0);
            let _ = io::Write::write_all(&mut self.file, &end);
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

/// Takes the calling thread to the node's network and to mounts of its own, and has its children born into
/// a PID namespace of their own.
fn enter_namespaces(netns: BorrowedFd<'_>) -> Result<(), StartError> {
    let none: Option<&str> = None;
    let failed = |doing: &'static str| move |errno: Errno| StartError::new(doing, errno);
    setns(netns, CloneFlags::CLONE_NEWNET).map_err(failed("enter the node's network"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .map_err(failed("make a mount and a PID namespace"))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(failed("make the mounts private"))?;
    // Lock files of this node are no other's, and no file stays.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=755"))
        .map_err(failed("mount an empty /run"))
}
