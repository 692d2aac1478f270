//! The third answer: what the API says about the flows of a step, in the words in which expectations are
//! written.
//!
//! The oracle follows packets between addresses. Here names are resolved first (a source that policy keeps
//! from its name server gets no further), a connection that is kept from an earlier step is judged as one
//! that exists, and what the oracle says is held against what the author expects and what was observed.

mod kept;
mod way;

pub use kept::Kept;

use crate::plan::{Expectation, Expected, OutcomeWord, Request, RequestPort, RequestTarget};
use netproof_controlplane::Snapshot;
use netproof_model::{Action, Outcome, Place, Protocol};
use netproof_oracle::{Denial, Oracle, PortProtocol, Prediction, Profile, Switches, Verdict};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Answers about the flows of one step.
#[derive(Debug)]
pub struct Answers<'a> {
    snapshot: &'a Snapshot,
    oracle: Oracle<'a>,
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

/// One thing that may become of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Who gets the request unless policy denies it; `None` where nobody does.
    pub server: Option<Place>,
    /// The answer.
    pub word: Word,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The request gets through. Whether anybody listens is another question.
    Allow,
    /// Policy or a service proxy denies it.
    Deny(Denial),
    /// The API leaves it open; these switches of the profile would settle it.
    Open(Switches),
    /// No route leads there.
    Unreachable,
    /// The name server knows no such name.
    NameNotFound,
    /// No query reaches the name server.
    NameServerUnreachable,
}

