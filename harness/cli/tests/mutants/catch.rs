//! Whether a case catches a mutant.

use netproof_enforcer::mutants::Mutant;
use netproof_model::event::{Check, Event, Phase, Status};
use netproof_scenario::plan::Plan;
use netproof_scenario::run::{EnforcerChoice, RunOptions, Worlds, run_plan};
use std::fmt;

/// A mutant that was caught.
pub struct Catch {
    /// The case's stable name.
    pub case: String,
    check: Check,
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check { name, expected, observed, .. } = &self.check;
        write!(f, "caught by {}: {name}: expected {expected}, observed {observed}", self.case)
    }
}

/// Runs the case under the mutant. A run that broke proves nothing, whatever failed in it.
pub fn catch(mutant: &'static Mutant, plan: &Plan, worlds: &Worlds) -> Option<Catch> {
    let options = RunOptions { enforcer: EnforcerChoice::Mutant(mutant), ..RunOptions::default() };
    let (events, result) = run_plan(plan, &options, worlds);
    if result.status != Status::Failed {
        return None;
    }
    let check = events.into_iter().find_map(|event| match event {
        Event::CheckFinished { check, .. } if is_wrong(&check) => Some(*check),
        _ => None,
    })?;
    Some(Catch { case: plan.id.to_string(), check })
}

/// Whether the packets of a check went as they must not. That another policy decided than expected is no
/// catch, and a walk without policies says nothing about them.
fn is_wrong(check: &Check) -> bool {
    let Check { expected, observed, .. } = check;
    let denied = expected == "deny" && ["drop", "reject"].contains(&observed.as_str());
    check.status == Status::Failed && check.phase != Phase::Rehearsal && expected != observed && !denied
}
