//! The end of the report: what went wrong, in short, and the totals.

use super::page::{Page, STATUS_WIDTH};
use super::runs::{FinishedRun, Runs};
use super::style::Style;
use super::troubles::{self, Trouble};
use crate::{Rerun, text};
use netproof_model::event::{Counts, Status};

/// What went wrong, collected for the end.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    failures: Vec<WrongRun>,
    errors: Vec<WrongRun>,
}

/// One scenario run with its checks that failed, or that have no verdict.
#[derive(Debug)]
struct WrongRun {
    run: String,
    lines: Vec<String>,
    command: Option<String>,
}

impl Wrong {
    pub(super) fn add(&mut self, run: &FinishedRun, rerun: &Rerun) {
        let list = |status: Status| -> Vec<String> {
            troubles::of(run, status, false).iter().map(Trouble::line).collect()
        };
        let command = run.location.as_ref().map(|location| rerun.command(location, &run.id));
        let trouble =
            |lines: Vec<String>| WrongRun { run: run.id.to_string(), lines, command: command.clone() };
        let failed = list(Status::Failed);
        if !failed.is_empty() {
            self.failures.push(trouble(failed));
        }
        let mut broken = list(Status::Errored);
        if run.result.status != Status::Skipped {
            broken.extend(run.result.message.clone());
        }
        if !broken.is_empty() {
            self.errors.push(trouble(broken));
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        section(page, Style::Fail, "Failures", &self.failures);
        section(
            page,
            Style::Error,
            "Errors: the machine or the harness could not do it, so there is no verdict",
            &self.errors,
        );
    }
}

fn section(page: &mut Page, style: Style, title: &str, troubles: &[WrongRun]) {
    if troubles.is_empty() {
        return;
    }
    page.blank();
    page.painted(0, style, title);
    for WrongRun { run, lines, command } in troubles {
        page.painted(2, Style::Strong, run);
        for line in lines {
            page.indented(4, &text::one_line(line));
        }
        if let Some(command) = command {
            page.painted(4, Style::Faint, command);
        }
    }
}

/// The result in a word, and the totals.
pub(super) fn write(page: &mut Page, runs: &Runs) {
    let summary = &runs.summary;
    let (style, word) = match summary.scenarios {
        Counts { failed: 1.., .. } => (Style::Fail, "FAIL"),
        Counts { errored: 1.., .. } => (Style::Error, "ERROR"),
        _ if !runs.complete => (Style::Error, "ERROR"),
        Counts { passed: 1.., .. } => (Style::Pass, "PASS"),
        Counts { skipped: 1.., .. } => (Style::Skip, "SKIP"),
        _ => (Style::Skip, "NONE"),
    };
    page.blank();
    let mut scenarios = sums(&summary.scenarios, "scenario run");
    if runs.not_applicable > 0 {
        scenarios.push_str(&format!("; {} not applicable", runs.not_applicable));
    }
    page.status(style, word, &scenarios);
    let cells = match summary.cells {
        0 => String::new(),
        n => format!("; {}", text::count(n, "cell")),
    };
    page.indented(STATUS_WIDTH, &format!("{}{cells}", sums(&summary.checks, "check")));
    let open = [(runs.open_checks, "check"), (runs.open_cells, "cell")].into_iter().filter(|(n, _)| *n > 0);
    let open: Vec<String> = open.map(|(n, what)| text::count(n, what)).collect();
    if !open.is_empty() {
        let open = open.join(", ");
        let switches: Vec<&str> = runs.open_switches.iter().map(String::as_str).collect();
        let switches = switches.join(", ");
        page.indented(STATUS_WIDTH, &format!("left open by the API, so no failure: {open} ({switches})"));
    }
    if runs.complete {
        let mut time = text::duration(summary.elapsed);
        if !summary.busy.is_zero() {
            let share = 100.0 * summary.waited.as_secs_f64() / summary.busy.as_secs_f64();
            time.push_str(&format!(
                ", {share:.1} % of the scenario runs' time spent waiting for packets that never came"
            ));
        }
        page.indented(STATUS_WIDTH, &time);
    }
    if runs.warnings > 0 {
        page.indented(STATUS_WIDTH, &text::count(runs.warnings, "warning"));
    }
    let untold = text::count(runs.planned.saturating_sub(summary.scenarios.total()), "scenario run");
    match (runs.complete, summary.scenarios.total() < runs.planned) {
        (true, false) => {}
        (true, true) => {
            page.indented(STATUS_WIDTH, &format!("{untold} not started after the first that went wrong"))
        }
        (false, _) => page.indented(STATUS_WIDTH, &format!("broken off, {untold} not done")),
    }
}

/// `3 checks, 486 cells`.
pub(super) fn tried(checks: usize, cells: usize) -> String {
    match (checks, cells) {
        (checks, 0) => text::count(checks, "check"),
        (0, cells) => text::count(cells, "cell"),
        (checks, cells) => format!("{}, {}", text::count(checks, "check"), text::count(cells, "cell")),
    }
}

/// `3 checks: 1 passed, 2 failed`; `3 checks, all passed`.
fn sums(counts: &Counts, noun: &str) -> String {
    let Counts { passed, failed, errored, skipped } = *counts;
    let total = text::count(counts.total(), noun);
    if counts.total() == passed {
        return match passed {
            0 => total,
            1 => format!("{total}, passed"),
            _ => format!("{total}, all passed"),
        };
    }
    let parts: Vec<String> =
        [(passed, "passed"), (failed, "failed"), (errored, "without a verdict"), (skipped, "skipped")]
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}"))
            .collect();
    format!("{total}: {}", parts.join(", "))
}
