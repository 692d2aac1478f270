//! The matrix of a step: every flow between the scenario's own pods and external hosts and to its services,
//! tried and held against what the API says.
//!
//! Cells that are as the API says are counted and no more. What policy denies is rehearsed first: a cell that
//! does not connect without policy proves nothing.

mod tell;

use crate::walk::{State, Walk};
use crate::world::{HarnessError, World};
use netproof_model::event::{self, CellGroup, CellTable, Cells, Denial, Event, NotInCells, SampledCells};
use netproof_model::request::Request;
use netproof_model::{Observation, Outcome};
use netproof_oracle::{Oracle, Profile};
use netproof_plan::cells::{Cell, Table};
use netproof_plan::{MatrixPlan, Plan, Step};
use netproof_probe::{Patience, Probe};
use netproof_verdict::cells::{Comparison, Predicted, count_observed, is_denial_by_policy};
use netproof_verdict::evidence;
use netproof_verdict::prediction::Answers;
use std::collections::HashMap;
use std::time::Instant;
use tell::DifferingCell;

/// Most cells probed again after the policies were removed.
const MOST_AFTERWARDS: usize = 64;

/// The cells of one step.
#[derive(Debug)]
pub(super) struct StepCells {
    cells: Vec<Predicted>,
    sampled: Option<SampledCells>,
    in_no_cell: Vec<NotInCells>,
}

/// What a cell did without policy.
#[derive(Clone, Debug)]
pub(super) enum Rehearsed {
    /// It connected.
    Connected,
    /// It did not, which is what the API says.
    AsTheApiSays,
    /// It did something else than the API says.
    Wrong(Box<Observation>),
}

impl StepCells {
    /// The cells of a state; `None` where the plan wants none.
    pub(super) fn new(plan: &Plan, state: &State, choice: &Choice) -> Option<StepCells> {
        if plan.matrix == MatrixPlan::Off {
            return None;
        }
        let matrix = match (&plan.matrix, choice.services) {
            (MatrixPlan::On { destinations }, false) => {
                let is_place = |it: &&_| **it == netproof_plan::MatrixDestination::PodIp;
                MatrixPlan::On { destinations: destinations.iter().filter(is_place).copied().collect() }
            }
            (matrix, _) => matrix.clone(),
        };
        let table = Table::new(&state.snapshot, &matrix);
        let oracle = Oracle::new(&state.snapshot, choice.profile);
        let (cells, sampled) = table.choose(&oracle, choice.seed);
        let answers = Answers::new(&state.snapshot, choice.profile);
        let cells = cells.into_iter().filter_map(|cell| Predicted::new(&answers, cell)).collect();
        Some(StepCells { cells, sampled, in_no_cell: table.in_no_cell().to_vec() })
    }

    /// The cells that policy denies.
    fn denied(&self) -> impl Iterator<Item = &Predicted> {
        self.cells.iter().filter(|it| it.is_denied())
    }

    /// Whether the rehearsal has something to try that is not known yet.
    pub(super) fn needs(&self, known: &HashMap<usize, Rehearsed>) -> bool {
        self.denied().any(|it| !known.contains_key(&it.cell.number))
    }
}

/// What is known of a step before its cells are tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// What the cells that policy denies did without it.
    pub(super) rehearsed: &'a HashMap<usize, Rehearsed>,
    /// How many of them were tried for this step.
    pub(super) tried: usize,
    /// The flows that the step names and that have failed: they are not told once more.
    pub(super) told: &'a [&'a Request],
}

/// What chooses the cells of a run beside its plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) profile: Profile,
    pub(super) seed: u64,
    /// Whether somebody turns services into packet rules.
    pub(super) services: bool,
}

