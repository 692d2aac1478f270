//! One step's expectations against the objects of that step: names are looked up, what makes no sense is an
//! error, and what comes out is what the plan holds.

use crate::expect::assertions::{Assertions, PolicyNames, WrittenExpected};
use crate::expect::{FlowSpans, Written, absent};
use crate::refs::PlaceName;
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_api::{Policy, PolicyType};
use netproof_controlplane::Snapshot;
use netproof_documents::document::{Document, Problems, SpannedError};
use netproof_documents::lost::Lost;
use netproof_model::flow::{Destination, FlowPort, FlowProtocol, Source};
use netproof_model::request::Request;
use netproof_model::topology::Families;
use netproof_model::{DecidedBy, Direction, Family, Place, Verdict, Wiring};
use netproof_plan::flows::{self, Mistake, Part, Resolved};
use netproof_plan::{AddressName, Expectation, Expected, PolicySees};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Turns what is written into what is expected, in one step.
pub struct Resolver<'a> {
    /// The scenario.
    pub document: &'a Document,
    /// The objects of the step.
    pub snapshot: &'a Snapshot,
    /// The step's name.
    pub step: &'a str,
    /// What these objects lack.
    pub lost: &'a Lost,
}

impl Resolver<'_> {
    /// Everything that the step expects, one for each family, and where its flow is written; what is wrong is
    /// left out and reported.
    pub fn expectations(&self, written: &[Written], problems: &mut Problems) -> Vec<(Span, Expectation)> {
        let mut expectations = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut kept: Vec<(Request, Family)> = Vec::new();
        for written in written {
            let named = absent::look_up(self.snapshot, self.lost, written);
            let is_told = !named.absent.is_empty();
            for (span, message, help) in named.absent {
                problems.push(self.document.error(span, message).help(help));
            }
            if is_told || named.is_lost || !written.is_whole || !self.is_known(&written.flow.to) {
                continue;
            }
            let all = self.expectation(written).and_then(|all| self.keep_once(all, written, &mut kept));
            match all {
                Ok(all) => {
                    for mut expectation in all {
                        let count = names.entry(expectation.name.clone()).or_default();
                        *count += 1;
                        if *count > 1 {
                            expectation.name = format!("{} ({count})", expectation.name);
                        }
                        expectations.push((written.spans.whole, expectation));
                    }
                }
                Err((span, message, help)) => problems.push(self.document.error(span, message).help(help)),
            }
        }
        expectations
    }

    /// Whether the objects have all that a flow to this destination depends on, if those that it names are there.
    fn is_known(&self, to: &Destination) -> bool {
        let by_itself = matches!(to, Destination::Pod(_) | Destination::External(_));
        self.lost.is_policies_only() || (by_itself && !self.lost.has_changes())
    }

    /// A kept connection carries one message a step.
    fn keep_once(
        &self,
        all: Vec<Expectation>,
        written: &Written,
        kept: &mut Vec<(Request, Family)>,
    ) -> Result<Vec<Expectation>, SpannedError> {
        for expectation in all.iter().filter(|expectation| expectation.keep) {
            let connection = (expectation.request.clone(), expectation.family);
            if kept.contains(&connection) {
                let message = format!("this step uses the kept connection of {} twice", expectation.flow);
                let help = "keep one of the two, or move one to a step of its own".to_owned();
                return Err((written.spans.whole, message, help));
            }
            kept.push(connection);
        }
        Ok(all)
    }

    /// One expectation for each family.
    fn expectation(&self, written: &Written) -> Result<Vec<Expectation>, SpannedError> {
        let Written { flow, spans, assertions, is_whole: _ } = written;
        let resolved = flows::resolve(self.snapshot, flow, assertions.may_miss())
            .map_err(|mistake| spanned(mistake, *spans))?;
        check_flow(assertions, &resolved, *spans)?;
        let expected = self.expected(assertions, &resolved, *spans)?;
        let Resolved { flow, requests, backends, .. } = resolved;
        let decided_by =
            assertions.decided_by.as_ref().map(|it| self.decided_by(it, &expected)).transpose()?;
        let served_by =
            assertions.served_by.as_ref().map(|places| self.served_by(places, &backends)).transpose()?;
        let via = assertions.via.as_ref().map(|nodes| self.via(nodes)).transpose()?;
        let dual = self.snapshot.topology.family == Families::Dual;
        requests
            .into_iter()
            .map(|(family, request)| {
                let address = |name: &Option<Spanned<PlaceName>>| {
                    name.as_ref().map(|name| self.address(name, family)).transpose()
                };
                let policy_sees = match &assertions.policy_sees {
                    Some(PolicyNames { source, destination }) => {
                        Some(PolicySees { source: address(source)?, destination: address(destination)? })
                    }
                    None => None,
                };
                let resolves_to = match &assertions.dns {
                    Some(names) => {
                        let names = names.iter().map(|name| self.address(name, family));
                        Some(names.collect::<Result<_, _>>()?)
                    }
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
                    rejected_with: assertions.rejected_with,
                    sees: address(&assertions.sees)?,
                    policy_sees,
                    served_by: served_by.clone(),
                    backends: backends.iter().cloned().collect(),
                    sticky: assertions.sticky.is_some(),
                    via: via.clone(),
                    resolves_to,
                    keep: assertions.keep.is_some(),
                    baseline: assertions.baseline.clone(),
                })
            })
            .collect()
    }

    fn expected(
        &self,
        assertions: &Assertions,
        resolved: &Resolved,
        spans: FlowSpans,
    ) -> Result<Expected, SpannedError> {
        let (to, backends) = (&resolved.flow.to, &resolved.backends);
        let by_service = matches!(
            to,
            Destination::Service(_)
                | Destination::NodePort { .. }
                | Destination::LoadBalancer(_)
                | Destination::Dns(_)
                | Destination::Ip(_)
        );
        let icmp = resolved.flow.port == Some(FlowPort::Icmp);
        let verdicts = match &assertions.expected {
            WrittenExpected::Plain(Expected::All(Verdict::Allow))
                if backends.is_empty() && by_service && !icmp && !assertions.may_miss() =>
            {
                let help = "give the service a selector that matches a pod which is ready".to_owned();
                return Err((spans.to, format!("{to} has no ready endpoint in this step"), help));
            }
            WrittenExpected::Plain(expected) => return Ok(expected.clone()),
            WrittenExpected::PerBackend(verdicts) => verdicts,
        };
        let mut each: BTreeMap<Place, Verdict> = BTreeMap::new();
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
        let missing = backends.iter().find(|backend| !each.contains_key(backend));
        // Where the client's place leaves fewer, the author knows which.
        if let Some(missing) = missing.filter(|_| !resolved.narrows) {
            let help = format!("add `{missing}: allow` or `{missing}: deny`");
            return Err((verdicts.span, format!("the verdict does not say what becomes of {missing}"), help));
        }
        Ok(Expected::PerBackend(each))
    }

    fn place(&self, name: &Spanned<Source>) -> Result<Place, SpannedError> {
        flows::place(self.snapshot, &name.value).map_err(|(message, help)| (name.span, message, help))
    }

    fn is_backend(&self, place: &Place, span: Span, backends: &[Place]) -> Result<(), SpannedError> {
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

    fn served_by(
        &self,
        places: &[Spanned<Source>],
        backends: &[Place],
    ) -> Result<BTreeSet<Place>, SpannedError> {
        let mut all = BTreeSet::new();
        for name in places {
            let place = self.place(name)?;
            self.is_backend(&place, name.span, backends)?;
            all.insert(place);
        }
        Ok(all)
    }

    fn via(&self, nodes: &[Spanned<String>]) -> Result<BTreeSet<String>, SpannedError> {
        nodes.iter().map(|node| self.node(&node.value, node.span)).collect()
    }

    fn node(&self, name: &str, span: Span) -> Result<String, SpannedError> {
        match flows::place(self.snapshot, &Source::Node(name.to_owned())) {
            Ok(_) => Ok(name.to_owned()),
            Err((message, help)) => Err((span, message, help)),
        }
    }

    /// An address by its name, of one family.
    fn address(&self, name: &Spanned<PlaceName>, family: Family) -> Result<AddressName, SpannedError> {
        let span = name.span;
        match &name.value {
            PlaceName::Address(address) if Family::of(*address) == family => {
                Ok(AddressName::Address(*address))
            }
            PlaceName::Address(address) => Err((
                span,
                format!("{address} is not an {family} address"),
                "write the name of a place, or add `family:`".to_owned(),
            )),
            PlaceName::Router => Ok(AddressName::Place(Place::Router)),
            PlaceName::Tunnel(node) => {
                let node = self.node(node, span)?;
                let wiring = self.snapshot.topology.wiring;
                if wiring != Wiring::Vxlan {
                    let message = format!("there is no tunnel/{node}: the wiring {wiring} has no overlay");
                    let help =
                        format!("write node/{node}, which means any of its addresses, the tunnel's included");
                    return Err((span, message, help));
                }
                Ok(AddressName::Tunnel(node))
            }
            PlaceName::Service(name) => {
                let Some(service) = self.snapshot.services.get(name) else {
                    let known = self.snapshot.services.keys();
                    let (message, help) = flows::unknown_in_namespace("service", name, known);
                    return Err((span, message, help));
                };
                let own = service.cluster_ips.iter().find(|address| Family::of(**address) == family);
                match own {
                    Some(address) => Ok(AddressName::Address(*address)),
                    None => Err((
                        span,
                        format!("service/{name} has no {family} cluster IP"),
                        "name what its name resolves to, as in pod/[NAMESPACE/]NAME".to_owned(),
                    )),
                }
            }
            PlaceName::Place(name) => {
                let place =
                    flows::place(self.snapshot, name).map_err(|(message, help)| (span, message, help))?;
                if self.snapshot.address_of(&place, family).is_none() {
                    let help = "name who has one, or add `family:`".to_owned();
                    return Err((span, format!("{place} has no {family} address"), help));
                }
                Ok(AddressName::Place(place))
            }
        }
    }

    /// A policy that decides exists in this step, and so does the rule; one that allows has rules.
    fn decided_by(
        &self,
        decided_by: &Spanned<DecidedBy>,
        expected: &Expected,
    ) -> Result<DecidedBy, SpannedError> {
        let DecidedBy::Policy { policy, direction, rule } = &decided_by.value else {
            return Ok(decided_by.value.clone());
        };
        let Some(found) = self.snapshot.policies.get(policy) else {
            let (message, help) = flows::unknown_policy(self.snapshot, policy);
            return Err((decided_by.span, message, help));
        };
        if let Some(direction) = direction {
            let Some(rules) = rules(found, *direction) else {
                let help = match found {
                    Policy::NetworkPolicy(_) => {
                        format!(
                            "its policyTypes do not have {direction}: correct them, or the direction here"
                        )
                    }
                    _ => format!("it has no {direction} rule"),
                };
                return Err((
                    decided_by.span,
                    format!("{policy} has nothing to say about {direction}"),
                    help,
                ));
            };
            if let Some(rule) = rule.filter(|rule| *rule >= rules) {
                let help = match rules {
                    0 => format!("it has no {direction} rule"),
                    1 => format!("its only {direction} rule is {direction}[0]"),
                    _ => format!("its {direction} rules are {direction}[0] to {direction}[{}]", rules - 1),
                };
                return Err((decided_by.span, format!("{policy} has no rule {direction}[{rule}]"), help));
            }
        }
        let directions = [Direction::Ingress, Direction::Egress];
        let meant = directions.into_iter().filter(|it| direction.is_none_or(|direction| direction == *it));
        if expected.is_allow() && meant.filter_map(|direction| rules(found, direction)).all(|it| it == 0) {
            let what = direction.map_or("rule".to_owned(), |direction| format!("{direction} rule"));
            let help = "name the policy that allows; where no policy isolates, write `default`".to_owned();
            return Err((decided_by.span, format!("{policy} allows nothing: it has no {what}"), help));
        }
        Ok(decided_by.value.clone())
    }
}

