//! What to try: a probe's source, target, port and patience.

use netproof_model::flow::FlowProtocol;
use netproof_model::{Family, Place, Protocol};
use std::net::IpAddr;

/// One try of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeRequest {
    /// Where it starts.
    pub source: Place,
    /// In which family; a name is resolved to an address of it.
    pub family: Family,
    /// Whom it is addressed to.
    pub target: Target,
    /// Port and protocol.
    pub port: ProbePort,
    /// How long to wait for an answer of which there is no sign.
    pub patience: Patience,
    /// Whether the connection is kept: the first such request opens it, and each later one with the same
    /// source, family, target and port sends a message over it and waits for the answer
    /// ([`crate::Prober::release`] closes them all). TCP and UDP only.
    ///
    /// A TCP connection over which a message was lost is closed, so that nothing is sent again in a later
    /// step, and the next request opens another; a UDP socket stays. When the first message over a new TCP
    /// connection is lost, the outcome is [`NoAnswer`](netproof_model::Outcome::NoAnswer).
    pub keep: bool,
}

/// Whom a probe is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An address.
    Address(IpAddr),
    /// A name, resolved by the source as a pod's resolver does it (`ndots:5`): a name with fewer dots is
    /// tried under each domain of the search list first, then as it is; others the other way round; one
    /// that ends with a dot only as it is.
    Name {
        /// The name.
        name: String,
        /// The search list.
        search: Vec<String>,
        /// The name server, asked over UDP on port 53.
        server: IpAddr,
    },
}

/// The port of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbePort {
    /// An ICMP echo, which has none.
    Icmp,
    /// A port of a transport protocol.
    Transport {
        /// The number.
        port: u16,
        /// What is spoken on it.
        protocol: FlowProtocol,
    },
}

impl ProbePort {
    /// The transport protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            ProbePort::Icmp => Protocol::Icmp,
            ProbePort::Transport { protocol, .. } => protocol.transport(),
        }
    }
}

/// How long to wait where nothing says what became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// An answer is expected: wait up to three seconds, with one more try on the way, unless there is
    /// evidence of a drop; less where the run has waited so too often in vain ([`crate::Grace`]).
    ForAnswer,
    /// A denial is expected: one short settle window, shared by the batch.
    Settle,
}
