//! What must hold all the time while a step's changes are made: as written, and against the objects of every
//! state that the changes lead through.

use crate::expect::{FlowSpans, Reader};
use crate::types::StepSpec;
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_controlplane::Snapshot;
use netproof_documents::document::{Document, Problems, SpannedError};
use netproof_model::Family;
use netproof_model::event::Never;
use netproof_model::flow::{Flow, FlowProtocol};
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::topology::Families;
use netproof_oracle::Profile;
use netproof_plan::Stream;
use netproof_plan::flows::{self, Mistake, Part};
use netproof_verdict::streams;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most rounds of a step's changes.
const MOST_ROUNDS: i64 = 1000;

/// How often a step's changes are made, and what must hold meanwhile, as it was read.
#[derive(Clone, Debug)]
pub struct Meanwhile {
    /// How often all changes are made; at least 1.
    pub rounds: usize,
    /// Where the number is written, or else the step's name.
    pub span: Span,
    /// The flows that are probed meanwhile.
    pub streams: Vec<WrittenStream>,
}

/// One flow that is probed while changes are made.
#[derive(Clone, Debug)]
pub struct WrittenStream {
    flow: Flow,
    spans: FlowSpans,
    never: Never,
    keep: bool,
}

impl Meanwhile {
    /// Whether the changes are made more than once.
    pub fn repeats(&self) -> bool {
        self.rounds > 1 || !self.streams.is_empty()
    }
}

impl Reader<'_> {
    /// How often the step's changes are made, and what must hold meanwhile.
    pub fn meanwhile(&mut self, step: &StepSpec, changes: usize) -> Meanwhile {
        let mut rounds = 1;
        if let Some(Spanned { value, span }) = &step.repeat {
            if !(1..=MOST_ROUNDS).contains(value) {
                let message = format!("the changes cannot be made {value} times");
                self.report(*span, message, format!("write a number from 1 to {MOST_ROUNDS}"));
            }
            rounds = usize::try_from(*value).unwrap_or(1).max(1);
        }
        let first = step.repeat.as_ref().map(|it| it.span);
        if let Some(span) = first.or(step.meanwhile.first().map(|it| it.span)).filter(|_| changes == 0) {
            let help = "add `apply`, `label`, `delete` or `changes`";
            self.report(span, "the step changes nothing", help);
        }
        let mut streams = Vec::new();
        for spec in &step.meanwhile {
            let never = Never::from(spec.never);
            if let Some(keep) = spec.connection.as_ref().filter(|_| never == Never::Allow) {
                let help = "keep connections of flows that are never cut; leave it out here";
                self.report(keep.span, "what is never allowed has no connection that could be kept", help);
            }
            let keep = spec.connection.is_some();
            let flows = self.flows(spec.span, &spec.flow, &spec.flows, spec.family);
            let stream = |(flow, spans)| WrittenStream { flow, spans, never, keep };
            streams.extend(flows.into_iter().map(stream));
        }
        Meanwhile { rounds, span: first.unwrap_or(step.name.span), streams }
    }
}

/// The states that a step's changes lead through: before the first change set, after it, and so on, for one
/// round or two.
pub struct Rounds {
    /// The states.
    pub all: Vec<Arc<Snapshot>>,
    /// How many change sets a round has.
    pub sets: usize,
}

impl Rounds {
    /// When a state is: `after change 2 of the step`.
    fn when(&self, state: usize) -> String {
        match (state, state.checked_sub(1).map(|index| (index / self.sets.max(1), index % self.sets.max(1))))
        {
            (0, _) | (_, None) => "before the step's changes".to_owned(),
            (_, Some(_)) if self.sets == 1 => "after the step's change".to_owned(),
            (_, Some((0, index))) => format!("after change {} of the step", index + 1),
            (_, Some((_, index))) => format!("after change {} of the step, made a second time", index + 1),
        }
    }

    /// That the second round gave nobody another address or port than the first.
    pub fn check_rounds(&self) -> Result<(), (String, String)> {
        let first = self.all.iter().skip(1).take(self.sets);
        let second = self.all.iter().skip(1 + self.sets);
        for (one, other) in first.zip(second) {
            let (one, other) = (given(one), given(other));
            for (name, before) in one {
                if let Some(after) = other.get(&name).filter(|after| **after != before) {
                    let message = format!(
                        "each round of the changes gives {name} other addresses or ports: {before}, \
                         then {after}"
                    );
                    return Err((message, "give it its own: `ip`, `clusterIP`, `nodePort`".to_owned()));
                }
            }
        }
        Ok(())
    }
}

/// The addresses and ports of pods and services.
fn given(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let pods = snapshot.pods.iter().map(|(name, pod)| {
        let addresses: Vec<String> = pod.pod_ips.iter().map(ToString::to_string).collect();
        (format!("pod/{name}"), addresses.join(" "))
    });
    let services = snapshot.services.iter().map(|(name, service)| {
        let balanced = service.load_balancer_ingress.iter().map(|ingress| ingress.ip.to_string());
        let addresses = service.cluster_ips.iter().map(ToString::to_string).chain(balanced);
        let ports = service.ports.iter().filter_map(|port| port.node_port).map(|port| port.to_string());
        (format!("service/{name}"), addresses.chain(ports).collect::<Vec<_>>().join(" "))
    });
    pods.chain(services).collect()
}

