//! Pods that no node takes, as a person is told of them.

use netproof_controlplane::{ControlPlane, Unschedulable};
use std::collections::BTreeMap;

/// How many pods are named; the others are counted.
const MOST_NAMED: usize = 5;

/// A sentence for each reason.
pub(super) fn notes(control_plane: &ControlPlane) -> Vec<String> {
    let mut by_reason: BTreeMap<&Unschedulable, Vec<String>> = BTreeMap::new();
    for (name, why) in control_plane.unschedulable() {
        by_reason.entry(why).or_default().push(format!("pod/{name}"));
    }
    by_reason.into_iter().map(|(why, pods)| note(&pods, why)).collect()
}

fn note(pods: &[String], why: &Unschedulable) -> String {
    let (named, others) = pods.split_at(pods.len().min(MOST_NAMED));
    let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    let names = format!("{}{others}", named.join(", "));
    match pods.len() {
        1 => format!("{names} is Pending and part of no answer, as no node takes it: {why}"),
        many => {
            format!("{many} pods are Pending and part of no answer, as no node takes them: {why} ({names})")
        }
    }
}
