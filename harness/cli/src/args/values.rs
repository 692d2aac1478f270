//! Parses values of options that are more than a word, with errors for all others.

use netproof_model::ProxyMode;
use netproof_model::flow::{Flow, FlowError};
use netproof_oracle::{PROFILES, Profile};
use netproof_plan::MatrixDestination;
use netproof_runner::{Backend, EnforcerChoice, ExecCommand, ProxyChoice};
use std::num::NonZeroUsize;
use std::time::Duration;

pub(super) fn enforcer(name: &str) -> Result<EnforcerChoice, String> {
    if let Some(backend) = Backend::named(name) {
        return Ok(EnforcerChoice::Own(backend));
    }
    let there_are = format!("there are {}, none and exec:COMMAND", backends());
    match name {
        "none" => Ok(EnforcerChoice::None),
        "iptables" => Err(format!("the iptables enforcer is not built yet; {there_are}")),
        _ => match name.strip_prefix("exec:") {
            Some(command) => {
                let command = ExecCommand::parse(command)?;
                command.find()?;
                Ok(EnforcerChoice::Exec(command))
            }
            None => Err(format!("there is no such enforcer; {there_are}")),
        },
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

pub(super) fn proxy(name: &str) -> Result<ProxyChoice, String> {
    if let Some(backend) = Backend::named(name) {
        return Ok(ProxyChoice::Own(backend));
    }
    let there_are = format!("there are {} and none", backends());
    match name {
        "none" => Ok(ProxyChoice::None),
        "iptables" => Err(format!(
            "the iptables proxy is not built yet; {there_are}, and --kube-proxy-mode iptables behaves as it would"
        )),
        _ => Err(format!("there is no such proxy; {there_are}")),
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
        for (text, expected) in
            [("iptables", "not built yet"), ("exec:./no-agent", "no file ./no-agent"), ("x", "no such")]
        {
            assert!(enforcer(text).unwrap_err().contains(expected), "{text}");
        }
        assert!(proxy("iptables").unwrap_err().contains("not built yet"));
        assert_eq!(proxy_mode("iptables"), Ok(ProxyMode::Iptables));
        assert!(proxy_mode("ipvs").unwrap_err().contains("nftables and iptables"));
    }
}
