//! The running program: how it is started, what it writes, and its end.

use super::error::StartError;
use super::find::path;
use super::init::{self, Protection};
use super::launch::{Environment, Files, Launch, Output};
use super::seal;
use super::words::{LAST_BYTES, LastWords};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

/// When it has written as much, what is kept begins anew.
const MOST_KEPT: u64 = 4 << 20;

/// A program with all that it started: they end when this is dropped.
pub struct Process {
    /// The first process of their PID namespace.
    first: Child,
    /// What it reads. When it is closed, they end.
    pub input: Option<ChildStdin>,
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
        let theirs = || file.try_clone().map_err(keep);
        let (to_output, to_errors) = match launch.output {
            Output::Piped => (Stdio::piped(), Stdio::from(theirs()?)),
            Output::Kept => (Stdio::from(theirs()?), Stdio::from(theirs()?)),
        };
        // A thread of its own, because only children are born into the namespaces that it makes and goes
        // to; it ends as soon as the process is there.
        let mut first = thread::scope(|scope| {
            let start = || {
                enter_namespaces(netns)?;
                let mut program = command(launch)?;
                program.stdin(Stdio::piped()).stdout(to_output).stderr(to_errors);
                program.spawn().map_err(|error| StartError::new("start the program", error))
            };
            let thread = thread::Builder::new().spawn_scoped(scope, start);
            let thread = thread.map_err(|error| StartError::new("start a thread", error))?;
            // It has nothing that could panic; did it, so would we.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let (input, output) = (first.stdin.take(), first.stdout.take());
        Ok(Process { first, input, output, written: Written { file, to } })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.first.try_wait()
    }

    /// Waits for its end. Call it where its pipes are closed: the first process keeps them open as long as it is
    /// there.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.first.wait()
    }

    /// What it wrote last, of what is kept.
    pub fn last_words(&self) -> LastWords {
        LastWords::of(&self.written.from(0), self.written.to)
    }

    /// How many bytes of what it wrote are kept.
    pub fn kept(&self) -> u64 {
        self.written.length()
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
    fn from(&self, offset: u64) -> Vec<u8> {
        let length = self.length().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.file.read_at(&mut bytes, offset).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    fn trim(&mut self) {
        if self.length() > MOST_KEPT {
            let end = self.from(self.length().saturating_sub(LAST_BYTES as u64));
            // It is appended to, so that what comes next begins at the start. If not, it is only long, or its end
            // lost.
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
        .map_err(failed("make the mounts private"))
}

/// The command that starts the program, in the mount namespace of the calling thread, whose files are made as
/// the program is to see them.
fn command(launch: &Launch) -> Result<Command, StartError> {
    let (mut command, protection) = match &launch.files {
        Files::Open => {
            // Lock files of this node are no other's, and no file stays.
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=755"))
                .map_err(|errno| StartError::new("mount an empty /run", errno))?;
            (Command::new(&launch.program), Protection::IfPossible)
        }
        Files::Sealed(sealed) => {
            let mut command = Command::new(seal::seal(sealed, &launch.program)?);
            command.current_dir("/");
            (command, Protection::Needed)
        }
    };
    command.args(&launch.arguments);
    match &launch.environment {
        Environment::Inherited(more) => command.envs(more.iter().cloned()),
        Environment::Only(all) => {
            command.env_clear().env("PATH", path()).env("HOME", "/tmp").envs(all.iter().cloned())
        }
    };
    init::under_an_init(&mut command, protection);
    Ok(command)
}
