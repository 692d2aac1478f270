//! Prints what a person should know in addition to an answer: warnings, what was kept of the manifests, and
//! what the files have and the answer lacks.

use crate::outputs;
use netproof_api::{Diagnostic, Effect};
use netproof_plan::Loaded;
use netproof_plan::ignored::{IgnoredKind, IgnoredObjects};
use std::collections::BTreeMap;

/// The most warnings with the same advice that are printed.
const MOST_ALIKE: usize = 3;

/// The most names of objects that are printed.
const MOST_NAMES: usize = 10;

/// Prints files of manifests without an object, and namespaces that no manifest declares.
pub fn say(loaded: &Loaded, manifests: bool, verbose: bool) {
    let note = |text: String| outputs::complain(format_args!("note: {text}"));
    notes(&loaded.ignored, verbose).into_iter().for_each(note);
    loaded.notes.iter().cloned().for_each(note);
    if manifests && let Some(files) = files_without_objects(loaded) {
        note(files);
    }
    if !loaded.implied_namespaces.is_empty() {
        let names = loaded.implied_namespaces.join(", ");
        note(format!(
            "no manifest declares these namespaces, so they have no labels but their name: {names}"
        ));
    }
}

/// Prints what makes the answers differ from the real cluster's. It comes last, so that it stays visible.
/// Returns the number of sentences.
pub fn say_last(ignored: &IgnoredObjects, verbose: bool) -> usize {
    let all = missing(ignored, verbose);
    all.iter().for_each(|text| outputs::complain(format_args!("warning: {text}")));
    all.len()
}

/// Prints warnings; unless all are wanted, only the first few with the same advice: an export has hundreds
/// of pods, and a warning about one holds for all of its workload.
pub fn warn(warnings: &[Diagnostic], verbose: bool) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for warning in warnings {
        let count = counts.entry(warning.help.as_deref().unwrap_or_default()).or_default();
        *count += 1;
        if verbose || *count <= MOST_ALIKE {
            outputs::complain(warning);
        }
    }
    for (help, count) in counts.into_iter().filter(|_| !verbose) {
        let more = match count.saturating_sub(MOST_ALIKE) {
            0 => continue,
            1 => "1 more warning".to_owned(),
            more => format!("{more} more warnings"),
        };
        outputs::complain(format_args!("note: {more} with the help: {help} (--verbose shows all)"));
    }
}

/// Ignored objects that do not change the answers, one sentence for each reason.
pub fn notes(ignored: &IgnoredObjects, verbose: bool) -> Vec<String> {
    let sentence = |effect, text: &str, list: fn(&[IgnoredKind], bool) -> String| {
        let kinds = ignored.of(effect);
        (!kinds.is_empty()).then(|| format!("{text}: {}", list(&kinds, verbose)))
    };
    let plain = |kinds: &[IgnoredKind], _: bool| list(kinds, |kind| kind.kind.clone());
    let grouped = |kinds: &[IgnoredKind], _: bool| list(kinds, of_group);
    [
        sentence(Effect::None, "ignored, no effect on the network", plain),
        sentence(Effect::Unknown, "unknown kinds, ignored", grouped),
        sentence(Effect::Routes, "not modelled, flows through them are missing", plain),
        sentence(Effect::PodsLater, "makes pods only when it runs, and none now", named),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Ignored objects that make the answers differ from the real cluster's, one sentence for each reason.
fn missing(ignored: &IgnoredObjects, verbose: bool) -> Vec<String> {
    let named =
        |effect| Some(ignored.of(effect)).filter(|kinds| !kinds.is_empty()).map(|it| named(&it, verbose));
    let pods = named(Effect::Pods).map(|it| format!("makes pods that are missing from every answer: {it}"));
    let perhaps = named(Effect::PerhapsPods).map(|it| {
        format!("unknown kinds with containers: if they make pods, these are missing from every answer: {it}")
    });
    let objects = named(Effect::Objects).map(|it| {
        format!("brings objects that are missing from every answer, unless they are here, too: {it}")
    });
    let policies = ignored.of(Effect::Policy);
    let count: usize = policies.iter().map(|kind| kind.count).sum();
    let policies = (count > 0).then(|| {
        let them = if count == 1 { "it" } else { "them" };
        let names = if verbose { format!("; {}", self::named(&policies, verbose)) } else { String::new() };
        format!("not looked at: {}: the answers are those without {them}{names}", list(&policies, of_group))
    });
    [pods, perhaps, objects, policies].into_iter().flatten().collect()
}

/// `2 Prometheus (monitoring/k8s, monitoring/user)`
fn named(kinds: &[IgnoredKind], verbose: bool) -> String {
    list(kinds, |kind| {
        let most = if verbose { usize::MAX } else { MOST_NAMES };
        let mut names: Vec<&str> = kind.names.iter().take(most).map(String::as_str).collect();
        let more = format!("and {} more", kind.count.saturating_sub(most));
        if kind.count > most {
            names.push(&more);
        }
        format!("{} ({})", kind.kind, names.join(", "))
    })
}

fn of_group(kind: &IgnoredKind) -> String {
    match kind.group.as_str() {
        "" => kind.kind.clone(),
        group => format!("{} of {group}", kind.kind),
    }
}

/// Each kind with its count.
fn list(kinds: &[IgnoredKind], text: impl Fn(&IgnoredKind) -> String) -> String {
    kinds.iter().map(|kind| format!("{} {}", kind.count, text(kind))).collect::<Vec<_>>().join(", ")
}

/// Files in which nothing looked like an object.
fn files_without_objects(loaded: &Loaded) -> Option<String> {
    match loaded.passed_over_files {
        0 => None,
        1 => Some("1 file has no object in it and was ignored".to_owned()),
        files => Some(format!("{files} files have no object in them and were ignored")),
    }
}

/// The available names, if a question finds nothing.
pub fn only(ignored: &IgnoredObjects) -> String {
    const OF_THE_NETWORK: [Effect; 4] = [Effect::Pods, Effect::PerhapsPods, Effect::Objects, Effect::Policy];
    const OTHERS: [Effect; 4] = [Effect::None, Effect::Unknown, Effect::Routes, Effect::PodsLater];
    let kinds =
        |effects: [Effect; 4]| effects.into_iter().flat_map(|effect| ignored.of(effect)).collect::<Vec<_>>();
    let (mut all, others) = (kinds(OF_THE_NETWORK), kinds(OTHERS));
    let what = match all.is_empty() {
        true => "nothing here is of the network",
        false => "nothing here can be asked about",
    };
    all.extend(others);
    format!("{what}: {}", list(&all, |kind| kind.kind.clone()))
}
