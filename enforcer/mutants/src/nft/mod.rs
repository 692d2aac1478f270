//! Faults between the program and the kernel of the nftables backend: the right program becomes a wrong ruleset.

pub(super) mod packets;
pub(super) mod policies;

use crate::site::Site;
use netproof_enforcer::backend::nft::NftPolicies;
use netproof_enforcer::backend::{self, Cause};
use netproof_enforcer::program::Program;
use netproof_netfilter::nft::Ruleset;

/// Where the backend goes wrong, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It makes this ruleset of the program of a node.
    Ruleset(fn(&mut Ruleset, &Site<'_>)),
    /// It makes the right ruleset, but this one is in force for a moment before it.
    Window(fn(&mut Ruleset, &Site<'_>)),
}

impl Fault {
    /// Makes a program the one in force on a node, wrongly.
    pub(super) fn load(
        self,
        backend: &mut NftPolicies,
        program: &Program,
        site: &Site<'_>,
        in_force: backend::Site<'_>,
    ) -> Result<(), Cause> {
        let mut ruleset = backend.render(program, in_force)?;
        match self {
            Fault::Ruleset(wrong) => wrong(&mut ruleset, site),
            Fault::Window(wrong) => {
                let mut passing = ruleset.clone();
                wrong(&mut passing, site);
                backend.apply(site.node, passing, in_force)?;
            }
        }
        backend.apply(site.node, ruleset, in_force)
    }
}
