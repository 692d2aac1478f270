//! Full sentences from a prediction: which way the flow takes, who decides about it, and why.

use crate::oracle::Oracle;
use crate::policy::open;
use crate::prediction::{
    Alternative, Hop, PolicyDecision, PredictedDenial, Prediction, Reason, Server, SourceNat, Verdict,
};
use crate::proxy::{Masquerade, Refusal, ServiceStep};
use crate::services::ServiceAddress;
use crate::truth::Truth;
use crate::world::{Owner, name_of};
use netproof_model::{Action, Decision, Direction, Place};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

impl Oracle<'_> {
    /// The prediction as a person reads it: the verdict first, then the way with every decision.
    ///
    /// Lines end with a newline; deeper reasons are indented.
    pub fn explain(&self, prediction: &Prediction) -> String {
        let flow = &prediction.flow;
        let packet = crate::Packet { source: flow.to, destination: flow.to, port: flow.port };
        let what = format!("{} -> {}", flow.from, packet.target());
        let mut lines = Lines::default();
        match prediction.alternatives.as_slice() {
            [only] => {
                lines.add(0, format!("{what}: {}.", self.verdict(&only.verdict)));
                self.alternative(&mut lines, 0, only);
            }
            several => {
                let count = several.len();
                lines.add(
                    0,
                    match prediction.verdict() {
                        Some(verdict) => {
                            format!("{what}: {}, whichever of {count} ways it takes.", self.verdict(verdict))
                        }
                        None => format!("{what}: that depends on which of {count} ways it takes."),
                    },
                );
                for (index, alternative) in several.iter().enumerate() {
                    let verdict = self.verdict(&alternative.verdict);
                    lines.add(0, format!("Way {} of {count}: {verdict}.", index + 1));
                    self.alternative(&mut lines, 1, alternative);
                }
            }
        }
        lines.0
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Allow => "allowed".into(),
            Verdict::Deny(PredictedDenial::Policy { action }) => match action {
                Some(Action::Reject) => "denied by policy (reject)".into(),
                Some(_) => "denied by policy (drop)".into(),
                None => "denied by policy (drop or reject)".into(),
            },
            Verdict::Deny(PredictedDenial::Service { refusal, .. }) => match refusal.action() {
                Action::Reject => "denied by the service proxy (reject)".into(),
                _ => "denied by the service proxy (drop)".into(),
            },
            Verdict::Either(switches) => format!("open, {}", open(*switches)),
            Verdict::Unreachable => "unreachable, nobody has the address or no route leads there".into(),
            Verdict::NoAnswer { .. } => "allowed, and no answer comes back".into(),
        }
    }

    fn alternative(&self, lines: &mut Lines, depth: usize, alternative: &Alternative) {
        if alternative.hops.is_empty()
            && let Some(server) = &alternative.server
        {
            lines.add(depth, format!("The packet never leaves {}, and no policy applies.", server.place));
            return;
        }
        let mut denied = false;
        for hop in &alternative.hops {
            self.hop(lines, depth, hop, denied);
            denied |= hop.decisions.iter().any(|decision| decision.truth == Truth::No);
        }
        if let Some(Server { place, packet }) = &alternative.server {
            let source = self.who(packet.source);
            let sees = if denied { "would see" } else { "sees" };
            lines.add(depth, format!("{place} {sees} it from {source} at {}.", packet.target()));
            if let Verdict::NoAnswer { past } = &alternative.verdict {
                lines.add(
                    depth,
                    format!(
                        "Its answer goes to {source} and not over {past}, which translated the destination: the \
                         client knows no connection with {}.",
                        packet.destination
                    ),
                );
            }
        }
    }

    /// `denied`: an earlier hop has denied the packet, and this is where it would go.
    fn hop(&self, lines: &mut Lines, depth: usize, hop: &Hop, denied: bool) {
        lines.add(depth, self.describe_hop(hop, denied));
        for decision in &hop.decisions {
            lines.add(depth + 1, self.describe_decision(decision));
            for policy in self.accounts(decision) {
                lines.add(depth + 2, policy.sentence);
                for rule in policy.rules {
                    lines.add(depth + 3, rule.sentence);
                    rule.reasons.iter().for_each(|reason| lines.add(depth + 4, format!("{reason}.")));
                }
            }
        }
        if let Some(sentence) = self.describe_source(hop, denied) {
            lines.add(depth + 1, sentence);
        }
    }

    /// Which way the packet takes at a hop, as a sentence. `denied`: an earlier hop has denied it, and this is
    /// where it would go.
    pub fn describe_hop(&self, hop: &Hop, denied: bool) -> String {
        let place = &hop.place;
        let verb = |does: &'static str, would: &'static str| if denied { would } else { does };
        match &hop.service {
            Some(ServiceStep::Translate { service, address, endpoint, choices, .. }) => {
                let (translates, kind) = (verb("translates", "would translate"), address_kind(*address));
                let endpoint = SocketAddr::new(endpoint.0, endpoint.1);
                let who = match self.world.owner(endpoint.ip()) {
                    Some(owner) => format!("{} at {endpoint}", place_of(owner)),
                    None => endpoint.to_string(),
                };
                let choice = match choices {
                    1 => "its only choice".to_owned(),
                    count => format!("one of {count} choices"),
                };
                match address {
                    ServiceAddress::HostPort => {
                        format!("{place} {translates} {kind} of pod/{service} to {who}.")
                    }
                    _ => format!("{place} {translates} {kind} of service/{service} to {who}, {choice}."),
                }
            }
            Some(ServiceStep::Refuse { service, refusal }) => {
                let refuses = match refusal.action() {
                    Action::Reject => verb("rejects", "would reject"),
                    _ => verb("drops", "would drop"),
                };
                let service =
                    service.as_ref().map_or("no service".to_owned(), |name| format!("service/{name}"));
                format!("{place} {refuses} it: {}.", refusal_text(*refusal, &service))
            }
            None => format!("It {} {place}.", verb("passes", "would pass")),
        }
    }

    /// What becomes of the packet's source at a hop, as a sentence; `None` where nothing does.
    pub fn describe_source(&self, hop: &Hop, denied: bool) -> Option<String> {
        let (address, why) = hop.source?;
        let becomes = if denied { "would become" } else { "becomes" };
        Some(format!("Its source {becomes} {address}: {}.", nat_text(why)))
    }

    /// A decision and what settled it, as a sentence.
    pub fn describe_decision(&self, decision: &PolicyDecision) -> String {
        let PolicyDecision { endpoint, direction, stage, packet, truth, reason, .. } = decision;
        let name = match direction {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        };
        let other = match direction {
            Direction::Ingress => format!("from {} for {}", self.who(packet.source), packet.port),
            Direction::Egress => format!("to {} for {}", self.who(packet.destination), packet.port),
        };
        let answer = match truth {
            Truth::Yes => "allowed".to_owned(),
            Truth::No => "denied".to_owned(),
            Truth::Either(switches) => format!("open, {}", open(*switches)),
        };
        let because = match reason {
            Reason::NotIsolated => match endpoint {
                Place::Pod(_) => format!(": no policy isolates the pod for {direction}"),
                _ => format!(": no policy of its {stage} {direction} decides"),
            },
            Reason::OwnNode => ": the node that a pod runs on always reaches it".into(),
            Reason::Profile(switch) => {
                let choice = self.profile.choice(*switch);
                let name = self.profile.name;
                format!(", whatever its rules say: in the profile {name}, {switch} is {choice}")
            }
            Reason::Rules => match (truth, decision.decided_by()) {
                (Truth::No, [Decision::Isolation { .. }]) => {
                    format!(": the pod is isolated for {direction}, and no rule matches")
                }
                (Truth::No, deciders) => {
                    let deciders: Vec<String> = deciders.iter().map(ToString::to_string).collect();
                    format!(" by {}", deciders.join(" or "))
                }
                (Truth::Yes | Truth::Either(_), _) => String::new(),
            },
        };
        format!("{name} of {endpoint} {other} is {answer}{because}.")
    }

    /// An address and whose it is.
    fn who(&self, address: IpAddr) -> String {
        match self.world.owner(address) {
            Some(owner) => format!("{} ({address})", place_of(owner)),
            None => address.to_string(),
        }
    }
}

