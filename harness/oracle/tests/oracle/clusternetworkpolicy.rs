//! What ClusterNetworkPolicies say, one case or more for each point that implementations get wrong; the table of the
//! two tiers around NetworkPolicies.

use crate::script::run;

#[test]
fn every_point_has_the_right_answer() {
    let ids = run(include_str!("cases/clusternetworkpolicy.txt"));
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "an id stands twice");
}
