//! The objects of Calico's API (projectcalico.org/v3), as its API server stores them: defaults filled in.
//!
//! Source of the rules: the resource reference of Calico 3.32 (`docs/reference/resources`), its API types
//! (`api/pkg/apis/projectcalico/v3`) and its validator (`libcalico-go/lib/validator/v3`).

mod ip_pool;
mod network_set;
mod policy;
mod profile;
mod rule;
pub mod selector;
mod tier;

pub use ip_pool::{IpPool, IpPoolSpec, PoolUse};
pub use network_set::NetworkSet;
pub use policy::{CalicoPolicy, CalicoPolicySpec, Order, StagedAction, StagedKubernetesNetworkPolicy};
pub use profile::{Profile, ProfileSpec};
pub use rule::{
    CalicoAction, CalicoRule, EntityRule, IcmpMatch, PortMatch, ProtocolNumber, ServiceAccountMatch,
    ServiceMatch,
};
pub use selector::{Condition, Selector, SelectorError};
pub use tier::{DEFAULT_TIER, Tier, TierAction, TierSpec};
