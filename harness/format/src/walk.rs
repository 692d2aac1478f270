//! One variant of a scenario, walked through on a control plane: every change is made, every flow of
//! every step is resolved against the objects of that step, and what comes out is the plan.

use crate::expect::Written;
use crate::expect::contradictions::contradictions;
use crate::expect::resolver::Resolver;
use crate::meanwhile::{self, Meanwhile, Rounds};
use crate::placement::Placer;
use crate::types::{Requires, Variants};
use crate::variants::Variant;
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_api::{Diagnostic, Object};
use netproof_controlplane::{Change, ControlPlane, ObjectRef};
use netproof_documents::document::{Document, Problems};
use netproof_documents::lint::Lint;
use netproof_documents::lost::Lost;
use netproof_documents::options::Options;
use netproof_documents::placed::Placed;
use netproof_documents::{refusals, topology};
use netproof_model::Topology;
use netproof_model::event::{ScenarioId, WrittenObject};
use netproof_model::topology::Neighbours;
use netproof_oracle::Profile;
use netproof_plan::cells::Table;
use netproof_plan::states::{States, count_places};
use netproof_plan::{MatrixPlan, Plan, Step};
use netproof_verdict::prediction::Kept;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most places of a cluster whose neighbours are learned. A pod and its node remember each other, and the
/// kernel's table holds 1024 entries of a family for all clusters of the machine, which run side by side.
const MOST_LEARNED: usize = 50;

/// A scenario as it was read, before a variant is chosen.
pub struct Scenario {
    /// Where it is written.
    pub document: Document,
    /// Its suite.
    pub suite: String,
    /// Its name.
    pub name: Spanned<String>,
    /// Whether it is a case of a table.
    pub is_case: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Its description.
    pub description: String,
    /// Its topology, and where that is named.
    pub topology: Spanned<Arc<Topology>>,
    /// Its objects.
    pub initial: Vec<Placed>,
    /// What is lost of them.
    pub lost: Lost,
    /// Its steps.
    pub steps: Vec<ReadStep>,
    /// What it varies.
    pub variants: Variants,
    /// What it needs.
    pub requires: Option<Spanned<Requires>>,
    /// Objects with a selector that is meant to match nothing.
    pub matches_nothing: Vec<Spanned<ObjectRef>>,
    /// The matrix that every step tries.
    pub matrix: MatrixPlan,
    /// How to read what the API leaves open, if the scenario says so.
    pub profile: Option<Profile>,
    /// Whether what it says of that could be read.
    pub knows_profile: bool,
    /// Whether nothing is wrong with it so far. If anything is, it is walked for what else is.
    pub is_right: bool,
}

/// A step as it was read.
pub struct ReadStep {
    /// Its name.
    pub name: Spanned<String>,
    /// Its changes.
    pub change_sets: Vec<Vec<Placed>>,
    /// What is lost of them.
    pub lost: Lost,
    /// How often they are made, and what must hold meanwhile.
    pub meanwhile: Meanwhile,
    /// Its expectations.
    pub expectations: Vec<Written>,
    /// Whether all that it expects could be read.
    pub is_whole: bool,
    /// Where it says that it expects what the API says of its matrix.
    pub by_oracle: Option<Span>,
}

impl ReadStep {
    /// Whether it expects nothing.
    pub fn is_empty(&self) -> bool {
        let expects = !self.expectations.is_empty() || self.by_oracle.is_some();
        !expects && self.meanwhile.streams.is_empty()
    }
}

impl Scenario {
    /// The objects that it makes.
    fn written_objects(&self) -> Arc<[WrittenObject]> {
        let of_steps = self.steps.iter().flat_map(|step| {
            let changes = step.change_sets.iter().flatten();
            changes.filter_map(|placed| placed.written(Some(&step.name.value)))
        });
        self.initial.iter().filter_map(|placed| placed.written(None)).chain(of_steps).collect()
    }

    /// The id of a variant.
    pub fn id(&self, variant: &Variant) -> ScenarioId {
        ScenarioId {
            suite: self.suite.clone(),
            name: self.name.value.clone(),
            variant: variant.words.clone(),
        }
    }

    /// The name of the case, if it is one.
    pub fn case(&self) -> Option<&str> {
        self.is_case.then_some(self.name.value.as_str())
    }
}

