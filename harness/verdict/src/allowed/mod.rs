//! Who allowed a flow: what a trace of each of its tries says, held against whom the expectation names and whom the
//! API does.
//!
//! A flow has up to two ends of which policies are asked: egress of the pod that sends it, ingress of the pod that gets
//! it. At each end a rule allows, or nothing isolates the pod. A policy that is named must have allowed at one end (in
//! the direction that is written); `default` means that no policy isolates the pod at any end. Of several rules that
//! allow, an enforcer may name any.

use crate::agreement::Differing;
use crate::decider::decides;
use crate::judge::Judgement;
use crate::prediction::{Answer, Difference};
use crate::unchecked::Unchecked;
use netproof_model::event::{FindingKind, Status};
use netproof_model::{DecidedBy, Decision, Direction, Observation, Outcome, Place};
use netproof_plan::Expectation;

/// One more try of a flow, traced through the rules of the nodes.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What it did.
    pub observation: Observation,
    /// Who let it through, at each end where policies were asked.
    pub allowed: Vec<AllowedAt>,
    /// The kernel had more to tell than its socket holds, so that some of it may be missing.
    pub is_cut: bool,
}

/// Who let a request through at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedAt {
    /// The pod.
    pub endpoint: Place,
    /// In which direction its policies were asked.
    pub direction: Direction,
    /// Who; `None` where the enforcer let it through without a look at them.
    pub by: Option<Decision>,
}

/// Whether the expectation says who allows.
pub fn asks(expectation: &Expectation) -> bool {
    expectation.decided_by.is_some() && expectation.expected.is_allow()
}

/// Whether tries of this flow are to be traced: it says who allows, and got through. One over a connection that is kept
/// would be another flow's.
pub fn is_traced(expectation: &Expectation, tries: &[Observation]) -> bool {
    asks(expectation) && !expectation.keep && tries.iter().all(|it| it.outcome == Outcome::Connected)
}

/// Who let tries of a flow through, each once.
pub(crate) fn deciders(traced: &[Traced]) -> Vec<Decision> {
    let mut deciders = Vec::new();
    for decision in traced.iter().flat_map(|it| &it.allowed).filter_map(|it| it.by.as_ref()) {
        if !deciders.contains(decision) {
            deciders.push(decision.clone());
        }
    }
    deciders
}

/// Holds the traced tries of a flow that passed against whom it names, and says in what they differ from the API.
/// `None` for the tries: the enforcer does not say who allows. A try that went otherwise than those before is no
/// verdict.
pub(crate) fn judge(
    expectation: &Expectation,
    answer: Option<&Answer>,
    traced: Option<&[Traced]>,
    judgement: &mut Judgement,
) -> (Option<Differing>, Option<Unchecked>) {
    let Some(wanted) = expectation.decided_by.as_ref().filter(|_| asks(expectation)) else {
        return (None, None);
    };
    if judgement.status != Status::Passed {
        return (None, None);
    }
    if expectation.keep {
        return (None, Some(Unchecked::Kept));
    }
    let Some(traced) = traced else { return (None, Some(Unchecked::Allowance)) };
    if let Some(other) = traced.iter().find(|it| it.observation.outcome != Outcome::Connected) {
        judgement.status = Status::Errored;
        let outcome = other.observation.outcome;
        let message = format!("tried once more to see who allows it, it was {outcome} and not allowed");
        judgement.add(FindingKind::NoEvidence, message);
        return (None, None);
    }
    let (mut differing, mut unchecked) = (None, None);
    for one in traced {
        // What is missing may be the very step that decided.
        if one.is_cut {
            unchecked = Some(Unchecked::Cut);
            continue;
        }
        let ends = ends(expectation, one, answer);
        differing = differing.or_else(|| ends.iter().find_map(End::difference).map(Differing::decider));
        match claim(wanted, &ends) {
            Claim::Right => {}
            Claim::Wrong(found) if judgement.status == Status::Passed => {
                judgement.status = Status::Failed;
                let message = format!("expected to be allowed by {wanted}, {found}");
                judgement.add(FindingKind::WrongDecider, message);
            }
            Claim::Wrong(_) => {}
            Claim::Unknown(why) => unchecked = Some(why),
        }
    }
    (differing, unchecked.filter(|_| judgement.status == Status::Passed))
}