/// What does not belong to a flow of this kind.
fn check_flow(assertions: &Assertions, resolved: &Resolved, spans: FlowSpans) -> Result<(), SpannedError> {
    let Resolved { flow, backends, sticks, .. } = resolved;
    let to = &flow.to;
    let is_name = matches!(to, Destination::Dns(_));
    let at = |span: Span, message: String, help: &str| Err((span, message, help.to_owned()));
    let of_names = |word: &Verdict| matches!(word, Verdict::NameNotFound | Verdict::NameServerUnreachable);
    let words = [
        match &assertions.expected {
            WrittenExpected::Plain(Expected::All(word)) => Some(word),
            _ => None,
        },
        assertions.baseline.as_ref().map(|baseline| &baseline.outcome),
    ];
    if let Some(word) = words.into_iter().flatten().find(|word| of_names(word) && !is_name) {
        let help = "only dns/NAME is resolved; expect another outcome";
        return at(spans.to, format!("{to} is no name, so the outcome cannot be {word}"), help);
    }
    if let Some(dns) = assertions.dns.as_ref().filter(|_| !is_name) {
        return at(dns.span, format!("{to} is not resolved"), "`dns` belongs to a flow to dns/NAME");
    }
    let own = matches!(to, Destination::Pod(_) | Destination::External(_));
    if let Some(node) = assertions.via.iter().flatten().next().filter(|_| own) {
        let help = "`via` belongs to a flow to a service: service/, nodeport/, loadbalancer/, dns/ or ip/";
        return at(node.span, format!("no node chooses a backend for {to}"), help);
    }
    let keeps =
        matches!(flow.port, Some(FlowPort::Port { protocol: FlowProtocol::Tcp | FlowProtocol::Udp, .. }));
    if let Some(keep) = assertions.keep.filter(|_| !keeps) {
        return at(keep, "this flow has no connection that can be kept".to_owned(), "write PORT or PORT/udp");
    }
    if let Some(sticky) = assertions.sticky.filter(|_| backends.len() < 2) {
        let message = match backends.first() {
            Some(only) => format!("nobody but {only} answers this flow in this step"),
            None => "nobody answers this flow in this step".to_owned(),
        };
        return at(sticky, message, "`sticky` needs a service with several endpoints");
    }
    let several = match (&assertions.expected, &assertions.served_by) {
        (WrittenExpected::PerBackend(verdicts), _) => Some(verdicts.span),
        (_, Some(places)) if assertions.sticky.is_none() && assertions.keep.is_none() => {
            places.get(1).map(|place| place.span)
        }
        _ => None,
    };
    if let Some(span) = several.filter(|_| *sticks && backends.len() > 1) {
        let message = format!("{to} keeps a client with one backend (sessionAffinity)");
        return at(span, message, "write one verdict, and `sticky: true` beside `servedBy`");
    }
    Ok(())
}

