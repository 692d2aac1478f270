//! What there is to filter by, for a filter that leaves nothing.

use crate::filter::Filter;
use netproof_api::suggest::did_you_mean;
use netproof_model::event::ScenarioId;
use std::collections::{BTreeMap, BTreeSet};

/// Of so many values all are listed.
const MOST_LISTED: usize = 12;

/// What scenario runs can be chosen by.
#[derive(Debug, Default)]
pub struct Known {
    /// The values of each key.
    values: BTreeMap<String, BTreeSet<String>>,
}

/// A condition that no run meets.
enum Unmet<'f> {
    Word(&'f str),
    Key(&'f str),
    Value(&'f str, &'f str),
}

impl Known {
    /// Adds a run, whether the filter chooses it or not.
    pub fn add(&mut self, id: &ScenarioId, labels: &BTreeMap<String, String>, tags: &BTreeSet<String>) {
        let mut add = |key: &str, value: String| match self.values.get_mut(key) {
            Some(values) => drop(values.insert(value)),
            None => drop(self.values.insert(key.to_owned(), [value].into())),
        };
        add("id", id.to_string());
        add("suite", id.suite.clone());
        add("name", id.name.clone());
        id.variant.iter().for_each(|word| add("variant", word.clone()));
        if !id.variant.is_empty() {
            add("variant", id.variant_name());
        }
        tags.iter().for_each(|tag| add("tag", tag.clone()));
        labels.iter().for_each(|(key, value)| add(key, value.clone()));
    }

    /// What to say of the first condition that no run meets; `None` if each of them is met by some.
    pub fn help(&self, filter: &Filter) -> Option<String> {
        let (written, near, list) = match self.unmet(filter)? {
            Unmet::Word(word) => {
                let names = ["name", "suite", "tag"].iter().flat_map(|key| self.values.get(*key)).flatten();
                let near =
                    did_you_mean(word, names.map(String::as_str)).map(|near| match self.has("tag", near) {
                        true => equation("tag", near),
                        false => quoted(near),
                    });
                (quoted(word), near, None)
            }
            Unmet::Key(key) => {
                let near = did_you_mean(key, self.values.keys().map(String::as_str));
                (quoted(key), near.map(quoted), Some(("keys", self.values.keys().collect())))
            }
            Unmet::Value(key, value) => {
                let values: Vec<&String> = self.values.get(key).into_iter().flatten().collect();
                let near = did_you_mean(value, values.iter().map(|value| value.as_str()));
                (equation(key, value), near.map(|near| equation(key, near)), Some(("values", values)))
            }
        };
        let help = match (near, list) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some((what, list))) if list.len() <= MOST_LISTED => {
                let list: Vec<String> = list.into_iter().map(|value| quoted(value)).collect();
                format!("the {what} are: {}", list.join(", "))
            }
            _ => "`netproof list PATH --tags` lists the runs and their tags".to_owned(),
        };
        Some(format!("no scenario run has `{written}`; {help}"))
    }

    /// The first condition that must hold and holds for no run. What must not hold is no matter.
    fn unmet<'f>(&self, filter: &'f Filter) -> Option<Unmet<'f>> {
        match filter {
            Filter::Contains(word) => {
                let mut ids = self.values.get("id").into_iter().flatten();
                (!ids.any(|id| id.contains(word.as_str()))).then_some(Unmet::Word(word))
            }
            Filter::Equals(key, _) if !self.values.contains_key(key) => Some(Unmet::Key(key)),
            Filter::Equals(key, value) => (!self.has(key, value)).then_some(Unmet::Value(key, value)),
            Filter::Or(left, right) | Filter::And(left, right) => {
                self.unmet(left).or_else(|| self.unmet(right))
            }
            Filter::Not(_) => None,
        }
    }

    fn has(&self, key: &str, value: &str) -> bool {
        self.values.get(key).is_some_and(|values| values.contains(value))
    }
}

fn equation(key: &str, value: &str) -> String {
    format!("{}={}", quoted(key), quoted(value))
}

/// A word as a filter reads it.
fn quoted(word: &str) -> String {
    let is_special = word.contains(super::is_special) || word.is_empty();
    if is_special || ["and", "or", "not"].contains(&word) { format!("\"{word}\"") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_condition_that_no_run_meets_is_named() {
        let mut known = Known::default();
        for (name, variant, tag, source) in
            [("deny-all", "ipv4", "egress", "seed 004"), ("allow-all", "ipv6", "named-port", "e2e")]
        {
            let (suite, variant) = ("recipes".to_owned(), vec![variant.to_owned()]);
            let labels = BTreeMap::from([("source".to_owned(), source.to_owned())]);
            let id = ScenarioId { suite, name: name.to_owned(), variant };
            known.add(&id, &labels, &BTreeSet::from([tag.to_owned()]));
        }
        let tags = "no scenario run has `tag=nope`; the values are: egress, named-port";
        for (filter, expected) in [
            ("tag=nope", Some(tags)),
            ("deny and (tag=nope or x)", Some(tags)),
            ("tag=egres", Some("no scenario run has `tag=egres`; did you mean `tag=egress`?")),
            ("nmae=deny-all", Some("no scenario run has `nmae`; did you mean `name`?")),
            (
                "zone=a",
                Some("no scenario run has `zone`; the keys are: id, name, source, suite, tag, variant"),
            ),
            (
                "source=\"seed 4\"",
                Some("no scenario run has `source=\"seed 4\"`; did you mean `source=\"seed 004\"`?"),
            ),
            ("dney-all", Some("no scenario run has `dney-all`; did you mean `deny-all`?")),
            ("egres", Some("no scenario run has `egres`; did you mean `tag=egress`?")),
            (
                "zzz",
                Some("no scenario run has `zzz`; `netproof list PATH --tags` lists the runs and their tags"),
            ),
            ("deny and ipv6", None),
            ("not tag=nope and deny and allow", None),
        ] {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(known.help(&filter).as_deref(), expected, "{filter:?}");
        }
    }
}
