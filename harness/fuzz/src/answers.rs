//! What the API says of the flows that a plan names, as the lines of expectations.

use crate::text::Expected;
use netproof_model::request::RequestTarget;
use netproof_model::topology::ListenPort;
use netproof_model::{Place, Verdict, Verdicts};
use netproof_oracle::{self as oracle, Alternative, PortProtocol, Profile, Server};
use netproof_plan::{Expectation, Plan};
use netproof_verdict::prediction::{Answer, Answers, ApiVerdict, Kept};
use std::collections::{BTreeMap, BTreeSet};

/// Who listens where.
type Listens = BTreeMap<Place, BTreeSet<ListenPort>>;

/// Of each step's expectations, whatever they say, those that the API has a word for, with it.
pub(super) fn expectations(plan: &Plan, profile: Profile, dual: bool) -> BTreeMap<usize, Vec<Expected>> {
    let mut all = BTreeMap::new();
    let mut kept = Kept::default();
    for (index, step) in plan.steps.iter().enumerate() {
        step.states.through().iter().for_each(|state| kept.follow(state));
        let snapshot = step.states.after();
        let bare = snapshot.without_policies();
        let (answers, without) = (Answers::new(&snapshot, profile), Answers::new(&bare, profile));
        let listens = snapshot.listeners();
        let expected = step.expectations.iter().filter_map(|expectation| {
            // A connection is opened by what is written, and no other.
            let mut then = kept.clone();
            let answer = answers.answer(expectation, &mut then)?;
            // What is denied must connect without policy, and what nobody answers is for the matrix.
            let connects = connects(expectation, &without.fresh(&expectation.request)?, &listens);
            let certain = || leads_nowhere(&answer) || is_unanswered(expectation, &answer, &listens);
            let lines = lines(expectation, &answer).filter(|_| connects || certain())?;
            kept = then;
            let family = dual.then_some(expectation.family);
            Some(Expected { flow: expectation.flow.to_string(), family, lines })
        });
        all.insert(index, expected.collect());
    }
    all
}

fn lines(expectation: &Expectation, answer: &Answer) -> Option<Vec<String>> {
    let verdicts = answer.verdicts();
    // A resolver gives its addresses in an order of its own, and not everyone is reached.
    let is_name = matches!(expectation.request.target, RequestTarget::Name { .. });
    if is_name && matches!(verdicts, Verdicts::PerBackend(_)) {
        return None;
    }
    let mut lines = vec![line(&verdicts)?];
    if expectation.keep {
        lines.push("connection: keep".to_owned());
    }
    if answer.is_refused() {
        lines.push("decidedBy: service".to_owned());
    }
    if let [server] = servers(expectation, answer).as_slice()
        && ways(answer).all(|way| way.verdict == oracle::Verdict::Allow)
        && !expectation.keep
        && matches!(server.packet.port, PortProtocol::Port { .. })
    {
        lines.push(format!("sees: ip/{}", server.packet.source));
    }
    Some(lines)
}

/// Whether nobody has the address, or the name, or the proxy refuses: policy has no part in that.
fn leads_nowhere(answer: &Answer) -> bool {
    let by_nature = |word: &ApiVerdict| matches!(word, ApiVerdict::Unreachable | ApiVerdict::NameNotFound);
    answer.is_refused() || answer.courses.iter().all(|course| by_nature(&course.verdict))
}

/// Whether somebody answers, whichever way the request takes.
fn connects(expectation: &Expectation, answer: &Answer, listens: &Listens) -> bool {
    let comes_back =
        |way: &Alternative| way.server.is_some() && !matches!(way.verdict, oracle::Verdict::NoAnswer { .. });
    answer.unknown_name.is_none()
        && ways(answer).all(comes_back)
        && servers(expectation, answer).iter().all(|server| is_served(server, listens))
}

/// Whether somebody gets it and answers, and the answer does not come back, whichever way the request takes.
fn is_unanswered(expectation: &Expectation, answer: &Answer, listens: &Listens) -> bool {
    answer.courses.iter().all(|course| course.verdict == ApiVerdict::NoAnswer)
        && servers(expectation, answer).iter().all(|server| is_served(server, listens))
}

fn ways(answer: &Answer) -> impl Iterator<Item = &Alternative> {
    answer.predictions.iter().flat_map(|prediction| &prediction.alternatives)
}

/// Who may get the request, without the name server where it is asked first; each once.
fn servers<'a>(expectation: &Expectation, answer: &'a Answer) -> Vec<&'a Server> {
    let queries = usize::from(matches!(expectation.request.target, RequestTarget::Name { .. }));
    let ways = answer.predictions.iter().skip(queries).flat_map(|prediction| &prediction.alternatives);
    let mut servers: Vec<&Server> = Vec::new();
    for server in ways.filter_map(|way| way.server.as_ref()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

/// Whether somebody listens there.
fn is_served(server: &Server, listens: &Listens) -> bool {
    let own = listens.get(&server.place).into_iter().flatten();
    let mut ports = own.map(|own| PortProtocol::new(own.port, own.protocol));
    server.packet.port == PortProtocol::Echo || ports.any(|port| port == server.packet.port)
}

/// An answer of the API as an expectation, where there is a word for it.
pub(super) fn line(answer: &Verdicts) -> Option<String> {
    match answer {
        Verdicts::All(verdict) if *verdict == Verdict::Allow || verdict.is_denial() => {
            Some(format!("verdict: {verdict}"))
        }
        Verdicts::All(verdict) if verdict.is_outcome() => Some(format!("outcome: {verdict}")),
        // A verdict for each backend, where it has one whichever way leads to it.
        Verdicts::PerBackend(backends) => {
            let places: Option<BTreeSet<&Place>> = backends.iter().map(|it| it.backend.as_ref()).collect();
            let is_open = backends.iter().any(|it| it.verdict == Verdict::Either);
            let is_one_each = places.is_some_and(|places| places.len() == backends.len());
            (is_one_each && !is_open).then(|| format!("verdict: {{{answer}}}"))
        }
        Verdicts::All(_) | Verdicts::AnyOf(_) => None,
    }
}
