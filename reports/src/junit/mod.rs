//! JUnit XML for CI systems: one test suite for each scenario, one test case for each check.
//!
//! The schemas in use agree on the elements and on most attributes. The file conforms to Jenkins's
//! junit-10.xsd with three exceptions, which are in no XSD but in the format that GitLab and many others
//! read and write: `file` and `line` of a test case, and `skipped` of the whole.

use crate::describe::{self, Row};
use crate::{ReportFile, Reporter, Rerun, text};
use netproof_model::event::{
    Cells, Check, Event, FindingKind, Location, ScenarioId, ScenarioOutcome, Status,
};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::time::Duration;

/// Collects the events of a run and writes the file at its end.
#[derive(Debug)]
pub struct Junit {
    /// Absent once it is published.
    file: Option<ReportFile>,
    rerun: Rerun,
    collected: Collected,
}

impl Junit {
    /// Writes to `file`; a failure says how to repeat its scenario run.
    pub fn new(file: ReportFile, rerun: Rerun) -> Self {
        Junit { file: Some(file), rerun, collected: Collected::default() }
    }
}

impl Reporter for Junit {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.rerun.learn(event);
        self.collected.event(event, &self.rerun);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let report = std::mem::take(&mut self.collected).report();
        let mut bytes = Vec::new();
        report.serialize(&mut bytes).map_err(io::Error::other)?;
        file.write_all(&bytes)?;
        file.publish()
    }
}

impl Drop for Junit {
    fn drop(&mut self) {
        // Call `finish` to learn of an error; this is for a run that ends in a panic.
        let _ = self.finish();
    }
}

/// What is known about the run so far.
#[derive(Debug, Default)]
struct Collected {
    version: String,
    properties: Vec<(&'static str, String)>,
    suites: BTreeMap<String, Suite>,
    open: Option<Open>,
    elapsed: Option<Duration>,
}

/// A scenario, all its variants together.
#[derive(Debug, Default)]
struct Suite {
    location: Option<Location>,
    elapsed: Duration,
    cases: Vec<Case>,
    names: HashSet<String>,
}

#[derive(Debug)]
struct Case {
    name: String,
    location: Option<Location>,
    elapsed: Duration,
    status: TestCaseStatus,
}

/// The current scenario run.
#[derive(Debug)]
struct Open {
    id: ScenarioId,
    location: Location,
    errored: usize,
}

impl Collected {
    fn event(&mut self, event: &Event, rerun: &Rerun) {
        match event {
            Event::RunStarted { version, seed, enforcer, proxy, .. } => {
                self.version.clone_from(version);
                self.properties = vec![
                    ("netproof.enforcer", enforcer.clone()),
                    ("netproof.proxy", proxy.clone()),
                    ("netproof.seed", seed.to_string()),
                ];
            }
            Event::ScenarioStarted { id, location, .. } => {
                self.suite(id).location.get_or_insert_with(|| location.clone());
                self.open = Some(Open { id: id.clone(), location: location.clone(), errored: 0 });
            }
            Event::CheckFinished { id, check } => {
                if check.status == Status::Errored
                    && let Some(open) = &mut self.open
                {
                    open.errored += 1;
                }
                self.suite(id).add(Case {
                    name: case_name(id, &check.name),
                    location: Some(check.location.clone()),
                    elapsed: check.elapsed,
                    status: check_status(id, check, rerun),
                });
            }
            Event::StepFinished { id, step, location, cells } => self.suite(id).add(Case {
                name: case_name(id, &format!("{step}/matrix")),
                location: Some(location.clone()),
                elapsed: cells.elapsed,
                status: matrix_status(cells),
            }),
            Event::ScenarioFinished { id, result } => {
                let open = self.open.take();
                let location = open.as_ref().map(|open| open.location.clone());
                let errored = open.map_or(0, |open| open.errored);
                let command = location.as_ref().map(|location| rerun.command(location, id));
                let suite = self.suite(id);
                suite.elapsed += result.elapsed;
                if let Some(status) = run_status(result, errored, command) {
                    suite.add(Case { name: run_name(id), location, elapsed: result.elapsed, status });
                }
            }
            Event::NotApplicable { id, location, because } => {
                let message = text::one_line(because);
                let mut status = TestCaseStatus::skipped();
                status.set_type("not applicable").set_message(format!("not applicable: {message}"));
                let location = Some(location.clone());
                let case = Case { name: run_name(id), location, elapsed: Duration::ZERO, status };
                self.suite(id).add(case);
            }
            Event::Warning { .. } => {}
            Event::RunFinished { summary } => self.elapsed = Some(summary.elapsed),
        }
    }

    fn suite(&mut self, id: &ScenarioId) -> &mut Suite {
        self.suites.entry(suite_name(id)).or_default()
    }

