//! Network namespaces that are held by a descriptor and have no name.
//!
//! To make one, a thread moves into it, opens it, and moves back. To use one, it enters, does something
//! there (a socket stays where it was created), and returns. When the last descriptor is closed, even by the
//! death of the process, the kernel removes the namespace with everything in it.

use nix::sched::{CloneFlags, setns, unshare};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

thread_local! {
    /// The namespaces that this thread has entered, the current one last. The first is the one in which the
    /// thread was before it entered another.
    static TRAIL: RefCell<Vec<Arc<OwnedFd>>> = const { RefCell::new(Vec::new()) };
}

/// A network namespace of our own.
#[derive(Clone, Debug)]
pub struct Netns {
    descriptor: Arc<OwnedFd>,
}

impl Netns {
    /// Makes an empty namespace: its loopback interface is down and its sysctls are inherited.
    ///
    /// Fails with EPERM outside a sandbox (or without CAP_SYS_ADMIN), ENOSPC beyond
    /// `user.max_net_namespaces`, EMFILE without a free descriptor.
    pub fn new() -> io::Result<Netns> {
        let home = here()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let made = open_current();
        go(&home);
        Ok(Netns { descriptor: Arc::new(made?) })
    }

    /// The namespace that the calling thread is in.
    pub fn current() -> io::Result<Netns> {
        Ok(Netns { descriptor: here()? })
    }

    /// The descriptor, for `setns` and `IFLA_NET_NS_FD`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Runs `f` with the calling thread in this namespace; the thread is back when this returns, even if `f`
    /// panics. Calls may nest. Takes about a microsecond.
    ///
    /// `f` must not rely on other threads or async tasks: only this thread moves.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> io::Result<T> {
        let home = here()?;
        setns(&self.descriptor, CloneFlags::CLONE_NEWNET)?;
        TRAIL.with_borrow_mut(|trail| trail.push(Arc::clone(&self.descriptor)));
        let _visit = Visit { home };
        Ok(f())
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Moves the thread back when dropped.
struct Visit {
    home: Arc<OwnedFd>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        TRAIL.with_borrow_mut(Vec::pop);
        go(&self.home);
    }
}

/// The namespace of the calling thread, remembered from the last move.
fn here() -> io::Result<Arc<OwnedFd>> {
    TRAIL.with_borrow_mut(|trail| match trail.last() {
        Some(last) => Ok(Arc::clone(last)),
        None => {
            let home = Arc::new(open_current()?);
            trail.push(Arc::clone(&home));
            Ok(home)
        }
    })
}

fn open_current() -> io::Result<OwnedFd> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

/// Moves the thread to a namespace that it was in before. The kernel refuses only if it lacks a few bytes of
/// memory. The thread would then send its next packets in the wrong network, and every later verdict would
/// be false; so the process ends.
fn go(home: &OwnedFd) {
    if let Err(errno) = setns(home, CloneFlags::CLONE_NEWNET) {
        eprintln!("netproof: a thread cannot leave a network namespace ({errno}); giving up");
        std::process::abort();
    }
}
