//! One variant of a scenario, walked through on a control plane: every change is made, every flow of
//! every step is resolved against the objects of that step, and what comes out is the plan.

use super::document::{Document, Problems};
use super::expect::{FlowSpans, Wish, Written, WrittenExpected};
use super::lint::Lint;
use super::objects::Placed;
use super::refs::PlaceName;
use super::resolve::{self, Mistake, Part, Resolved};
use super::topology;
use super::types::{Requires, Variants};
use super::variants::Variant;
use super::words::Placement;
use crate::plan::{AddressName, DecidedBy, Expectation, Expected, Plan, Step, VerdictWord};
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_api::{Diagnostic, NetworkPolicy, Object};
use netproof_controlplane::{Change, ChangeError, ControlPlane, ObjectRef, Snapshot};
use netproof_model::event::ScenarioId;
use netproof_model::flow::{Destination, Source};
use netproof_model::topology::Families;
use netproof_model::{Direction, Family, NamespacedName, Place, Topology};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A scenario as it was read, before a variant is chosen.
pub struct Scenario {
    /// Where it is written.
    pub document: Document,
    /// Its suite.
    pub suite: String,
    /// Its name.
    pub name: Spanned<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its description.
    pub description: String,
    /// Its topology, and where that is named.
    pub topology: Spanned<Arc<Topology>>,
    /// Its objects.
    pub initial: Vec<Placed>,
    /// Its steps.
    pub steps: Vec<ReadStep>,
    /// What it varies.
    pub variants: Variants,
    /// What it needs.
    pub requires: Option<Requires>,
    /// Objects with a selector that is meant to match nothing.
    pub matches_nothing: Vec<Spanned<ObjectRef>>,
    /// Whether the oracle's matrix is wanted.
    pub oracle_matrix: bool,
}

/// A step as it was read.
pub struct ReadStep {
    /// Its name.
    pub name: Spanned<String>,
    /// Its changes.
    pub change_sets: Vec<Vec<Placed>>,
    /// Its expectations.
    pub expectations: Vec<Written>,
}

impl Scenario {
    /// The id of a variant.
    pub fn id(&self, variant: &Variant) -> ScenarioId {
        ScenarioId {
            suite: self.suite.clone(),
            name: self.name.value.clone(),
            variant: variant.words.clone(),
        }
    }
}

/// Walks a variant; `None` if something is wrong, which is reported. `lint` sees every step.
pub fn walk(
    scenario: &Scenario,
    variant: &Variant,
    lint: &mut Lint,
    problems: &mut Problems,
) -> Option<Plan> {
    let document = &scenario.document;
    let topology = topology::with_parameters(&scenario.topology, variant.wiring, variant.family);
    let mut control_plane = match ControlPlane::new(Arc::clone(&topology)) {
        Ok(control_plane) => control_plane,
        Err(error) => {
            problems.push(document.error(scenario.topology.span, error.message).help(error.help));
            return None;
        }
    };
    let before = problems.errors();
    let mut placer = Placer::new(variant.placement, &topology);
    let initial = placer.place(&scenario.initial);
    if let Err(error) = control_plane.apply(&initial) {
        problems.push(refused(document, &scenario.initial, error));
        return None;
    }
    let mut steps = Vec::new();
    for step in &scenario.steps {
        let mut change_sets = Vec::new();
        for placed in &step.change_sets {
            let changes = placer.place(placed);
            if let Err(error) = control_plane.apply(&changes) {
                problems.push(refused(document, placed, error));
                return None;
            }
            lint.step(&control_plane.snapshot());
            change_sets.push(changes);
        }
        let snapshot = control_plane.snapshot();
        lint.step(&snapshot);
        let judge = Judge { document, snapshot: &snapshot, step: &step.name.value };
        let expectations = judge.expectations(&step.expectations, problems);
        let location = document.location(step.name.span);
        steps.push(Step { name: step.name.value.clone(), location, change_sets, expectations });
    }
    (problems.errors() == before).then(|| Plan {
        id: scenario.id(variant),
        location: document.location(scenario.name.span),
        description: scenario.description.clone(),
        labels: scenario.labels.clone(),
        topology,
        initial,
        steps,
        oracle_matrix: scenario.oracle_matrix,
    })
}

/// The control plane refused a change: the error stands where the change is written.
fn refused(document: &Document, placed: &[Placed], error: ChangeError) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.message).help(error.help);
    match error.index.and_then(|index| placed.get(index)) {
        Some(placed) => diagnostic.at(&placed.source, placed.span),
        None => diagnostic.in_source(&document.source),
    }
}