    fn report(mut self) -> Report {
        if let Some(Open { id, location, .. }) = self.open.take() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status
                .set_type("broken off")
                .set_message("the run was broken off before this scenario run ended");
            let case =
                Case { name: run_name(&id), location: Some(location), elapsed: Duration::ZERO, status };
            self.suite(&id).add(case);
        }
        let mut report = Report::new(format!("netproof {}", text::one_line(&self.version)).trim_end());
        if let Some(elapsed) = self.elapsed {
            report.set_time(elapsed);
        }
        for (name, suite) in self.suites {
            report.add_test_suite(suite.into_test_suite(&name, &self.properties));
        }
        report
    }
}

impl Suite {
    /// Adds a case; a repeated name gets a number.
    fn add(&mut self, mut case: Case) {
        let mut number = 2;
        let plain = case.name.clone();
        while !self.names.insert(case.name.clone()) {
            case.name = format!("{plain} ({number})");
            number += 1;
        }
        self.cases.push(case);
    }

    fn into_test_suite(self, name: &str, properties: &[(&'static str, String)]) -> TestSuite {
        let mut suite = TestSuite::new(name);
        suite.set_time(self.elapsed);
        suite.add_properties(
            properties.iter().map(|(name, value)| Property::new(name, text::one_line(value).as_ref())),
        );
        if let Some(location) = &self.location {
            suite.extra.insert("file".into(), text::one_line(&location.file).as_ref().into());
        }
        for case in self.cases {
            let mut test = TestCase::new(case.name.as_str(), case.status);
            test.set_classname(name).set_time(case.elapsed);
            // A case about the whole scenario has the scenario's place.
            if let Some(location) = case.location.as_ref().or(self.location.as_ref()) {
                test.extra.insert("file".into(), text::one_line(&location.file).as_ref().into());
                test.extra.insert("line".into(), location.line.to_string().into());
            }
            suite.add_test_case(test);
        }
        suite
    }
}

fn suite_name(id: &ScenarioId) -> String {
    let whole = ScenarioId { variant: Vec::new(), ..id.clone() };
    text::one_line(&whole.to_string()).into_owned()
}

/// A scenario run among the cases of its suite: its variant, or the scenario's name where it has none.
fn run_name(id: &ScenarioId) -> String {
    let name = if id.variant.is_empty() { id.name.clone() } else { id.variant_name() };
    text::one_line(&name).into_owned()
}

fn case_name(id: &ScenarioId, check: &str) -> String {
    let check = text::one_line(check);
    if id.variant.is_empty() { check.into_owned() } else { format!("{}::{check}", run_name(id)) }
}

fn check_status(id: &ScenarioId, check: &Check, rerun: &Rerun) -> TestCaseStatus {
    let message = text::one_line(&describe::headline(check)).into_owned();
    let mut status = match check.status {
        Status::Passed => return TestCaseStatus::success(),
        Status::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_type("skipped").set_message(message);
            return status;
        }
        Status::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Errored => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_type(describe::kind(check));
    let mut rows = describe::check(check);
    rows.push(Row::whole("run alone", rerun.command(&check.location, id)));
    let details: String = rows
        .iter()
        .map(|row| format!("\n{:<width$}{}", row.label, row.text, width = describe::LABEL_WIDTH))
        .collect();
    status.set_message(message).set_description(details + "\n");
    status
}

/// The matrix of a step; cells that failed are cases of their own.
fn matrix_status(cells: &Cells) -> TestCaseStatus {
    let Cells { total, differing, wrong_deciders, unexplained, .. } = cells;
    let (kind, word, message) = match (differing, unexplained) {
        (0, 0) => return TestCaseStatus::success(),
        (0, n) => (NonSuccessKind::Error, "no verdict", format!("{n} of {total} cells have no verdict")),
        (n, _) if n == wrong_deciders => {
            let word = FindingKind::WrongDecider.words();
            (NonSuccessKind::Failure, word, format!("right verdict, wrong decider: {n} of {total} cells"))
        }
        (n, _) => {
            let word = FindingKind::PacketsContradictApi.words();
            (NonSuccessKind::Failure, word, format!("{n} of {total} cells contradict the API"))
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(word).set_message(message);
    status
}

/// A scenario run as a case of its own, if its checks do not say everything.
fn run_status(result: &ScenarioOutcome, errored: usize, command: Option<String>) -> Option<TestCaseStatus> {
    let message = result.message.as_deref().map(text::one_line);
    if result.status == Status::Skipped {
        let mut status = TestCaseStatus::skipped();
        status.set_type("skipped").set_message(message.as_deref().unwrap_or("nothing was tried"));
        return Some(status);
    }
    // If a failed run has a message, something else broke, too.
    let broke = message.is_some() || (result.status == Status::Errored && errored == 0);
    broke.then(|| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("no verdict").set_message(message.as_deref().unwrap_or("the harness broke"));
        if let Some(command) = command {
            let command = text::one_line(&command).into_owned();
            let width = describe::LABEL_WIDTH;
            status.set_description(format!("\n{:<width$}{command}\n", "run alone"));
        }
        status
    })
}

#[cfg(test)]
mod tests;
