//! Which cases of a table start alike: they are walked in worlds that they share.

use netproof_plan::Plan;
use std::sync::Arc;

/// Puts the runs of a file's cases, which are at these places of `plans`, into groups that have the same
/// variant, topology, matrix, profile and objects before their first step, and gives each group one topology. A
/// run that starts like no other has no group.
pub fn assign(plans: &mut [Plan], cases: &[usize]) {
    let mut firsts: Vec<usize> = Vec::new();
    for index in cases.iter().copied() {
        let alike = firsts.iter().copied().find(|first| starts_alike(&plans[*first], &plans[index]));
        let Some(first) = alike else {
            firsts.push(index);
            continue;
        };
        // Its first run names a group: no two runs have one id.
        let name = plans[first].id.to_string();
        plans[first].group = Some(name.clone());
        plans[index].group = Some(name);
        plans[index].topology = Arc::clone(&plans[first].topology);
    }
}

/// What they tried without policy is shared too: by the cells' numbers, which depend on the matrix, and held
/// against the API as the profile reads it.
fn starts_alike(a: &Plan, b: &Plan) -> bool {
    a.id.variant == b.id.variant
        && a.topology == b.topology
        && a.initial == b.initial
        && a.matrix == b.matrix
        && a.profile == b.profile
}
