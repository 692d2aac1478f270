//! The terminal report: a line for each scenario that passed, all details of what went wrong, and at the end
//! a summary and the totals.

mod groups;
mod page;
mod progress;
mod runs;
mod style;
mod summary;
mod troubles;

use crate::describe::{self, Row};
use crate::{DEFAULT_SEED, Reporter, Rerun, text};
use groups::{Group, Groups};
use netproof_model::event::{Check, Event, Location, ScenarioId, Status};
use page::{Page, STATUS_WIDTH};
use progress::Progress;
use runs::{FinishedRun, Runs};
use std::io::{self, Write};
use style::{Palette, Style};
use summary::Wrong;
use troubles::Trouble;

/// The most troubles of one scenario run that are shown in full; the others are in the summary. With a
/// broken enforcer, a hundred checks fail for one reason.
const SHOWN_IN_FULL: usize = 5;
/// The most scenario runs that are shown in full; the others are in the summary.
const TOLD_IN_FULL: usize = 10;

/// How the terminal report looks.
#[derive(Clone, Debug, Default)]
pub struct TerminalOptions {
    /// Whether to use colour.
    pub color: bool,
    /// The width at which to break long lines, in columns; absent if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether to list every check, and every scenario run on a line of its own.
    pub verbose: bool,
    /// Whether to show progress on standard error, which must be a terminal then.
    pub progress: bool,
}

/// Writes for a person.
#[derive(Debug)]
pub struct Terminal<W: Write> {
    out: W,
    options: TerminalOptions,
    page: Page,
    rerun: Rerun,
    runs: Runs,
    groups: Groups,
    /// Successive variants that do not apply for the same reason.
    not_applicable: Option<(Vec<ScenarioId>, String)>,
    wrong: Wrong,
    /// How many runs have been shown in full.
    told: usize,
    progress: Progress,
    finished: bool,
}

impl<W: Write> Terminal<W> {
    /// Writes to `out`.
    pub fn new(out: W, options: TerminalOptions, rerun: Rerun) -> Self {
        let page = Page::new(Palette { color: options.color }, options.width);
        Terminal {
            out,
            options,
            page,
            rerun,
            runs: Runs::default(),
            groups: Groups::default(),
            not_applicable: None,
            wrong: Wrong::default(),
            told: 0,
            progress: Progress::none(),
            finished: false,
        }
    }

    fn started(&mut self, event: &Event) {
        let Event::RunStarted { version, seed, enforcer, proxy, scenarios, .. } = event else { return };
        self.groups.expect(scenarios);
        if self.options.progress {
            self.progress = Progress::start(scenarios.len());
        }
        let runs = text::count(scenarios.len(), "scenario run");
        let seed = if *seed == DEFAULT_SEED { String::new() } else { format!(", seed {seed}") };
        let line = format!("netproof {version}: {runs}, enforcer {enforcer}, proxy {proxy}{seed}");
        self.page.indented(0, &line);
        self.page.blank();
    }

    fn gather_not_applicable(&mut self, event: &Event) {
        if let Event::NotApplicable { id, because, .. } = event {
            if let Some((ids, reason)) = &mut self.not_applicable
                && reason == because
                && ids.first().is_some_and(|first| first.suite == id.suite && first.name == id.name)
            {
                ids.push(id.clone());
                return;
            }
            self.flush_not_applicable();
            self.not_applicable = Some((vec![id.clone()], because.clone()));
        } else {
            self.flush_not_applicable();
        }
    }

    fn flush_not_applicable(&mut self) {
        if let Some((ids, because)) = self.not_applicable.take() {
            let text = format!("{}: {because}", groups::listing(&ids));
            self.page.status(Style::Faint, "N/A", &text);
        }
    }

    fn warning(&mut self, location: Option<&Location>, message: &str) {
        let text = match location {
            Some(location) => format!("{location}: {message}"),
            None => message.to_owned(),
        };
        self.page.status(Style::Skip, "WARN", &text);
    }

    fn scenario_finished(&mut self, run: &FinishedRun) {
        match run.result.status {
            Status::Passed | Status::Skipped if !self.options.verbose => {}
            Status::Passed => {
                let checks = summary::tried(run.checks.len(), run.cells);
                let time = text::duration(run.result.elapsed);
                self.page.status(Style::Pass, "PASS", &format!("{} ({checks}, {time})", run.id));
                self.list_checks(run);
            }
            Status::Skipped => self.skipped(std::slice::from_ref(&run.id), run.result.message.as_deref()),
            Status::Failed => self.trouble(run, "FAIL"),
            Status::Errored => self.trouble(run, "ERROR"),
        }
        let group = self.groups.add(run);
        if let Some(group) = group.filter(|_| !self.options.verbose) {
            self.group(&group);
        }
        self.wrong.add(run, &self.rerun);
    }

    fn group(&mut self, group: &Group) {
        if !group.passed.is_empty() {
            let (checks, time) = (summary::tried(group.checks, group.cells), text::duration(group.elapsed));
            let line = match group.passed.len() {
                1 => format!("{} ({checks}, {time})", groups::name(&group.passed, 1)),
                // The totals join what the name already has in brackets.
                _ => {
                    let name = groups::name(&group.passed, group.ended);
                    format!("{}, {checks}, {time})", name.trim_end_matches(')'))
                }
            };
            self.page.status(Style::Pass, "PASS", &line);
            for (reason, n) in &group.skipped_checks {
                let line = format!("{} skipped: {reason}", text::count(*n, "check"));
                self.page.indented(STATUS_WIDTH, &line);
            }
        }
        for (reason, ids) in &group.skipped {
            self.skipped(ids, Some(reason));
        }
    }

