//! The troubles of a scenario run: a check, or all failed cells of a step's matrix, which mostly have one
//! cause.

use super::runs::FinishedRun;
use crate::{describe, text};
use netproof_model::event::{Check, FindingKind, Phase, Status};

/// The most lines of cells that are listed; the others are counted.
const LINES: usize = 12;

/// One trouble.
#[derive(Debug)]
pub(super) enum Trouble<'a> {
    /// A check by itself.
    Check(&'a Check),
    /// Two or more cells of one step's matrix, of one walk and one status.
    Cells(Vec<&'a Check>),
}

/// The checks of this status. With `each`, cells are not combined.
pub(super) fn of(run: &FinishedRun, status: Status, each: bool) -> Vec<Trouble<'_>> {
    let mut troubles: Vec<Trouble<'_>> = Vec::new();
    for check in run.with(status) {
        let together = troubles.iter_mut().find_map(|trouble| match trouble {
            Trouble::Cells(cells) if !each && is_beside(cells, check) => Some(cells),
            _ => None,
        });
        match together {
            Some(cells) => cells.push(check),
            None if check.cells > 0 && !each => troubles.push(Trouble::Cells(vec![check])),
            None => troubles.push(Trouble::Check(check)),
        }
    }
    for trouble in &mut troubles {
        if let Trouble::Cells(cells) = trouble
            && let [check] = cells[..]
        {
            *trouble = Trouble::Check(check);
        }
    }
    troubles
}

fn is_beside(cells: &[&Check], check: &Check) -> bool {
    check.cells > 0 && cells.iter().all(|it| (it.phase, &it.step) == (check.phase, &check.step))
}

/// `2 of 20 checks and 36 of 567 cells failed, 1 of 20 checks without a verdict`
pub(super) fn count(run: &FinishedRun) -> String {
    let checks = run.checks.iter().filter(|check| check.cells == 0).count();
    let mut words = Vec::new();
    for (status, what) in [(Status::Failed, "failed"), (Status::Errored, "without a verdict")] {
        let of_checks = run.with(status).filter(|check| check.cells == 0).count();
        let of_cells = run.with(status).map(|check| check.cells).sum::<usize>();
        let parts: Vec<String> = [(of_checks, checks, "check"), (of_cells, run.cells, "cell")]
            .into_iter()
            .filter(|(n, ..)| *n > 0)
            // The run's cells do not include those of the rehearsal and the clean-up.
            .map(|(n, of, noun)| match n <= of {
                true => format!("{n} of {}", text::count(of, noun)),
                false => text::count(n, noun),
            })
            .collect();
        if !parts.is_empty() {
            words.push(format!("{} {what}", parts.join(" and ")));
        }
    }
    if words.is_empty() { text::count(run.checks.len(), "check") } else { words.join(", ") }
}

impl Trouble<'_> {
    /// In one line: `deny all/pod/client -> pod/web:80: expected deny, observed allow`.
    pub(super) fn line(&self) -> String {
        match self {
            Trouble::Check(check) => format!("{}: {}", check.name, describe::headline(check)),
            Trouble::Cells(cells) => {
                let first = cells.first().map(|check| format!(": {}, {}", check.flow, what(check)));
                let others = if cells.len() > 1 { ", and others" } else { "" };
                format!("{}{}{others}", title(cells), first.unwrap_or_default())
            }
        }
    }
}

/// `deny all/matrix: 36 cells contradict the API`
pub(super) fn title(cells: &[&Check]) -> String {
    let Some(first) = cells.first() else { return String::new() };
    let how = match (first.status, first.phase) {
        (Status::Errored, _) => "have no verdict",
        (_, Phase::Cleanup) => "do not connect again",
        _ if cells.iter().all(|check| describe::is_wrong_decider(check)) => {
            "have the right verdict and a wrong decider"
        }
        _ => "contradict the API",
    };
    let count = text::count(cells.iter().map(|check| check.cells).sum(), "cell");
    format!("{}{}/matrix: {count} {how}", first.phase.prefix(), first.step)
}

/// The cells, one line for each pair of source and destination.
pub(super) fn list(cells: &[&Check]) -> Vec<String> {
    let mut lines: Vec<(&str, String, Vec<&str>)> = Vec::new();
    let mut more = 0;
    for check in cells {
        let Some((pair, port)) = check.flow.rsplit_once(':').filter(|_| check.cells == 1) else {
            more += check.cells;
            continue;
        };
        let what = what(check);
        match lines.iter_mut().find(|(known, same, _)| *known == pair && *same == what) {
            Some((_, _, ports)) => ports.push(port),
            None => lines.push((pair, what, vec![port])),
        }
    }
    let untold = lines.split_off(lines.len().min(LINES));
    more += untold.iter().map(|(_, _, ports)| ports.len()).sum::<usize>();
    let told = lines.into_iter().map(|(pair, what, ports)| format!("{pair}:{}: {what}", ports.join(", ")));
    let rest = (more > 0).then(|| format!("and {more} more"));
    told.chain(rest).collect()
}

/// What is wrong with a cell, in a few words.
fn what(check: &Check) -> String {
    match check.status {
        // The other kinds have an expectation that the packets met.
        Status::Failed
            if !check.found(FindingKind::WrongDecider) && !check.found(FindingKind::WrongBackend) =>
        {
            describe::mismatch(check).unwrap_or_else(|| check.messages())
        }
        _ => check.messages(),
    }
}
