//! The first process of a PID namespace: starts the program, and takes everything with it when it ends.
//!
//! netproof has many threads, and between `fork` and `exec` a copy of one of them may only make system calls:
//! no allocation, no lock. So the way from the copy to the two processes, this one and the program's, stands
//! here by itself.
//!
//! The first process keeps the reading end of the program's standard input and reads nothing. When the
//! writing end is closed, by netproof or by its death, it ends; with the first process of a PID namespace the
//! kernel ends all others there, whatever they are and wherever they went.

use nix::libc::{self, c_int, c_long, c_uint, pid_t};
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Descriptors from here on are not standard input, output and error.
const FIRST_OTHER: c_uint = 3;

/// Makes what the command starts the second process of the PID namespace that children of this thread are
/// born into. The process that the command returns is the first; it ends with the second and with its exit
/// status (128 and the signal's number where a signal ended it).
pub(super) fn under_an_init(command: &mut Command, protection: Protection) {
    // SAFETY: `split` only makes system calls, on memory of its own stack, as the copy of one thread may.
    unsafe { command.pre_exec(move || split(protection)) };
}

/// Whether the machine's settings below /proc/sys must be read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// If it can be done.
    IfPossible,
    /// Else nothing is started.
    Needed,
}

/// Runs in the first process; returns in the second, which goes on to the program.
fn split(protection: Protection) -> io::Result<()> {
    let mut children: libc::sigset_t;
    let mut before = MaybeUninit::uninit();
    // SAFETY: all pointers are to memory of this frame or to constants, and live through the calls.
    unsafe {
        // No terminal's signals, whoever they are meant for.
        libc::setsid();
        // Processes see themselves as they are numbered here. Where a container covers parts of /proc the
        // kernel allows no new one; theirs then shows the numbers of outside.
        mount(c"proc", c"/proc", c"proc", MOUNT_FLAGS);
        // What is not the network's alone is the machine's. Root's own id may write to it, in whatever user
        // namespace; here nobody may.
        mount(c"/proc/sys/net", c"/proc/sys/net", c"", libc::MS_BIND);
        mount(c"/proc/sys", c"/proc/sys", c"", libc::MS_BIND | libc::MS_REC);
        let read_only = MOUNT_FLAGS | libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY;
        if !mount(c"", c"/proc/sys", c"", read_only) && protection == Protection::Needed {
            return Err(io::Error::last_os_error());
        }
        children = std::mem::zeroed();
        libc::sigemptyset(&mut children);
        libc::sigaddset(&mut children, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &children, before.as_mut_ptr()))?;
        // Not `fork`: the library's one takes locks that another thread may have held.
        let (flags, none) = (c_long::from(libc::SIGCHLD), 0 as c_long);
        match libc::syscall(libc::SYS_clone, flags, none, none, none, none) {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                check(libc::sigprocmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()))?;
                // None but the standard three: closed by `exec`, before which the command reports errors.
                let flags = libc::CLOSE_RANGE_CLOEXEC;
                match libc::syscall(libc::SYS_close_range, FIRST_OTHER, c_uint::MAX, flags) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            }
            second => attend(pid_t::try_from(second).unwrap_or(-1), &children),
        }
    }
}

const MOUNT_FLAGS: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// What the first process does: buries whoever ends, and ends with the second process or with netproof.
///
/// # Safety
///
/// `children` holds SIGCHLD, which is blocked. It closes every descriptor but the standard three.
unsafe fn attend(second: pid_t, children: &libc::sigset_t) -> ! {
    // SAFETY: system calls on memory of this frame; the descriptors that are closed are this process's copies.
    unsafe {
        libc::syscall(libc::SYS_close_range, FIRST_OTHER, c_uint::MAX, 0);
        let ended = libc::signalfd(-1, children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if ended < 0 {
            libc::_exit(libc::EXIT_FAILURE);
        }
        loop {
            // Nothing is asked about standard input, and that nobody writes to it any more is told unasked.
            let mut polled = [
                libc::pollfd { fd: libc::STDIN_FILENO, events: 0, revents: 0 },
                libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 },
            ];
            if libc::poll(polled.as_mut_ptr(), 2, -1) < 0
                && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR)
            {
                libc::_exit(libc::EXIT_FAILURE);
            }
            let mut information = MaybeUninit::<libc::signalfd_siginfo>::uninit();
            libc::read(ended, information.as_mut_ptr().cast(), size_of::<libc::signalfd_siginfo>());
            let mut status: c_int = 0;
            loop {
                match libc::waitpid(-1, &mut status, libc::WNOHANG) {
                    pid if pid == second => libc::_exit(match libc::WIFSIGNALED(status) {
                        true => 128 + libc::WTERMSIG(status),
                        false => libc::WEXITSTATUS(status),
                    }),
                    pid if pid > 0 => {}
                    _ => break,
                }
            }
            if polled.first().is_some_and(|input| input.revents != 0) {
                libc::_exit(libc::EXIT_SUCCESS);
            }
        }
    }
}

/// Mounts if it can be done; whether it could.
fn mount(what: &CStr, at: &CStr, kind: &CStr, flags: libc::c_ulong) -> bool {
    // SAFETY: the strings live through the call, and no data are given.
    unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, ptr::null()) == 0 }
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
