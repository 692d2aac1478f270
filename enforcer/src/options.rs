//! What enforcer and proxy are made with.

use netproof_model::ProxyMode;
use std::os::fd::BorrowedFd;

/// A node, as an enforcer needs it.
#[derive(Clone, Debug)]
pub struct NodeHandle<'a> {
    /// Its name.
    pub name: String,
    /// Its network namespace; used while the enforcer is made.
    pub netns: BorrowedFd<'a>,
}

/// How the proxy behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyOptions {
    /// Which of kube-proxy's modes it follows.
    pub mode: ProxyMode,
    /// Whether every packet to a cluster IP is masqueraded, those from pods too (kube-proxy's
    /// `--masquerade-all`).
    pub masquerade_all: bool,
}
