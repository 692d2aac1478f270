//! The random choice of one of several destinations: a map from numbers, and the rules that draw one.

use super::ruleset::{Data, Rule, Set, Statement};
use super::values::{Field, KeyType, Part, Value};
use std::net::IpAddr;

/// The rules that choose one of `count` positions of a map at random, if `conditions` hold.
///
/// A change switches all rules and maps at once, but a packet that is in the middle of the rules keeps the
/// old rules and looks up the new map: the position that it drew may be gone (decision 0020). A second rule
/// then takes position 0, which every map has.
pub fn any_of(conditions: &[Statement], count: u32, choose: impl Fn(u32) -> Statement) -> Vec<Rule> {
    let rule = |among| Rule::new(conditions.iter().cloned().chain([choose(among)]));
    let first = (count > 1).then(|| rule(1));
    std::iter::once(rule(count)).chain(first).collect()
}

/// A map from numbers to these addresses and ports, for [`Statement::RandomDnat`], and how many there are.
pub fn destinations(destination: Field, destinations: impl IntoIterator<Item = (IpAddr, u16)>) -> (u32, Set) {
    let mut set = Set::data_map(&[KeyType::Number], &[destination.key_type(), KeyType::Port]);
    let mut count = 0;
    for (address, port) in destinations {
        let data = Data::Values(vec![address.into(), Value::Port(port)]);
        set.elements.insert(vec![Part::One(Value::Number(count))], Some(data));
        count += 1;
    }
    (count, set)
}
