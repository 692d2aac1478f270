//! Chains at the kernel's hooks.

use netproof_model::Hook;
use netproof_netfilter::nft::{Base, Chain, ChainType, Rule, Table};

/// The hook at which sources are translated.
pub(crate) const SOURCE_NAT: i32 = 100;

/// Adds a chain at a hook.
pub(crate) fn hook(
    table: &mut Table,
    name: &str,
    chain_type: ChainType,
    hook: Hook,
    priority: i32,
    rules: Vec<Rule>,
) {
    let base = Some(Base { chain_type, hook, priority });
    table.chains.insert(name.to_owned(), Chain { base, rules });
}
