//! Why flows are allowed or denied, from the objects of a plan's steps alone: nothing is built.

mod report;

pub use report::{
    ActionWord, Certainty, CourseReport, DecisionReport, DirectionWord, Explanation, FORMAT, HopReport,
    PolicyReport, ReasonWord, Report, RuleReport, VerdictReport, VerdictWord, Way,
};

use crate::format::{refs, resolve};
use crate::plan::{Plan, Request, Step};
use crate::prediction::{Answer, Answers, Kept};
use netproof_api::suggest::did_you_mean;
use netproof_controlplane::{ChangeError, ControlPlane, Snapshot};
use netproof_model::Family;
use netproof_model::flow::Flow;
use netproof_oracle::Profile;
use std::sync::Arc;
use thiserror::Error;

/// What to explain of a plan.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Only this step, if one is named.
    pub step: Option<&'a str>,
    /// This flow, instead of those that the steps expect something of.
    pub flow: Option<&'a Flow>,
    /// The namespace of the flow's names that have none.
    pub namespace: &'a str,
    /// How to read what the API leaves open; as the plan says, else as our own enforcer does, if absent.
    pub profile: Option<Profile>,
}

/// Why there is no explanation, and no matrix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// No step has that name.
    #[error("there is no step `{name}` in {scenario}\nhelp: {help}")]
    NoStep {
        /// The name.
        name: String,
        /// The scenario run.
        scenario: String,
        /// Those that there are.
        help: String,
    },
    /// The flow makes no sense in a step.
    #[error("in step `{step}` of {scenario}: {message}\nhelp: {help}")]
    Flow {
        /// The step's name.
        step: String,
        /// The scenario run.
        scenario: String,
        /// What is wrong.
        message: String,
        /// How to mend it.
        help: String,
    },
    /// A selector names nothing.
    #[error("{option} {selector} names nothing that is there\nhelp: {help}")]
    NoMatch {
        /// The option.
        option: String,
        /// The selector.
        selector: String,
        /// What it may have meant.
        help: String,
    },
    /// There is no cell to ask about.
    #[error("no source and destination are left to ask about in {scenario}\nhelp: {help}")]
    NothingLeft {
        /// The scenario run.
        scenario: String,
        /// What there is.
        help: String,
    },
    /// A plan was made with the same changes, so this is a bug of netproof's.
    #[error("a change that was planned is refused: {}", .0.message)]
    Refused(ChangeError),
}

/// Explains the flows of a plan's steps, in their order.
///
/// # Errors
/// A step or flow that is named and is not there.
pub fn explain(plan: &Plan, question: &Question<'_>) -> Result<Vec<Explanation>, NoAnswer> {
    let is_asked = |step: &Step| question.step.is_none_or(|name| name == step.name);
    if let Some(name) = question.step {
        find_step(plan, name)?;
    }
    let mut control = ControlPlane::new(plan.topology.clone()).map_err(NoAnswer::Refused)?;
    control.apply(&plan.initial).map_err(NoAnswer::Refused)?;
    let flow = question.flow.map(|flow| refs::flow_in(flow.clone(), question.namespace));
    let mut kept = Kept::default();
    let mut explanations = Vec::new();
    for step in &plan.steps {
        for changes in &step.change_sets {
            kept.follow(&*control.apply(changes).map_err(NoAnswer::Refused)?);
        }
        let snapshot = control.snapshot();
        let answers = Answers::new(&snapshot, plan.profile_or(question.profile));
        let mut add = |flow: &Flow, family: Family, answer: Option<Answer>| {
            explanations.push(Explanation {
                scenario: plan.id.to_string(),
                profile: plan.profile_or(question.profile).name.to_owned(),
                step: step.name.clone(),
                flow: flow.to_string(),
                family: (plan.topology.family.list().len() > 1).then(|| family.to_string()),
                answer: answer.as_ref().map(ToString::to_string),
                open_switches: answer.as_ref().map(report::open_switches).unwrap_or_default(),
                courses: answer.as_ref().map(report::courses).unwrap_or_default(),
                ways: answer
                    .iter()
                    .flat_map(|answer| &answer.predictions)
                    .flat_map(|prediction| report::ways(answers.oracle(), prediction))
                    .collect(),
                derivation: answer
                    .map(|answer| answers.explain(&answer).lines().map(str::to_owned).collect())
                    .unwrap_or_default(),
            });
        };
        match &flow {
            Some(flow) if is_asked(step) => {
                let resolved = resolve::resolve(&snapshot, flow, true).map_err(|mistake| {
                    let resolve::Mistake { message, help, .. } = mistake;
                    NoAnswer::Flow { step: step.name.clone(), scenario: plan.id.to_string(), message, help }
                })?;
                for (family, request) in &resolved.requests {
                    let request: &Request = request;
                    add(&resolved.flow, *family, answers.fresh(request));
                }
            }
            Some(_) => {}
            None => {
                for expectation in &step.expectations {
                    // Connections are kept from step to step, those included that are not asked about.
                    let answer = answers.answer(expectation, &mut kept);
                    if is_asked(step) {
                        add(&expectation.flow, expectation.family, answer);
                    }
                }
            }
        }
    }
    Ok(explanations)
}

/// The position of a step.
fn find_step(plan: &Plan, name: &str) -> Result<usize, NoAnswer> {
    plan.steps.iter().position(|step| step.name == name).ok_or_else(|| {
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        let help = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its steps are: {}", names.join(", ")),
        };
        NoAnswer::NoStep { name: name.to_owned(), scenario: plan.id.to_string(), help }
    })
}

/// A step, the last one if none is named, and the objects after it.
///
/// # Errors
/// No step has that name.
pub(crate) fn state_after<'p>(
    plan: &'p Plan,
    step: Option<&str>,
) -> Result<(&'p Step, Arc<Snapshot>), NoAnswer> {
    let last = plan.steps.len().saturating_sub(1);
    let position = step.map_or(Ok(last), |name| find_step(plan, name))?;
    let mut control = ControlPlane::new(plan.topology.clone()).map_err(NoAnswer::Refused)?;
    control.apply(&plan.initial).map_err(NoAnswer::Refused)?;
    let mut asked = None;
    for step in plan.steps.iter().take(position + 1) {
        for changes in &step.change_sets {
            control.apply(changes).map_err(NoAnswer::Refused)?;
        }
        asked = Some(step);
    }
    let scenario = || plan.id.to_string();
    let step = asked.ok_or_else(|| NoAnswer::NothingLeft {
        scenario: scenario(),
        help: "the scenario has no step".to_owned(),
    })?;
    Ok((step, control.snapshot()))
}
