//! The system calls of mounts: the crate's only others with `unsafe` beside `init`, because nix has not all of them.

use crate::error::StartError;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_file};
use nix::libc::{self, c_int, c_uint};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A private folder holds no more, and no more files.
const FOLDER: &str = "mode=755,size=64m,nr_inodes=65536";

/// The error of what could not be done with a path.
pub(super) fn failed(doing: &str, path: &Path, source: impl Into<std::io::Error>) -> StartError {
    StartError::new(format!("{doing} {}", path.display()), source)
}

/// A handle of a file or folder, whatever is mounted over it later.
pub(super) fn handle(path: &Path) -> Result<OwnedFd, StartError> {
    open_file(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| failed("open", path, errno))
}

/// Mounts an empty folder that can be written to.
pub(super) fn empty(path: &Path) -> Result<(), StartError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(FOLDER))
        .map_err(|errno| failed("mount an empty folder at", path, errno))
}

/// Mounts what the kernel tells of the devices of the network namespace, read-only.
pub(super) fn new_sysfs() -> Result<(), Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let none: Option<&str> = None;
    mount(Some("sysfs"), "/sys", Some("sysfs"), flags, none)
}

/// Shows at a path what a handle, or what an entry of the folder that it is of, stands for; with all that is
/// mounted below it.
pub(super) fn show(of: &OwnedFd, entry: &Path, at: &Path) -> Result<(), StartError> {
    let shown = || {
        let (entry, at) = (c_string(entry)?, c_string(at)?);
        let (empty_path, recursive) = (libc::AT_EMPTY_PATH as c_uint, libc::AT_RECURSIVE as c_uint);
        let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | empty_path | recursive;
        // SAFETY: the path lives through the call. What it returns is a descriptor that is nobody else's.
        let tree = unsafe {
            let tree = libc::syscall(libc::SYS_open_tree, of.as_raw_fd(), entry.as_ptr(), flags);
            OwnedFd::from_raw_fd(RawFd::try_from(Errno::result(tree)?).map_err(|_| Errno::EBADF)?)
        };
        // SAFETY: the paths live through the call.
        let moved = unsafe {
            let (from, flags) = (tree.as_raw_fd(), libc::MOVE_MOUNT_F_EMPTY_PATH);
            libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), libc::AT_FDCWD, at.as_ptr(), flags)
        };
        Errno::result(moved).map(drop)
    };
    shown().map_err(|errno| failed("show", at, errno))
}

/// Whether what is mounted there can be written to, as far as the mount is concerned.
pub(super) fn is_writable(path: &Path) -> bool {
    statvfs(path).is_ok_and(|it| !it.flags().contains(FsFlags::ST_RDONLY))
}

/// How long a mount may count as written to. A file that this thread has written and closed is open all the same while
/// another thread starts a program: its child has all that is open here until it becomes the program.
const BUSY: Duration = Duration::from_secs(5);

/// Makes a mount, or all that is mounted at and below a path, read-only.
pub(super) fn make_read_only(path: &Path, recursive: bool) -> Result<(), StartError> {
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    let deadline = Instant::now() + BUSY;
    loop {
        match set(path, flags, (libc::MOUNT_ATTR_RDONLY, 0)) {
            Err(Errno::EBUSY) if Instant::now() < deadline => thread::yield_now(),
            made => return made.map_err(|errno| failed("make read-only what is at", path, errno)),
        }
    }
}

/// Lets a mount be written to again.
pub(super) fn make_writable(path: &Path) -> Result<(), StartError> {
    set(path, 0, (0, libc::MOUNT_ATTR_RDONLY)).map_err(|errno| failed("make writable", path, errno))
}

fn set(path: &Path, flags: c_int, (attr_set, attr_clr): (u64, u64)) -> Result<(), Errno> {
    let path = c_string(path)?;
    let attributes = libc::mount_attr { attr_set, attr_clr, propagation: 0, userns_fd: 0 };
    // SAFETY: path and attributes live through the call, which reads as much of the latter as it is told.
    let result = unsafe {
        let size = size_of::<libc::mount_attr>();
        libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), flags, &attributes, size)
    };
    Errno::result(result).map(drop)
}

fn c_string(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