fn place_of(owner: Owner<'_>) -> Place {
    match owner {
        Owner::Pod(pod) => Place::Pod(name_of(pod)),
        Owner::Node(node) => Place::Node(node.metadata.name.clone()),
        Owner::External(name) => Place::External(name.to_owned()),
    }
}

fn address_kind(address: ServiceAddress) -> &'static str {
    match address {
        ServiceAddress::ClusterIp => "the cluster IP",
        ServiceAddress::ExternalIp => "the external IP",
        ServiceAddress::LoadBalancerIp => "the load balancer's address",
        ServiceAddress::NodePort => "the node port",
        ServiceAddress::HostPort => "the host port",
    }
}

fn refusal_text(refusal: Refusal, service: &str) -> String {
    match refusal {
        Refusal::NoEndpoints => format!("{service} has no endpoint"),
        Refusal::NoLocalEndpointsInternal => {
            format!("{service} has no endpoint on this node, and its internalTrafficPolicy is Local")
        }
        Refusal::NoLocalEndpointsExternal => {
            format!("{service} has no endpoint on this node, and its externalTrafficPolicy is Local")
        }
        Refusal::NoSuchPort => format!("the address is the cluster IP of {service}, which has no such port"),
        Refusal::SourceRanges => format!("the source is not in loadBalancerSourceRanges of {service}"),
        Refusal::NoSuchService => format!("the address is in the range of services, and {service} has it"),
    }
}

fn nat_text(why: SourceNat) -> &'static str {
    match why {
        SourceNat::NatOutgoing => "natOutgoing masquerades what a pod sends to an address that is no pod's",
        SourceNat::LoadBalancer => "the load balancer speaks to nodes by its own address",
        SourceNat::Proxy(Masquerade::NotFromAPod) => {
            "what comes for a cluster IP from an address that is no pod's is masqueraded"
        }
        SourceNat::Proxy(Masquerade::ExternalTraffic) => {
            "external traffic is masqueraded where externalTrafficPolicy is Cluster"
        }
        SourceNat::Proxy(Masquerade::FromTheNode) => {
            "what the node itself sends to an external address of a service is masqueraded"
        }
        SourceNat::Proxy(Masquerade::Hairpin) => "the sender is the endpoint itself, and would answer itself",
    }
}

/// The text so far.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, line: String) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:width$}{line}", "", width = 2 * depth);
    }
}
