//! The same cells, with packets: every cell becomes an expectation of what the API says, and the runner
//! tries it, denials against a rehearsal without policy.

use crate::asking::{Asked, asked};
use crate::cell::{Cell, Observed, Sign};
use crate::predict::predict;
use crate::question::{NoAnswer, Question};
use crate::table::{Matrix, Table};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::event::{Check, Event, Phase, Status};
use netproof_model::flow::Flow;
use netproof_model::{DecidedBy, Verdict};
use netproof_plan::{Expectation, Expected, MatrixPlan, Plan, flows};
use netproof_runner::{RunOptions, Worlds, run_plan};
use std::collections::HashMap;
use thiserror::Error;

/// The most cells that are probed.
pub const MOST_PROBES: usize = 5_000;

/// Why there is no matrix of packets.
#[derive(Debug, Error)]
pub enum Unprobed {
    /// The question is wrong.
    #[error(transparent)]
    Question(#[from] NoAnswer),
    /// There are more cells than are probed.
    #[error(
        "{cells} cells are more than the {MOST_PROBES} that are tried with packets\n\
         help: choose some with --from, --to or --port, or ask the API alone with --predict"
    )]
    TooMany {
        /// How many.
        cells: usize,
    },
    /// The enforcer can do nothing with such a cluster.
    #[error("{because}\nhelp: --predict asks the API alone, whoever enforces policy")]
    NotApplicable {
        /// Why.
        because: String,
    },
    /// The machine or the harness could not do it.
    #[error("{message}")]
    NotDone {
        /// Why, with the remedy.
        message: String,
    },
}

/// Tries every cell that `predict` answers. The calling thread must be inside a sandbox
/// (`netproof_cluster::sandbox`).
///
/// # Errors
/// Those of `predict`; too many cells; or nothing could be tried.
pub fn probe(plan: &Plan, question: &Question, options: &RunOptions) -> Result<Matrix, Unprobed> {
    let mut matrix = predict(plan, question)?;
    let asked_cells = matrix.counted().filter(|(cell, _)| cell.predicted != Sign::NotAsked);
    let cells = asked_cells.map(|(_, count)| count).sum();
    if cells > MOST_PROBES {
        return Err(Unprobed::TooMany { cells });
    }
    // The answer is who stands in no table, and why.
    if cells == 0 {
        return Ok(matrix);
    }
    let Asked { step, snapshot, changes } = asked(plan, question)?;
    let mut expectations = Vec::new();
    for table in &matrix.tables {
        for (source, cells) in table.sources.iter().zip(table.cells.rows()) {
            for (destination, cell) in table.destinations.iter().zip(cells) {
                let flow = table.flow(source, destination);
                expectations.extend(expectation(&snapshot, plan, &step.name, flow, cell));
            }
        }
    }
    let options = &RunOptions { profile: Some(plan.profile_or(question.profile)), ..options.clone() };
    let asked = with_cells(plan, &step.name, changes, expectations)?;
    let (events, outcome) = run_plan(&asked, options, &Worlds::new(1));
    if matches!(outcome.status, Status::Errored | Status::Skipped) {
        let errored = events.iter().find_map(|event| match event {
            Event::CheckFinished { check, .. } if check.status == Status::Errored => {
                Some(format!("{}: {}", check.name, check.messages()))
            }
            _ => None,
        });
        let message = outcome.message.or(errored).unwrap_or_else(|| "nothing could be tried".to_owned());
        return Err(Unprobed::NotDone { message });
    }
    let mut seen: HashMap<(String, String), Observed> = HashMap::new();
    for event in events {
        if let Event::CheckFinished { check, .. } = event {
            take(&mut seen, &check);
        }
    }
    for table in &mut matrix.tables {
        fill(table, &mut seen);
    }
    Ok(matrix)
}