    fn skipped(&mut self, ids: &[ScenarioId], reason: Option<&str>) {
        let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or("no reason was given");
        self.page.status(Style::Skip, "SKIP", &format!("{}: {reason}", groups::name(ids, 0)));
    }

    /// A scenario run that failed, or that has no verdict.
    fn trouble(&mut self, run: &FinishedRun, word: &str) {
        let style = Style::of(run.result.status);
        let time = text::duration(run.result.elapsed);
        self.page.status(style, word, &format!("{} ({}, {time})", run.id, troubles::count(run)));
        if self.options.verbose {
            self.list_checks(run);
        }
        if self.told == TOLD_IN_FULL && !self.options.verbose {
            return;
        }
        self.told += 1;
        let each = self.options.verbose;
        let failed = troubles::of(run, Status::Failed, each);
        let troubles = failed.into_iter().chain(troubles::of(run, Status::Errored, each));
        let (mut shown, mut more) = (0, 0);
        for trouble in troubles {
            if shown == SHOWN_IN_FULL && !self.options.verbose {
                more += 1;
                continue;
            }
            shown += 1;
            match trouble {
                Trouble::Check(check) => self.check(run, check),
                Trouble::Cells(cells) => self.cells(run, &cells),
            }
        }
        if more > 0 {
            self.page.blank();
            let line = format!("and {more} more, listed in the summary; -v shows them in full");
            self.page.indented(STATUS_WIDTH, &line);
        }
        if let Some(message) = &run.result.message {
            if !run.checks.is_empty() {
                self.page.blank();
                self.page.painted(STATUS_WIDTH, Style::Strong, "no verdict: the rest of the scenario run");
            }
            let mut rows = vec![Row::new("because", message)];
            if let Some(location) = &run.location {
                rows.push(Row::whole("written at", location.to_string()));
                rows.push(Row::whole("run alone", self.rerun.command(location, &run.id)));
            }
            self.page.rows(STATUS_WIDTH + 2, &rows);
        }
        self.page.blank();
        if self.told == TOLD_IN_FULL && !self.options.verbose {
            let line = "What goes wrong from here on is in the summary; -v shows it in full.";
            self.page.indented(0, line);
            self.page.blank();
        }
    }

    fn check(&mut self, run: &FinishedRun, check: &Check) {
        self.page.blank();
        let sign = if check.status == Status::Errored { "no verdict: " } else { "" };
        self.page.painted(STATUS_WIDTH, Style::Strong, &format!("{sign}{}", check.name));
        let mut rows = describe::check(check);
        rows.push(Row::whole("run alone", self.rerun.command(&check.location, &run.id)));
        self.page.rows(STATUS_WIDTH + 2, &rows);
    }

    /// Cells of one matrix: all of them in short, and the first in full.
    fn cells(&mut self, run: &FinishedRun, cells: &[&Check]) {
        self.page.blank();
        self.page.painted(STATUS_WIDTH, Style::Strong, &troubles::title(cells));
        for line in troubles::list(cells) {
            self.page.indented(STATUS_WIDTH + 2, &line);
        }
        if let [first, ..] = cells {
            self.check(run, first);
        }
    }

    fn list_checks(&mut self, run: &FinishedRun) {
        for check in &run.checks {
            let (word, text) = match check.status {
                Status::Passed => ("pass", describe::passed(check)),
                Status::Failed => ("fail", describe::headline(check)),
                Status::Errored => ("error", describe::headline(check)),
                Status::Skipped => ("skip", describe::headline(check)),
            };
            let style = Style::of(check.status);
            let word = self.page.palette.paint(style, format_args!("{word:<5}"));
            let text = text::one_line(&format!("{}: {text}", check.name)).into_owned();
            self.page.listed(STATUS_WIDTH, &word, 7, &text);
        }
        for line in describe::in_no_cell(&run.in_no_cell) {
            self.page.indented(STATUS_WIDTH, &line);
        }
    }

    /// Writes what has accumulated.
    fn write(&mut self) -> io::Result<()> {
        let text = self.page.take();
        if text.is_empty() {
            return Ok(());
        }
        let out = &mut self.out;
        self.progress.aside(|| {
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }
}

impl<W: Write> Reporter for Terminal<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.rerun.learn(event);
        self.gather_not_applicable(event);
        if let Some(run) = self.runs.event(event) {
            self.scenario_finished(&run);
            self.progress.update(&self.runs.summary.scenarios);
        }
        match event {
            Event::RunStarted { .. } => self.started(event),
            Event::Warning { location, message } => self.warning(location.as_ref(), message),
            _ => {}
        }
        self.write()
    }

    fn finish(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        self.flush_not_applicable();
        if let Some(run) = self.runs.broken_off() {
            self.scenario_finished(&run);
        }
        if !self.options.verbose {
            for group in self.groups.drain() {
                self.group(&group);
            }
        }
        self.wrong.write(&mut self.page);
        summary::write(&mut self.page, &self.runs);
        self.progress.end();
        self.write()
    }
}

#[cfg(test)]
mod tests;
