//! A user, network and mount namespace of the process's own, so that nothing it does can reach the host.
//!
//! [`enter`] moves the process there and tries everything that a cluster needs. A successful `unshare`
//! proves nothing: AppArmor allows the call and takes the capabilities afterwards, and containers mount
//! `/proc/sys` read-only.

mod check;
mod error;

pub use error::{SandboxError, Trouble};

use crate::sys;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, getegid, geteuid, getpid};
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};

/// The process's own namespaces.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox {
    /// Whether it has a user namespace of its own. Root does without one where they are switched off.
    pub user_namespace: bool,
    /// The limit of open files.
    pub open_files: u64,
}

/// Moves the process into namespaces of its own and checks that a cluster can be built there.
///
/// Call it once, first in `main`, while the process has one thread. An ordinary user becomes root inside.
/// For root all ids are mapped to themselves, so that files stay as readable as before; where user
/// namespaces are switched off, root continues with a network and a mount namespace.
pub fn enter() -> Result<Sandbox, SandboxError> {
    let open_files = raise_open_files();
    if fs::read_dir("/proc/self/task").map_or(0, Iterator::count) > 1 {
        return Err(SandboxError::new(Trouble::Threads, None));
    }
    let user_namespace = if geteuid().is_root() { enter_as_root()? } else { enter_as_user()? };
    check::everything(user_namespace)?;
    Ok(Sandbox { user_namespace, open_files })
}

/// Raises the soft limit of open files to the hard one (a cluster needs a few for each namespace), and
/// returns it.
fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

fn enter_as_user() -> Result<bool, SandboxError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|errno| SandboxError::from_unshare(errno, false))?;
    map_own_ids(user, group)?;
    own_mounts()?;
    Ok(true)
}

fn enter_as_root() -> Result<bool, SandboxError> {
    // In a container /proc/sys is often a read-only mount. In a mount namespace of our own we can make it
    // writable for us alone, but only before the user namespace, which locks inherited mounts.
    let own = unshare(CloneFlags::CLONE_NEWNS).is_ok();
    if own {
        own_mounts()?;
        write_proc_sys();
    }
    let (user, group) = (geteuid(), getegid());
    match unshare_with_all_ids() {
        Ok(true) => {}
        Ok(false) => map_own_ids(user, group)?,
        Err(Errno::EPERM | Errno::ENOSPC | Errno::EINVAL) => {
            // No user namespaces here: use root's own privilege.
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .map_err(|errno| SandboxError::from_unshare(errno, true))?;
            own_mounts()?;
            return Ok(false);
        }
        Err(errno) => return Err(SandboxError::from_unshare(errno, true)),
    }
    own_mounts()?;
    Ok(true)
}

/// Unshares, and lets a helper process map every id to itself; it may do so because it stays outside.
/// Returns false if the namespaces exist but the map does not.
fn unshare_with_all_ids() -> Result<bool, Errno> {
    const ALL: &str = "0 0 4294967295";
    let us = getpid();
    let helper = |mut unshared: PipeReader| {
        unshared.read_exact(&mut [0]).is_ok()
            && fs::write(format!("/proc/{us}/uid_map"), ALL).is_ok()
            && fs::write(format!("/proc/{us}/gid_map"), ALL).is_ok()
    };
    let unshare_all = |mut told: PipeWriter| {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        // If this fails the helper fails, which is detected.
        let _ = told.write_all(&[1]);
        Ok(())
    };
    let (unshared, mapped) = sys::beside(helper, unshare_all)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    unshared.map(|()| mapped)
}

/// Maps the ids that the process had, and only those, to root.
fn map_own_ids(user: Uid, group: Gid) -> Result<(), SandboxError> {
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ];
    for (path, map) in maps {
        fs::write(path, map).map_err(|error| SandboxError::denied(&format!("write {path}"), &error))?;
    }
    Ok(())
}

/// Makes later mounts of ours invisible outside.
fn own_mounts() -> Result<(), SandboxError> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|errno| SandboxError::denied("make the mounts private", &errno.into()))
}

/// Makes `/proc/sys` writable for us if it is not. If that fails, the check reports it.
fn write_proc_sys() {
    let read_only = |path| statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
    if read_only("/proc/sys") {
        let none: Option<&str> = None;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let _ = mount(none, "/proc/sys", none, flags | MsFlags::MS_NOEXEC, none);
    }
}
