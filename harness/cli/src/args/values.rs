//! Parses values of options that are more than a word, with errors for all others.

use netproof_enforcer_agent::AgentName;
use netproof_fuzz::Feature;
use netproof_model::ProxyMode;
use netproof_model::flow::{Flow, FlowError};
use netproof_oracle::{PROFILES, Profile};
use netproof_plan::MatrixDestination;
use netproof_runner::{Backend, EnforcerChoice, ExecCommand, ProxyChoice};
use std::num::NonZeroUsize;
use std::time::Duration;

/// An enforcer as it is named: of an agent more is known later.
#[derive(Clone, Debug)]
pub enum EnforcerName {
    Ready(EnforcerChoice),
    Agent(AgentName),
}

/// A proxy, likewise.
#[derive(Clone, Debug)]
pub enum ProxyName {
    Ready(ProxyChoice),
    Agent(AgentName),
}

pub(super) fn enforcer(name: &str) -> Result<EnforcerName, String> {
    if let Some(backend) = Backend::named(name) {
        return Ok(EnforcerName::Ready(EnforcerChoice::Own(backend)));
    }
    let there_are = format!("there are {}, none, agent:NAME and exec:COMMAND", backends());
    match (name, name.split_once(':')) {
        ("none", _) => Ok(EnforcerName::Ready(EnforcerChoice::None)),
        ("iptables", _) => Err(format!("the iptables enforcer is not built yet; {there_are}")),
        (_, Some(("agent", agent))) => Ok(EnforcerName::Agent(AgentName::parse(agent)?)),
        (_, Some(("exec", command))) => {
            let command = ExecCommand::parse(command)?;
            command.find()?;
            Ok(EnforcerName::Ready(EnforcerChoice::Exec(command)))
        }
        _ => Err(no_such("enforcer", name, &there_are)),
    }
}

/// Whoever names a profile alone means the agent.
fn no_such(what: &str, name: &str, there_are: &str) -> String {
    match AgentName::parse(name) {
        Ok(agent) => format!("there is no such {what}; did you mean {agent}?"),
        Err(_) => format!("there is no such {what}; {there_are}"),
    }
}

fn backends() -> String {
    Backend::ALL.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ")
}

pub(super) fn flow(text: &str) -> Result<Flow, String> {
    text.parse().map_err(|error: FlowError| format!("{}; {}", error.message, error.help))
}

pub(super) fn namespace(name: &str) -> Result<String, String> {
    netproof_api::names::check_dns_label(name).map(|()| name.to_owned())
}

pub(super) fn profile(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("there is no such profile; there are {}", names.join(", "))
    })
}

pub(super) fn feature(word: &str) -> Result<Feature, String> {
    Feature::ALL.into_iter().find(|feature| feature.word() == word).ok_or_else(|| {
        let words = Feature::ALL.map(Feature::word);
        format!("there is no such feature; there are {}", words.join(", "))
    })
}

pub(super) fn destination(name: &str) -> Result<MatrixDestination, String> {
    let found = MatrixDestination::WORDS.into_iter().find(|(word, _)| *word == name);
    found.map(|(_, destination)| destination).ok_or_else(|| {
        let words = MatrixDestination::WORDS.map(|(word, _)| word);
        format!("there is no such destination; there are {}", words.join(", "))
    })
}

pub(super) fn proxy_mode(name: &str) -> Result<ProxyMode, String> {
    let found = ProxyMode::ALL.into_iter().find(|mode| mode.name() == name);
    found.ok_or_else(|| "there is no such mode; there are nftables and iptables".into())
}

pub(super) fn proxy(name: &str) -> Result<ProxyName, String> {
    if let Some(backend) = Backend::named(name) {
        return Ok(ProxyName::Ready(ProxyChoice::Own(backend)));
    }
    let there_are = format!("there are {}, none and agent:NAME", backends());
    match (name, name.split_once(':')) {
        ("none", _) => Ok(ProxyName::Ready(ProxyChoice::None)),
        ("iptables", _) => Err(format!(
            "the iptables proxy is not built yet; {there_are}, and --kube-proxy-mode iptables behaves as it would"
        )),
        (_, Some(("agent", agent))) => Ok(ProxyName::Agent(AgentName::parse(agent)?)),
        _ => Err(no_such("proxy", name, &there_are)),
    }
}

/// A number of at least one.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a whole number from 1".to_owned())
}

/// A duration above zero: `90s`, `500ms`, `2m`, `1.5s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "" => return Err("say the unit as well: 90s, 500ms, 2m".into()),
        _ => return Err(format!("`{unit}` is no unit of time here; write ms, s or m")),
    };
    let number: f64 = number.parse().map_err(|_| "this is no duration; write 90s, 500ms or 2m".to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(Duration::ZERO) => Err("nothing can be done in no time".into()),
        Ok(duration) if duration <= Duration::from_secs(86_400) => Ok(duration),
        _ => Err("no scenario run takes longer than a day".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("90s", Some(Duration::from_secs(90))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2m", Some(Duration::from_secs(120))),
            ("24.01m", Some(Duration::from_millis(1_440_600))),
            ("90", None),
            ("", None),
            ("s", None),
            ("0s", None),
            ("-1s", None),
            ("1h", None),
            ("1..2s", None),
            ("99999999999999999999s", None),
            ("1 s", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_built_yet_says_so() {
        for (text, expected) in [
            ("iptables", "not built yet"),
            ("exec:./no-agent", "no file ./no-agent"),
            ("x", "no such"),
            ("kube-router", "did you mean agent:kube-router?"),
            ("agent:kube-ruter", "did you mean `kube-router`?"),
            ("agent:", "the agent is missing"),
            ("agent:kube-router=", "the program is missing"),
        ] {
            assert!(enforcer(text).unwrap_err().contains(expected), "{text}");
        }
        assert!(proxy("iptables").unwrap_err().contains("not built yet"));
        assert!(proxy("kube-proxy").unwrap_err().contains("did you mean agent:kube-proxy?"));
        assert!(proxy("exec:agent").unwrap_err().contains("no such"));
        assert!(matches!(enforcer("agent:./mine.yaml=a=b"), Ok(EnforcerName::Agent(_))));
        assert!(matches!(proxy("agent:kube-proxy"), Ok(ProxyName::Agent(_))));
        assert_eq!(proxy_mode("iptables"), Ok(ProxyMode::Iptables));
        assert!(proxy_mode("ipvs").unwrap_err().contains("nftables and iptables"));
    }
}
