//! Kinds of other groups than Kubernetes' own: the known ones (`table`), and what name and shape tell about
//! an unknown one.

mod table;

use crate::ignored::Effect;
use crate::meta::OwnerReference;
use netproof_text::yaml::{Node, Value};
use table::KINDS;

/// Where an object may have a pod template.
const TEMPLATES: [&str; 2] = ["template", "podTemplate"];

/// The depth to which containers are searched.
const MAX_DEPTH: usize = 12;

/// What to do with an object of a foreign kind.
pub(super) enum Foreign {
    /// It makes pods from the template in this field of its `spec`.
    Makes(&'static str),
    /// It makes pods from the template of another workload.
    MakesLike(OwnerReference),
    /// It is not kept.
    Ignored(Effect),
}

/// What to do with an object. The first of these decides: the table's entry for its kind, its shape, the
/// table's entry for its group, its kind's name.
pub(super) fn treatment(group: &str, kind: &str, document: &Node) -> Foreign {
    if let Some(effect) = of_kind(group, kind) {
        return Foreign::Ignored(effect);
    }
    // A template of objects makes no pods itself.
    if !kind.ends_with("Template")
        && let Some(spec) = document.get("spec")
    {
        if let Some(field) = TEMPLATES.into_iter().find(|field| spec.get(field).is_some_and(is_template)) {
            return Foreign::Makes(field);
        }
        if spec.get("jobTemplate").and_then(|job| job.get("spec")?.get("template")).is_some_and(is_template) {
            return Foreign::Ignored(Effect::PodsLater);
        }
        if let Some(owner) = spec.get("workloadRef").and_then(reference_of) {
            return Foreign::MakesLike(owner);
        }
    }
    let of_group = rows(group).find(|(_, kinds)| *kinds == "*").map(|(effect, _)| effect);
    Foreign::Ignored(of_group.unwrap_or_else(|| match () {
        () if sounds_like_policy(kind) => Effect::Policy,
        () if has_containers(document, 0) && !kind.ends_with("Template") => Effect::PerhapsPods,
        () => Effect::Unknown,
    }))
}

/// The object that a reference by `apiVersion`, `kind` and `name` means.
pub(super) fn reference_of(node: &Node) -> Option<OwnerReference> {
    let text = |key| node.get(key).and_then(Node::as_str);
    let (group, _) = text("apiVersion").and_then(|version| version.split_once('/')).unwrap_or_default();
    Some(OwnerReference {
        group: group.to_owned(),
        kind: text("kind")?.to_owned(),
        name: text("name")?.to_owned(),
    })
}

/// Whether an unknown kind restricts traffic, by its name.
pub(super) fn sounds_like_policy(kind: &str) -> bool {
    const ENDS: [&str; 4] =
        ["NetworkPolicy", "AuthorizationPolicy", "SecurityGroupPolicy", "TrafficPermission"];
    ENDS.iter().any(|end| kind.ends_with(end)) || kind.contains("Firewall")
}

/// Whether the table knows a policy kind of the group.
pub(super) fn has_policies(group: &str) -> bool {
    rows(group).any(|(effect, _)| effect == Effect::Policy)
}

/// Groups that the table has by their full name.
pub(super) fn groups() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(group, ..)| *group).filter(|group| !group.contains('*'))
}

/// The table's entry for a kind.
fn of_kind(group: &str, kind: &str) -> Option<Effect> {
    let named = |kinds: &str| kinds != "*" && kinds.split_whitespace().any(|pattern| matches(pattern, kind));
    rows(group).find(|(_, kinds)| named(kinds)).map(|(effect, _)| effect)
}

/// The lines of a group: meaning and kinds.
fn rows(group: &str) -> impl Iterator<Item = (Effect, &'static str)> {
    KINDS
        .iter()
        .filter(move |(pattern, ..)| matches(pattern, group))
        .map(|(_, effect, kinds)| (*effect, *kinds))
}

/// Whether a text matches a pattern, which may have one `*` at the start or the end.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => text.ends_with(end),
        (_, Some(start)) => text.starts_with(start),
        _ => pattern == text,
    }
}

/// Whether it is a pod template: it has containers.
fn is_template(node: &Node) -> bool {
    node.get("spec").and_then(|spec| spec.get("containers")).is_some_and(is_containers)
}

fn is_containers(node: &Node) -> bool {
    node.items().iter().any(|item| item.get("image").is_some() || item.get("name").is_some())
}

/// Whether it has containers at any level.
fn has_containers(node: &Node, depth: usize) -> bool {
    match &node.value {
        _ if depth > MAX_DEPTH => false,
        Value::Mapping(entries) => entries.iter().any(|(key, value)| {
            (key.name == "containers" && is_containers(value)) || has_containers(value, depth + 1)
        }),
        Value::Sequence(items) => items.iter().any(|item| has_containers(item, depth + 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind that stands in two lines of a group would have the effect of the first.
    #[test]
    fn no_kind_stands_in_the_table_twice() {
        for (group, _, kinds) in KINDS {
            let same = KINDS.iter().filter(|(other, ..)| other == group);
            let mut all: Vec<&str> = same.flat_map(|(_, _, kinds)| kinds.split_whitespace()).collect();
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{group}: {kinds}");
        }
    }

    #[test]
    fn patterns_have_one_star() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "anything", true),
            ("*Policy", "GlobalNetworkPolicy", true),
            ("*Policy", "PolicyRule", false),
            ("Staged*", "StagedNetworkPolicy", true),
            ("*.openshift.io", "route.openshift.io", true),
            ("*.openshift.io", "openshift.io", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