fn spanned(mistake: Mistake, spans: FlowSpans) -> SpannedError {
    let span = match mistake.part {
        Part::Whole => spans.whole,
        Part::From => spans.from,
        Part::To => spans.to,
    };
    (span, mistake.message, mistake.help)
}

/// How many rules a policy has in a direction; `None` if it has nothing to say there.
fn rules(policy: &Policy, direction: Direction) -> Option<usize> {
    match (policy, direction) {
        (Policy::NetworkPolicy(policy), Direction::Ingress) => {
            let isolates = policy.spec.policy_types.contains(&PolicyType::Ingress);
            isolates.then_some(policy.spec.ingress.len())
        }
        (Policy::NetworkPolicy(policy), Direction::Egress) => {
            let isolates = policy.spec.policy_types.contains(&PolicyType::Egress);
            isolates.then_some(policy.spec.egress.len())
        }
        // Without rules of the direction it does not touch the direction.
        (Policy::ClusterNetworkPolicy(policy), Direction::Ingress) => {
            Some(policy.spec.ingress.len()).filter(|rules| *rules > 0)
        }
        (Policy::ClusterNetworkPolicy(policy), Direction::Egress) => {
            Some(policy.spec.egress.len()).filter(|rules| *rules > 0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::snapshot_of;
    use netproof_api::Source as File;
    use netproof_api::core::{Service, TrafficPolicy};
    use netproof_api::yaml::parse;
    use netproof_model::NamespacedName;
    use netproof_model::flow::ObjectName;
    use std::sync::Arc;

    const OBJECTS: &str = "    - pod: {name: a, labels: {app: web}, ports: [80]}
    - pod: {name: b, labels: {app: web}, ports: [80]}
    - pod: {name: client}
    - service: {name: web, selector: {app: web}, ports: [80]}
";

    /// What is wrong with assertions about the service, after a change of it.
    fn wrong(service: impl Fn(&mut Service), assertions: &Assertions) -> Option<String> {
        let mut snapshot = snapshot_of(OBJECTS);
        let name = NamespacedName::new("default", "web");
        service(Arc::make_mut(snapshot.services.get_mut(&name).unwrap()));
        let source = File::new("test", "a: b");
        let root = parse(&source).unwrap().remove(0);
        let resolver = Resolver {
            document: &Document { source, root },
            snapshot: &snapshot,
            step: "one",
            lost: &Lost::default(),
        };
        let span = Span::default();
        let spans = FlowSpans { whole: span, from: span, to: span };
        let flow = "pod/client -> service/web:80".parse().unwrap();
        resolver
            .expectation(&Written { flow, spans, assertions: assertions.clone(), is_whole: true })
            .err()
            .map(|(_, message, _)| message)
    }

    fn pod(name: &str) -> Spanned<Source> {
        let name = ObjectName { namespace: Some("default".into()), name: name.into() };
        Spanned { value: Source::Pod(name), span: Span::default() }
    }

    #[test]
    fn what_a_service_is_like_decides_what_may_be_expected_of_its_backends() {
        let verdicts = |names: &[&str]| {
            let each = names.iter().map(|name| (pod(name), Verdict::Allow)).collect();
            let each = Spanned { value: each, span: Span::default() };
            Assertions {
                expected: WrittenExpected::PerBackend(each),
                ..Assertions::plain(Expected::All(Verdict::Allow))
            }
        };
        let served = |names: &[&str], sticky| Assertions {
            served_by: Some(names.iter().map(|name| pod(name)).collect()),
            sticky,
            ..Assertions::plain(Expected::All(Verdict::Allow))
        };
        let plain = |_: &mut Service| {};
        let local = |it: &mut Service| it.internal_traffic_policy = TrafficPolicy::Local;
        let affinity = |it: &mut Service| it.session_affinity = Some(10800);

        assert_eq!(wrong(plain, &verdicts(&["a", "b"])), None);
        let missing = Some("the verdict does not say what becomes of pod/default/b".to_owned());
        assert_eq!(wrong(plain, &verdicts(&["a"])), missing);
        // A traffic policy may leave the client one of them: the author knows which.
        assert_eq!(wrong(local, &verdicts(&["a"])), None);

        let keeps = Some("service/web keeps a client with one backend (sessionAffinity)".to_owned());
        assert_eq!(wrong(affinity, &verdicts(&["a", "b"])), keeps);
        assert_eq!(wrong(affinity, &served(&["a", "b"], None)), keeps);
        assert_eq!(wrong(affinity, &served(&["a", "b"], Some(Span::default()))), None);
        assert_eq!(wrong(affinity, &served(&["a"], None)), None);
        assert_eq!(wrong(plain, &served(&["a", "b"], None)), None);
    }
}