/// Turns what is written into what is probed, one stream for each family; what is wrong is left out and
/// reported, a claim that contradicts the API too where a profile says how to read it.
pub fn streams(
    document: &Document,
    step: &str,
    written: &[WrittenStream],
    rounds: &Rounds,
    against: Option<Profile>,
    problems: &mut Problems,
) -> Vec<Stream> {
    let mut streams = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    for written in written {
        match resolved(document, step, written, rounds) {
            Ok(resolved) => {
                for mut stream in resolved {
                    let count = names.entry(stream.name.clone()).or_default();
                    *count += 1;
                    if *count > 1 {
                        stream.name = format!("{} ({count})", stream.name);
                    }
                    if let Some(profile) = against {
                        contradiction(document, &stream, written.spans.whole, rounds, profile, problems);
                    }
                    streams.push(stream);
                }
            }
            Err((span, message, help)) => problems.push(document.error(span, message).help(help)),
        }
    }
    streams
}

fn contradiction(
    document: &Document,
    stream: &Stream,
    span: Span,
    rounds: &Rounds,
    profile: Profile,
    problems: &mut Problems,
) {
    let answer = streams::answer(stream, &rounds.all, profile);
    let Some(contradiction) = answer.contradiction else { return };
    let when = rounds.when(contradiction.state);
    let message = format!(
        "the scenario contradicts the API: {}, and {when} the API says {}",
        stream.never, contradiction.says
    );
    let help = "correct the claim, the changes or the objects; points that the API leaves open are read with \
        `--profile`";
    problems.push(document.error(span, message).help(help).note(contradiction.derivation));
}

/// One stream for each family.
fn resolved(
    document: &Document,
    step: &str,
    written: &WrittenStream,
    rounds: &Rounds,
) -> Result<Vec<Stream>, SpannedError> {
    let WrittenStream { flow, spans, never, keep } = written;
    let mut found: Vec<(usize, flows::Resolved)> = Vec::new();
    let mut missing = None;
    for (state, snapshot) in rounds.all.iter().enumerate() {
        let at = |mistake: Mistake| {
            let span = match mistake.part {
                Part::Whole => spans.whole,
                Part::From => spans.from,
                Part::To => spans.to,
            };
            (span, format!("{} ({})", mistake.message, rounds.when(state)), mistake.help)
        };
        let source = flows::place(snapshot, &flow.from);
        source.map_err(|(message, help)| at(Mistake { part: Part::From, message, help }))?;
        match (flows::resolve(snapshot, flow, false), never) {
            (Ok(resolved), _) => found.push((state, resolved)),
            // Who does not exist yet is reached by nobody.
            (Err(mistake), Never::Allow) => missing = missing.or(Some(at(mistake))),
            (Err(mistake), Never::Cut) => return Err(at(mistake)),
        }
    }
    let Some((complete, first)) = found.first() else {
        return Err(missing.unwrap_or_else(|| nothing(spans.whole)));
    };
    for (state, other) in &found {
        if other.requests != first.requests || other.flow != first.flow {
            let message = format!(
                "{} has other addresses or ports {} than {}",
                flow.to,
                rounds.when(*state),
                rounds.when(*complete)
            );
            return Err((spans.to, message, "give it its own: `ip`, `clusterIP`, `nodePort`".to_owned()));
        }
    }
    let dual = rounds.all.first().is_some_and(|snapshot| snapshot.topology.family == Families::Dual);
    let location = document.location(spans.whole);
    let stream = |(family, request): &(Family, Request)| {
        check(request, spans, *keep)?;
        let suffix = if dual { format!(" {family}") } else { String::new() };
        Ok(Stream {
            name: format!("{step}/{never}{}/{}{suffix}", if *keep { ", kept" } else { "" }, first.flow),
            location: location.clone(),
            flow: first.flow.clone(),
            family: *family,
            request: request.clone(),
            never: *never,
            keep: *keep,
            complete_after: *complete,
        })
    };
    first.requests.iter().map(stream).collect()
}

fn nothing(span: Span) -> SpannedError {
    (span, "the step has no state in which the flow could be tried".to_owned(), "name what exists".to_owned())
}

/// What cannot be probed without pause.
fn check(request: &Request, spans: &FlowSpans, keep: bool) -> Result<(), SpannedError> {
    if let RequestTarget::Name { name, .. } = &request.target {
        let message = format!("{name} is a name, which each probe would have to resolve");
        return Err((
            spans.to,
            message,
            "write what it stands for: pod/, service/, external/, ip/, ...".to_owned(),
        ));
    }
    let keeps =
        matches!(request.port, RequestPort::Port { protocol: FlowProtocol::Tcp | FlowProtocol::Udp, .. });
    if keep && !keeps {
        let message = "this flow has no connection that can be kept".to_owned();
        return Err((spans.whole, message, "write PORT or PORT/udp".to_owned()));
    }
    Ok(())
}
