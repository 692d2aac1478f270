//! The state that a question is about: that after a step, in which everybody who is asked answers.

use crate::question::{NoAnswer, Question};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::topology::ListenPort;
use netproof_plan::{Plan, Step, inferred};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A step, and the objects of a question.
pub(super) struct Asked<'p> {
    pub(super) step: &'p Step,
    pub(super) snapshot: Arc<Snapshot>,
    /// What the question itself changes after the step: hosts outside that it names by their addresses come, and
    /// at a port that it names everybody listens.
    pub(super) changes: Vec<Change>,
}

/// Makes what the question names.
///
/// # Errors
/// No step has that name; an address is not that of a host outside.
pub(super) fn asked<'p>(plan: &'p Plan, question: &Question) -> Result<Asked<'p>, NoAnswer> {
    let step = match &question.step {
        Some(name) => plan.step(name)?,
        None => plan.steps.last().ok_or_else(|| NoAnswer::NothingLeft {
            scenario: plan.id.to_string(),
            help: "the scenario has no step".to_owned(),
        })?,
    };
    let mut control = step.states.control().clone();
    let mut changes = Vec::new();
    for (option, selectors) in [("--from", &question.from), ("--to", &question.to)] {
        for selector in selectors {
            let Some(address) = selector.address() else { continue };
            let refused = |refused: inferred::Refused| NoAnswer::NoHost {
                option: option.to_owned(),
                selector: selector.to_string(),
                message: refused.message,
                help: refused.help,
            };
            let (_, host) = inferred::with_host(&control.snapshot(), address).map_err(refused)?;
            let host: Vec<Change> = host.into_iter().collect();
            control.apply(&host).map_err(NoAnswer::Refused)?;
            changes.extend(host);
        }
    }
    let ports: BTreeSet<ListenPort> = question.ports.iter().filter_map(|port| port.number()).collect();
    if !ports.is_empty() {
        let listen = inferred::with_ports(&control.snapshot(), &ports);
        control.apply(&listen).map_err(NoAnswer::Refused)?;
        changes.extend(listen);
    }
    Ok(Asked { step, snapshot: control.snapshot(), changes })
}