/// Puts pods that name no node where the placement wants them. A name keeps its node.
struct Placer<'a> {
    placement: Option<Placement>,
    topology: &'a Topology,
    nodes: HashMap<NamespacedName, String>,
}

impl<'a> Placer<'a> {
    fn new(placement: Option<Placement>, topology: &'a Topology) -> Self {
        Placer { placement, topology, nodes: HashMap::new() }
    }

    fn place(&mut self, placed: &[Placed]) -> Vec<Change> {
        placed
            .iter()
            .map(|placed| match &placed.change {
                Change::Apply(Object::Pod(pod)) if pod.node_name.is_none() => {
                    let mut pod = pod.clone();
                    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
                    let name = NamespacedName::new(namespace, pod.metadata.name.as_str());
                    pod.node_name = self.node(name);
                    Change::Apply(Object::Pod(pod))
                }
                change => change.clone(),
            })
            .collect()
    }

    fn node(&mut self, name: NamespacedName) -> Option<String> {
        let nodes = &self.topology.nodes;
        let turn = match self.placement? {
            Placement::SameNode => 0,
            Placement::Across => self.nodes.len() % nodes.len().max(1),
        };
        let node = nodes.get(turn)?.name.clone();
        Some(self.nodes.entry(name).or_insert(node).clone())
    }
}

/// Turns what is written into what is expected, in one step.
struct Judge<'a> {
    document: &'a Document,
    snapshot: &'a Snapshot,
    step: &'a str,
}

/// What is wrong, where, and how to mend it.
type Misfit = (Span, String, String);