impl Walk<'_> {
    /// Tries the cells that policy will deny and that have not been tried without policy in this state yet.
    /// Gives how many were tried.
    pub(super) fn rehearse_cells(
        &mut self,
        world: &mut World,
        state: &State,
        matrix: &StepCells,
        known: &mut HashMap<usize, Rehearsed>,
    ) -> Result<usize, HarnessError> {
        let fresh: Vec<&Predicted> =
            matrix.denied().filter(|it| !known.contains_key(&it.cell.number)).collect();
        if fresh.is_empty() {
            return Ok(0);
        }
        let requests: Vec<Probe> = fresh.iter().map(|it| request(&it.cell, Patience::ForAnswer)).collect();
        let observations = self.probe(world, &requests)?;
        let answers = Answers::new(&state.bare, self.profile);
        for ((predicted, request), observation) in fresh.iter().zip(&requests).zip(observations) {
            let rehearsed = match observation.outcome {
                Outcome::Connected => Rehearsed::Connected,
                _ => {
                    let bare = Predicted::new(&answers, predicted.cell.clone());
                    let denials = world.denials(request, &observation);
                    match bare.map(|it| it.compare(&observation, &denials, &answers)) {
                        Some(Comparison::Agrees) => Rehearsed::AsTheApiSays,
                        _ => Rehearsed::Wrong(Box::new(observation)),
                    }
                }
            };
            known.insert(predicted.cell.number, rehearsed);
        }
        Ok(fresh.len())
    }

    /// Tells of cells that did not do without policy what the API says.
    pub(super) fn tell_rehearsal(
        &mut self,
        world: &World,
        step: &Step,
        state: &State,
        matrix: &StepCells,
        known: &HashMap<usize, Rehearsed>,
    ) {
        let wrong = matrix.denied().filter_map(|it| match known.get(&it.cell.number) {
            Some(Rehearsed::Wrong(observation)) => Some((it, &**observation)),
            _ => None,
        });
        let wrong: Vec<_> = wrong.collect();
        self.tell_wrong_rehearsals(world, step, &state.bare, &wrong);
    }

    /// Tries every cell of a step and counts what came of it; those that differ become checks.
    pub(super) fn try_cells(
        &mut self,
        world: &mut World,
        step: &Step,
        state: &State,
        matrix: &StepCells,
        before: &Before<'_>,
    ) -> Result<(), HarnessError> {
        let Before { rehearsed: known, tried, told: told_already } = *before;
        let begin = Instant::now();
        let requests: Vec<Probe> = matrix
            .cells
            .iter()
            .map(|it| {
                request(&it.cell, if it.is_answered() { Patience::ForAnswer } else { Patience::Settle })
            })
            .collect();
        let observations = self.probe(world, &requests)?;
        let answers = Answers::new(&state.snapshot, self.profile);
        let mut cells = Cells {
            total: matrix.cells.len(),
            sampled: matrix.sampled,
            in_no_cell: matrix.in_no_cell.clone(),
            profile: self.profile.name.to_owned(),
            ..Cells::default()
        };
        let denied = matrix.denied().count();
        cells.rehearsed.tried = tried;
        cells.rehearsed.shared = denied.saturating_sub(tried);
        let mut told: Vec<DifferingCell<'_>> = Vec::new();
        let mut table: Vec<event::Cell> = Vec::with_capacity(matrix.cells.len());
        for ((predicted, request), observation) in matrix.cells.iter().zip(&requests).zip(&observations) {
            let denials: Vec<Denial> = world.denials(request, observation);
            predicted.count(&mut cells.predicted);
            count_observed(&mut cells.observed, observation.outcome, &denials);
            let comparison = predicted.compare(observation, &denials, &answers);
            table.push(record(step, predicted, observation, &denials, &comparison));
            match &comparison {
                Comparison::Agrees => {
                    let connected = matches!(known.get(&predicted.cell.number), Some(Rehearsed::Connected));
                    if predicted.is_denied()
                        && !connected
                        && is_denial_by_policy(observation.outcome, &denials)
                    {
                        cells.unproven += 1;
                    }
                    continue;
                }
                Comparison::Differs(difference) => {
                    cells.differing += 1;
                    cells.wrong_deciders += usize::from(difference.is_decider());
                }
                Comparison::Unexplained(_) => cells.unexplained += 1,
            }
            if !told_already.contains(&&predicted.cell.request) {
                told.push(DifferingCell { predicted, observation, denials, comparison });
            }
        }
        cells.table = CellTable::of(table);
        cells.elapsed = begin.elapsed();
        self.cells += cells.total;
        let result = self.tell_cells(world, step, state, told);
        self.events.push(Event::StepFinished {
            id: self.plan.id.clone(),
            step: step.name.clone(),
            location: step.location.clone(),
            cells: Box::new(cells),
        });
        result
    }

    /// Tries cells that policy denied in the last step once more, now that there is none: some of them, if there
    /// are many. Those that may end in another way are left out: which backend is chosen, and which node the router
    /// sends a packet to, is a matter of chance.
    pub(super) fn try_cells_afterwards(
        &mut self,
        world: &mut World,
        step: &Step,
        matrix: &StepCells,
        known: &HashMap<usize, Rehearsed>,
    ) -> Result<(), HarnessError> {
        let snapshot = world.snapshot();
        let answers = Answers::new(&snapshot, self.profile);
        let connects = |cell: &Cell| {
            let now = Predicted::new(&answers, cell.clone());
            now.is_some_and(|it| it.is_served() && it.is_let_through())
        };
        let connected: Vec<&Predicted> = matrix
            .denied()
            .filter(|it| {
                matches!(known.get(&it.cell.number), Some(Rehearsed::Connected)) && connects(&it.cell)
            })
            .collect();
        let stride = connected.len().div_ceil(MOST_AFTERWARDS).max(1);
        let chosen: Vec<&Predicted> = connected.into_iter().step_by(stride).collect();
        let requests: Vec<Probe> = chosen.iter().map(|it| request(&it.cell, Patience::ForAnswer)).collect();
        let observations = self.probe(world, &requests)?;
        let wrong = chosen.into_iter().zip(&observations).filter(|(_, it)| it.outcome != Outcome::Connected);
        let wrong: Vec<_> = wrong.collect();
        self.tell_afterwards(world, step, &wrong)
    }
}

/// A cell for the table of its step. The step may expect something of the same flow.
fn record(
    step: &Step,
    predicted: &Predicted,
    observation: &Observation,
    denials: &[Denial],
    comparison: &Comparison,
) -> event::Cell {
    let Cell { flow, family, request, .. } = &predicted.cell;
    let same = step.expectations.iter().find(|it| it.family == *family && it.request == *request);
    event::Cell {
        source: flow.from.to_string(),
        destination: flow.destination(),
        group: CellGroup {
            family: *family,
            expected: same.and_then(|it| it.expected.verdicts()),
            predicted: predicted.answer.verdicts(),
            observed: evidence::observed(observation.outcome, denials),
            decided_by: denials.first().map(|denial| denial.decision.clone()),
            agrees: *comparison == Comparison::Agrees,
            cells: Vec::new(),
        },
    }
}

/// The probe of a cell.
fn request(cell: &Cell, patience: Patience) -> Probe {
    Probe { request: cell.request.clone(), family: cell.family, patience, keep: false }
}
