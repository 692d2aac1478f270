//! What agents have asked of the API, in words: the first thing to read when one waits for ever.

use netproof_kubeapi::{Server, Unanswered};
use std::collections::BTreeMap;
use std::fmt;

/// What an agent on a node has asked of the API.
#[derive(Debug)]
pub struct Asked {
    /// How many requests came.
    pub requests: u64,
    /// Those that had no answer that is of use.
    pub unanswered: Vec<Unanswered>,
}

/// So many kinds of unanswered requests are named.
const NAMED: usize = 5;

impl Asked {
    /// What came from a node.
    pub(crate) fn of(server: &Server, node: &str) -> Asked {
        Asked { requests: server.asked(node), unanswered: server.unanswered(node) }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.requests {
            0 => return f.write_str("it has asked nothing of the API"),
            1 => f.write_str("it has sent the API 1 request")?,
            many => write!(f, "it has sent the API {many} requests")?,
        }
        match self.unanswered.as_slice() {
            [] => Ok(()),
            unanswered => write!(f, ", of which it has no answer to {}", listed(unanswered)),
        }
    }
}

/// Those of several nodes, each once with all its times; `None` if there are none.
pub(crate) fn together(unanswered: impl IntoIterator<Item = Unanswered>) -> Option<String> {
    let mut times: BTreeMap<(String, String, u16), u64> = BTreeMap::new();
    for request in unanswered {
        *times.entry((request.path, request.method, request.status)).or_insert(0) += request.times;
    }
    let all: Vec<Unanswered> = times
        .into_iter()
        .map(|((path, method, status), times)| Unanswered { method, path, status, times })
        .collect();
    (!all.is_empty()).then(|| listed(&all))
}

fn listed(unanswered: &[Unanswered]) -> String {
    let (named, others) = unanswered.split_at(NAMED.min(unanswered.len()));
    let request = |Unanswered { method, path, status, times }: &Unanswered| match times {
        1 => format!("{method} {path} (status {status}, once)"),
        _ => format!("{method} {path} (status {status}, {times} times)"),
    };
    let named = named.iter().map(request).collect::<Vec<_>>().join(", ");
    match others.len() {
        0 => named,
        more => format!("{named} and {more} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered(path: &str, times: u64) -> Unanswered {
        Unanswered { method: "GET".into(), path: path.into(), status: 404, times }
    }

    #[test]
    fn the_first_are_named_and_the_others_counted() {
        let asked = |requests, paths: &[&str]| {
            let unanswered = paths.iter().map(|path| unanswered(path, 1)).collect();
            Asked { requests, unanswered }.to_string()
        };
        assert_eq!(asked(0, &[]), "it has asked nothing of the API");
        assert_eq!(asked(1, &[]), "it has sent the API 1 request");
        assert_eq!(
            asked(3, &["/a"]),
            "it has sent the API 3 requests, of which it has no answer to GET /a (status 404, once)"
        );
        let many = asked(9, &["/a", "/b", "/c", "/d", "/e", "/f", "/g"]);
        assert!(many.ends_with("GET /e (status 404, once) and 2 others"), "{many}");
    }

    #[test]
    fn requests_of_several_nodes_are_added_up() {
        let of_two_nodes = [unanswered("/b", 1), unanswered("/a", 1), unanswered("/b", 2)];
        let said = "GET /a (status 404, once), GET /b (status 404, 3 times)";
        assert_eq!(together(of_two_nodes).as_deref(), Some(said));
        assert_eq!(together([]), None);
    }
}
