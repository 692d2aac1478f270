//! What a sealed program sees of the machine's files: all of them, but read-only, and in some places an empty
//! folder of its own instead.
//!
//! Whatever a program writes goes to memory, and goes with it. Nothing is made on the host either, not even a mount
//! point: where a private folder does not exist there, the nearest folder above it that does is rebuilt in memory,
//! with its other entries where they were. A mount that is refused is an error: what it was to protect would be open.

mod mounts;
mod places;

use crate::error::StartError;
use crate::find::path;
use mounts::{empty, failed, handle, is_writable, make_read_only, make_writable, new_sysfs, show};
use nix::sched::{CloneFlags, setns};
use places::{Place, Plan};
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf, absolute};

/// What is private to a program besides `/run`, `/var/run` and `/tmp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Absolute paths of folders that are empty and that it may write to, each at most 64 MiB. Whether they exist on
    /// the host does not matter.
    pub private: Vec<PathBuf>,
    /// Programs that it starts, by their absolute paths: there they can be started, also in private folders. Those in
    /// the folders of PATH can in any case.
    pub programs: Vec<PathBuf>,
    /// Files that are there when it starts, by their absolute paths. Where one is in no private folder, its folder
    /// looks as on the host otherwise, and is read-only; if there is none on the host, it is private.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Folders that are private whatever a [`Sealed`] says: for locks, sockets and scratch files.
const ALWAYS: [&str; 3] = ["/run", "/var/run", "/tmp"];

/// The devices that such programs open. The host's others, its disks above all, are not there.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What of the host's /sys is neither the network's nor read-only.
const SYSTEM_COVERED: [&str; 2] = ["/sys/fs/bpf", "/sys/fs/cgroup"];

/// Where the kernel's settings are.
const PROCESSES: [&str; 2] = ["/proc", "/proc/sys"];

/// Symbolic links that programs expect beside the devices.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Seals the files of the calling thread's mount namespace, which is nobody else's. Returns the program's absolute
/// path, where it can be started, whatever is private.
pub(crate) fn seal(sealed: &Sealed, program: &Path) -> Result<PathBuf, StartError> {
    let program = absolute(program).map_err(|error| failed("find", program, error))?;
    let mut started = program_folders();
    for path in sealed.programs.iter().chain([&program]) {
        // Where a link leads, and then the link: the one may be visible without the other.
        started.push(path.canonicalize().map_err(|error| failed("find", path, error))?);
        started.push(path.clone());
    }
    let private: Vec<PathBuf> =
        ALWAYS.iter().map(PathBuf::from).chain(sealed.private.iter().cloned()).collect();
    let files: Vec<PathBuf> = sealed.files.iter().map(|(path, _)| path.clone()).collect();
    let plan = Plan::new(&private, &files)?;

    // What is the network's of /proc/sys must stay writable; what is not, `init` sees to.
    let writable: Vec<&Path> = PROCESSES.map(Path::new).into_iter().filter(|it| is_writable(it)).collect();
    make_read_only(Path::new("/"), true)?;
    // The second is a mount of its own in a container only.
    writable.into_iter().filter(|path| !is_writable(path)).try_for_each(make_writable)?;

    // Programs are reached before anything covers them.
    let mut programs = Vec::new();
    for path in started {
        programs.push(Program { reached: handle(&path)?, is_folder: path.is_dir(), path });
    }
    for (path, place) in &plan.existing {
        match place {
            Place::Empty => empty(path)?,
            Place::Rebuilt(without) => rebuild(path, without)?,
        }
    }
    for path in &plan.absent {
        make_folder(path)?;
        empty(path)?;
    }
    plan.inside.iter().try_for_each(|path| make_folder(path))?;
    for (path, (_, content)) in plan.files.iter().zip(&sealed.files) {
        fs::write(path, content).map_err(|error| failed("write", path, error))?;
    }
    programs.iter().try_for_each(Program::uncover)?;
    for (path, place) in &plan.existing {
        if matches!(place, Place::Rebuilt(_)) {
            make_read_only(path, false)?;
        }
    }
    system()?;
    devices()?;
    Ok(program)
}

