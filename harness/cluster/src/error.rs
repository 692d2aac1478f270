//! Errors of a cluster. Each says what was tried on what, and the remedy if one is known.

use crate::netlink::NetlinkError;
use crate::sysctl::SysctlError;
use netproof_model::Place;
use nix::errno::Errno;
use std::fmt;
use std::io;

/// A cluster could not be built or changed, or lost packets for a reason other than policy. After an error
/// the cluster is unusable: drop it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kernel refused something.
    #[error("cannot {doing} in {place}: {errno}{}", remedy(*errno))]
    Kernel {
        /// In which namespace.
        place: Place,
        /// What was tried, to follow "cannot".
        doing: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A link did not become ready to pass packets.
    #[error("links from {place} are up but pass no packets after ten seconds: to {}", links.join(", "))]
    Inactive {
        /// In which namespace.
        place: Place,
        /// Where they lead.
        links: Vec<String>,
    },
    /// The snapshot is of another topology than the one that was built.
    #[error("the topology changed from {from} to {to}: build a new cluster for it")]
    TopologyChanged {
        /// What was built.
        from: String,
        /// What the snapshot has.
        to: String,
    },
    /// Two pods of a node have interfaces of the same name there.
    #[error("the interfaces of {} and {} in {above} have the same name, {name}: rename one of them", places[0], places[1])]
    SameInterface {
        /// Where both hang.
        above: Place,
        /// The name.
        name: String,
        /// Whose they are.
        places: Box<[Place; 2]>,
    },
    /// The DNS server could not be started.
    #[error("cannot serve DNS in {place}: {source}")]
    Dns {
        /// The pod that serves it.
        place: Place,
        /// Why.
        source: io::Error,
    },
    /// Packets were lost for a reason that is not policy.
    #[error("packets were lost, but not to policy: {}", Losses(losses))]
    Unhealthy {
        /// Every counter that went up.
        losses: Vec<Loss>,
    },
}

/// A counter that went up and should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// In which namespace; none for a table that all share.
    pub place: Option<Place>,
    /// The kernel's name of the counter, with its file or interface.
    pub counter: String,
    /// By how much.
    pub increase: u64,
    /// What it means and what to do.
    pub meaning: &'static str,
}

impl ClusterError {
    pub(crate) fn kernel(place: &Place, doing: impl Into<String>, errno: Errno) -> Self {
        ClusterError::Kernel { place: place.clone(), doing: doing.into(), errno }
    }

    pub(crate) fn io(place: &Place, doing: impl Into<String>, error: &io::Error) -> Self {
        ClusterError::kernel(place, doing, Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    }

    pub(crate) fn netlink(place: &Place, error: NetlinkError) -> Self {
        ClusterError::kernel(place, error.doing, error.errno)
    }

    pub(crate) fn sysctl(place: &Place, error: &SysctlError) -> Self {
        ClusterError::io(place, format!("set {} to {:?}", error.path, error.value), &error.source)
    }
}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::EMFILE => " (too many open files: raise the limit with `ulimit -n 65536`)",
        Errno::ENFILE => " (too many open files on this machine: `sudo sysctl -w fs.file-max=1000000`)",
        Errno::ENOSPC => {
            " (too many network namespaces: `sudo sysctl -w user.max_net_namespaces=10000`; those of an \
             earlier run are gone a moment after it)"
        }
        Errno::ENOMEM | Errno::ENOBUFS => {
            " (out of memory: a pod takes about 0.3 MB of the kernel's, which a container's limit counts)"
        }
        Errno::EXFULL => " (a bridge has at most 1023 ports: use the wiring `routed`, or more nodes)",
        Errno::EPERM | Errno::EACCES => " (is the process in its sandbox?)",
        _ => "",
    }
}

struct Losses<'a>(&'a [Loss]);

impl fmt::Display for Losses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, loss) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}", loss.counter)?;
            if let Some(place) = &loss.place {
                write!(f, " in {place}")?;
            }
            write!(f, " rose by {} ({})", loss.increase, loss.meaning)?;
        }
        Ok(())
    }
}
