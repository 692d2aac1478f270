//! The operations that turn one ruleset into another.

use super::encode::Operation;
use super::ruleset::{Chain, Rule, Ruleset, Set, Statement, Table, TableId, Test};
use std::collections::{BTreeMap, BTreeSet};

/// The steps from one ruleset to another, in logical names.
#[derive(Debug, Default)]
pub(super) struct Difference<'a> {
    /// Done first, because the kernel does not switch it atomically with the rest: the elements of an
    /// interval set are found only a moment after the transaction that fills it takes effect (the kernel
    /// searches an array or a copy, which it replaces last). Nothing refers to it yet.
    pub(super) ahead: Vec<Operation<'a>>,
    /// The transaction that puts the new ruleset in force.
    pub(super) switch: Vec<Operation<'a>>,
    /// Removes, afterwards, what nothing refers to any more. Kernels before 6.2 notice late that an element
    /// of a verdict map no longer refers to its chain, so this may have to wait.
    pub(super) tidy: Vec<Operation<'a>>,
}

/// The steps from `old`, which the kernel has, to `new`.
pub(super) fn difference<'a>(old: &'a Ruleset, new: &'a Ruleset) -> Difference<'a> {
    let mut difference = Difference::default();
    let none = &NO_TABLE;
    for (id, table) in &new.tables {
        if !old.tables.contains_key(id) {
            difference.switch.push(Operation::AddTable(*id));
        }
        table_difference(*id, old.tables.get(id).unwrap_or(none), table, &mut difference);
    }
    for id in old.tables.keys().filter(|id| !new.tables.contains_key(id)) {
        difference.switch.push(Operation::DeleteTable(*id));
    }
    difference
}

static NO_TABLE: Table = Table { sets: BTreeMap::new(), chains: BTreeMap::new() };

fn table_difference<'a>(id: TableId, old: &'a Table, new: &'a Table, difference: &mut Difference<'a>) {
    // An interval set, and a set whose type changed, is made anew under its old name, so every rule that
    // refers to it is removed and added again.
    let renewed: BTreeMap<&str, &Set> = old
        .sets
        .iter()
        .filter(|(name, set)| new.sets.get(*name).is_some_and(|new| must_renew(set, new)))
        .map(|(name, set)| (name.as_str(), set))
        .collect();
    let rewritten = |name: &str, chain: &Chain| {
        let changed = new.chains.get(name).is_some_and(|new| new != chain);
        changed || chain.rules.iter().flat_map(sets_of).any(|set| renewed.contains_key(set))
    };
    let mut rewritten_chains = BTreeSet::new();
    for (name, chain) in &old.chains {
        let moved = chain.base.is_some() && new.chains.get(name).map(|new| new.base) != Some(chain.base);
        if moved || rewritten(name, chain) {
            rewritten_chains.insert(name.as_str());
            if !chain.rules.is_empty() {
                difference.switch.push(Operation::FlushChain(id, name, chain));
            }
        }
        if moved {
            difference.switch.push(Operation::DeleteChain(id, name, chain));
        }
    }
    for (name, set) in &renewed {
        difference.switch.push(Operation::DeleteSet(id, name, set));
    }
    for (name, chain) in &new.chains {
        if old.chains.get(name).is_none_or(|old| old.base != chain.base) {
            difference.switch.push(Operation::AddChain(id, name, chain));
        }
    }
    for (name, set) in &new.sets {
        match old.sets.get(name).filter(|_| !renewed.contains_key(name.as_str())) {
            Some(kept) => elements_difference(id, name, kept, set, difference),
            // A table with nothing in force has nothing to keep.
            None if set.interval && !renewed.contains_key(name.as_str()) && !old.chains.is_empty() => {
                difference.ahead.extend(new_set(id, name, set));
            }
            None => difference.switch.extend(new_set(id, name, set)),
        }
    }
    for (name, chain) in &new.chains {
        if !old.chains.contains_key(name) || rewritten_chains.contains(name.as_str()) {
            let rules = chain.rules.iter().map(|rule| Operation::AddRule(id, name, chain, rule));
            difference.switch.extend(rules);
        }
    }
    tidy(id, old, new, &rewritten_chains, difference);
}

fn must_renew(old: &Set, new: &Set) -> bool {
    !same_shape(old, new) || (old.interval && old.elements != new.elements)
}

/// Whether two sets are the same except for their elements.
pub(super) fn same_shape(one: &Set, other: &Set) -> bool {
    one.key == other.key
        && one.interval == other.interval
        && one.data == other.data
        && one.remembers == other.remembers
}

/// The sets that a rule refers to.
fn sets_of(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.statements.iter().filter_map(|statement| match statement {
        Statement::Match(_, Test::In(set) | Test::NotIn(set) | Test::Remembered(set))
        | Statement::VerdictMap(_, set)
        | Statement::RandomMap(_, set)
        | Statement::RandomDnat(_, set)
        | Statement::Remember(_, set) => Some(set.as_str()),
        _ => None,
    })
}

