//! Classes of equal endpoints: those that no policy of the snapshot can tell apart.

use crate::order::Bits;
use crate::policy::many::{Ends, Many, Member, MemberKey, Numbering, PortName};
use netproof_api::Pod;
use std::collections::BTreeSet;

/// Endpoints that policy cannot tell apart.
#[derive(Clone, Debug)]
pub(super) struct Class<'a> {
    /// One of them.
    pub endpoint: usize,
    pub member: Member<'a>,
    /// The policies that select it, by position in [`Classes::selections`].
    pub selection: usize,
    /// What its ports are called, by position in [`Ends::port_names`].
    pub port_names: usize,
}

/// The classes of some endpoints.
pub(super) struct Classes<'a> {
    /// The class of each endpoint.
    pub of: Vec<usize>,
    pub list: Vec<Class<'a>>,
    /// Distinct selections, by policy API.
    pub selections: Vec<Vec<usize>>,
    pub ends: Ends<'a>,
}

impl<'a> Classes<'a> {
    /// Of members that are alike for every policy API, only those on the same node are equal if `by_node`, and none if
    /// `each_alone`.
    pub(super) fn new(
        apis: &mut [Box<dyn Many + 'a>],
        members: &[Member<'a>],
        (by_node, each_alone): (bool, bool),
    ) -> Self {
        let used_names: BTreeSet<PortName<'_>> = apis.iter().flat_map(|api| api.port_names()).collect();
        let (mut of, mut list) = (Vec::with_capacity(members.len()), Vec::new());
        let (mut selections, mut port_names) = (Vec::new(), Vec::new());
        let mut selections_numbering = Numbering::new();
        let mut names_numbering = Numbering::new();
        let mut numbering = Numbering::new();
        for (endpoint, member) in members.iter().enumerate() {
            let keys: Vec<MemberKey> = apis.iter().map(|api| api.keys()[endpoint]).collect();
            let selection: Vec<usize> = keys.iter().map(|key| key.selection).collect();
            let (selection, is_new) = selections_numbering.of(selection);
            if is_new {
                selections.push(keys.iter().map(|key| key.selection).collect());
            }
            let (names, is_new) = names_numbering.of(names_of(member.pod, &used_names));
            if is_new {
                port_names.push(member.pod);
            }
            let node = member.pod.filter(|_| by_node).and_then(|pod| pod.node_name.as_deref());
            let alone = (member.is_single || each_alone).then_some(endpoint);
            let (class, is_new) = numbering.of((keys, names, node, alone));
            if is_new {
                list.push(Class { endpoint, member: *member, selection, port_names: names });
            }
            of.push(class);
        }
        let endpoints: Vec<usize> = list.iter().map(|class| class.endpoint).collect();
        apis.iter_mut().for_each(|api| api.set_classes(&endpoints));
        let ends = ends(&list, port_names);
        Classes { of, list, selections, ends }
    }
}

fn ends<'a>(list: &[Class<'a>], pods: Vec<Option<&'a Pod>>) -> Ends<'a> {
    let bound = list.len();
    let mut port_names: Vec<_> = pods.into_iter().map(|pod| (pod, Bits::none(bound))).collect();
    for (index, class) in list.iter().enumerate() {
        port_names[class.port_names].1.set(index, true);
    }
    Ends { bound, everybody: Bits::all(bound), port_names }
}

/// What a pod calls its ports, as far as any rule asks; `None` for what is not a pod.
fn names_of<'a>(
    pod: Option<&'a Pod>,
    used: &BTreeSet<PortName<'_>>,
) -> Option<BTreeSet<(PortName<'a>, u16)>> {
    let named = |port: &'a netproof_api::ContainerPort| {
        let name = (port.name.as_deref()?, port.protocol);
        used.contains(&name).then_some((name, port.container_port))
    };
    pod.map(|pod| pod.ports().filter_map(named).collect())
}
