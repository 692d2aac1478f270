//! Errors of the harness itself. None of these is a verdict.

use netproof_model::{Place, Token};
use netproof_netfilter::nft::KernelError;
use std::io;
use thiserror::Error;

/// Why probes could not be made, or their results not be trusted: cause and remedy.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// A system call failed.
    #[error("cannot {doing} in {place}: {source}{}", remedy(source))]
    System {
        /// What was being done, to follow "cannot".
        doing: &'static str,
        /// Where.
        place: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel discarded log messages, so a missing message proves nothing any more.
    #[error(
        "{place} lost log messages: its receive buffer was full; run fewer scenarios at once (--jobs), or let \
         the kernel give larger buffers (net.core.rmem_max)"
    )]
    LogsLost {
        /// The node.
        place: Place,
    },
    /// The requests of probes could not be traced through the rules of a node.
    #[error("cannot trace the rules of {place}: {source}")]
    Trace {
        /// The node.
        place: Place,
        /// What the kernel said.
        source: Box<KernelError>,
    },
    /// The kernel has deferred packets and does not handle them, so a missing packet proves nothing.
    #[error(
        "the kernel has packets left to handle after {} s: the machine is too busy to deliver them in time; \
         run fewer scenarios at once (--jobs)",
        waited.as_secs()
    )]
    Backlog {
        /// How long the harness waited for them.
        waited: std::time::Duration,
    },
    /// The enforcer decides about packets in user space, and does not.
    #[error(
        "packets wait in {place} for the enforcer's decision after {} s: {packets} of them; it hangs, or is too slow for \
         so many at once",
        waited.as_secs()
    )]
    Undecided {
        /// The node.
        place: Place,
        /// How many wait there.
        packets: u64,
        /// How long the harness waited for them.
        waited: std::time::Duration,
    },
    /// A packet arrived after its probe was judged lost.
    #[error(
        "the packet {token} arrived at {place} after its probe had been judged \"dropped\": the verdict was \
         wrong, and others may be; the machine is too busy to deliver packets in time, so run fewer \
         scenarios at once (--jobs)"
    )]
    LateArrival {
        /// Where.
        place: Place,
        /// Of which probe.
        token: Token,
    },
    /// A request names a place that the cluster does not have.
    #[error("there is no {place} to send from; call sync after the cluster has changed")]
    NoSuchPlace {
        /// Which.
        place: Place,
    },
    /// The request's family and the target's address differ.
    #[error("a probe of {family} cannot be addressed to {address}; use an address of that family")]
    WrongFamily {
        /// The family.
        family: netproof_model::Family,
        /// The address.
        address: std::net::IpAddr,
    },
    /// A request with `keep` for a protocol that has no connection to keep.
    #[error("a probe of {what} has no connection that could be kept; keep those of TCP and UDP")]
    CannotKeep {
        /// The protocol.
        what: String,
    },
    /// A name that DNS cannot carry.
    #[error(
        "\"{name}\" is not a name that DNS can carry: labels have 1 to 63 characters, a name at most 253"
    )]
    BadName {
        /// The name.
        name: String,
    },
}

impl ProbeError {
    /// What prevents a trace on a node.
    pub(crate) fn trace(place: &Place) -> impl FnOnce(KernelError) -> ProbeError {
        let place = place.clone();
        |source| ProbeError::Trace { place, source: Box::new(source) }
    }
}

/// The remedy of a failed system call, where there is one.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "; raise the limit of open files (ulimit -n)",
        Some(libc::EPERM | libc::EACCES) => {
            "; netproof must run in its sandbox, with all capabilities in it (netproof doctor says what is missing)"
        }
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            "; the machine is short of memory: run fewer scenarios at once (--jobs)"
        }
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
            "; this kernel lacks the protocol: use a topology without it (netproof doctor says what there is)"
        }
        _ => "",
    }
}