impl Judge<'_> {
    fn expectations(&self, written: &[Written], problems: &mut Problems) -> Vec<Expectation> {
        let mut expectations = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        for written in written {
            match self.expectation(written) {
                Ok(all) => {
                    for mut expectation in all {
                        let count = names.entry(expectation.name.clone()).or_default();
                        *count += 1;
                        if *count > 1 {
                            expectation.name = format!("{} ({count})", expectation.name);
                        }
                        expectations.push(expectation);
                    }
                }
                Err((span, message, help)) => problems.push(self.document.error(span, message).help(help)),
            }
        }
        expectations
    }

    /// One expectation for each family.
    fn expectation(&self, written: &Written) -> Result<Vec<Expectation>, Misfit> {
        let Written { flow, spans, wish } = written;
        let Resolved { flow, requests, backends } = resolve::resolve(self.snapshot, flow, wish.may_miss())
            .map_err(|mistake| misfit(mistake, *spans))?;
        let expected = self.expected(wish, &flow.to, &backends, *spans)?;
        let decided_by = match &wish.decided_by {
            Some(decided_by) => Some(self.decided_by(decided_by)?),
            None => None,
        };
        let served_by = match &wish.served_by {
            Some(places) => Some(self.served_by(places, &backends)?),
            None => None,
        };
        let dual = self.snapshot.topology.family == Families::Dual;
        requests
            .into_iter()
            .map(|(family, request)| {
                let sees = match &wish.sees {
                    Some(sees) => Some(self.sees(sees, family)?),
                    None => None,
                };
                let suffix = if dual { format!(" {family}") } else { String::new() };
                Ok(Expectation {
                    name: format!("{}/{flow}{suffix}", self.step),
                    location: self.document.location(spans.whole),
                    step: self.step.to_owned(),
                    flow: flow.clone(),
                    family,
                    request,
                    expected: expected.clone(),
                    decided_by: decided_by.clone(),
                    sees,
                    served_by: served_by.clone(),
                    sticky: false,
                    via: None,
                    policy_sees: None,
                    rejected_with: None,
                    resolves_to: None,
                    keep: false,
                    baseline: wish.baseline.clone(),
                })
            })
            .collect()
    }

    fn expected(
        &self,
        wish: &Wish,
        to: &Destination,
        backends: &[Place],
        spans: FlowSpans,
    ) -> Result<Expected, Misfit> {
        let verdicts = match &wish.expected {
            WrittenExpected::Plain(Expected::Allow)
                if backends.is_empty()
                    && matches!(to, Destination::Service(_) | Destination::NodePort { .. }) =>
            {
                let help = "give the service a selector that matches a pod which is ready".to_owned();
                return Err((spans.to, format!("{to} has no ready endpoint in this step"), help));
            }
            WrittenExpected::Plain(expected) => return Ok(expected.clone()),
            WrittenExpected::PerBackend(verdicts) => verdicts,
        };
        let mut each: BTreeMap<Place, VerdictWord> = BTreeMap::new();
        for (name, verdict) in &verdicts.value {
            let place = self.place(name)?;
            self.is_backend(&place, name.span, backends)?;
            if each.insert(place.clone(), *verdict).is_some() {
                return Err((
                    name.span,
                    format!("{place} stands here twice"),
                    "keep one of the two".to_owned(),
                ));
            }
        }
        if let Some(missing) = backends.iter().find(|backend| !each.contains_key(backend)) {
            let help = format!("add `{missing}: allow` or `{missing}: deny`");
            return Err((verdicts.span, format!("the verdict does not say what becomes of {missing}"), help));
        }
        Ok(Expected::PerBackend(each))
    }

    fn place(&self, name: &Spanned<Source>) -> Result<Place, Misfit> {
        resolve::place(self.snapshot, &name.value).map_err(|(message, help)| (name.span, message, help))
    }

    fn is_backend(&self, place: &Place, span: Span, backends: &[Place]) -> Result<(), Misfit> {
        if backends.contains(place) {
            return Ok(());
        }
        let list: Vec<String> = backends.iter().map(ToString::to_string).collect();
        let help = match list.as_slice() {
            [] => "nobody does".to_owned(),
            list => format!("those who do: {}", list.join(", ")),
        };
        Err((span, format!("{place} does not answer this flow"), help))
    }

    fn served_by(&self, places: &[Spanned<Source>], backends: &[Place]) -> Result<BTreeSet<Place>, Misfit> {
        let mut all = BTreeSet::new();
        for name in places {
            let place = self.place(name)?;
            self.is_backend(&place, name.span, backends)?;
            all.insert(place);
        }
        Ok(all)
    }

    fn sees(&self, sees: &Spanned<PlaceName>, family: Family) -> Result<AddressName, Misfit> {
        match &sees.value {
            PlaceName::Address(address) if Family::of(*address) == family => {
                Ok(AddressName::Address(*address))
            }
            PlaceName::Address(address) => Err((
                sees.span,
                format!("{address} is not an {family} address"),
                "write the name of a place, or add `family:`".to_owned(),
            )),
            PlaceName::Place(name) => {
                let place = resolve::place(self.snapshot, name)
                    .map_err(|(message, help)| (sees.span, message, help))?;
                if self.snapshot.address_of(&place, family).is_none() {
                    let help = "name who has one, or add `family:`".to_owned();
                    return Err((sees.span, format!("{place} has no {family} address"), help));
                }
                Ok(AddressName::Place(place))
            }
        }
    }

    /// A policy that decides exists in this step, and so does the rule.
    fn decided_by(&self, decided_by: &Spanned<DecidedBy>) -> Result<DecidedBy, Misfit> {
        let DecidedBy::Policy { policy, direction, rule } = &decided_by.value else {
            return Ok(decided_by.value.clone());
        };
        let name =
            NamespacedName::new(policy.namespace.as_deref().unwrap_or("default"), policy.name.as_str());
        let Some(found) = self.snapshot.network_policies.get(&name) else {
            let (message, help) =
                resolve::unknown_in_namespace(&policy.kind, &name, self.snapshot.network_policies.keys());
            return Err((decided_by.span, message, help));
        };
        if let Some(direction) = direction {
            let rules = rules(found, *direction);
            let isolates = found.spec.policy_types.iter().any(|kind| kind_is(*kind, *direction));
            if !isolates {
                let help =
                    format!("its policyTypes do not have {direction}: correct them, or the direction here");
                return Err((
                    decided_by.span,
                    format!("{policy} has nothing to say about {direction}"),
                    help,
                ));
            }
            if let Some(rule) = rule.filter(|rule| *rule >= rules) {
                let help = match rules {
                    0 => format!("it has no {direction} rule"),
                    1 => format!("its only {direction} rule is {direction}[0]"),
                    _ => format!("its {direction} rules are {direction}[0] to {direction}[{}]", rules - 1),
                };
                return Err((decided_by.span, format!("{policy} has no rule {direction}[{rule}]"), help));
            }
        }
        Ok(decided_by.value.clone())
    }
}

fn misfit(mistake: Mistake, spans: FlowSpans) -> Misfit {
    let span = match mistake.part {
        Part::Whole => spans.whole,
        Part::From => spans.from,
        Part::To => spans.to,
    };
    (span, mistake.message, mistake.help)
}

fn rules(policy: &NetworkPolicy, direction: Direction) -> usize {
    match direction {
        Direction::Ingress => policy.spec.ingress.len(),
        Direction::Egress => policy.spec.egress.len(),
    }
}

fn kind_is(kind: netproof_api::PolicyType, direction: Direction) -> bool {
    matches!(
        (kind, direction),
        (netproof_api::PolicyType::Ingress, Direction::Ingress)
            | (netproof_api::PolicyType::Egress, Direction::Egress)
    )
}
