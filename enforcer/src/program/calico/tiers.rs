//! Tiers: their places among the tiers of all APIs, and their ends.

use crate::program::front_end::{Order, TierPlace};
use crate::program::{Denial, End};
use netproof_api::calico::{DEFAULT_TIER, TierAction, TierSpec};
use std::collections::BTreeMap;

/// The tiers that Calico makes itself: name, order, and what their ends do.
const BUILT_IN: [(&str, f64, TierAction); 3] = [
    ("kube-admin", 1_000.0, TierAction::Pass),
    (DEFAULT_TIER, 1_000_000.0, TierAction::Deny),
    ("kube-baseline", 10_000_000.0, TierAction::Pass),
];

/// The tiers that are written.
#[derive(Debug, Default)]
pub(super) struct Tiers(BTreeMap<String, TierSpec>);

impl Tiers {
    /// Follows a tier: as it is now, or gone.
    pub(super) fn follow(&mut self, name: &str, spec: Option<TierSpec>) {
        match spec {
            Some(spec) => self.0.insert(name.to_owned(), spec),
            None => self.0.remove(name),
        };
    }

    /// Where a tier stands, and its end. Tiers of one order stand by name. The policies of a tier that is not there
    /// come after all others, and it denies.
    pub(super) fn place(&self, name: &str) -> (TierPlace, End) {
        let written = self.0.get(name).map(|spec| (spec.order.get(), spec.default_action));
        let built_in =
            BUILT_IN.iter().find(|(own, ..)| *own == name).map(|(_, order, action)| (*order, *action));
        let (order, action) = written.or(built_in).unwrap_or((f64::INFINITY, TierAction::Deny));
        let end = match action {
            TierAction::Deny => End::Deny(Denial::Drop),
            TierAction::Pass => End::Pass,
        };
        (TierPlace { order: Order(order), name: name.to_owned() }, end)
    }
}
