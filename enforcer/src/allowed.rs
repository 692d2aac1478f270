//! Who let a request through, as a trace of an enforcer's rules says it.

use netproof_model::Direction;
use std::net::IpAddr;

/// A request was let through at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The node that asked.
    pub node: String,
    /// Which of the endpoint's policies were asked.
    pub direction: Direction,
    /// The address by which the endpoint was looked for: the request's source or destination there.
    pub endpoint: IpAddr,
    /// Who let it through.
    pub by: AllowedBy,
}

/// Who let a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedBy {
    /// The rule with this number.
    Rule(u32),
    /// No policy isolates the endpoint, and none decided; or it is none of this node's.
    Nobody,
    /// No policy was asked: it belongs to a connection that exists, or a pod reaches itself.
    Exempt,
}
