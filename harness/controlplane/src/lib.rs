//! What the API server and the controllers of a cluster fill in: addresses and node ports (the same in
//! every run), a load balancer's addresses, default labels, the pods of workloads, EndpointSlices.
//!
//! [`ControlPlane`] takes changes and answers with a [`Snapshot`]: the completed objects of one
//! generation, which the enforcer, the cluster, the probes and the oracle all read.

mod addresses;
pub mod change;
mod cluster_ips;
mod control_plane;
mod draft;
mod endpoints;
mod external_addresses;
mod external_hosts;
mod listeners;
mod namespaces;
mod node_ports;
mod nodes;
mod pods;
mod scheduler;
pub mod snapshot;
mod taints;
pub mod well_known;
mod workloads;

pub use addresses::{POD_GATEWAY, is_of_a_host, is_outside};
pub use change::{Change, ChangeError, KINDS, ObjectRef, is_of_the_cluster};
pub use control_plane::ControlPlane;
pub use endpoints::{ENDPOINT_SLICE_CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, ZONE_LABEL};
pub use nodes::GATEWAY_OFFSET;
pub use scheduler::{Unschedulable, host_ports};
pub use snapshot::{Contested, Snapshot, host_interface, is_another_pod, router_interface};
