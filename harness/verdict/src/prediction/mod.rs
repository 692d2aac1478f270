//! The third answer: what the API says about the flows of a step, in the words in which expectations are
//! written.
//!
//! The oracle follows packets between addresses. Here names are resolved first (a source that policy keeps
//! from its name server gets no further), a connection that is kept from an earlier step is judged as one
//! that exists, and what the oracle says is held against what the author expects and what was observed.

mod contradiction;
mod course;
mod kept;
mod observed;
mod way;

pub use course::{ApiVerdict, Course};
pub use kept::Kept;
pub use observed::Difference;

use netproof_controlplane::{Snapshot, well_known};
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::topology::ListenPort;
use netproof_model::{Action, BackendVerdict, Decision, Place, Protocol, Verdict, Verdicts};
use netproof_oracle::{
    self as oracle, Oracle, PolicyDecision, PortProtocol, PredictedDenial, Prediction, Profile, Server,
    Switches,
};
use netproof_plan::Expectation;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Answers about the flows of one step.
#[derive(Debug)]
pub struct Answers<'a> {
    snapshot: &'a Snapshot,
    oracle: Oracle<'a>,
    /// Who listens where.
    listens: BTreeMap<Place, BTreeSet<ListenPort>>,
}

/// What the API says about a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Everything that may become of it, each once, in the order of the backends; at least one.
    pub courses: Vec<Course>,
    /// How that follows: of a name, first the query to the name server.
    pub predictions: Vec<Prediction>,
    /// The name that nobody has.
    pub unknown_name: Option<String>,
    /// Whether the connection exists since an earlier step.
    pub exists: bool,
}

impl<'a> Answers<'a> {
    /// For the objects of a step, with a profile's choices.
    pub fn new(snapshot: &'a Snapshot, profile: Profile) -> Self {
        let listens = snapshot.listeners();
        Answers { snapshot, oracle: Oracle::new(snapshot, profile), listens }
    }

    /// Whose choices they are at the points that the API leaves open.
    pub fn profile(&self) -> &Profile {
        self.oracle.profile()
    }

    /// What the API says about an expectation's flow; `None` where it does not speak about it. Steps are
    /// asked about in their order, all with the same `kept`, which follows every change.
    pub fn answer(&self, expectation: &Expectation, kept: &mut Kept) -> Option<Answer> {
        let mut answer = self.fresh(&expectation.request)?;
        if !expectation.keep {
            return Some(answer);
        }
        let connection = (expectation.flow.clone(), expectation.family);
        let only = match answer.courses.as_slice() {
            [Course { server: Some(server), verdict, listens }] => {
                Some((server.clone(), verdict.clone(), *listens))
            }
            _ => None,
        };
        let Some(backend) = kept.backend(&connection) else {
            let opens = |course: &Course| matches!(course.verdict, ApiVerdict::Allow | ApiVerdict::Open(_));
            if answer.courses.iter().any(opens) {
                let backend =
                    only.and_then(|(server, verdict, _)| (verdict == ApiVerdict::Allow).then_some(server));
                kept.open(connection, &expectation.request.source, backend, self.snapshot);
            }
            return Some(answer);
        };
        // The connection stays with its backend, which new ones may not reach any more.
        let (server, _, listens) = only.filter(|(server, ..)| backend == Some(server))?;
        let [prediction] = answer.predictions.as_slice() else { return None };
        let verdict = ApiVerdict::from(&prediction.verdict()?.on_existing(self.oracle.profile()));
        answer.courses = vec![Course { server: Some(server), verdict, listens }];
        answer.exists = true;
        Some(answer)
    }