impl<'a> Answers<'a> {
    /// For the objects of a step, with a profile's choices.
    pub fn new(snapshot: &'a Snapshot, profile: Profile) -> Self {
        Answers { snapshot, oracle: Oracle::new(snapshot, profile) }
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
            [Course { server: Some(server), word }] => Some((server.clone(), word.clone())),
            _ => None,
        };
        let Some(backend) = kept.backend(&connection) else {
            let opens = |course: &Course| matches!(course.word, Word::Allow | Word::Open(_));
            if answer.courses.iter().any(opens) {
                let backend = only.and_then(|(server, word)| (word == Word::Allow).then_some(server));
                kept.open(connection, &expectation.request.source, backend, self.snapshot);
            }
            return Some(answer);
        };
        // The connection stays with its backend, which new ones may not reach any more.
        let (server, _) = only.filter(|(server, _)| backend == Some(server))?;
        let [prediction] = answer.predictions.as_slice() else { return None };
        let word = Word::from(&prediction.verdict()?.on_existing(self.oracle.profile()));
        answer.courses = vec![Course { server: Some(server), word }];
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
                        Verdict::Allow => answered = true,
                        Verdict::Either(switches) => {
                            answered = true;
                            answer.add(None, Word::Open(*switches));
                        }
                        Verdict::Deny(_) | Verdict::Unreachable => {
                            answer.add(None, Word::NameServerUnreachable);
                        }
                    }
                }
                answer.predictions.push(query);
                if !answered {
                    return Some(answer);
                }
                if addresses.is_empty() {
                    answer.add(None, Word::NameNotFound);
                    answer.unknown_name = Some(name.clone());
                }
                addresses
            }
        };
        for address in addresses {
            let prediction = predict(*address, port)?;
            for alternative in &prediction.alternatives {
                let server = alternative.server.as_ref().map(|server| server.place.clone());
                answer.add(server, Word::from(&alternative.verdict));
            }
            answer.predictions.push(prediction);
        }
        answer.courses.sort_by(|a, b| a.server.cmp(&b.server));
        Some(answer)
    }

    /// Who answers.
    pub(crate) fn oracle(&self) -> &Oracle<'a> {
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
                [Course { word: Word::Allow, .. }] => "goes on",
                [Course { word: Word::Deny(_), .. }] => "is cut",
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
    fn add(&mut self, server: Option<Place>, word: Word) {
        let course = Course { server, word };
        if !self.courses.contains(&course) {
            self.courses.push(course);
        }
    }

    /// In what an expectation contradicts the API: `expected deny, the API says allow`.
    pub fn contradiction(&self, expectation: &Expectation) -> Option<String> {
        let Expectation { expected, .. } = expectation;
        let fits = |course: &Course| match expected {
            Expected::PerBackend(verdicts) => match course.server.as_ref().and_then(|it| verdicts.get(it)) {
                Some(verdict) => course.word.fits(&Expected::from(*verdict)),
                None => matches!(course.word, Word::Open(_)),
            },
            expected => course.word.fits(expected),
        };
        let one_backend = expectation.sticky || expectation.keep;
        if self.courses.iter().all(fits) {
            let says = |what: &str, places: BTreeSet<&Place>| {
                let list: Vec<String> = places.into_iter().map(ToString::to_string).collect();
                (!list.is_empty()).then(|| format!("the API lets no {what} {}", list.join(" or ")))
            };
            let reached: BTreeSet<&Place> = self.courses.iter().filter_map(|it| it.server.as_ref()).collect();
            let named: BTreeSet<&Place> = match expected {
                Expected::PerBackend(verdicts) if !one_backend => verdicts.keys().collect(),
                _ => BTreeSet::new(),
            };
            return says("way lead to", &named - &reached).or_else(|| self.other_servers(expectation));
        }
        let same = self.courses.windows(2).all(|pair| matches!(pair, [a, b] if a.word == b.word));
        let says = match expected {
            Expected::Drop | Expected::Reject => self.denial_in_full(),
            _ => self.to_string(),
        };
        if same || matches!(expected, Expected::PerBackend(_)) {
            return Some(format!("expected {expected}, the API says {says}"));
        }
        Some(format!("expected {expected}, but the backends differ in verdict, the API says {says}"))
    }

    /// The answer, and where that is a denial whether by drop or by reject, if the profile says it: for where just
    /// that is the difference.
    pub(crate) fn denial_in_full(&self) -> String {
        let same = self.courses.windows(2).all(|pair| matches!(pair, [a, b] if a.word == b.word));
        let action = match self.courses.first() {
            Some(Course { word: Word::Deny(denial), .. }) if same => denial.action(),
            _ => None,
        };
        match action {
            Some(Action::Reject) => "reject".to_owned(),
            Some(_) => "drop".to_owned(),
            None => self.to_string(),
        }
    }

    /// What to say of it beside an observation that it contradicts.
    pub(crate) fn against(&self, observed: &str) -> String {
        if matches!(observed, "drop" | "reject") { self.denial_in_full() } else { self.to_string() }
    }

    /// In what the parts of an expectation that are about the flow's way contradict the API: `expected the
    /// server to see pod/default/a, the API says node/node1 (172.18.0.2)`. Of a connection that exists
    /// already, nothing is said.
    pub fn other_way(&self, expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
        if self.exists { None } else { way::contradiction(&self.predictions, expectation, snapshot) }
    }

    /// In what `servedBy` contradicts the API.
    fn other_servers(&self, expectation: &Expectation) -> Option<String> {
        let named: BTreeSet<&Place> = expectation.served_by.as_ref()?.iter().collect();
        let answers = |course: &&Course| matches!(course.word, Word::Allow | Word::Open(_));
        let certain = |course: &&Course| course.word == Word::Allow;
        let servers = |courses: Vec<&'_ Course>| -> BTreeSet<Place> {
            courses.into_iter().filter_map(|course| course.server.clone()).collect()
        };
        let possible = servers(self.courses.iter().filter(answers).collect());
        let sure = servers(self.courses.iter().filter(certain).collect());
        let list = |places: Vec<&Place>| {
            let places: Vec<String> = places.into_iter().map(ToString::to_string).collect();
            places.join(", ")
        };
        let others: Vec<&Place> = sure.iter().filter(|place| !named.contains(place)).collect();
        let missing: Vec<&Place> = named.into_iter().filter(|place| !possible.contains(place)).collect();
        let one_backend = expectation.sticky || expectation.keep;
        if !others.is_empty() {
            return Some(format!("{} may answer as well, the API says", list(others)));
        }
        (!missing.is_empty() && !one_backend)
            .then(|| format!("{} never answers, the API says", list(missing)))
    }

    /// Whether a try that met `backend` (if it is known) went as the API says. `observed` is the outcome in
    /// the words of expectations.
    pub fn agrees(&self, backend: Option<&Place>, outcome: Outcome, observed: &str) -> bool {
        self.courses_to(backend).any(|course| course.word.agrees(outcome, observed))
    }

    /// The switches that would settle a try that met `backend` (if it is known), if the API leaves it open.
    pub fn open(&self, backend: Option<&Place>) -> Option<Switches> {
        self.courses_to(backend).find_map(|course| match course.word {
            Word::Open(switches) => Some(switches),
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
        self.courses.iter().any(|course| matches!(course.word, Word::Deny(Denial::Service { .. })))
    }
}

impl Word {
    /// Whether it is what an author expects. What is open contradicts nothing.
    fn fits(&self, expected: &Expected) -> bool {
        match (expected, self) {
            (Expected::Observe, _) | (_, Word::Open(_)) => true,
            (Expected::Allow, word) => *word == Word::Allow,
            (Expected::Deny, Word::Deny(_)) => true,
            (Expected::Drop, Word::Deny(denial)) => denial.action().is_none_or(|it| it == Action::Drop),
            (Expected::Reject, Word::Deny(denial)) => denial.action().is_none_or(|it| it == Action::Reject),
            (Expected::Outcome(outcome), word) => match outcome {
                // It gets to a place where nobody answers.
                OutcomeWord::Refused | OutcomeWord::NoAnswer => *word == Word::Allow,
                OutcomeWord::Unreachable => *word == Word::Unreachable,
                OutcomeWord::NameNotFound => *word == Word::NameNotFound,
                OutcomeWord::NameServerUnreachable => *word == Word::NameServerUnreachable,
            },
            // Backends are compared one by one.
            (Expected::Deny | Expected::Drop | Expected::Reject | Expected::PerBackend(_), _) => false,
        }
    }

    /// Whether it is what was observed.
    pub(crate) fn agrees(&self, outcome: Outcome, observed: &str) -> bool {
        match self {
            Word::Open(_) => true,
            Word::Allow => matches!(outcome, Outcome::Connected | Outcome::Refused | Outcome::NoAnswer),
            Word::Deny(denial) => match denial.action() {
                Some(Action::Drop) => observed == "drop",
                Some(Action::Reject) => observed == "reject",
                _ => matches!(observed, "drop" | "reject"),
            },
            Word::Unreachable => outcome == Outcome::Unreachable,
            Word::NameNotFound => outcome == Outcome::NameNotFound,
            Word::NameServerUnreachable => outcome == Outcome::NameServerUnreachable,
        }
    }
}

impl From<&Verdict> for Word {
    fn from(verdict: &Verdict) -> Word {
        match verdict {
            Verdict::Allow => Word::Allow,
            Verdict::Deny(denial) => Word::Deny(denial.clone()),
            Verdict::Either(switches) => Word::Open(*switches),
            Verdict::Unreachable => Word::Unreachable,
        }
    }
}

/// In the words of the scenario format where it has one. That policy denies is the API's word; how is the
/// enforcer's.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Allow => f.write_str("allow"),
            Word::Deny(Denial::Service { refusal, .. }) if refusal.action() == Action::Reject => {
                f.write_str("reject")
            }
            Word::Deny(Denial::Service { .. }) => f.write_str("drop"),
            Word::Deny(Denial::Policy { .. }) => f.write_str("deny"),
            Word::Open(switches) => write!(f, "either ({switches})"),
            Word::Unreachable => OutcomeWord::Unreachable.fmt(f),
            Word::NameNotFound => OutcomeWord::NameNotFound.fmt(f),
            Word::NameServerUnreachable => OutcomeWord::NameServerUnreachable.fmt(f),
        }
    }
}

/// One word where all courses have the same, else each course's: `pod/default/a: allow, pod/default/b: deny`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((first, rest)) = self.courses.split_first()
            && rest.iter().all(|course| course.word == first.word)
        {
            return first.word.fmt(f);
        }
        for (i, Course { server, word }) in self.courses.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match server {
                Some(place) => write!(f, "{separator}{place}: {word}")?,
                None => write!(f, "{separator}nobody: {word}")?,
            }
        }
        Ok(())
    }
}