/// The folders in which programs are looked for.
fn program_folders() -> Vec<PathBuf> {
    env::split_paths(&path()).filter(|folder| folder.is_absolute() && folder.is_dir()).collect()
}

/// Covers a folder with one that looks the same, without some entries, and that can be changed.
fn rebuild(folder: &Path, without: &BTreeSet<OsString>) -> Result<(), StartError> {
    let read = |error| failed("read", folder, error);
    let original = handle(folder)?;
    let mut entries = Vec::new();
    for entry in folder.read_dir().map_err(read)? {
        let entry = entry.map_err(read)?;
        let kind = entry.file_type().map_err(read)?;
        let target = if kind.is_symlink() { Some(entry.path().read_link().map_err(read)?) } else { None };
        entries.push((entry.file_name(), kind.is_dir(), target));
    }
    let ours = File::open("/proc/thread-self/ns/mnt")
        .map_err(|error| StartError::new("open the mount namespace", error))?;
    empty(folder)?;
    if folder == Path::new("/") {
        // What covers the root is seen by those who enter the namespace after it does.
        setns(ours, CloneFlags::CLONE_NEWNS).map_err(|errno| failed("enter the new", folder, errno))?;
    }
    for (name, is_folder, target) in entries.into_iter().filter(|(name, ..)| !without.contains(name)) {
        let path = folder.join(&name);
        match target {
            Some(target) => make_link(&target, &path)?,
            None if is_folder => {
                make_folder(&path)?;
                show(&original, Path::new(&name), &path)?;
            }
            None => {
                make_file(&path)?;
                show(&original, Path::new(&name), &path)?;
            }
        }
    }
    Ok(())
}

/// A program, or a folder of programs, which a private folder may cover.
struct Program {
    path: PathBuf,
    reached: OwnedFd,
    is_folder: bool,
}

impl Program {
    /// Shows it where it was, if it is no longer there.
    fn uncover(&self) -> Result<(), StartError> {
        match (self.path.exists(), self.path.parent()) {
            (true, _) | (false, None) => return Ok(()),
            (false, Some(_)) if self.is_folder => make_folder(&self.path)?,
            (false, Some(folder)) => {
                make_folder(folder)?;
                make_file(&self.path)?;
            }
        }
        show(&self.reached, Path::new(""), &self.path)
    }
}

/// The devices and the links to them, in the place of the host's.
fn devices() -> Result<(), StartError> {
    let folder = Path::new("/dev");
    let mut devices = Vec::new();
    for path in DEVICES.map(|name| folder.join(name)).into_iter().filter(|path| path.exists()) {
        devices.push((handle(&path)?, path));
    }
    empty(folder)?;
    for (device, path) in devices {
        make_file(&path)?;
        show(&device, Path::new(""), &path)?;
    }
    for (name, target) in DEVICE_LINKS {
        make_link(Path::new(target), &folder.join(name))?;
    }
    let shared = folder.join("shm");
    make_folder(&shared)?;
    empty(&shared)?;
    make_read_only(folder, false)
}

/// What the kernel tells of devices: those of the node's network namespace. Where a container covers parts of the
/// host's /sys the kernel allows no new one, and the host's stays, without what is neither the network's nor
/// read-only.
fn system() -> Result<(), StartError> {
    if new_sysfs().is_ok() {
        return Ok(());
    }
    SYSTEM_COVERED.map(Path::new).into_iter().filter(|path| path.is_dir()).try_for_each(empty)
}

fn make_link(target: &Path, path: &Path) -> Result<(), StartError> {
    symlink(target, path).map_err(|error| failed("make the link", path, error))
}

fn make_file(path: &Path) -> Result<(), StartError> {
    File::create(path).map(drop).map_err(|error| failed("make the file", path, error))
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    fs::create_dir_all(path).map_err(|error| failed("make the folder", path, error))
}
