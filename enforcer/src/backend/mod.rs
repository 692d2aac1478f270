//! The seam between what programs mean and how a node's kernel is made to do it.
//!
//! A backend gets the program of a node, of policies or of services: whole, or what changed in it. It makes that the
//! one in force on the node, atomically where it can, and remembers which generation that is and which decision each
//! number in the node's evidence stands for. Policies and services have a backend each, which know nothing of each other.
//!
//! No policy logic is in a backend: it adds nothing to a program but what holds for every pod whatever its policies say
//! ([`PolicyBackend`]), and leaves nothing out.

pub mod nft;

use crate::program::{Change, Program};
use crate::services::{ServiceChange, ServiceProgram, ServiceSite};
use crate::{Allowed, EnforcerError, NodeHandle};
#[cfg(doc)]
use netproof_model::Decision;
use netproof_model::{IdentityTable, RuleTrace, Topology};
use std::error::Error;

/// The backends that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// nftables, over netlink.
    #[default]
    Nftables,
}

impl Backend {
    /// Every one.
    pub const ALL: &'static [Backend] = &[Backend::Nftables];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Backend> {
        Backend::ALL.iter().copied().find(|backend| backend.name() == name)
    }

    /// What `--enforcer` and `--proxy` call it.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Nftables => "nftables",
        }
    }

    /// One for policies, with a hold on each node. Nothing is programmed yet.
    ///
    /// # Errors
    /// Where the kernel of a node cannot be reached.
    pub fn policies(self, nodes: &[NodeHandle<'_>]) -> Result<Box<dyn PolicyBackend>, EnforcerError> {
        match self {
            Backend::Nftables => Ok(Box::new(nft::NftPolicies::open(nodes, nft::DEFAULT_SEND_BUFFER)?)),
        }
    }

    /// One for services, alike.
    ///
    /// # Errors
    /// Where the kernel of a node cannot be reached.
    pub fn services(self, nodes: &[NodeHandle<'_>]) -> Result<Box<dyn ServiceBackend>, EnforcerError> {
        match self {
            Backend::Nftables => Ok(Box::new(nft::NftServices::open(nodes, nft::DEFAULT_SEND_BUFFER)?)),
        }
    }
}

/// Why a node does not have the rules, in the words of the backend.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What a program of policies is made true for.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The generation of the objects.
    pub generation: u64,
    /// The cluster.
    pub topology: &'a Topology,
}

/// What one change took, for those who measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Transactions sent to the kernel.
    pub transactions: usize,
    /// Messages in them.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Whether it was too large for one transaction, and was built beside what was in force.
    pub side_by_side: bool,
}

/// What is in force on a node by a backend.
pub trait InForce {
    /// Which one it is.
    fn backend(&self) -> Backend;

    /// The nodes, in the order of names.
    fn nodes(&self) -> Vec<String>;

    /// The generation that a node has; `None` before there is any.
    fn generation(&self, node: &str) -> Option<u64>;

    /// What the numbers in a node's evidence stand for; `None` for an unknown node.
    fn identities(&self, node: &str) -> Option<&IdentityTable>;

    /// The rules, as a person reads them.
    fn rules(&self, node: &str) -> Option<String>;

    /// What the last change took.
    fn cost(&self, node: &str) -> Option<Cost>;
}

/// Makes the programs of policies true.
///
/// Beside the program each backend holds, for every pod, what is no policy's business:
/// - A packet from a pod's interface has an address of that pod, or is dropped ([`Decision::Spoofed`]). What a pod says to
///   its neighbours on the link passes.
/// - Existing connections and their answers pass, and what a pod sends to itself.
/// - Egress policies are asked for what the node forwards and for what is sent to the node itself, ingress policies for
///   what it forwards: a node reaches its own pods always. Both see addresses after DNAT and before masquerade, and a
///   packet between two pods of the node needs both.
/// - What is denied is logged with its number ([`NFLOG_GROUP`](netproof_netfilter::NFLOG_GROUP)). What a rule only logs
///   is logged there, too, and nobody takes that for a denial.
pub trait PolicyBackend: Send {
    /// What is in force.
    fn in_force(&self) -> &dyn InForce;

    /// Makes a program the one in force on a node, whatever there was.
    ///
    /// # Errors
    /// What the kernel refused, or what the program says and the backend does not. What was in force still is.
    fn load(&mut self, node: &str, program: &Program, site: Site<'_>) -> Result<(), Cause>;

    /// Changes parts of the program in force on a node, at the cost of those parts.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn change(&mut self, node: &str, change: &Change<'_>, site: Site<'_>) -> Result<(), Cause>;

    /// Who let a traced request through, for each endpoint whose policies it met, in the order of its way.
    fn allowed(&self, trace: &RuleTrace) -> Vec<Allowed>;
}

/// Makes the programs of services true.
///
/// How packets are led is kube-proxy's: a port leads to one of its endpoints at random, or to the one that the client has
/// by affinity; a source in the range of pods is local and keeps its address towards a cluster IP; a pod that reaches
/// itself is masqueraded. What is refused is logged with its number. Host ports come after services.
pub trait ServiceBackend: Send {
    /// What is in force.
    fn in_force(&self) -> &dyn InForce;

    /// Makes a program the one in force on a node, whatever there was.
    ///
    /// # Errors
    /// What the kernel refused. What was in force still is.
    fn load(&mut self, node: &str, program: &ServiceProgram, site: ServiceSite<'_>) -> Result<(), Cause>;

    /// Changes services of the program in force on a node, at the cost of those.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn change(&mut self, node: &str, change: &ServiceChange, site: ServiceSite<'_>) -> Result<(), Cause>;
}
