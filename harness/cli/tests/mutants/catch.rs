//! Whether a case catches a mutant.

use libtest_mimic::Failed;
use netproof_enforcer_mutants::{Mutant, MutantKind};
use netproof_model::Verdict;
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
        let Check { name, findings, .. } = &self.check;
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        write!(f, "caught by {}: {name}: {}", self.case, said.join("; "))
    }
}

/// Runs the case under the mutant. A run that ended in an error proves nothing, whatever failed in it.
pub fn catch(mutant: &'static Mutant, plan: &Plan, worlds: &Worlds) -> Option<Catch> {
    let options = RunOptions { enforcer: EnforcerChoice::Mutant(mutant), ..RunOptions::default() };
    let (events, result) = run_plan(plan, &options, worlds);
    if result.status != Status::Failed {
        return None;
    }
    let checks = events.into_iter().filter_map(|event| match event {
        Event::CheckFinished { check, .. } => Some(*check),
        _ => None,
    });
    let checks: Vec<Check> = checks.collect();
    // A mutant of deciders changes no verdict: together with a wrong verdict, a wrong decider is no catch.
    let is_another =
        |check: &Check| mutant.kind() != MutantKind::Verdict && is_caught(check, MutantKind::Verdict);
    if checks.iter().any(is_another) {
        return None;
    }
    let check = checks.into_iter().find(|check| is_caught(check, mutant.kind()))?;
    Some(Catch { case: plan.id.to_string(), check })
}

/// Whether a check failed for the fault of this kind of mutant: a wrong verdict, or a wrong decider with the
/// right verdict. A wrong scenario is no catch, and neither is a check of a walk without policies
/// (docs/decisions/0010-mutants-at-the-seams.md).
fn is_caught(check: &Check, kind: MutantKind) -> bool {
    use FindingKind::{PacketsContradictApi, WrongDecider, WrongInCleanup, WrongVerdict};
    let found = |kinds: &[FindingKind]| check.findings.iter().any(|finding| kinds.contains(&finding.kind));
    let verdict = found(&[WrongVerdict, PacketsContradictApi, WrongInCleanup]);
    let what = match kind {
        MutantKind::Verdict => verdict,
        MutantKind::Decider => found(&[WrongDecider]) && !verdict,
    };
    check.status == Status::Failed && check.phase != Phase::Rehearsal && what
}

/// A check's messages do not decide whether it is a catch.
pub fn kinds_are_told_apart() -> Result<(), Failed> {
    use FindingKind::{
        Note, PacketsContradictApi, ScenarioContradictsApi, WrongBackend, WrongDecider, WrongInCleanup,
        WrongSource, WrongVerdict,
    };
    let (verdict, decider) = (Some(MutantKind::Verdict), Some(MutantKind::Decider));
    for (kinds, phase, catches) in [
        (&[WrongVerdict][..], Phase::Run, verdict),
        (&[WrongVerdict], Phase::Rehearsal, None),
        (&[WrongDecider], Phase::Run, decider),
        (&[WrongDecider], Phase::Rehearsal, None),
        (&[WrongDecider, Note], Phase::Run, decider),
        (&[WrongDecider, PacketsContradictApi], Phase::Run, verdict),
        (&[WrongBackend], Phase::Run, None),
        (&[WrongSource, Note], Phase::Run, None),
        (&[ScenarioContradictsApi], Phase::Run, None),
        (&[WrongInCleanup], Phase::Cleanup, verdict),
    ] {
        let location = Location { file: String::new(), line: 1, column: 1 };
        let mut check = Check::new(String::new(), location, phase, "", String::new());
        // With backends that differ, the expectation is written differently than the observation.
        (check.expected, check.observed) = (Some(Verdict::Deny.into()), Some(Verdict::Drop.into()));
        check.findings = kinds.iter().map(|kind| Finding::new(*kind, "in whatever words")).collect();
        check.status = Status::Failed;
        for kind in [MutantKind::Verdict, MutantKind::Decider] {
            if is_caught(&check, kind) != (catches == Some(kind)) {
                return Err(Failed::from(format!("{kinds:?} in {phase:?} must catch {catches:?}")));
            }
        }
    }
    Ok(())
}
