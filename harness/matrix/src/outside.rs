//! What the hosts outside stand for, and which ranges outside nobody stands for.

use crate::stand_in::{NoStandIn, StandIn, Unanswered};
use crate::table::Table;
use ipnet::IpNet;
use netproof_model::flow::{Destination, Source};
use netproof_plan::inferred::{Absent, Class, Outside};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What the hosts in these tables stand for.
pub(super) fn stand_ins(outside: &Outside, tables: &[Table]) -> Vec<StandIn> {
    let rows: HashSet<&Source> = tables.iter().flat_map(|table| &table.sources).collect();
    let columns: HashSet<&Destination> = tables.iter().flat_map(|table| &table.destinations).collect();
    let mut all: Vec<StandIn> = Vec::new();
    let mut add = |class: &Class, is_source: bool| {
        let Ok(host) = &class.host else { return };
        let is_there = match is_source {
            true => rows.contains(&Source::External(host.clone())),
            false => columns.contains(&Destination::External(host.clone())),
        };
        if !is_there {
            return;
        }
        let same =
            |it: &&mut StandIn| (&it.host, it.range, &it.without) == (host, class.range, &class.without);
        match all.iter_mut().find(same) {
            Some(known) => {
                known.as_source |= is_source;
                known.as_destination |= !is_source;
                known.is_rest &= class.is_rest();
            }
            None => all.push(StandIn {
                host: host.clone(),
                range: class.range,
                without: class.without.clone(),
                is_rest: class.is_rest(),
                as_source: is_source,
                as_destination: !is_source,
            }),
        }
    };
    outside.ingress.iter().for_each(|class| add(class, true));
    outside.egress.iter().for_each(|class| add(class, false));
    all.sort();
    all
}

/// The ranges for which nobody stands.
pub(super) fn unanswered(outside: &Outside) -> Vec<Unanswered> {
    let classes = outside.ingress.iter().chain(&outside.egress);
    let all: BTreeSet<Unanswered> = classes
        .filter_map(|class| {
            let why = match class.host.as_ref().err()? {
                // The rest of the world, and there is none.
                Absent::Own if class.is_rest() => return None,
                Absent::Own => NoStandIn::NotOutside,
                Absent::NoFamily => NoStandIn::NoFamily,
                Absent::TooMany => NoStandIn::TooMany,
            };
            Some(Unanswered { range: class.range, why })
        })
        .collect();
    let mut all: Vec<Unanswered> = all.into_iter().collect();
    all.sort_by_key(|it| (it.why, it.range));
    all
}

/// Lines as `external/198.51.100.1 as a source stands for 198.51.100.0/24 without 198.51.100.64/26`; without the role
/// where it stands for the same in both.
pub(super) fn legend(all: &[StandIn]) -> Vec<String> {
    let mut roles: BTreeMap<(&str, String), (bool, bool)> = BTreeMap::new();
    for it in all {
        let (source, destination) = roles.entry((&it.host, it.what())).or_default();
        *source |= it.as_source;
        *destination |= it.as_destination;
    }
    let line = |((host, what), role): ((&str, String), (bool, bool))| {
        let role = match role {
            (true, true) => "",
            (true, false) => " as a source",
            _ => " as a destination",
        };
        format!("external/{host}{role} stands for {what}")
    };
    roles.into_iter().map(line).collect()
}

impl StandIn {
    /// The addresses.
    fn what(&self) -> String {
        match (self.is_rest, self.range) {
            (true, IpNet::V4(_)) => "every other address outside".to_owned(),
            (true, IpNet::V6(_)) => "every other address outside (IPv6)".to_owned(),
            (false, range) if self.without.is_empty() => range.to_string(),
            (false, range) => format!("{range} without {}", list(&self.without)),
        }
    }
}

/// How many ranges a line lists.
const MOST_RANGES: usize = 8;

fn list(ranges: &[IpNet]) -> String {
    let names: Vec<String> = ranges.iter().take(MOST_RANGES).map(ToString::to_string).collect();
    match ranges.len().saturating_sub(MOST_RANGES) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// A line for each reason.
pub(super) fn lines(all: &[Unanswered]) -> Vec<String> {
    let groups = all.chunk_by(|a, b| a.why == b.why).filter_map(|group| Some((group.first()?.why, group)));
    groups
        .map(|(why, group)| {
            let ranges: Vec<IpNet> = group.iter().map(|it| it.range).collect();
            let (noun, why) = match (ranges.len(), why) {
                (1, NoStandIn::NotOutside) => ("range", "no address of it is outside the cluster"),
                (_, NoStandIn::NotOutside) => ("ranges", "no address of them is outside the cluster"),
                (1, NoStandIn::NoFamily) => {
                    ("range", "the cluster has no addresses of its family; --family dual")
                }
                (_, NoStandIn::NoFamily) => {
                    ("ranges", "the cluster has no addresses of their family; --family dual")
                }
                (1, NoStandIn::TooMany) => {
                    ("range", "there are too many; --from external/ADDRESS asks about one")
                }
                (_, NoStandIn::TooMany) => {
                    ("ranges", "there are too many; --from external/ADDRESS asks about one")
                }
            };
            format!("in no table: {} {noun} of policies ({why}): {}", ranges.len(), list(&ranges))
        })
        .collect()
}
