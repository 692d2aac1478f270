//! What the API says of a stream: in every state that a step's changes lead through, beginning with the one
//! before them. What is never to happen while they are made must be wrong in each.

use crate::prediction::{Answers, ApiVerdict};
use netproof_controlplane::Snapshot;
use netproof_model::Verdicts;
use netproof_model::event::Never;
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_oracle::{PortProtocol, Profile, Server, Switches};
use netproof_plan::Stream;
use std::sync::Arc;

/// The API's answer about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What becomes of the flow, each answer once, in the order of the states; empty where the API does not speak
    /// about it.
    pub says: Vec<Verdicts>,
    /// The switches that would settle what it leaves open.
    pub open: Option<Switches>,
    /// The first state in which the API says otherwise than the stream.
    pub contradiction: Option<Contradiction>,
}

impl Claim {
    /// The names of the switches that would settle what the API leaves open.
    pub fn names_of_open_switches(&self) -> Vec<String> {
        let switches = self.open.iter();
        switches.flat_map(|it| it.iter().map(|switch| switch.name().to_owned()).collect::<Vec<_>>()).collect()
    }
}

/// A state in which the API contradicts a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The position of the state.
    pub state: usize,
    /// What the API says there; any of nothing where it does not speak about the flow.
    pub says: Verdicts,
    /// How that follows; empty where the API does not speak about the flow.
    pub derivation: String,
}

/// Asks about a stream in each of these states.
pub fn answer(stream: &Stream, states: &[Arc<Snapshot>], profile: Profile) -> Claim {
    let mut said: Vec<Verdicts> = Vec::new();
    let mut open: Option<Switches> = None;
    let mut contradiction = None;
    let mut servers: Option<Vec<Server>> = None;
    for (state, snapshot) in states.iter().enumerate() {
        let answers = Answers::new(snapshot, profile);
        let Words { words, derivation } = match servers.as_ref().filter(|_| stream.keep) {
            Some(servers) => existing(&answers, stream, servers),
            None => {
                let (words, opened) = fresh(&answers, stream);
                servers = Some(opened);
                words
            }
        };
        let says = Verdicts::any_of(words.iter().map(ApiVerdict::word));
        let switches = words.iter().filter_map(|word| match word {
            ApiVerdict::Open(switches) => Some(*switches),
            _ => None,
        });
        open = open.into_iter().chain(switches).reduce(Switches::union);
        if contradiction.is_none() && (words.is_empty() || !words.iter().all(|word| fits(stream.never, word)))
        {
            contradiction = Some(Contradiction { state, says: says.clone(), derivation });
        }
        if !said.contains(&says) {
            said.push(says);
        }
    }
    Claim { says: said, open, contradiction }
}

/// What may become of a flow, and how that follows.
struct Words {
    words: Vec<ApiVerdict>,
    derivation: String,
}

/// About a new connection; with those who may get it.
fn fresh(answers: &Answers<'_>, stream: &Stream) -> (Words, Vec<Server>) {
    let Some(answer) = answers.fresh(&stream.request) else {
        return (Words { words: Vec::new(), derivation: String::new() }, Vec::new());
    };
    let alternatives = answer.predictions.iter().flat_map(|prediction| &prediction.alternatives);
    let servers = alternatives.filter_map(|alternative| alternative.server.clone()).collect();
    let words = answer.courses.iter().map(|course| course.verdict.clone()).collect();
    (Words { words, derivation: answers.explain(&answer) }, servers)
}

/// About a connection that exists. It stays with its backend, and policy sees that backend's address: it is
/// what the API says of a connection to the backend itself.
fn existing(answers: &Answers<'_>, stream: &Stream, servers: &[Server]) -> Words {
    let mut all = Words { words: Vec::new(), derivation: String::new() };
    for server in servers {
        let port = match (server.packet.port, stream.request.port) {
            (PortProtocol::Port { number, .. }, RequestPort::Port { protocol, .. }) => {
                RequestPort::Port { port: number, protocol }
            }
            (_, port) => port,
        };
        let target = RequestTarget::Address(server.packet.destination);
        let request = Request { source: stream.request.source.clone(), target, port };
        let Some(mut answer) = answers.fresh(&request) else { continue };
        answer.exists = true;
        let of =
            |verdict: &netproof_oracle::Verdict| ApiVerdict::from(&verdict.on_existing(answers.profile()));
        let verdicts = answer.predictions.iter().flat_map(|it| &it.alternatives).map(|it| of(&it.verdict));
        let words: Vec<ApiVerdict> = verdicts.collect();
        for (course, word) in answer.courses.iter_mut().zip(&words) {
            course.verdict = word.clone();
        }
        all.words.extend(words);
        all.derivation.push_str(&answers.explain(&answer));
    }
    all
}

/// Whether the API's word lets a stream be. What is open contradicts nothing.
fn fits(never: Never, word: &ApiVerdict) -> bool {
    match never {
        Never::Allow => matches!(word, ApiVerdict::Deny(_) | ApiVerdict::Unreachable | ApiVerdict::Open(_)),
        Never::Cut => matches!(word, ApiVerdict::Allow | ApiVerdict::Open(_)),
    }
}
