//! The command that runs just one scenario run again.

use netproof_model::event::{Event, Location, ScenarioId};

/// What `--enforcer` is where it is not given.
pub const DEFAULT_ENFORCER: &str = "nftables";
/// What `--proxy` is where it is not given.
pub const DEFAULT_PROXY: &str = "nftables";
/// What `--seed` is where it is not given: the same choices in every run.
pub const DEFAULT_SEED: u64 = 0;

/// How to repeat one scenario run of this run.
#[derive(Clone, Debug, Default)]
pub struct Rerun {
    arguments: Vec<String>,
    from_stream: Vec<String>,
}

impl Rerun {
    /// `arguments` are those of this run that every repetition needs as well and that the events do not
    /// tell (`--topology`, `--root`, ...).
    pub fn new(arguments: Vec<String>) -> Self {
        Rerun { arguments, from_stream: Vec::new() }
    }

    /// Learns from the run's first event what was not the default.
    pub(crate) fn learn(&mut self, event: &Event) {
        let Event::RunStarted { enforcer, proxy, seed, .. } = event else { return };
        let mut option = |name: &str, value: &str, default: &str| {
            if value != default {
                self.from_stream.extend([name.to_owned(), value.to_owned()]);
            }
        };
        option("--enforcer", enforcer, DEFAULT_ENFORCER);
        option("--proxy", proxy, DEFAULT_PROXY);
        option("--seed", &seed.to_string(), &DEFAULT_SEED.to_string());
    }

    /// The command, quoted for a shell.
    pub(crate) fn command(&self, location: &Location, id: &ScenarioId) -> String {
        let filter = quoted(&format!("id={}", filter_value(&id.to_string())));
        let mut command = format!("netproof run {} --filter {filter}", word(&location.file));
        for argument in self.from_stream.iter().chain(&self.arguments) {
            command.push(' ');
            command.push_str(&word(argument));
        }
        command
    }
}

/// A value as `--filter` reads it: what has a meaning in an expression stands in double quotes.
fn filter_value(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || "()=\"".contains(c);
    if text.contains(special) { format!("\"{text}\"") } else { text.to_owned() }
}

/// One shell word, quoted only where it must be. A leading `-` is a flag, which is what arguments are.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(variant: &[&str]) -> ScenarioId {
        ScenarioId {
            suite: "recipes".into(),
            name: "deny-all".into(),
            variant: variant.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn started(enforcer: &str, seed: u64) -> Event {
        Event::RunStarted {
            format: String::new(),
            version: String::new(),
            seed,
            enforcer: enforcer.into(),
            proxy: "nftables".into(),
            scenarios: Vec::new(),
        }
    }

    #[test]
    fn defaults_are_not_repeated() {
        let mut rerun = Rerun::default();
        rerun.learn(&started("nftables", 0));
        let at = Location { file: "scenarios/recipes/deny-all.yaml".into(), line: 1, column: 1 };
        assert_eq!(
            rerun.command(&at, &id(&["across", "ipv6"])),
            "netproof run scenarios/recipes/deny-all.yaml --filter 'id=recipes::deny-all::across-ipv6'"
        );
    }

    #[test]
    fn names_that_a_filter_would_misread_are_quoted() {
        let odd = ScenarioId { suite: "my suite".into(), ..id(&[]) };
        let at = Location { file: "a.yaml".into(), line: 1, column: 1 };
        assert_eq!(
            Rerun::default().command(&at, &odd),
            r#"netproof run a.yaml --filter 'id="my suite::deny-all"'"#
        );
    }

    #[test]
    fn what_differs_is_repeated_and_quoted() {
        let mut rerun = Rerun::new(vec!["--root".into(), "it's here".into()]);
        rerun.learn(&started("none", 7));
        let at = Location { file: "my scenarios/a.yaml".into(), line: 1, column: 1 };
        assert_eq!(
            rerun.command(&at, &id(&[])),
            r"netproof run 'my scenarios/a.yaml' --filter 'id=recipes::deny-all' --enforcer none --seed 7 --root 'it'\''s here'"
        );
    }
}
