//! Shows the runs of one scenario on one line, as soon as the last of them has ended.

use super::runs::FinishedRun;
use netproof_model::event::{ScenarioId, Status};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which scenario: suite and name.
type Key = (String, String);

/// Groups that wait for other variants of their scenario.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// How many runs of each scenario are still to come.
    expected: BTreeMap<Key, usize>,
    waiting: BTreeMap<Key, Group>,
}

/// The runs of one scenario that passed or were skipped.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// All runs of the scenario, whatever their result.
    pub(super) ended: usize,
    pub(super) passed: Vec<ScenarioId>,
    /// Checks of those that passed.
    pub(super) checks: usize,
    /// Their cells.
    pub(super) cells: usize,
    pub(super) elapsed: Duration,
    /// Skipped checks by their reason.
    pub(super) skipped_checks: BTreeMap<String, usize>,
    /// Skipped runs by their reason.
    pub(super) skipped: BTreeMap<String, Vec<ScenarioId>>,
}

fn key(id: &ScenarioId) -> Key {
    (id.suite.clone(), id.name.clone())
}

impl Groups {
    pub(super) fn expect(&mut self, planned: &[ScenarioId]) {
        for id in planned {
            *self.expected.entry(key(id)).or_default() += 1;
        }
    }

    /// Takes a run that ended; returns the group with its last run.
    pub(super) fn add(&mut self, run: &FinishedRun) -> Option<Group> {
        let key = key(&run.id);
        let group = self.waiting.entry(key.clone()).or_default();
        group.ended += 1;
        match run.result.status {
            Status::Passed => {
                group.passed.push(run.id.clone());
                group.checks += run.checks.len();
                group.cells += run.cells;
                group.elapsed += run.result.elapsed;
                for check in run.checks.iter().filter(|check| check.status == Status::Skipped) {
                    *group.skipped_checks.entry(check.messages()).or_default() += 1;
                }
            }
            Status::Skipped => {
                let reason = run.result.message.clone().unwrap_or_default();
                group.skipped.entry(reason).or_default().push(run.id.clone());
            }
            Status::Failed | Status::Errored => {}
        }
        let expected = self.expected.get(&key).copied().unwrap_or_default();
        if group.ended >= expected { self.waiting.remove(&key) } else { None }
    }

    /// The groups that still wait when the run is over.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Group> + use<> {
        std::mem::take(&mut self.waiting).into_values()
    }
}

/// The variants by name: `recipes::deny-all (across-ipv6, same-node-ipv6)`.
pub(super) fn listing(ids: &[ScenarioId]) -> String {
    match ids {
        [_, second, ..] => {
            let scenario = ScenarioId { variant: Vec::new(), ..second.clone() };
            let variants: Vec<_> = ids.iter().map(ScenarioId::variant_name).collect();
            format!("{scenario} ({})", variants.join(", "))
        }
        _ => name(ids, 0),
    }
}

/// `recipes::deny-all::across` alone, `recipes::deny-all (2 variants)` together; with `of`, how many
/// there are.
pub(super) fn name(ids: &[ScenarioId], of: usize) -> String {
    match ids {
        [] => String::new(),
        [id] => id.to_string(),
        [id, ..] => {
            let scenario = ScenarioId { variant: Vec::new(), ..id.clone() };
            let n = ids.len();
            if n < of {
                format!("{scenario} ({n} of {of} variants)")
            } else {
                format!("{scenario} ({n} variants)")
            }
        }
    }
}
