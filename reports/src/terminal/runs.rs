//! Assembles scenario runs from their events, and keeps what the summary needs.

use netproof_model::event::{
    Check, Event, FindingKind, Location, NotInCells, ScenarioId, ScenarioOutcome, Status, Summary,
};
use std::collections::BTreeSet;

/// A scenario run with everything known about it.
#[derive(Debug)]
pub(super) struct FinishedRun {
    pub(super) id: ScenarioId,
    pub(super) location: Option<Location>,
    pub(super) checks: Vec<Check>,
    /// How many cells of matrices were tried.
    pub(super) cells: usize,
    /// What was no cell's destination, in at least one step.
    pub(super) in_no_cell: BTreeSet<NotInCells>,
    pub(super) result: ScenarioOutcome,
}

impl FinishedRun {
    pub(super) fn with(&self, status: Status) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.status == status)
    }
}

/// Collects the events of the current scenario run, and the totals of the run.
#[derive(Debug, Default)]
pub(super) struct Runs {
    open: Option<(ScenarioId, Location)>,
    checks: Vec<Check>,
    cells: usize,
    in_no_cell: BTreeSet<NotInCells>,
    /// The totals so far; the run's own totals replace them at the end.
    pub(super) summary: Summary,
    /// How many checks passed because the API leaves open what they expect.
    pub(super) open_checks: usize,
    /// How many cells the API leaves open.
    pub(super) open_cells: usize,
    /// The names of the switches that would settle them.
    pub(super) open_switches: BTreeSet<String>,
    pub(super) not_applicable: usize,
    pub(super) warnings: usize,
    pub(super) planned: usize,
    /// Whether the run came to its end.
    pub(super) complete: bool,
}

impl Runs {
    /// Takes an event; returns a scenario run with its last event.
    pub(super) fn event(&mut self, event: &Event) -> Option<FinishedRun> {
        match event {
            Event::RunStarted { scenarios, .. } => self.planned = scenarios.len(),
            Event::ScenarioStarted { id, location, .. } => self.open = Some((id.clone(), location.clone())),
            Event::CheckFinished { check, .. } => {
                self.summary.checks.add(check.status);
                if check.status == Status::Passed && check.found(FindingKind::Undefined) {
                    self.open_checks += 1;
                    self.open_switches.extend(check.open.iter().cloned());
                }
                self.checks.push(check.as_ref().clone());
            }
            Event::StepFinished { cells, .. } => {
                self.summary.cells += cells.total;
                self.cells += cells.total;
                self.in_no_cell.extend(cells.in_no_cell.iter().cloned());
                self.open_cells += cells.predicted.undefined.values().sum::<usize>();
                self.open_switches.extend(cells.predicted.switches().map(str::to_owned));
            }
            Event::ScenarioFinished { id, result } => {
                self.summary.scenarios.add(result.status);
                self.summary.waited += result.waited;
                self.summary.busy += result.elapsed;
                let location = self.open.take().map(|(_, location)| location);
                return Some(self.finished(id.clone(), location, result.clone()));
            }
            Event::NotApplicable { .. } => self.not_applicable += 1,
            Event::Warning { .. } => self.warnings += 1,
            Event::RunFinished { summary } => {
                self.summary = summary.clone();
                self.complete = true;
            }
        }
        None
    }

    /// The scenario run that was under way when the run was broken off.
    pub(super) fn broken_off(&mut self) -> Option<FinishedRun> {
        let (id, location) = self.open.take()?;
        let failed = self.checks.iter().any(|check| check.status == Status::Failed);
        let result = ScenarioOutcome {
            status: if failed { Status::Failed } else { Status::Errored },
            message: Some("the run was broken off before this scenario run ended".into()),
            trouble: None,
            elapsed: std::time::Duration::ZERO,
            waited: std::time::Duration::ZERO,
        };
        self.summary.scenarios.add(result.status);
        Some(self.finished(id, Some(location), result))
    }

    fn finished(
        &mut self,
        id: ScenarioId,
        location: Option<Location>,
        result: ScenarioOutcome,
    ) -> FinishedRun {
        let (checks, cells) = (std::mem::take(&mut self.checks), std::mem::take(&mut self.cells));
        let in_no_cell = std::mem::take(&mut self.in_no_cell);
        FinishedRun { id, location, checks, cells, in_no_cell, result }
    }
}
