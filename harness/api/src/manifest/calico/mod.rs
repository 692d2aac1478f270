//! The kinds of projectcalico.org/v3 as written, defaulted and validated as Calico's API server and calicoctl do it
//! (`libcalico-go/lib/validator/v3`, the CRDs of `api/config/crd`), and their spelling in crd.projectcalico.org/v1,
//! which is what Calico stores: nobody fills in defaults there, and ranges may have host bits.

mod entity;
mod http;
mod ip_pool;
mod metadata;
mod network_set;
mod policy;
mod profile;
mod rule;
mod scalars;
mod staged;
#[cfg(test)]
mod tests;
mod tier;

use super::Context;
use crate::object::Policy;
use crate::reader::Field;
use netproof_model::PolicyKind;
use netproof_text::yaml::Node;

/// The group of the API.
const API_GROUP: &str = "projectcalico.org";
/// The group of what is stored.
const STORED_GROUP: &str = "crd.projectcalico.org";

/// How an object is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As the API takes it.
    Api,
    /// As it is stored.
    Stored,
}

impl Dialect {
    /// The dialect of an API group, and the version that it must have.
    pub(super) fn of(group: &str) -> Option<(Dialect, &'static str)> {
        match group {
            API_GROUP => Some((Dialect::Api, "v3")),
            STORED_GROUP => Some((Dialect::Stored, "v1")),
            _ => None,
        }
    }
}

/// The kind of Calico's that this name means.
pub(super) fn kind_of(name: &str) -> Option<PolicyKind> {
    PolicyKind::ALL.iter().copied().find(|kind| kind.group() == API_GROUP && kind.name() == name)
}

/// Whether it is a list of objects of Calico's API, as calicoctl takes it and kubectl does not.
pub(super) fn is_sequence_of_objects(node: &Node) -> bool {
    let is_calicos = |item: &Node| {
        let version = item.get("apiVersion").and_then(Node::as_str);
        version.and_then(|version| Dialect::of(version.split_once('/')?.0)).is_some()
    };
    node.items().iter().any(is_calicos)
}

/// Reads an object of one of Calico's kinds; `None` if it is wrong, or the kind has no reader.
pub(super) fn read(
    kind: PolicyKind,
    document: &Field<'_>,
    dialect: Dialect,
    context: &Context,
) -> Option<Policy> {
    match kind {
        PolicyKind::CalicoNetworkPolicy
        | PolicyKind::GlobalNetworkPolicy
        | PolicyKind::StagedNetworkPolicy
        | PolicyKind::StagedGlobalNetworkPolicy => {
            policy::policy(kind, document, dialect, context).map(Policy::from)
        }
        PolicyKind::StagedKubernetesNetworkPolicy => {
            staged::kubernetes_policy(document, dialect, context).map(Policy::from)
        }
        PolicyKind::Tier => tier::tier(document, dialect, context).map(Policy::from),
        PolicyKind::NetworkSet | PolicyKind::GlobalNetworkSet => {
            network_set::network_set(kind, document, dialect, context).map(Policy::from)
        }
        PolicyKind::Profile => profile::profile(document, dialect, context).map(Policy::from),
        PolicyKind::IpPool => ip_pool::ip_pool(document, dialect, context).map(Policy::from),
        PolicyKind::HostEndpoint
        | PolicyKind::NetworkPolicy
        | PolicyKind::ClusterNetworkPolicy
        | PolicyKind::AdminNetworkPolicy
        | PolicyKind::BaselineAdminNetworkPolicy => None,
    }
}