/// Makes a set and fills it.
fn new_set<'a>(id: TableId, name: &'a str, set: &'a Set) -> impl Iterator<Item = Operation<'a>> {
    let elements: Vec<_> = set.elements.iter().map(|(element, data)| (element, data.as_ref())).collect();
    let filled = (!set.elements.is_empty()).then_some(Operation::AddElements(id, name, set, elements));
    std::iter::once(Operation::AddSet(id, name, set)).chain(filled)
}

fn elements_difference<'a>(
    id: TableId,
    name: &'a str,
    old: &'a Set,
    new: &'a Set,
    difference: &mut Difference<'a>,
) {
    let gone: Vec<_> = old
        .elements
        .iter()
        .filter(|(element, data)| new.elements.get(*element) != Some(data))
        .map(|(element, _)| element)
        .collect();
    let come: Vec<_> = new
        .elements
        .iter()
        .filter(|(element, data)| old.elements.get(*element) != Some(data))
        .map(|(element, data)| (element, data.as_ref()))
        .collect();
    if !gone.is_empty() {
        difference.switch.push(Operation::DeleteElements(id, name, old, gone));
    }
    if !come.is_empty() {
        difference.switch.push(Operation::AddElements(id, name, new, come));
    }
}

fn tidy<'a>(
    id: TableId,
    old: &'a Table,
    new: &Table,
    flushed: &BTreeSet<&str>,
    difference: &mut Difference<'a>,
) {
    let stale: Vec<_> = old
        .chains
        .iter()
        .filter(|(name, chain)| chain.base.is_none() && !new.chains.contains_key(*name))
        .collect();
    for (name, chain) in &stale {
        if !chain.rules.is_empty() && !flushed.contains(name.as_str()) {
            difference.tidy.push(Operation::FlushChain(id, name, chain));
        }
    }
    for (name, set) in old.sets.iter().filter(|(name, _)| !new.sets.contains_key(*name)) {
        difference.tidy.push(Operation::DeleteSet(id, name, set));
    }
    for (name, chain) in stale {
        difference.tidy.push(Operation::DeleteChain(id, name, chain));
    }
}

/// The sets that these operations have made.
pub(super) fn sets_made(done: &[Operation<'_>]) -> Ruleset {
    let mut made = Ruleset::default();
    for operation in done {
        if let Operation::AddSet(id, name, set) = operation {
            made.tables.entry(*id).or_default().sets.insert((*name).to_owned(), (*set).clone());
        }
    }
    made
}

/// What stays in the kernel if these removals are not carried out.
pub(super) fn leftovers<'o>(undone: impl Iterator<Item = &'o Operation<'o>>) -> Ruleset {
    let mut left = Ruleset::default();
    for operation in undone {
        match operation {
            Operation::DeleteSet(id, name, set) => {
                left.tables.entry(*id).or_default().sets.insert((*name).to_owned(), (*set).clone());
            }
            // It is unknown whether its rules are still there. A rule that no ruleset has makes sure that
            // the chain is flushed before it is used again.
            Operation::DeleteChain(id, name, _) => {
                let unknown = Chain { base: None, rules: vec![Rule::new([])] };
                left.tables.entry(*id).or_default().chains.insert((*name).to_owned(), unknown);
            }
            _ => {}
        }
    }
    left
}

/// All of a ruleset but its base chains, ordered so that everything is made before something refers to it.
/// Remembering sets that both rulesets have exist already.
pub(super) fn build<'a>(old: &Ruleset, new: &'a Ruleset) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (id, table) in &new.tables {
        let held = old.tables.get(id).unwrap_or(&NO_TABLE);
        let chains = || table.chains.iter().filter(|(_, chain)| chain.base.is_none());
        operations.extend(chains().map(|(name, chain)| Operation::AddChain(*id, name, chain)));
        for (name, set) in table.sets.iter().filter(|(name, set)| !remembered(set, held.sets.get(*name))) {
            operations.extend(new_set(*id, name, set));
        }
        for (name, chain) in chains() {
            operations.extend(chain.rules.iter().map(|rule| Operation::AddRule(*id, name, chain, rule)));
        }
    }
    operations
}

/// Replaces the base chains of `old` by those of `new`.
pub(super) fn repoint<'a>(old: &'a Ruleset, new: &'a Ruleset) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (id, table) in &new.tables {
        let old = old.tables.get(id).unwrap_or(&NO_TABLE);
        for (name, chain) in old.chains.iter().filter(|(_, chain)| chain.base.is_some()) {
            operations.push(Operation::FlushChain(*id, name, chain));
            if table.chains.get(name).map(|new| new.base) != Some(chain.base) {
                operations.push(Operation::DeleteChain(*id, name, chain));
            }
        }
        for (name, chain) in table.chains.iter().filter(|(_, chain)| chain.base.is_some()) {
            if old.chains.get(name).is_none_or(|old| old.base != chain.base) {
                operations.push(Operation::AddChain(*id, name, chain));
            }
            operations.extend(chain.rules.iter().map(|rule| Operation::AddRule(*id, name, chain, rule)));
        }
    }
    let gone = old.tables.keys().filter(|id| !new.tables.contains_key(id));
    operations.extend(gone.map(|id| Operation::DeleteTable(*id)));
    operations
}

