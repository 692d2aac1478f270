//! The one place with `unsafe`: a helper process that stays outside while we unshare.

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::io::{self, PipeReader, PipeWriter};

/// Runs `helper` in a child process while `f` runs here, and returns whether the helper returned true. The
/// helper reads what `f` writes, and end of file when `f` returns or the process dies.
///
/// The child is a copy of the calling thread alone, so this must be called while the process has one
/// thread; it returns an error otherwise.
pub(crate) fn beside<T>(
    helper: impl FnOnce(PipeReader) -> bool,
    f: impl FnOnce(PipeWriter) -> T,
) -> io::Result<(T, bool)> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("the process has more than one thread"));
    }
    let (reader, writer) = io::pipe()?;
    // SAFETY: the process has one thread (checked above, and only this thread could start another), so
    // no lock can be held by a thread that the child lacks, and the child may run any code. It leaves by
    // `_exit`, so nothing of the parent's (buffers, destructors) runs twice.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(writer);
            let status = if helper(reader) { 0 } else { 1 };
            // SAFETY: `_exit` has no preconditions.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            drop(reader);
            let result = f(writer);
            let helped = loop {
                match waitpid(child, None) {
                    Err(nix::errno::Errno::EINTR) => {}
                    status => break matches!(status, Ok(WaitStatus::Exited(_, 0))),
                }
            };
            Ok((result, helped))
        }
    }
}
