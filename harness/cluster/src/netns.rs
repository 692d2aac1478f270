//! Network namespaces that are held by a descriptor and have no name.
//!
//! A thread makes one by moving into it, opening it, and moving back; it enters one, does something
//! there (a socket stays where it was created), and returns. When the last descriptor is closed, by
//! death too, the kernel takes the namespace down with everything in it.

use nix::sched::{CloneFlags, setns, unshare};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

thread_local! {
    /// Where this thread came from, step by step; the last is where it is. The first is the namespace
    /// that the thread was in when it first entered another.
    static TRAIL: RefCell<Vec<Arc<OwnedFd>>> = const { RefCell::new(Vec::new()) };
}

/// A network namespace of our own.
#[derive(Clone, Debug)]
pub struct Netns {
    descriptor: Arc<OwnedFd>,
}

impl Netns {
    /// A new, empty namespace: its loopback interface is down and its sysctls are as inherited.
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

    /// Runs `f` with the calling thread in this namespace; the thread is back where it was when this
    /// returns, also when `f` panics. Calls may nest. About a microsecond.
    ///
    /// `f` must not wait for work that another thread or an async task does in its name: only this
    /// thread moves.
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

/// Leads the thread back when a visit ends.
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

/// Moves the thread to a namespace that it was in before. The kernel refuses only for want of a few
/// bytes of memory; a thread that stayed would send its next packets in the wrong network, and every
/// verdict after that would be a lie, so the process ends.
fn go(home: &OwnedFd) {
    if let Err(errno) = setns(home, CloneFlags::CLONE_NEWNET) {
        eprintln!("netproof: a thread cannot leave a network namespace ({errno}); giving up");
        std::process::abort();
    }
}
