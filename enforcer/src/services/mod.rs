//! What services mean on one node, independent of any backend: each port of each service with the ways that lead to it,
//! the endpoints that it leads to, and why packets are refused.

mod datagrams;
mod endpoints;
mod host_ports;
mod mode;
mod node;
mod port;
mod program;
mod refusal;

pub(crate) use datagrams::{UdpServices, udp_services};
pub use endpoints::Endpoint;
pub(crate) use endpoints::is_of_family;
pub use host_ports::{HostPort, host_ports};
pub use mode::{Behaviour, NodePortAddresses, SourceRanges};
pub use node::NodeView;
pub use port::{ServicePort, compile};
pub(crate) use program::ways;
pub use program::{Inputs, ServiceChange, ServiceProgram, ServiceSite, Way};
pub use refusal::{Refusal, unknown_service};