/// Walks a variant; `None` if something is wrong, which is reported. `lint` sees every step. Expectations are
/// held against the API where a profile says how to read it.
pub fn walk(
    scenario: &Scenario,
    variant: &Variant,
    options: &Options,
    lint: &mut Lint,
    problems: &mut Problems,
) -> Option<Plan> {
    let document = &scenario.document;
    let topology = topology::with_parameters(&scenario.topology, variant.wiring, variant.family, options);
    let control_plane = match ControlPlane::new(Arc::clone(&topology)) {
        Ok(control_plane) => control_plane,
        Err(error) => {
            problems.push(document.error(scenario.topology.span, error.message).help(error.help));
            return None;
        }
    };
    let matrix = match options.destinations.is_empty() {
        true => scenario.matrix.clone(),
        false => scenario.matrix.clone().to(&options.destinations),
    };
    let before = problems.errors();
    let own = control_plane.snapshot();
    let mut walk = Walk {
        scenario,
        against: options
            .against
            .filter(|_| scenario.knows_profile)
            .map(|profile| scenario.profile.unwrap_or(profile)),
        control_plane,
        placer: Placer::new(variant.placement, &topology),
        kept: Kept::default(),
        lost: Lost::default(),
        knows_kept: true,
        places: 0,
        lint,
        problems,
    };
    let initial = walk.begin()?;
    let start = walk.control_plane.clone();
    let steps = scenario.steps.iter().map(|step| walk.step(step)).collect::<Option<Vec<Step>>>()?;
    let places = walk.places;
    if topology.neighbours == Neighbours::Learned && places > MOST_LEARNED {
        let message = format!("{places} pods, nodes and hosts are too many for `neighbours: learned`");
        problems.push(document.error(scenario.topology.span, message).help(format!(
            "the kernel's table of learned neighbours is small and the whole machine shares it: at most \
             {MOST_LEARNED} with the router, or a topology with permanent neighbours"
        )));
    }
    (scenario.is_right && problems.errors() == before).then(|| Plan {
        id: scenario.id(variant),
        location: document.location(scenario.name.span),
        description: scenario.description.clone(),
        labels: scenario.labels.clone(),
        tags: scenario.tags.clone(),
        topology,
        initial,
        written: scenario.written_objects(),
        own,
        start,
        steps,
        places,
        stand_ins: None,
        matrix,
        profile: scenario.profile,
        group: None,
    })
}