/// An end of a flow whose policies may be asked.
struct End<'a> {
    direction: Direction,
    endpoint: &'a Place,
    /// Who allowed, as the trace says.
    by: Option<&'a Decision>,
    /// Who may allow, as the API says; empty where it names nobody.
    says: Vec<&'a Decision>,
}

impl End<'_> {
    /// That not who the API says allowed.
    fn difference(&self) -> Option<Difference> {
        let (found, says) = (self.by?, *self.says.first()?);
        let differs = !self.says.contains(&found);
        differs.then(|| Difference::Decider { found: found.clone(), says: says.to_string() })
    }

    /// Whether whoever is named allowed here: the trace says so, or the API says that the one may have as well as the
    /// other.
    fn is_by(&self, wanted: &DecidedBy) -> bool {
        let Some(by) = self.by else { return false };
        let named = |says: &&Decision| decides(wanted, says);
        decides(wanted, by) || (self.says.contains(&by) && self.says.iter().any(named))
    }
}

/// The ends of a try.
fn ends<'a>(expectation: &'a Expectation, traced: &'a Traced, answer: Option<&'a Answer>) -> Vec<End<'a>> {
    let source = Some((Direction::Egress, &expectation.request.source));
    let server = traced.observation.served_by.as_ref().map(|server| (Direction::Ingress, server));
    let pods = source.into_iter().chain(server).filter(|(_, place)| matches!(place, Place::Pod(_)));
    let end = |(direction, endpoint): (Direction, &'a Place)| {
        let mut at = traced.allowed.iter().filter(|it| it.direction == direction && it.endpoint == *endpoint);
        let says = answer.map(|it| it.allowed_by(direction, endpoint, traced.observation.served_by.as_ref()));
        End {
            direction,
            endpoint,
            by: at.next().and_then(|it| it.by.as_ref()),
            says: says.unwrap_or_default(),
        }
    };
    pods.map(end).collect()
}

/// What a trace says of the name that is expected.
enum Claim {
    Right,
    /// Another allowed: in words.
    Wrong(String),
    Unknown(Unchecked),
}

fn claim(wanted: &DecidedBy, ends: &[End<'_>]) -> Claim {
    let direction = match wanted {
        DecidedBy::Policy { direction, .. } => *direction,
        _ => None,
    };
    let relevant = || ends.iter().filter(|end| direction.is_none_or(|it| it == end.direction));
    let all = *wanted == DecidedBy::Default;
    let is_right = match all {
        true => relevant().all(|end| end.is_by(wanted)),
        false => relevant().any(|end| end.is_by(wanted)),
    };
    if is_right {
        return Claim::Right;
    }
    let is_wrong = |end: &End<'_>| end.by.is_some() && !end.is_by(wanted);
    let unknown = relevant().find(|end| end.by.is_none());
    match unknown.filter(|_| !all || !relevant().any(is_wrong)) {
        Some(end) => Claim::Unknown(Unchecked::NotAsked(end.direction, end.endpoint.clone())),
        None => {
            let found: Vec<String> = relevant().filter_map(|end| end.by).map(ToString::to_string).collect();
            Claim::Wrong(match (found.as_slice(), direction) {
                ([], Some(direction)) => format!("but no pod's {direction} policies apply to it"),
                ([], None) => "but no pod's policies apply to it".to_owned(),
                (found, _) => format!("allowed by: {}", found.join("; ")),
            })
        }
    }
}

#[cfg(test)]
mod tests;
