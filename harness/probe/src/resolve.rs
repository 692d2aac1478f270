//! Which name a probe queries next, and when it has an address: what the resolver in a pod's C library does.

use crate::dns::{self, Reply};
use crate::error::ProbeError;
use netproof_model::{Family, Outcome, Token};
use std::collections::VecDeque;
use std::net::IpAddr;

/// The names still to be queried.
#[derive(Debug)]
pub(crate) struct Resolution {
    names: VecDeque<String>,
    /// Whether the first of the names is the target of an alias.
    followed: bool,
    /// Whether the name server failed at least once.
    failed: bool,
}

/// The result of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The name has these addresses.
    Found(Vec<IpAddr>),
    /// Another name must be queried.
    Ask,
    /// No name is left.
    Over(Outcome),
}

impl Resolution {
    pub(crate) fn new(name: &str, search: &[String], family: Family) -> Result<Self, ProbeError> {
        let names: VecDeque<String> = dns::candidates(name, search).into();
        if names.iter().any(|name| dns::query(Token(0), name, family).is_none()) {
            return Err(ProbeError::BadName { name: name.to_owned() });
        }
        Ok(Resolution { names, followed: false, failed: false })
    }

    /// The name to query.
    pub(crate) fn name(&self) -> Option<&str> {
        self.names.front().map(String::as_str)
    }

    /// Processes the name server's answer; `None` is an unreadable answer.
    pub(crate) fn answered(&mut self, reply: Option<Reply>) -> Step {
        let last = self.names.pop_front();
        match reply {
            Some(Reply::Addresses(addresses)) => return Step::Found(addresses),
            // An alias without addresses in this answer: its target is queried, once.
            Some(Reply::Alias(target)) if !self.followed && last.as_deref() != Some(&*target) => {
                self.followed = true;
                self.names.push_front(target);
                return Step::Ask;
            }
            Some(Reply::NotFound | Reply::Alias(_)) => {}
            Some(Reply::Failed) | None => self.failed = true,
        }
        self.followed = false;
        if !self.names.is_empty() {
            Step::Ask
        } else if self.failed {
            Step::Over(Outcome::NameServerUnreachable)
        } else {
            Step::Over(Outcome::NameNotFound)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_answers() {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let found = || Some(Reply::Addresses(vec![address]));
        let alias = || Some(Reply::Alias("elsewhere.test".into()));
        let (none, failed) = (|| Some(Reply::NotFound), || Some(Reply::Failed));
        // The answers in turn, the names that are asked for, and what comes of it.
        let cases: Vec<(Vec<Option<Reply>>, &str, Step)> = vec![
            (vec![found()], "web.a", Step::Found(vec![address])),
            (vec![none(), found()], "web.a web", Step::Found(vec![address])),
            (vec![alias(), found()], "web.a elsewhere.test", Step::Found(vec![address])),
            (vec![alias(), alias(), none()], "web.a elsewhere.test web", Step::Over(Outcome::NameNotFound)),
            (
                vec![alias(), none(), alias(), found()],
                "web.a elsewhere.test web elsewhere.test",
                Step::Found(vec![address]),
            ),
            (vec![none(), none()], "web.a web", Step::Over(Outcome::NameNotFound)),
            (vec![failed(), none()], "web.a web", Step::Over(Outcome::NameServerUnreachable)),
            (vec![None, none()], "web.a web", Step::Over(Outcome::NameServerUnreachable)),
        ];
        for (replies, names, expected) in cases {
            let mut resolution = Resolution::new("web", &["a".to_owned()], Family::Ipv4).unwrap();
            let (mut asked, mut step) = (Vec::new(), Step::Ask);
            for reply in replies {
                assert_eq!(step, Step::Ask, "{names}");
                asked.push(resolution.name().unwrap().to_owned());
                step = resolution.answered(reply);
            }
            assert_eq!((asked.join(" ").as_str(), step), (names, expected));
        }
    }

    #[test]
    fn names_that_dns_cannot_carry_are_refused() {
        assert!(matches!(Resolution::new("a..b", &[], Family::Ipv4), Err(ProbeError::BadName { .. })));
    }
}