    /// What the API says about a new flow; `None` where it does not speak about it.
    pub fn fresh(&self, request: &Request) -> Option<Answer> {
        let port = match request.port {
            RequestPort::Icmp => PortProtocol::Echo,
            RequestPort::Port { port, protocol } => PortProtocol::new(port, protocol.transport()),
        };
        let predict = |to: IpAddr, port| {
            let flow = netproof_oracle::Flow { from: request.source.clone(), to, port };
            // The plan has found both ends; a source that cannot send is nothing that the API speaks about.
            self.oracle.predict(&flow).ok()
        };
        let mut answer = Answer::default();
        let addresses = match &request.target {
            RequestTarget::Address(address) => std::slice::from_ref(address),
            RequestTarget::Name { name, server, addresses, .. } => {
                let query = predict(*server, PortProtocol::new(DNS_PORT, Protocol::Udp))?;
                let mut answered = false;
                for alternative in &query.alternatives {
                    match &alternative.verdict {
                        oracle::Verdict::Allow => answered = true,
                        oracle::Verdict::Either(switches) => {
                            answered = true;
                            answer.add_lost(ApiVerdict::Open(*switches));
                        }
                        oracle::Verdict::Deny(_)
                        | oracle::Verdict::Unreachable
                        | oracle::Verdict::NoAnswer { .. } => {
                            answer.add_lost(ApiVerdict::NameServerUnreachable);
                        }
                    }
                }
                answer.predictions.push(query);
                if !answered {
                    return Some(answer);
                }
                if addresses.is_empty() {
                    answer.add_lost(ApiVerdict::NameNotFound);
                    answer.unknown_name = Some(name.clone());
                }
                addresses
            }
        };
        for address in addresses {
            let prediction = predict(*address, port)?;
            for alternative in &prediction.alternatives {
                let server = alternative.server.as_ref();
                answer.add(Course {
                    server: server.map(|server| server.place.clone()),
                    verdict: ApiVerdict::from(&alternative.verdict),
                    listens: server.is_some_and(|server| self.listens(server)),
                });
            }
            answer.predictions.push(prediction);
        }
        answer.courses.sort_by(|a, b| a.server.cmp(&b.server));
        Some(answer)
    }

    /// Whether somebody listens where a packet arrives.
    fn listens(&self, server: &Server) -> bool {
        let PortProtocol::Port { number, .. } = server.packet.port else {
            // Every network stack answers echoes.
            return true;
        };
        let is_it = |own: &ListenPort| PortProtocol::new(own.port, own.protocol) == server.packet.port;
        let by_itself = match &server.place {
            Place::Pod(pod) => {
                number == DNS_PORT
                    && pod.namespace == well_known::DNS_NAMESPACE
                    && pod.name == well_known::DNS_POD
            }
            // The service proxy answers health checks.
            Place::Node(_) => {
                self.snapshot.services.values().any(|it| it.health_check_node_port == Some(number))
            }
            Place::External(_) | Place::Router => false,
        };
        by_itself || self.listens.get(&server.place).is_some_and(|ports| ports.iter().any(is_it))
    }

    /// The objects that are asked about.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Who answers.
    pub fn oracle(&self) -> &Oracle<'a> {
        &self.oracle
    }

    /// The answer's derivation in full sentences. Lines end with a newline; deeper reasons are indented.
    pub fn explain(&self, answer: &Answer) -> String {
        let mut text: String =
            answer.predictions.iter().map(|prediction| self.oracle.explain(prediction)).collect();
        if let Some(name) = &answer.unknown_name {
            text.push_str(&format!("The cluster's DNS does not know {name}.\n"));
        }
        if answer.exists {
            let word = match answer.courses.as_slice() {
                [Course { verdict: ApiVerdict::Allow, .. }] => "goes on",
                [Course { verdict: ApiVerdict::Deny(_), .. }] => "is cut",
                _ => "is open",
            };
            let profile = self.oracle.profile().name;
            text.push_str(&format!(
                "That is said of a new connection; this one exists since an earlier step and, in the profile \
                 {profile}, {word}.\n"
            ));
        }
        text
    }
}

impl Answer {
    /// Adds a course of which nobody gets the request.
    fn add_lost(&mut self, verdict: ApiVerdict) {
        self.add(Course { server: None, verdict, listens: false });
    }

