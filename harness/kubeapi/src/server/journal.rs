//! What a node's clients asked for, and what could not be answered: the first thing to read when an agent waits for
//! ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many different requests are kept; others are counted together.
const KEPT: usize = 128;
/// How much of a method and of a path is kept.
const METHOD: usize = 16;
const PATH: usize = 256;
/// The path under which requests are counted that are not kept.
const OTHERS: &str = "(others)";

/// A request that was refused because the server lacks something: a kind, a path, a method, a form of body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The method; empty in the last entry of a full list.
    pub method: String,
    /// The path without parameters. Where more than 128 different requests were refused, the last entry counts the
    /// others, and its path is `(others)`.
    pub path: String,
    /// The status that it was answered with.
    pub status: u16,
    /// How often it came.
    pub times: u64,
}

/// One node's.
pub(super) struct Journal {
    /// Whose it is.
    pub node: String,
    asked: AtomicU64,
    lacking: Mutex<Lacking>,
}

#[derive(Default)]
struct Lacking {
    requests: BTreeMap<Request, u64>,
    others: Option<(u16, u64)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    path: String,
    method: String,
    status: u16,
}

impl Journal {
    pub(super) fn new(node: &str) -> Journal {
        Journal { node: node.to_owned(), asked: AtomicU64::new(0), lacking: Mutex::default() }
    }

    /// A request has come.
    pub(super) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// A request was refused.
    pub(super) fn lacks(&self, method: &str, path: &str, status: u16) {
        let start = |text: &str, length: usize| text.chars().take(length).collect();
        let request = Request { path: start(path, PATH), method: start(method, METHOD), status };
        let mut lacking = self.lacking();
        if let Some(times) = lacking.requests.get_mut(&request) {
            *times += 1;
        } else if lacking.requests.len() < KEPT {
            lacking.requests.insert(request, 1);
        } else {
            lacking.others.get_or_insert((status, 0)).1 += 1;
        }
    }

    /// By path.
    pub(super) fn unanswered(&self) -> Vec<Unanswered> {
        let lacking = self.lacking();
        let kept = lacking.requests.iter().map(|(request, times)| Unanswered {
            method: request.method.clone(),
            path: request.path.clone(),
            status: request.status,
            times: *times,
        });
        let others = lacking.others.iter().map(|(status, times)| Unanswered {
            method: String::new(),
            path: OTHERS.to_owned(),
            status: *status,
            times: *times,
        });
        kept.chain(others).collect()
    }

    fn lacking(&self) -> MutexGuard<'_, Lacking> {
        self.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_counted_and_bounded() {
        let journal = Journal::new("node1");
        for number in 0..1000 {
            journal.lacks("GET", &format!("/{number:04}/{}", "x".repeat(1000)), 404);
            journal.lacks("GET", "/", 404);
        }
        let unanswered = journal.unanswered();
        assert_eq!(unanswered.len(), KEPT + 1);
        assert!(unanswered.iter().all(|it| it.path.len() <= PATH), "{unanswered:?}");
        let first = Unanswered { method: "GET".into(), path: "/".into(), status: 404, times: 1000 };
        assert_eq!(unanswered.first(), Some(&first));
        let last =
            Unanswered { method: String::new(), path: OTHERS.into(), status: 404, times: 1001 - KEPT as u64 };
        assert_eq!(unanswered.last(), Some(&last));
    }
}
