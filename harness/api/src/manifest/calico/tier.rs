//! Tier.

use super::super::Context;
use super::super::tables;
use super::Dialect;
use super::metadata::{check_tier_name, metadata, rules};
use super::scalars::order;
use crate::calico::{Order, Tier, TierAction, TierSpec};
use crate::reader::Field;

const ACTIONS: &[(&str, TierAction)] = &[("Deny", TierAction::Deny), ("Pass", TierAction::Pass)];

/// Of a tier that says none (`api/pkg/apis/projectcalico/v3/tier.go`).
const DEFAULT_ORDER: f64 = 1_000_000.0;

/// The tiers that Calico makes itself. Nobody can change them.
const FIXED: &[(&str, f64, &str, TierAction)] = &[
    ("kube-admin", 1_000.0, "Pass", TierAction::Pass),
    ("default", DEFAULT_ORDER, "Deny", TierAction::Deny),
    ("kube-baseline", 10_000_000.0, "Pass", TierAction::Pass),
];

pub(super) fn tier(document: &Field<'_>, dialect: Dialect, context: &Context) -> Option<Tier> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = metadata(&object, rules(false, check_tier_name), dialect, context);
    let spec = object.get("spec").and_then(|field| field.fields(&["order", "defaultAction"]));
    let order_field = spec.as_ref().and_then(|spec| spec.get("order"));
    let action_field = spec.as_ref().and_then(|spec| spec.text("defaultAction"));
    let fixed = FIXED.iter().find(|(name, ..)| *name == metadata.name);
    let (default_order, default_action) =
        fixed.map_or((DEFAULT_ORDER, TierAction::Deny), |(_, order, _, action)| (*order, *action));
    let tier = TierSpec {
        order: match &order_field {
            Some(field) => order(field)?,
            None => Order::new(default_order)?,
        },
        default_action: match &action_field {
            Some(field) => field.word("default action", ACTIONS)?,
            None => default_action,
        },
    };
    if let Some((name, order, word, action)) = fixed {
        let help = "leave it out, or write a tier of another name";
        if let Some(field) = order_field.filter(|_| tier.order.get() != *order) {
            field.error(format!("the order of the tier `{name}` is {order}"), help);
        }
        if let Some(field) = action_field.filter(|_| tier.default_action != *action) {
            field.error(format!("the default action of the tier `{name}` is {word}"), help);
        }
    }
    Some(Tier { metadata, spec: tier })
}
