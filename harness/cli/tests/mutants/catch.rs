//! Whether a case catches a mutant.

use libtest_mimic::Failed;
use netproof_enforcer_mutants::Mutant;
use netproof_model::event::{Check, Event, Finding, FindingKind, Location, Phase, Status};
use netproof_plan::Plan;
use netproof_runner::{EnforcerChoice, RunOptions, Worlds, run_plan};
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

/// Whether the packets of a check went as they must not. That somebody else decided than expected, or that the
/// scenario is wrong, is no catch, and a walk without policies says nothing about them
/// (docs/decisions/0010-mutants-at-the-seams.md).
fn is_wrong(check: &Check) -> bool {
    let is_verdict = |finding: &Finding| {
        use FindingKind::{PacketsContradictApi, WrongInCleanup, WrongVerdict};
        matches!(finding.kind, WrongVerdict | PacketsContradictApi | WrongInCleanup)
    };
    check.status == Status::Failed && check.phase != Phase::Rehearsal && check.findings.iter().any(is_verdict)
}

/// What is said of a check has no part in whether it is a catch.
pub fn only_verdicts_count() -> Result<(), Failed> {
    use FindingKind::{
        Note, PacketsContradictApi, ScenarioContradictsApi, WrongBackend, WrongDecider, WrongInCleanup,
        WrongSource, WrongVerdict,
    };
    for (kinds, phase, counts) in [
        (&[WrongVerdict][..], Phase::Run, true),
        (&[WrongVerdict], Phase::Rehearsal, false),
        (&[WrongDecider], Phase::Run, false),
        (&[WrongDecider, PacketsContradictApi], Phase::Run, true),
        (&[WrongBackend], Phase::Run, false),
        (&[WrongSource, Note], Phase::Run, false),
        (&[ScenarioContradictsApi], Phase::Run, false),
        (&[WrongInCleanup], Phase::Cleanup, true),
    ] {
        let location = Location { file: String::new(), line: 1, column: 1 };
        let mut check = Check::new(String::new(), location, phase, "", String::new());
        // As of backends that differ: what is expected is written otherwise than what is observed.
        (check.expected, check.observed) = ("pod/a: deny".to_owned(), "pod/a: drop".to_owned());
        check.findings = kinds.iter().map(|kind| Finding::new(*kind, "in whatever words")).collect();
        check.status = Status::Failed;
        if is_wrong(&check) != counts {
            return Err(Failed::from(format!("{kinds:?} in {phase:?} must count: {counts}")));
        }
    }
    Ok(())
}