/// The plan up to the step, which makes what the question changes, and expects the cells and nothing else.
///
/// # Errors
/// What the control plane refuses of the question's changes.
fn with_cells(
    plan: &Plan,
    step: &str,
    changes: Vec<Change>,
    expectations: Vec<Expectation>,
) -> Result<Plan, NoAnswer> {
    let hosts = changes.iter().filter(|it| matches!(it, Change::ApplyExternal(_))).count();
    let mut steps = plan.steps.clone();
    let last = steps.iter().position(|other| other.name == step).map_or(0, |position| position + 1);
    steps.truncate(last);
    for step in &mut steps {
        step.rounds = 1;
        step.streams.clear();
        step.expectations.clear();
    }
    if let Some(last) = steps.last_mut() {
        last.expectations = expectations;
        if !changes.is_empty() {
            last.states = last.states.with(&changes).map_err(NoAnswer::Refused)?;
            last.change_sets.push(changes);
        }
    }
    let places = plan.places + hosts;
    Ok(Plan { steps, places, matrix: MatrixPlan::Off, profile: None, group: None, ..plan.clone() })
}

/// What is to come of a cell's flow; nothing where it is not asked.
fn expectation(snapshot: &Snapshot, plan: &Plan, step: &str, flow: Flow, cell: &Cell) -> Option<Expectation> {
    let expected = match cell.predicted {
        Sign::Allow => Expected::All(Verdict::Allow),
        Sign::Deny => Expected::All(Verdict::Deny),
        Sign::Drop => Expected::All(Verdict::Drop),
        Sign::Reject => Expected::All(Verdict::Reject),
        Sign::Unreachable => Expected::All(Verdict::Unreachable),
        Sign::NoAnswer => Expected::All(Verdict::NoAnswer),
        Sign::Open | Sign::Varies => Expected::Observe,
        Sign::NotAsked => return None,
    };
    let mut resolved = flows::resolve(snapshot, &flow, true).ok()?;
    let (family, request) = resolved.requests.pop()?;
    Some(Expectation {
        name: name(step, &flow),
        location: plan.location.clone(),
        step: step.to_owned(),
        flow,
        family,
        request,
        expected,
        decided_by: matches!(cell.predicted, Sign::Drop | Sign::Reject).then_some(DecidedBy::Service),
        sees: None,
        served_by: None,
        backends: resolved.backends.into_iter().collect(),
        sticky: resolved.sticks,
        via: None,
        policy_sees: None,
        rejected_with: None,
        resolves_to: None,
        keep: false,
        baseline: None,
    })
}

/// Unique: the flow says its family.
fn name(step: &str, flow: &Flow) -> String {
    let family = flow.family.map(|family| format!(" {family}")).unwrap_or_default();
    format!("{step}/{flow}{family}")
}

/// What a check of a cell saw; of those of the other walks, what they found wrong.
fn take(seen: &mut HashMap<(String, String), Observed>, check: &Check) {
    let key = (check.flow.clone(), check.family.map(|family| family.to_string()).unwrap_or_default());
    let observed = seen.entry(key).or_insert_with(|| Observed { verdicts: None, differs: Vec::new() });
    if check.phase == Phase::Run {
        observed.verdicts.clone_from(&check.observed);
    }
    if check.status == Status::Failed {
        let walk = match check.phase {
            Phase::Run => "",
            Phase::Rehearsal => "without policy: ",
            Phase::Cleanup => "after the policies: ",
        };
        // What is expected here is what the API says: which of the three answers differ needs no second sentence.
        observed.differs.extend(check.findings.first().map(|finding| format!("{walk}{finding}")));
    }
}

fn fill(table: &mut Table, seen: &mut HashMap<(String, String), Observed>) {
    let flows: Vec<Vec<String>> = table
        .sources
        .iter()
        .map(|source| table.destinations.iter().map(|to| table.flow(source, to).to_string()).collect())
        .collect();
    for (row, flows) in flows.into_iter().enumerate() {
        for (column, flow) in flows.into_iter().enumerate() {
            if let Some(observed) = seen.remove(&(flow, table.family.to_string()))
                && let Some(cell) = table.cells.get(row, column).cloned()
            {
                table.cells.set(row, column, Cell { observed: Some(observed), ..cell });
            }
        }
    }
}
