//! The parameters of a request.

use super::reply::Refusal;
use std::time::Duration;

/// The parameters; the first of each name counts.
pub(super) struct Query(Vec<(String, String)>);

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Exact,
    NotOlderThan,
}

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// A text; absent is empty.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// A switch: everything but `false` and `0` is on.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// `resourceVersion`, which is a number here; `None` where none is written.
    pub(super) fn version(&self) -> Result<Option<u64>, Refusal> {
        match self.text("resourceVersion") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(format!("resourceVersion: Invalid value: {text:?}: it must be a number"))
            }),
        }
    }

    /// `resourceVersionMatch`.
    pub(super) fn version_match(&self) -> Result<Option<Match>, Refusal> {
        match self.text("resourceVersionMatch") {
            "" => Ok(None),
            "Exact" => Ok(Some(Match::Exact)),
            "NotOlderThan" => Ok(Some(Match::NotOlderThan)),
            _ => Err(Refusal::invalid_options(
                "resourceVersionMatch",
                "supported values are Exact and NotOlderThan",
            )),
        }
    }

    /// `timeoutSeconds`; `None` where there is none, or 0.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Refusal> {
        let text = self.text("timeoutSeconds");
        if text.is_empty() {
            return Ok(None);
        }
        let seconds: u32 =
            text.parse().map_err(|_| Refusal::bad_request(format!("invalid timeoutSeconds: {text:?}")))?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
    }
}
