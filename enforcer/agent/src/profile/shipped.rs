//! The profiles that netproof has.

use netproof_api::Source;
use std::sync::Arc;

/// The profiles that are compiled in: their names, and their texts.
pub const SHIPPED: [(&str, &str); 8] = [
    ("calico-felix", include_str!("../../profiles/calico-felix.yaml")),
    ("calico-felix-iptables", include_str!("../../profiles/calico-felix-iptables.yaml")),
    ("kube-network-policies", include_str!("../../profiles/kube-network-policies.yaml")),
    ("kube-network-policies-iptables", include_str!("../../profiles/kube-network-policies-iptables.yaml")),
    ("kube-proxy", include_str!("../../profiles/kube-proxy.yaml")),
    ("kube-proxy-iptables", include_str!("../../profiles/kube-proxy-iptables.yaml")),
    ("kube-router", include_str!("../../profiles/kube-router.yaml")),
    ("kube-router-nftables", include_str!("../../profiles/kube-router-nftables.yaml")),
];

/// The text of a shipped profile.
pub fn shipped(name: &str) -> Option<Arc<Source>> {
    let (name, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
    Some(Source::new(format!("the shipped profile {name}"), *text))
}
