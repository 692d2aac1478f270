//! The command that repeats a single scenario run.

use netproof_model::event::{Event, Location, ScenarioId};
use std::borrow::Cow;

/// The default of `--enforcer`.
pub const DEFAULT_ENFORCER: &str = "nftables";
/// The default of `--proxy`.
pub const DEFAULT_PROXY: &str = "nftables";
/// The default of `--seed`: the same choices in every run.
pub const DEFAULT_SEED: u64 = 0;

/// How to repeat one scenario run of this run.
#[derive(Clone, Debug, Default)]
pub struct Rerun {
    paths: Vec<String>,
    arguments: Vec<String>,
    from_stream: Vec<String>,
}

impl Rerun {
    /// `paths` are those that were searched for scenarios; `arguments` are those of this run that every
    /// repetition needs and that the events do not show (`--topology`, `--root`, ...).
    pub fn new(paths: Vec<String>, arguments: Vec<String>) -> Self {
        Rerun { paths, arguments, from_stream: Vec::new() }
    }

    /// Takes the options that differ from the default from the run's first event.
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
        let file = std::slice::from_ref(&location.file);
        let paths =
            if self.paths.is_empty() || is_known_by_itself(&location.file, id) { file } else { &self.paths };
        let paths: Vec<Cow<'_, str>> = paths.iter().map(|path| word(path)).collect();
        let mut command = format!("netproof run {} --filter {filter}", paths.join(" "));
        for argument in self.from_stream.iter().chain(&self.arguments) {
            command.push(' ');
            command.push_str(&word(argument));
        }
        command
    }
}

/// Whether a file that is named directly gets the same suite as in a searched folder: below a folder called
/// `scenarios` it does, elsewhere only if it has no suite.
fn is_known_by_itself(file: &str, id: &ScenarioId) -> bool {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
    let mut folders = file.ancestors().skip(1);
    id.suite.is_empty() || folders.any(|folder| folder.file_name().is_some_and(|name| name == "scenarios"))
}

/// A value for `--filter`, in double quotes if it has characters with a meaning in expressions.
fn filter_value(text: &str) -> String {
    let special = |c: char| c.is_whitespace() || "()=\"".contains(c);
    if text.contains(special) { format!("\"{text}\"") } else { text.to_owned() }
}

/// One shell word, quoted only if necessary. A leading `-` needs no quotes: arguments may be flags.
fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { quoted(text).into() }
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

    /// A suite is named after the folders below the one that was searched.
    #[test]
    fn what_only_a_folder_gives_its_suite_is_found_in_that_folder_again() {
        let rerun = Rerun::new(vec!["tests".into(), "my tests".into()], Vec::new());
        let command = |file: &str, suite: &str| {
            let at = Location { file: file.into(), line: 1, column: 1 };
            let command = rerun.command(&at, &ScenarioId { suite: suite.into(), ..id(&[]) });
            command.split(" --filter").next().map(str::to_owned).unwrap()
        };
        assert_eq!(command("tests/net/a.yaml", "net"), "netproof run tests 'my tests'");
        assert_eq!(command("tests/a.yaml", ""), "netproof run tests/a.yaml");
        assert_eq!(command("tests/scenarios/net/a.yaml", "net"), "netproof run tests/scenarios/net/a.yaml");
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
        let mut rerun = Rerun::new(Vec::new(), vec!["--root".into(), "it's here".into()]);
        rerun.learn(&started("none", 7));
        let at = Location { file: "my scenarios/a.yaml".into(), line: 1, column: 1 };
        assert_eq!(
            rerun.command(&at, &id(&[])),
            r"netproof run 'my scenarios/a.yaml' --filter 'id=recipes::deny-all' --enforcer none --seed 7 --root 'it'\''s here'"
        );
    }
}
