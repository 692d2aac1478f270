//! The variants of a scenario: every combination of what it varies, what the command line fixes, and
//! what the scenario says it does not apply to.

use crate::types::{Requires, ScenarioSpec, Variants};
use crate::words::Placement;
use netproof_api::yaml::Spanned;
use netproof_documents::document::{Document, Problems};
use netproof_documents::options::Options;
use netproof_documents::unions::OneOrMany;
use netproof_model::{Families, ProxyMode, Topology, Wiring};
use std::fmt;

/// One way to run a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Where pods go that name no node; as the control plane has it if absent.
    pub placement: Option<Placement>,
    /// How pods are joined to their node.
    pub wiring: Wiring,
    /// The address families.
    pub family: Families,
    /// The words of what the scenario varies, in this order: placement, wiring, family.
    pub words: Vec<String>,
}

impl Variant {
    /// Whether this is one that the scenario applies to.
    pub fn satisfies(&self, requires: &Requires, mode: ProxyMode) -> bool {
        fn among<T, U: From<T> + PartialEq>(list: &Option<OneOrMany<T>>, value: &U) -> bool
        where
            T: Copy,
        {
            list.as_ref().is_none_or(|OneOrMany(all)| all.iter().any(|one| U::from(*one) == *value))
        }
        let placement = match (&requires.placement, &self.placement) {
            (Some(OneOrMany(all)), Some(placement)) => all.contains(placement),
            _ => true,
        };
        placement
            && among(&requires.wiring, &self.wiring)
            && among(&requires.family, &self.family)
            && among(&requires.kube_proxy_mode, &mode)
    }
}

/// Every variant of a scenario, in the order of its lists.
pub fn variants(varied: &Variants, topology: &Topology, options: &Options) -> Vec<Variant> {
    let placements = choices(&varied.placement, |word| *word);
    let wirings = choices(&varied.wiring, |word| Wiring::from(*word));
    let families = choices(&varied.family, |word| Families::from(*word));
    let wirings = overridden(wirings, options.wiring);
    let families = overridden(families, options.family);
    let fixed_wiring = options.wiring.unwrap_or(topology.wiring);
    let fixed_family = options.family.unwrap_or(topology.family);
    let mut all = Vec::new();
    for placement in or_none(&placements) {
        for wiring in or_none(&wirings) {
            for family in or_none(&families) {
                let words = [word(placement), word(wiring), word(family)];
                all.push(Variant {
                    placement,
                    wiring: wiring.unwrap_or(fixed_wiring),
                    family: family.unwrap_or(fixed_family),
                    words: words.into_iter().flatten().collect(),
                });
            }
        }
    }
    all
}

fn word<T: fmt::Display>(choice: Option<T>) -> Option<String> {
    choice.map(|choice| choice.to_string())
}

fn choices<T, U>(list: &Option<Spanned<Vec<Spanned<T>>>>, read: fn(&T) -> U) -> Vec<U> {
    list.iter().flat_map(|list| list.iter().map(|word| read(&word.value))).collect()
}

/// What the command line fixes replaces what is varied.
fn overridden<T>(choices: Vec<T>, fixed: Option<T>) -> Vec<T> {
    match fixed {
        Some(fixed) if !choices.is_empty() => vec![fixed],
        _ => choices,
    }
}

/// Each choice, or once nothing where there is none.
fn or_none<T: Copy>(choices: &[T]) -> Vec<Option<T>> {
    if choices.is_empty() { vec![None] } else { choices.iter().copied().map(Some).collect() }
}

/// Reports empty lists and choices that stand twice, and a `requires` that requires nothing; whether it is known which
/// variants are meant.
pub fn check(document: &Document, spec: &ScenarioSpec, problems: &mut Problems) -> bool {
    let Variants { wiring, family, placement } = &spec.variants;
    check_list(document, problems, "wiring", wiring);
    check_list(document, problems, "family", family);
    check_list(document, problems, "placement", placement);
    let errors = problems.errors();
    if let Some(requires) = &spec.requires {
        if requires.wiring.is_none()
            && requires.family.is_none()
            && requires.placement.is_none()
            && requires.kube_proxy_mode.is_none()
        {
            let error = document.error(requires.span, "`requires` names nothing that is required");
            problems
                .push(error.help("add `wiring`, `family`, `placement` or `kubeProxyMode`, or leave it out"));
        }
        let none = requires.wiring.as_ref().is_some_and(|OneOrMany(all)| all.is_empty())
            || requires.family.as_ref().is_some_and(|OneOrMany(all)| all.is_empty())
            || requires.placement.as_ref().is_some_and(|OneOrMany(all)| all.is_empty())
            || requires.kube_proxy_mode.as_ref().is_some_and(|OneOrMany(all)| all.is_empty());
        if none {
            let error = document.error(requires.span, "no variant is in the empty list of this `requires`");
            problems.push(error.help("list at least one, or leave it out"));
        }
        if requires.because.trim().is_empty() {
            let error = document.error(requires.span, "`because` is empty");
            problems.push(error.help("say why: it is shown where the scenario does not apply"));
        }
    }
    fn is_empty<T>(list: &Option<Spanned<Vec<T>>>) -> bool {
        list.as_ref().is_some_and(|list| list.is_empty())
    }
    problems.errors() == errors && !is_empty(wiring) && !is_empty(family) && !is_empty(placement)
}

fn check_list<T: PartialEq>(
    document: &Document,
    problems: &mut Problems,
    what: &str,
    list: &Option<Spanned<Vec<Spanned<T>>>>,
) {
    let Some(list) = list else { return };
    if list.is_empty() {
        let error = document.error(list.span, format!("the variants of {what} are none"));
        problems.push(error.help("list at least one, or leave it out"));
    }
    for (i, word) in list.iter().enumerate() {
        if list.iter().take(i).any(|earlier| earlier.value == word.value) {
            let error = document.error(word.span, format!("this {what} stands here twice"));
            problems.push(error.help("keep one of the two"));
        }
    }
}
