//! The result of a scenario run as a cargo test: a run that was not tried is a visible skip with its reason,
//! never a pass. `ci/check-nothing-ignored` accepts those that do not apply.

use libtest_mimic::{Completion, Failed};
use netproof_model::event::{Event, ScenarioOutcome, Status};
use std::collections::BTreeMap;

/// Of a run that the scenario itself rules out.
pub fn not_applicable(because: &str) -> Completion {
    Completion::ignored_with(format!("does not apply: {because}"))
}

/// Of a run with these events; `report` tells of one that is not as expected.
pub fn of(
    events: &[Event],
    result: &ScenarioOutcome,
    report: impl FnOnce() -> String,
) -> Result<Completion, Failed> {
    match result.status {
        Status::Passed => {}
        Status::Skipped => {
            return Ok(Completion::ignored_with(result.message.as_deref().unwrap_or("nothing was tried")));
        }
        Status::Failed | Status::Errored => return Err(Failed::from(report())),
    }
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    for event in events {
        if let Event::CheckFinished { check, .. } = event
            && check.status == Status::Skipped
        {
            *skipped.entry(check.messages()).or_default() += 1;
        }
    }
    if skipped.is_empty() {
        return Ok(Completion::Completed);
    }
    let reasons: Vec<String> = skipped.iter().map(|(why, n)| format!("{n} skipped: {why}")).collect();
    Ok(Completion::ignored_with(format!("all checks passed but {}", reasons.join("; "))))
}
