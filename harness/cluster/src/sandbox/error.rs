//! Why a sandbox cannot be made: one sentence for each cause, with its remedy.

use nix::errno::Errno;
use std::fmt;
use std::fs;
use std::io;

/// Why there is no sandbox. Displays as one sentence: what is wrong, and what to do about it.
#[derive(Debug)]
pub struct SandboxError {
    /// Which of the known causes it is.
    pub trouble: Trouble,
    /// What was tried and what the kernel said, where that adds something.
    pub detail: Option<String>,
}

/// What prevents a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process has several threads already.
    Threads,
    /// `user.max_user_namespaces` is 0.
    UserNamespacesLimited,
    /// `kernel.unprivileged_userns_clone` is 0 (Debian and its kin).
    UserNamespacesForbidden,
    /// The kernel or a container's seccomp filter refuses user namespaces.
    UserNamespacesRefused,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1: the namespace has no capabilities.
    AppArmor,
    /// Capabilities are missing inside, for another reason (root in a container).
    NoNetAdmin,
    /// `/proc/sys` is mounted read-only.
    ReadOnlyProcSys,
    /// `/proc` is not mounted.
    NoProc,
    /// The kernel has no veth or no bridge.
    NoLinks,
    /// The kernel has no nf_tables.
    NoNfTables,
    /// Too many open files.
    OpenFiles,
    /// Too many network namespaces.
    TooManyNamespaces,
    /// Any other cause.
    Other {
        /// Whether it happened inside a user namespace.
        user_namespace: bool,
    },
}

impl SandboxError {
    pub(super) fn new(trouble: Trouble, detail: Option<String>) -> Self {
        SandboxError { trouble, detail }
    }

    /// `unshare` failed.
    pub(super) fn from_unshare(errno: Errno, root: bool) -> Self {
        let detail = Some(format!("unshare: {errno}"));
        let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
        let trouble = if is("/proc/sys/user/max_user_namespaces", "0") {
            Trouble::UserNamespacesLimited
        } else if !root && is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
            Trouble::UserNamespacesForbidden
        } else if !root && apparmor_restricts() {
            Trouble::AppArmor
        } else if errno == Errno::ENOSPC {
            Trouble::TooManyNamespaces
        } else if root {
            Trouble::NoNetAdmin
        } else {
            Trouble::UserNamespacesRefused
        };
        // The sentence already says what the errno would.
        let said = [Trouble::UserNamespacesLimited, Trouble::UserNamespacesForbidden, Trouble::AppArmor];
        SandboxError { trouble, detail: detail.filter(|_| !said.contains(&trouble)) }
    }

    /// `doing` failed inside.
    pub(super) fn denied(doing: &str, error: &io::Error) -> Self {
        let detail = Some(format!("cannot {doing}: {error}"));
        let trouble = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPERM | Errno::EACCES) if apparmor_restricts() => Trouble::AppArmor,
            Some(Errno::EPERM | Errno::EACCES) => Trouble::NoNetAdmin,
            Some(Errno::EROFS) => Trouble::ReadOnlyProcSys,
            _ => Trouble::Other { user_namespace: true },
        };
        SandboxError { trouble, detail }
    }

    /// A network namespace could not be made or entered.
    pub(super) fn from_namespace(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE) => SandboxError::new(Trouble::OpenFiles, None),
            Some(Errno::ENOSPC) => SandboxError::new(Trouble::TooManyNamespaces, None),
            _ => SandboxError::denied("make a network namespace", error),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self.trouble {
            Trouble::Threads => "call sandbox::enter first of all in main",
            Trouble::UserNamespacesLimited => {
                "allow them with `sudo sysctl -w user.max_user_namespaces=10000`, or run with sudo"
            }
            Trouble::UserNamespacesForbidden => {
                "allow them with `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run with sudo"
            }
            Trouble::UserNamespacesRefused => {
                "run with sudo; in a container, run it with `--privileged` or with a seccomp profile that \
                 allows unshare"
            }
            Trouble::AppArmor => {
                "allow them with `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run \
                 with sudo"
            }
            Trouble::NoNetAdmin => {
                "run as an ordinary user or as full root; in a container, run it with `--privileged`"
            }
            Trouble::ReadOnlyProcSys => {
                "run as root with CAP_SYS_ADMIN; in a container, run it with `--privileged` or \
                 `--security-opt systempaths=unconfined`"
            }
            Trouble::NoProc => "mount it with `mount -t proc proc /proc`",
            Trouble::NoLinks => {
                "load the modules with `sudo modprobe -a veth bridge`, or use a kernel that has them"
            }
            Trouble::NoNfTables => {
                "load it with `sudo modprobe nf_tables`, or use a kernel with CONFIG_NF_TABLES"
            }
            Trouble::OpenFiles => "raise the limit with `ulimit -n 65536`",
            Trouble::TooManyNamespaces => {
                "raise the limits with `sudo sysctl -w user.max_net_namespaces=10000 \
                 user.max_user_namespaces=10000`"
            }
            Trouble::Other { .. } => "`netproof doctor` shows what this machine can do",
        }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.trouble {
            Trouble::Threads => "a sandbox can be entered only while the process has one thread",
            Trouble::UserNamespacesLimited => {
                "user namespaces are switched off here (user.max_user_namespaces is 0)"
            }
            Trouble::UserNamespacesForbidden => {
                "user namespaces are forbidden to ordinary users here (kernel.unprivileged_userns_clone is 0)"
            }
            Trouble::UserNamespacesRefused => "this kernel or container refuses user namespaces",
            Trouble::AppArmor => {
                "AppArmor takes the capabilities of user namespaces here \
                 (kernel.apparmor_restrict_unprivileged_userns is 1)"
            }
            Trouble::NoNetAdmin => "networks cannot be made here: CAP_SYS_ADMIN or CAP_NET_ADMIN is missing",
            Trouble::ReadOnlyProcSys => "/proc/sys is mounted read-only here",
            Trouble::NoProc => "/proc is not mounted here",
            Trouble::NoLinks => "this kernel has no veth or no bridge",
            Trouble::NoNfTables => "this kernel has no nf_tables",
            Trouble::OpenFiles => "too many open files",
            Trouble::TooManyNamespaces => "too many namespaces are in use",
            Trouble::Other { .. } => "the sandbox does not work",
        })?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        write!(f, ": {}", self.remedy())
    }
}

impl std::error::Error for SandboxError {}

fn apparmor_restricts() -> bool {
    fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
        .is_ok_and(|value| value.trim() == "1")
}
