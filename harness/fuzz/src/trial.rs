//! One case, tried: written, read, run, and what came of it.

use crate::answers;
use crate::text::Expected;
use netproof_api::Source;
use netproof_documents::options::Options;
use netproof_format::load_text;
use netproof_model::event::{Cells, Check, Event, FindingKind, Phase, Status, Trouble};
use netproof_model::{Outcome, Verdict, Verdicts};
use netproof_runner::{RunOptions, Worlds, not_applicable, run_plan};
use std::collections::BTreeSet;

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    /// The matrix of each state that was tried.
    pub(super) cells: Vec<Cells>,
    /// What was not as it should be.
    pub(super) findings: Vec<Finding>,
    /// What the machine lacks for it, or why the enforcer can do nothing with it, if nothing was tried for that reason.
    pub(super) skipped: Option<String>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// A check.
    Check(Box<Check>),
    /// The run broke: by what, and the harness's message.
    Broke(Option<Trouble>, String),
    /// The text was refused: what was said of it.
    Invalid(String),
}

/// What findings that have one cause have in common, as far as one can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A check: its status and phase, what it found first, what the API says of whichever backend, and what was
    /// observed.
    Check(Status, Phase, Option<FindingKind>, BTreeSet<Verdict>, Option<Outcome>),
    /// A run that broke.
    Broke(Option<Trouble>),
    /// A text that was refused.
    Invalid,
}

impl Finding {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Finding::Check(check) => {
                let says = check.predicted.as_ref().or(check.expected.as_ref());
                let found = check.findings.first().map(|finding| finding.kind);
                let verdicts = says.map(Verdicts::each).unwrap_or_default();
                Kind::Check(check.status, check.phase, found, verdicts, check.outcome)
            }
            Finding::Broke(trouble, _) => Kind::Broke(*trouble),
            Finding::Invalid(_) => Kind::Invalid,
        }
    }

    /// Whether packets and API differ; anything else is trouble of the harness.
    pub(super) fn is_disagreement(&self) -> bool {
        matches!(self, Finding::Check(check) if check.status == Status::Failed)
    }

    /// In the order in which they are worth telling.
    fn rank(&self) -> usize {
        match self {
            Finding::Check(check) if check.status == Status::Failed => match check.phase {
                Phase::Run => 0,
                Phase::Rehearsal | Phase::Cleanup => 1,
            },
            Finding::Broke(..) => 2,
            Finding::Check(_) => 3,
            Finding::Invalid(_) => 4,
        }
    }

    /// The number of the state, where it is about one.
    pub(super) fn state(&self) -> Option<usize> {
        match self {
            Finding::Check(check) => check.step.rsplit(' ').next()?.parse().ok(),
            Finding::Broke(..) | Finding::Invalid(_) => None,
        }
    }

    /// Whether it is about a flow, as flows are written.
    pub(super) fn is_about(&self, flow: &str) -> bool {
        matches!(self, Finding::Check(check) if check.flow == flow)
    }

    /// What to tell about it.
    pub(super) fn told(&self) -> String {
        match self {
            Finding::Check(check) => {
                let family = check.family.map(|family| format!(" {family}")).unwrap_or_default();
                let phase = match check.phase {
                    Phase::Run => "",
                    Phase::Rehearsal => "in the rehearsal, ",
                    Phase::Cleanup => "in the clean-up, ",
                };
                format!("{phase}{}{family}: {}", check.flow, check.messages())
            }
            Finding::Broke(_, message) | Finding::Invalid(message) => message.clone(),
        }
    }

    /// The finding as an expectation: what the API says of its flow.
    pub(super) fn expectation(&self, dual: bool) -> Option<Expected> {
        let Finding::Check(check) = self else { return None };
        if check.phase != Phase::Run || check.outcome.is_none() {
            return None;
        }
        let says = check.predicted.as_ref()?;
        let lines = vec![answers::line(says)?];
        Some(Expected { flow: check.flow.clone(), family: check.family.filter(|_| dual), lines })
    }
}

/// Tries a text, in a world of its own or, where worlds are kept, in one that others have left.
pub(super) fn try_text(
    name: &str,
    text: &str,
    loading: &Options,
    options: &RunOptions,
    worlds: &Worlds,
) -> Trial {
    let source = Source::new(format!("{name}.yaml"), text);
    let loaded = match load_text(&source, loading) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            let findings = vec![Finding::Invalid(diagnostics.to_string())];
            return Trial { findings, ..Trial::default() };
        }
    };
    let mut trial = Trial::default();
    for plan in &loaded.plans {
        if let Some(because) = not_applicable(plan, options) {
            trial.skipped = Some(because);
            continue;
        }
        let (events, result) = run_plan(plan, options, worlds);
        for event in events {
            match event {
                Event::StepFinished { cells, .. } => trial.cells.push(*cells),
                Event::CheckFinished { check, .. }
                    if matches!(check.status, Status::Failed | Status::Errored) =>
                {
                    trial.findings.push(Finding::Check(check));
                }
                _ => {}
            }
        }
        match (result.status, result.message) {
            (Status::Skipped, message) => trial.skipped = message,
            (_, Some(message)) => trial.findings.push(Finding::Broke(result.trouble, message)),
            (_, None) => {}
        }
    }
    trial.findings.sort_by_key(Finding::rank);
    trial
}