/// Whether a remembering set exists already; it must not be made again then.
fn remembered(set: &Set, other: Option<&Set>) -> bool {
    set.remembers.is_some() && other == Some(set)
}

/// Removes what the operations of [`build`] made.
pub(super) fn undo<'o, 'a: 'o>(built: impl Iterator<Item = &'o Operation<'a>>) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    let mut chains = Vec::new();
    let mut sets = Vec::new();
    for operation in built {
        match operation {
            Operation::AddChain(id, name, chain) => {
                operations.push(Operation::FlushChain(*id, name, chain));
                chains.push(Operation::DeleteChain(*id, name, chain));
            }
            Operation::AddSet(id, name, set) => sets.push(Operation::DeleteSet(*id, name, set)),
            _ => {}
        }
    }
    operations.append(&mut sets);
    operations.append(&mut chains);
    operations
}

/// Removes all of a ruleset but its base chains, which no longer refer to any of it.
pub(super) fn demolish<'a>(old: &'a Ruleset, new: &Ruleset) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (id, table) in &old.tables {
        let Some(kept) = new.tables.get(id) else { continue };
        let chains = || table.chains.iter().filter(|(_, chain)| chain.base.is_none());
        operations.extend(chains().map(|(name, chain)| Operation::FlushChain(*id, name, chain)));
        let sets = table.sets.iter().filter(|(name, set)| !remembered(set, kept.sets.get(*name)));
        operations.extend(sets.map(|(name, set)| Operation::DeleteSet(*id, name, set)));
        operations.extend(chains().map(|(name, chain)| Operation::DeleteChain(*id, name, chain)));
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Base, ChainType, Field, KeyType, Part, TableFamily, Verdict};
    use netproof_model::Hook;

    const TABLE: TableId = TableId { family: TableFamily::Inet, name: "t" };

    /// One rule that accepts these ranges.
    fn ruleset(ranges: &[[&str; 2]]) -> Ruleset {
        let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap().into();
        let elements = ranges.iter().map(|[first, last]| vec![Part::Range(address(first), address(last))]);
        let set = Set::intervals(&[KeyType::Ipv4]).with(elements);
        let name = set.name("blocks".into());
        let found = Statement::Match(vec![Field::SourceV4], Test::In(name.clone()));
        let rules = vec![Rule::new([found, Statement::Verdict(Verdict::Accept)])];
        let base = Base { chain_type: ChainType::Filter, hook: Hook::Forward, priority: 0 };
        let chains = BTreeMap::from([("forward".to_owned(), Chain { base: Some(base), rules })]);
        let table = Table { sets: BTreeMap::from([(name, set)]), chains };
        Ruleset { tables: BTreeMap::from([(TABLE, table)]) }
    }

    fn words(operations: &[Operation<'_>]) -> Vec<&'static str> {
        let word = |operation: &Operation<'_>| match operation {
            Operation::AddTable(..) => "add table",
            Operation::DeleteTable(..) => "delete table",
            Operation::AddChain(..) => "add chain",
            Operation::FlushChain(..) => "flush chain",
            Operation::DeleteChain(..) => "delete chain",
            Operation::AddRule(..) => "add rule",
            Operation::AddSet(..) => "add set",
            Operation::DeleteSet(..) => "delete set",
            Operation::AddElements(..) => "add elements",
            Operation::DeleteElements(..) => "delete elements",
        };
        operations.iter().map(word).collect()
    }

    /// A rule never refers to an interval set that the same transaction fills or empties.
    #[test]
    fn ranges_are_there_before_the_rules_that_refer_to_them() {
        let (old, new) = (ruleset(&[["10.0.0.1", "10.0.0.9"]]), ruleset(&[["10.0.0.1", "10.0.0.7"]]));
        let way = difference(&old, &new);
        assert_eq!(words(&way.ahead), ["add set", "add elements"]);
        assert_eq!(words(&way.switch), ["flush chain", "add rule"]);
        assert_eq!(words(&way.tidy), ["delete set"]);
        let made = sets_made(&way.ahead);
        assert_eq!(made.tables[&TABLE].sets, new.tables[&TABLE].sets);
        // If nothing is in force, one transaction is enough.
        let none = Ruleset::default();
        let way = difference(&none, &new);
        assert!(way.ahead.is_empty() && way.tidy.is_empty());
        assert_eq!(words(&way.switch), ["add table", "add chain", "add set", "add elements", "add rule"]);
    }
}