    fn add(&mut self, course: Course) {
        if !self.courses.contains(&course) {
            self.courses.push(course);
        }
    }

    /// What becomes of the flow, or of the flow to each backend where that differs.
    pub fn verdicts(&self) -> Verdicts {
        let each = self.courses.iter().map(|course| course.verdict.word());
        match self.courses.first() {
            Some(first) if each.clone().all(|verdict| verdict == first.verdict.word()) => {
                Verdicts::All(first.verdict.word())
            }
            _ => {
                let backends = self.courses.iter().map(|course| course.server.clone()).zip(each);
                let backends = backends.map(|(backend, verdict)| BackendVerdict { backend, verdict });
                Verdicts::PerBackend(backends.collect())
            }
        }
    }

    /// Who decides, whichever way the flow takes; of what is allowed everybody who allows it. Each once.
    pub fn decided_by(&self) -> Vec<Decision> {
        let mut deciders: Vec<Decision> = Vec::new();
        for way in self.predictions.iter().flat_map(|prediction| &prediction.alternatives) {
            let allowed = way.decisions().filter(|_| way.denied_by().is_none());
            for decider in way.deniers().into_iter().chain(allowed.flat_map(PolicyDecision::decided_by)) {
                if !deciders.contains(decider) {
                    deciders.push(decider.clone());
                }
            }
        }
        deciders
    }

    /// The same, with how it is denied where the profile says that: for where just that is the difference.
    pub(crate) fn denial_in_full(&self) -> Verdicts {
        let same = self.courses.windows(2).all(|pair| matches!(pair, [a, b] if a.verdict == b.verdict));
        let action = match self.courses.first() {
            Some(Course { verdict: ApiVerdict::Deny(denial), .. }) if same => denial.action(),
            _ => None,
        };
        match action {
            Some(Action::Reject) => Verdict::Reject.into(),
            Some(_) => Verdict::Drop.into(),
            None => self.verdicts(),
        }
    }

    /// What to say of it beside what was observed and contradicts it.
    pub fn against(&self, observed: Verdict) -> Verdicts {
        if observed.is_denial() { self.denial_in_full() } else { self.verdicts() }
    }

    /// The names of the switches that would settle what the API leaves open.
    pub fn names_of_open_switches(&self) -> Vec<String> {
        let switches = self.open_switches().into_iter();
        switches.flat_map(|it| it.iter().map(|switch| switch.name().to_owned()).collect::<Vec<_>>()).collect()
    }

    /// The switches that would settle what the API leaves open, whichever backend is met.
    fn open_switches(&self) -> Option<Switches> {
        let open = self.courses.iter().filter_map(|course| match course.verdict {
            ApiVerdict::Open(switches) => Some(switches),
            _ => None,
        });
        open.reduce(Switches::union)
    }

    /// The switches that would settle a try that met `backend` (if it is known), if the API leaves it open.
    pub fn open(&self, backend: Option<&Place>) -> Option<Switches> {
        self.courses_to(backend).find_map(|course| match course.verdict {
            ApiVerdict::Open(switches) => Some(switches),
            _ => None,
        })
    }

    /// What may become of a try that met `backend`; all courses where it is not known.
    fn courses_to<'a>(&'a self, backend: Option<&'a Place>) -> impl Iterator<Item = &'a Course> {
        let of_backend = move |course: &&Course| course.server.as_ref() == backend;
        let known = backend.is_some() && self.courses.iter().any(|course| of_backend(&course));
        self.courses.iter().filter(move |course| !known || of_backend(course))
    }

    /// Whether a service proxy's refusal is part of the answer.
    pub fn is_refused(&self) -> bool {
        self.courses
            .iter()
            .any(|course| matches!(course.verdict, ApiVerdict::Deny(PredictedDenial::Service { .. })))
    }
}

/// The verdicts, with the switches that would settle what is open: `either (icmp)`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdicts().fmt(f)?;
        match self.open_switches() {
            Some(switches) => write!(f, " ({switches})"),
            None => Ok(()),
        }
    }
}
