//! Policy objects: their kinds, their keys, and the stages at which they apply.
//!
//! The list of kinds in this file is the only one: it decides whether something is a policy object.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Makes [`PolicyKind`] from the list of kinds, one line each: the variant, the word by which references and messages
/// name it, the kind as manifests write it, its API group, its scope, what it does, and whether netproof enforces it.
macro_rules! policy_kinds {
    ($($kind:ident $word:literal $name:literal $group:literal $scope:ident $role:ident $support:ident;)*) => {
        /// A kind of policy object: policies, and the objects that policies refer to or apply to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum PolicyKind {
            $(
                #[doc = concat!($name, " of the API group ", $group, ".")]
                #[serde(rename = $word)]
                $kind,
            )*
        }

        impl PolicyKind {
            /// Every kind.
            pub const ALL: &'static [PolicyKind] = &[$(PolicyKind::$kind),*];

            /// Its word in references and messages, in lower case; with the API group if kubectl needs it to
            /// tell two kinds apart.
            pub const fn word(self) -> &'static str {
                match self { $(PolicyKind::$kind => $word),* }
            }

            /// The kind as manifests write it.
            pub const fn name(self) -> &'static str {
                match self { $(PolicyKind::$kind => $name),* }
            }

            /// The API group.
            pub const fn group(self) -> &'static str {
                match self { $(PolicyKind::$kind => $group),* }
            }

            /// Whether it is namespaced.
            pub const fn is_namespaced(self) -> bool {
                matches!(match self { $(PolicyKind::$kind => Scope::$scope),* }, Scope::Namespace)
            }

            /// What its objects do.
            pub const fn role(self) -> Role {
                match self { $(PolicyKind::$kind => Role::$role),* }
            }

            /// Whether netproof reads and enforces it.
            pub const fn is_supported(self) -> bool {
                matches!(match self { $(PolicyKind::$kind => Support::$support),* }, Support::Yes)
            }
        }
    };
}

policy_kinds! {
    NetworkPolicy "networkpolicy" "NetworkPolicy" "networking.k8s.io" Namespace Decides Yes;
    ClusterNetworkPolicy "clusternetworkpolicy" "ClusterNetworkPolicy" "policy.networking.k8s.io" Cluster Decides Yes;
    AdminNetworkPolicy "adminnetworkpolicy" "AdminNetworkPolicy" "policy.networking.k8s.io" Cluster Decides Yes;
    BaselineAdminNetworkPolicy "baselineadminnetworkpolicy" "BaselineAdminNetworkPolicy" "policy.networking.k8s.io" Cluster Decides Yes;
    CalicoNetworkPolicy "networkpolicy.projectcalico.org" "NetworkPolicy" "projectcalico.org" Namespace Decides No;
    GlobalNetworkPolicy "globalnetworkpolicy" "GlobalNetworkPolicy" "projectcalico.org" Cluster Decides No;
    StagedKubernetesNetworkPolicy "stagedkubernetesnetworkpolicy" "StagedKubernetesNetworkPolicy" "projectcalico.org" Namespace Staged No;
    StagedNetworkPolicy "stagednetworkpolicy" "StagedNetworkPolicy" "projectcalico.org" Namespace Staged No;
    StagedGlobalNetworkPolicy "stagedglobalnetworkpolicy" "StagedGlobalNetworkPolicy" "projectcalico.org" Cluster Staged No;
    Tier "tier" "Tier" "projectcalico.org" Cluster Part No;
    NetworkSet "networkset" "NetworkSet" "projectcalico.org" Namespace Part No;
    GlobalNetworkSet "globalnetworkset" "GlobalNetworkSet" "projectcalico.org" Cluster Part No;
    Profile "profile" "Profile" "projectcalico.org" Cluster Decides No;
    HostEndpoint "hostendpoint" "HostEndpoint" "projectcalico.org" Cluster Part No;
    IpPool "ippool" "IPPool" "projectcalico.org" Cluster Part No;
}

/// What the objects of a kind do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Their rules decide about packets.
    Decides,
    /// Their rules say what they would decide.
    Staged,
    /// Policies refer to them, or apply because of them.
    Part,
}

enum Scope {
    Cluster,
    Namespace,
}

enum Support {
    Yes,
    No,
}

impl PolicyKind {
    /// The kinds that netproof reads and enforces.
    pub fn supported() -> impl Iterator<Item = PolicyKind> {
        Self::ALL.iter().copied().filter(|kind| kind.is_supported())
    }

    /// The supported policy kind of this word, if it is one.
    pub fn of_word(word: &str) -> Option<PolicyKind> {
        Self::supported().find(|kind| kind.word() == word)
    }
}

/// The word.
impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The key of a policy object: `KIND/[NAMESPACE/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyKey {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its namespace; absent for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl PolicyKey {
    /// The key of a namespaced object.
    pub fn namespaced(kind: PolicyKind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        PolicyKey { kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    pub fn cluster(kind: PolicyKind, name: impl Into<String>) -> Self {
        PolicyKey { kind, namespace: None, name: name.into() }
    }

    /// The key of a networking.k8s.io NetworkPolicy.
    pub fn network_policy(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self::namespaced(PolicyKind::NetworkPolicy, namespace, name)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{}/{}", self.kind, namespace, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// When a packet meets the policies of an endpoint. A pod's interface has the last stage only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum PolicyStage {
    /// Before connection tracking: what is allowed is not tracked (Calico's `doNotTrack`).
    Untracked,
    /// Before destinations are translated. Ingress only (Calico's `preDNAT`).
    #[serde(rename = "preDNAT")]
    PreDnat,
    /// For packets that the node forwards (Calico's `applyOnForward`).
    Forwarded,
    /// For packets to and from the interface's owner: the pod, or the processes of the node.
    Local,
}

impl fmt::Display for PolicyStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PolicyStage::Untracked => "untracked",
            PolicyStage::PreDnat => "preDNAT",
            PolicyStage::Forwarded => "forwarded",
            PolicyStage::Local => "local",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// References find a kind by its word, manifests by its group and name.
    #[test]
    fn no_two_kinds_share_a_word_or_a_name() {
        let words: BTreeSet<_> = PolicyKind::ALL.iter().map(|kind| kind.word()).collect();
        let names: BTreeSet<_> = PolicyKind::ALL.iter().map(|kind| (kind.group(), kind.name())).collect();
        assert_eq!((words.len(), names.len()), (PolicyKind::ALL.len(), PolicyKind::ALL.len()));
        for kind in PolicyKind::ALL {
            let first = kind.word().split('.').next();
            assert_eq!(first, Some(kind.name().to_lowercase().as_str()), "{kind:?}");
        }
    }

    #[test]
    fn a_word_names_a_kind_that_is_supported() {
        assert_eq!(PolicyKind::of_word(PolicyKind::NetworkPolicy.word()), Some(PolicyKind::NetworkPolicy));
        for word in ["NetworkPolicy", "pod", "", PolicyKind::Tier.word()] {
            assert_eq!(PolicyKind::of_word(word), None, "{word}");
        }
    }
}
