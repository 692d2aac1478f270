//! From objects to packet rules on every node: the policy enforcer, and the service proxy beside it.
//!
//! Both read the completed objects of a [`Snapshot`] and make each node's rules say the same, in one atomic switch a
//! change where the backend can. [`program`] says what policies mean on a node and [`services`] what services mean,
//! independent of any backend; [`backend`] is the seam behind which the rules are made; [`PolicyEnforcer`] and
//! [`ServiceProxy`] follow what changes. Nothing here knows how a node is made: a backend gets the descriptor of its
//! network namespace.
//!
//! Where the API leaves the answer open, this enforcer is the profile `netproof`:
//! a pod's egress policy applies towards its own node; the host reaches its own pods always; a pod
//! reaches itself always, also through its own service; existing connections are kept; a deny is a
//! drop; policy sees addresses after DNAT and before masquerade; ICMP is policed by rules without ports
//! only; ipBlocks match the addresses of pods, too.

#![warn(clippy::indexing_slicing)]

mod allowed;
pub mod backend;
mod differing;
mod error;
mod identities;
mod options;
mod policy;
pub mod program;
pub mod proxy;
pub mod services;

#[cfg(test)]
#[path = "../tests/world/mod.rs"]
mod world;

pub use allowed::{Allowed, AllowedBy};
pub use backend::Backend;
pub use error::EnforcerError;
pub use identities::Numbers;
pub use netproof_model::ProxyMode;
pub use options::{NodeHandle, ProxyOptions};
pub use policy::PolicyEnforcer;
pub use proxy::ServiceProxy;

use netproof_controlplane::Snapshot;
use netproof_model::{IdentityTable, RuleTrace};
use std::sync::Arc;

/// Turns policy objects into packet rules on every node.
pub trait Enforcer: Send {
    /// What `--enforcer` calls it.
    fn name(&self) -> &str;

    /// Programs the snapshot, and returns when its generation is in force on every node.
    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError>;

    /// The generation of objects that is in force on a node; `None` before there is any, and from an enforcer that
    /// enforces nothing or does not say.
    fn generation(&self, _node: &str) -> Option<u64> {
        None
    }

    /// Whether what it programmed last is still looked after; an error if not. To be asked after probing,
    /// before what was seen counts.
    fn check(&mut self) -> Result<(), EnforcerError> {
        Ok(())
    }

    /// Whether every packet that it denies leaves evidence, so that one that vanishes without any was
    /// lost, and not denied.
    fn explains(&self) -> bool {
        true
    }

    /// What the numbers in a node's evidence stand for; `None` for an unknown node, and from an enforcer
    /// that gives no evidence.
    fn identities(&self, node: &str) -> Option<&IdentityTable>;

    /// Who let a traced request through, for each endpoint whose policies it met, in the order of its way; `None` from
    /// an enforcer whose rules say nothing to netproof.
    fn allowed(&self, _trace: &RuleTrace) -> Option<Vec<Allowed>> {
        None
    }

    /// The rules in force on a node, as a person reads them.
    fn rules(&self, node: &str) -> Option<String>;
}

/// Turns services into packet rules on every node.
pub trait Proxy: Send {
    /// What `--proxy` calls it.
    fn name(&self) -> &str;

    /// Programs the snapshot, and returns when its generation is in force on every node.
    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError>;

    /// The generation of objects that is in force on a node; `None` before there is any, and from a proxy that has no
    /// rules.
    fn generation(&self, _node: &str) -> Option<u64> {
        None
    }

    /// Whether what it programmed last is still looked after; an error if not. To be asked after probing,
    /// before what was seen counts.
    fn check(&mut self) -> Result<(), EnforcerError> {
        Ok(())
    }

    /// Whether every packet that it denies leaves evidence, so that one that vanishes without any was
    /// lost, and not denied.
    fn explains(&self) -> bool {
        true
    }

    /// What the numbers in a node's evidence stand for; `None` for an unknown node, and from a proxy that gives no
    /// evidence.
    fn identities(&self, node: &str) -> Option<&IdentityTable>;

    /// The rules in force on a node, as a person reads them.
    fn rules(&self, node: &str) -> Option<String>;
}

/// Programs nothing: every packet passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Enforcer for Nothing {
    fn name(&self) -> &str {
        "none"
    }

    fn program(&mut self, _: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        Ok(())
    }

    fn identities(&self, _: &str) -> Option<&IdentityTable> {
        None
    }

    fn rules(&self, _: &str) -> Option<String> {
        None
    }
}

impl Proxy for Nothing {
    fn name(&self) -> &str {
        "none"
    }

    fn program(&mut self, _: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        Ok(())
    }

    fn identities(&self, _: &str) -> Option<&IdentityTable> {
        None
    }

    fn rules(&self, _: &str) -> Option<String> {
        None
    }
}
