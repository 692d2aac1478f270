//! The command with programs of the tests beside it: a test program is an enforcer, too, when it is started by the name
//! of one.

use crate::pages::root;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

/// The name that this program was started by.
pub fn started_as() -> Option<OsString> {
    let path = std::env::args_os().next()?;
    Path::new(&path).file_name().map(OsStr::to_owned)
}

/// How one of the programs ends.
pub fn exit_code(ended: Result<(), Box<dyn Error>>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A folder with programs, which is the first of PATH.
pub struct Programs(tempfile::TempDir);

impl Programs {
    /// This program by other names.
    pub fn new(names: &[&str]) -> Programs {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let this = std::env::current_exe().expect("this program has a path");
        for name in names {
            symlink(&this, folder.path().join(name)).expect("the program gets its name");
        }
        Programs(folder)
    }

    /// The command, with these arguments.
    pub fn netproof(&self, arguments: &[&str]) -> Command {
        let mut path = OsString::from(self.0.path());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let built = || env!("CARGO_BIN_EXE_netproof").into();
        let mut command = Command::new(std::env::var_os("NETPROOF_BINARY").unwrap_or_else(built));
        command.current_dir(root()).args(arguments).env("PATH", path).env("COLUMNS", "100");
        command
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }
}

/// The exit code, and both streams of output, as a person sees them.
pub fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code(), text)
}

/// Waits for what comes through a fifo; false at the end, when nobody has the other end open any more.
pub fn read_more(from: &mut File, into: &mut Vec<u8>) -> bool {
    let mut polled = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut polled, PollTimeout::from(30_000u16)).expect("the fifo can be polled");
    assert!(ready > 0, "something is still there after half a minute");
    let mut buffer = [0; 64];
    let read = from.read(&mut buffer).expect("the fifo can be read");
    into.extend_from_slice(&buffer[..read]);
    read > 0
}
