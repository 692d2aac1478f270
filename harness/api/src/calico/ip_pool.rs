//! IPPool: of what it says, what packets depend on.

use crate::meta::ObjectMeta;
use crate::networking::Cidr;
use serde::{Deserialize, Serialize};

/// A range of addresses for pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpPool {
    /// Its name.
    pub metadata: ObjectMeta,
    /// The pool.
    pub spec: IpPoolSpec,
}

/// `spec` of an IPPool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpPoolSpec {
    /// The range.
    pub cidr: Cidr,
    /// Whether nodes masquerade what its addresses send to destinations in no pool at all.
    #[serde(default)]
    pub nat_outgoing: bool,
    /// Whether no more addresses are taken from it. It is a pool like the others for `natOutgoing`.
    #[serde(default)]
    pub disabled: bool,
    /// What its addresses are for: Workload and Tunnel where none is written.
    pub allowed_uses: Vec<PoolUse>,
}

/// What a pool's addresses are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolUse {
    /// Pods.
    Workload,
    /// The nodes' ends of the overlay.
    Tunnel,
    /// Services of type LoadBalancer. A pool for these alone is none for `natOutgoing`.
    LoadBalancer,
}
