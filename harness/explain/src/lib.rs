//! Why flows are allowed or denied, from the objects of a plan's steps alone: nothing is built.

mod report;
mod schema;

pub use report::{
    ActionWord, Certainty, CourseReport, DecisionReport, DirectionWord, Explanation, FORMAT, HopReport,
    PolicyReport, ReasonWord, Report, RuleReport, VerdictReport, VerdictWord, Way,
};
pub use schema::schema;

use netproof_controlplane::Snapshot;
use netproof_model::Family;
use netproof_model::flow::{Destination, Flow, Source};
use netproof_oracle::Profile;
use netproof_plan::states::States;
use netproof_plan::{Plan, Step, UnknownStep, flows, inferred};
use netproof_verdict::prediction::{Answer, Answers, Kept};
use std::net::IpAddr;
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

/// Why there is no explanation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// No step has that name.
    #[error(transparent)]
    Step(#[from] UnknownStep),
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
}

/// Explains the flows of a plan's steps, in their order. Of a flow that is named, a step in which it makes no sense
/// says just that, unless the step is named as well.
///
/// # Errors
/// A step that is named and is not there; a flow that makes no sense in any step that is asked about.
pub fn explain(plan: &Plan, question: &Question<'_>) -> Result<Vec<Explanation>, NoAnswer> {
    if let Some(name) = question.step {
        plan.step(name)?;
    }
    let flow = question.flow.map(|flow| flows::flow_in(flow.clone(), question.namespace));
    let mut kept = Kept::default();
    let mut explanations = Vec::new();
    let mut mistakes = Vec::new();
    for step in &plan.steps {
        step.states.through().iter().for_each(|state| kept.follow(state));
        let named = flow.as_ref().map(|flow| with_hosts(&step.states, flow));
        let (snapshot, nobody) = match named {
            Some(Ok(snapshot)) => (snapshot, None),
            Some(Err(mistake)) => (step.states.after(), Some(mistake)),
            None => (step.states.after(), None),
        };
        let answers = Answers::new(&snapshot, plan.profile_or(question.profile));
        let asked = Asked { plan, step, answers: &answers };
        let is_asked = question.step.is_none_or(|name| name == step.name);
        match &flow {
            Some(_) if !is_asked => {}
            Some(flow) => match nobody.map_or_else(|| flows::resolve(&snapshot, flow, true), Err) {
                Ok(resolved) => explanations.extend(resolved.requests.iter().map(|(family, request)| {
                    asked.explanation(&resolved.flow, Some(*family), answers.fresh(request))
                })),
                Err(mistake) => {
                    let mut explanation = asked.explanation(flow, None, None);
                    explanation.derivation.push(format!("{}.", mistake.message));
                    explanations.push(explanation);
                    mistakes.push(asked.mistake(mistake));
                }
            },
            None => {
                for expectation in &step.expectations {
                    // Connections are kept from step to step, those included that are not asked about.
                    let answer = answers.answer(expectation, &mut kept);
                    if is_asked {
                        let family = Some(expectation.family);
                        explanations.push(asked.explanation(&expectation.flow, family, answer));
                    }
                }
            }
        }
    }
    match mistakes.len() == explanations.len() {
        true => mistakes.into_iter().next().map_or(Ok(explanations), Err),
        false => Ok(explanations),
    }
}

/// A step of which flows are asked.
struct Asked<'a> {
    plan: &'a Plan,
    step: &'a Step,
    answers: &'a Answers<'a>,
}

impl Asked<'_> {
    fn explanation(&self, flow: &Flow, family: Option<Family>, answer: Option<Answer>) -> Explanation {
        let Asked { plan, step, answers } = self;
        let is_dual = plan.topology.family.list().len() > 1;
        let predictions = answer.iter().flat_map(|answer| &answer.predictions);
        Explanation {
            scenario: plan.id.to_string(),
            profile: answers.profile().name.to_owned(),
            step: step.name.clone(),
            flow: flow.to_string(),
            family: family.filter(|_| is_dual).map(|family| family.to_string()),
            answer: answer.as_ref().map(ToString::to_string),
            open_switches: answer.as_ref().map(report::open_switches).unwrap_or_default(),
            courses: answer.as_ref().map(report::courses).unwrap_or_default(),
            ways: predictions.flat_map(|prediction| report::ways(answers.oracle(), prediction)).collect(),
            derivation: answer
                .as_ref()
                .map(|answer| answers.explain(answer).lines().map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }

    fn mistake(&self, flows::Mistake { message, help, .. }: flows::Mistake) -> NoAnswer {
        NoAnswer::Flow { step: self.step.name.clone(), scenario: self.plan.id.to_string(), message, help }
    }
}

/// The objects, with the hosts outside that a flow names by their addresses.
fn with_hosts(states: &States, flow: &Flow) -> Result<Arc<Snapshot>, flows::Mistake> {
    let from = match &flow.from {
        Source::External(name) => Some((flows::Part::From, name)),
        _ => None,
    };
    let to = match &flow.to {
        Destination::External(name) => Some((flows::Part::To, name)),
        _ => None,
    };
    let mut control = states.control().clone();
    for (part, name) in from.into_iter().chain(to) {
        let Ok(address) = name.parse::<IpAddr>() else { continue };
        let mistake = |message: String, help| {
            let message = format!("external/{name}: {message}");
            flows::Mistake { part, message, help }
        };
        let (_, change) = inferred::with_host(&control.snapshot(), address)
            .map_err(|refused| mistake(refused.message, refused.help))?;
        if let Some(change) = change {
            control.apply(&[change]).map_err(|refused| mistake(refused.message, refused.help))?;
        }
    }
    Ok(control.snapshot())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::Source;
    use netproof_documents::Options;
    use netproof_format::load_text;

    const COMES_LATER: &str = "
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: later}
spec:
  description: A pod comes with the second step.
  objects:
    - pod: {name: web, ports: [80]}
  steps:
    - name: first
      expect: [{flow: pod/web -> pod/web:80, verdict: allow}]
    - name: second
      apply: [{pod: {name: client}}]
      expect: [{flow: pod/client -> pod/web:80, verdict: allow}]
";

    /// What is said of a flow, a step a line.
    fn said(flow: &str, step: Option<&str>) -> Result<Vec<String>, String> {
        let loaded = load_text(&Source::new("later.yaml", COMES_LATER), &Options::default()).unwrap();
        let flow = flow.parse().unwrap();
        let question = Question { step, flow: Some(&flow), namespace: "default", profile: None };
        let line = |it: Explanation| format!("{}: {:?}, {}", it.step, it.answer, it.derivation.join(" "));
        match explain(&loaded.plans[0], &question) {
            Ok(explanations) => Ok(explanations.into_iter().map(line).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_step_without_an_end_of_the_flow_says_so_and_keeps_no_other_from_an_answer() {
        let flow = "pod/client -> pod/web:80";
        let lines = said(flow, None).unwrap();
        assert_eq!(lines[0], "first: None, pod/default/client does not exist in this step.");
        assert!(lines[1].starts_with("second: Some(\"allow\"), "), "{}", lines[1]);
        assert_eq!(said(flow, Some("second")).unwrap(), lines[1..]);
        let missing = "in step `first` of later: pod/default/client does not exist in this step";
        assert!(said(flow, Some("first")).unwrap_err().starts_with(missing));
        let nobody = "in step `first` of later: pod/default/nobody does not exist in this step";
        assert!(said("pod/nobody -> pod/web:80", None).unwrap_err().starts_with(nobody));
    }
}