/// A walk under way.
struct Walk<'a> {
    scenario: &'a Scenario,
    /// How to read the API, where expectations are held against it.
    against: Option<Profile>,
    control_plane: ControlPlane,
    placer: Placer<'a>,
    kept: Kept,
    /// What the state lacks.
    lost: Lost,
    /// Whether all connections that are kept so far are known.
    knows_kept: bool,
    /// How many network stacks the largest state so far has.
    places: usize,
    lint: &'a mut Lint,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    /// Makes the objects that are there before the first step.
    fn begin(&mut self) -> Option<Vec<Change>> {
        let scenario = self.scenario;
        self.lost = scenario.lost.clone();
        let initial = self.placer.place(&scenario.initial);
        self.make((&initial, &scenario.initial), |error| error)?;
        self.check_scheduled(&scenario.initial);
        self.places = count_places(&self.control_plane.snapshot());
        Some(initial)
    }

    /// Makes changes; what is refused is reported and lost. `None` if something is wrong with all of them.
    fn make(
        &mut self,
        changes: (&[Change], &[Placed]),
        word: impl Fn(Diagnostic) -> Diagnostic,
    ) -> Option<()> {
        let source = &self.scenario.document.source;
        let report = |error| self.problems.push(word(error));
        refusals::apply(&mut self.control_plane, changes, &mut self.lost, source, report)
    }

    /// Reports the pods that no node takes, where each or its workload is written: a scenario means all of its pods.
    fn check_scheduled(&mut self, placed: &[Placed]) {
        // A node with other labels might, or one that a pod has left.
        let is_told = !self.lost.has_changes() && !self.lost.may_be_any("node");
        let mut told = Vec::new();
        for (pod, why) in self.control_plane.unschedulable() {
            if self.lost.may_be("pod", &pod.name) {
                continue;
            }
            self.lost.add_named(&ObjectRef::new("pod", Some(&pod.namespace), &pod.name));
            let written = placed.iter().rfind(|placed| match &placed.change {
                Change::Apply(Object::Pod(object)) => object.metadata.name == pod.name,
                Change::Apply(Object::Workload(object)) => {
                    pod.name.strip_prefix(&object.metadata.name).is_some_and(|rest| rest.starts_with('-'))
                }
                _ => false,
            });
            let place = written.map(|placed| (&placed.source.name, placed.span));
            // Of the pods of a workload the first one speaks for all.
            if !is_told || (place.is_some() && told.contains(&place)) {
                continue;
            }
            told.push(place);
            let error = Diagnostic::error(format!("no node takes pod/{pod}: {why}"));
            let error = error.help("change the pod, or use a topology with other nodes or with more of them");
            self.problems.push(match written {
                Some(placed) => error.at(&placed.source, placed.span),
                None => error.in_source(&self.scenario.document.source),
            });
        }
    }

    /// Makes the changes of a step, and reads what it expects of the objects that there are then. `None` where a
    /// change is refused.
    fn step(&mut self, step: &ReadStep) -> Option<Step> {
        let document = &self.scenario.document;
        self.lost.extend(&step.lost, &self.control_plane.snapshot());
        let (change_sets, states, rounds) = self.changes(step)?;
        let name = step.name.value.clone();
        let streams = meanwhile::streams(
            document,
            &name,
            // What is lost may be what they depend on.
            if self.lost.is_nothing() { &step.meanwhile.streams } else { &[] },
            &rounds,
            self.against,
            self.problems,
        );
        let snapshot = states.after();
        self.lint.step(&snapshot);
        let resolver = Resolver { document, snapshot: &snapshot, step: &name, lost: &self.lost };
        let before = self.problems.errors();
        let mut expectations = resolver.expectations(&step.expectations, self.problems);
        // A connection that was to be kept may be what lets a later message through.
        self.knows_kept &= step.is_whole && self.problems.errors() == before;
        if !self.knows_kept {
            expectations.retain(|(_, expectation)| !expectation.keep);
        }
        if let Some(profile) = self.against.filter(|_| self.lost.is_nothing()) {
            contradictions(document, &snapshot, profile, &expectations, &mut self.kept, self.problems);
        }
        if let Some(span) = step.by_oracle
            && self.lost.is_nothing()
            && self.scenario.matrix.has_destinations()
            && Table::new(&snapshot, &self.scenario.matrix).is_empty()
        {
            let error = document.error(span, "the step relies on its matrix, which has no cell");
            let help = "give a pod or an external host a port, or another pod to try it from; or list what the step \
                expects";
            self.problems.push(error.help(help));
        }
        Some(Step {
            location: document.location(step.name.span),
            name,
            change_sets,
            rounds: step.meanwhile.rounds,
            streams,
            expectations: expectations.into_iter().map(|(_, expectation)| expectation).collect(),
            states,
        })
    }

    /// Makes the changes of a step: once, or twice where they are made over and over, so that what a second round
    /// does otherwise is found.
    fn changes(&mut self, step: &ReadStep) -> Option<(Vec<Vec<Change>>, States, Rounds)> {
        let document = &self.scenario.document;
        let change_sets: Vec<_> = step.change_sets.iter().map(|placed| self.placer.place(placed)).collect();
        let mut states = States::begin(&self.control_plane);
        let mut rounds = Rounds { all: states.through().to_vec(), sets: change_sets.len() };
        for round in 0..if step.meanwhile.repeats() { 2 } else { 1 } {
            // What is lost may be what leads back.
            if round > 0 && !self.lost.is_nothing() {
                return Some((change_sets, states, rounds));
            }
            for (placed, changes) in step.change_sets.iter().zip(&change_sets) {
                let word = |error| if round == 0 { error } else { refused_again(error) };
                self.make((changes, placed), word)?;
                self.check_scheduled(placed);
                let snapshot = self.control_plane.snapshot();
                self.lint.step(&snapshot);
                self.kept.follow(&snapshot);
                self.places = self.places.max(count_places(&snapshot));
                match round {
                    0 => states.push(&self.control_plane),
                    _ => states.again(&self.control_plane),
                }
                rounds.all.push(snapshot);
            }
        }
        if let Err((message, help)) = rounds.check_rounds() {
            self.problems.push(document.error(step.meanwhile.span, message).help(help));
            return None;
        }
        Some((change_sets, states, rounds))
    }
}

/// The same where the changes had been made once already.
fn refused_again(error: Diagnostic) -> Diagnostic {
    let message = format!("made a second time, the step's changes are refused: {}", error.message);
    let help = "`repeat` and `meanwhile` have them made over and over: let them lead back, under `changes`";
    Diagnostic { message, ..error }.help(help)
}
