//! From snapshots to the programs of nodes: asks the front end of each API, and joins what they say for each endpoint.

use super::calico::CalicoPolicies;
use super::clusternetworkpolicy::ClusterNetworkPolicies;
use super::front_end::{FrontEnd, Share, TierPlace, is_on, sort};
use super::index::Index;
use super::networkpolicy::NetworkPolicies;
use super::{Changes, End, Endpoint, NodeProgram, Policy, PolicyId, Replaced, Tier};
use crate::differing::differing;
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyStage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compiles the programs of nodes, and follows what changes from one snapshot to the next.
#[derive(Debug)]
pub struct Compiler {
    snapshot: Arc<Snapshot>,
    pods: Index,
    front_ends: Vec<Box<dyn FrontEnd>>,
}

/// One front end for each API.
fn front_ends() -> Vec<Box<dyn FrontEnd>> {
    vec![
        Box::new(ClusterNetworkPolicies::default()),
        Box::new(NetworkPolicies::default()),
        Box::new(CalicoPolicies::default()),
    ]
}

impl Compiler {
    /// Indexes the snapshot.
    pub fn new(snapshot: &Arc<Snapshot>) -> Self {
        Compiler::with(front_ends(), snapshot)
    }

    /// With these front ends, which know of no policy yet.
    fn with(front_ends: Vec<Box<dyn FrontEnd>>, snapshot: &Arc<Snapshot>) -> Self {
        let mut pods = Index::new(snapshot.topology.family);
        for (name, namespace) in &snapshot.namespaces {
            pods.namespace_changed(name, Some(namespace));
        }
        for (name, pod) in &snapshot.pods {
            pods.pod_changed(name, Some(pod));
        }
        for (name, slice) in &snapshot.endpoint_slices {
            pods.services.slice_changed(name, None, Some(slice));
        }
        for (name, node) in &snapshot.nodes {
            pods.node_changed(name, Some(node));
        }
        let mut compiler = Compiler { snapshot: Arc::clone(snapshot), pods, front_ends };
        for (key, object) in &snapshot.policies {
            for front_end in compiler.front_ends.iter_mut().filter(|it| it.reads(key.kind)) {
                front_end.follow(key, Some(object), &mut compiler.pods);
            }
        }
        compiler
    }

    /// Goes on to another snapshot of the same topology; `None`, and nothing done, if it is of another.
    pub fn advance(&mut self, snapshot: &Arc<Snapshot>) -> Option<Changes> {
        if self.snapshot.topology != snapshot.topology {
            return None;
        }
        let held = std::mem::replace(&mut self.snapshot, Arc::clone(snapshot));
        let mut changes = Changes::default();
        let mut selections = BTreeSet::new();
        for namespace in differing(&held.namespaces, &snapshot.namespaces) {
            let after = namespace.after.map(Arc::as_ref);
            let touched = self.pods.namespace_changed(namespace.name, after);
            selections.extend(touched.selections);
            changes.pods.extend(touched.pods);
        }
        let mut anybody_moved = false;
        for pod in differing(&held.pods, &snapshot.pods) {
            let (changed, moved) = self.pods.pod_changed(pod.name, pod.after);
            selections.extend(changed);
            anybody_moved |= moved;
            changes.pods.insert(pod.name.clone());
        }
        for selection in selections {
            changes.policies.extend(self.pods.users(selection).cloned());
        }
        for slice in differing(&held.endpoint_slices, &snapshot.endpoint_slices) {
            changes.policies.extend(self.pods.services.slice_changed(slice.name, slice.before, slice.after));
        }
        let mut nodes_changed = false;
        for node in differing(&held.nodes, &snapshot.nodes) {
            nodes_changed |= self.pods.node_changed(node.name, node.after);
        }
        if nodes_changed {
            changes.policies.extend(self.front_ends.iter().flat_map(|it| it.of_nodes()));
        }
        if anybody_moved {
            changes.policies.extend(self.front_ends.iter().flat_map(|it| it.of_everybody()));
        }
        for object in differing(&held.policies, &snapshot.policies) {
            for front_end in self.front_ends.iter_mut().filter(|it| it.reads(object.name.kind)) {
                changes.extend(front_end.follow(object.name, object.after, &mut self.pods));
            }
        }
        Some(changes)
    }

    /// The program of one node.
    pub fn node(&self, node: &str) -> NodeProgram {
        let policies = self.front_ends.iter().flat_map(|it| it.policies()).collect();
        let pods = self.pods.pods().map(|pod| pod.name.clone()).collect();
        let mut of_node = NodeProgram::default();
        self.update(node, &Changes { policies, pods }, &mut of_node);
        of_node
    }

    /// Brings the parts of a node's program that the changes are about to what they are now; gives what was there.
    pub fn update(&self, node: &str, changes: &Changes, of_node: &mut NodeProgram) -> Replaced {
        let mut replaced = Replaced::default();
        for key in &changes.policies {
            of_node.set_policy(key, self.compile(key, node), &mut replaced);
        }
        for name in &changes.pods {
            match self.endpoint(name, node, of_node) {
                Some(endpoint) => of_node.set_endpoint(endpoint, &mut replaced),
                None => of_node.remove_pod(name, &mut replaced),
            }
        }
        replaced
    }

    fn compile(&self, key: &PolicyKey, node: &str) -> Vec<Policy> {
        self.front_ends.iter().flat_map(|it| it.compile(key, node, &self.pods)).collect()
    }

    /// The endpoint of a pod of the node, with the tiers that the front ends have for it.
    fn endpoint(&self, name: &NamespacedName, node: &str, of_node: &mut NodeProgram) -> Option<Endpoint> {
        let pod = self.pods.pod(name).filter(|pod| is_on(pod, node))?;
        let interface = host_interface(&self.snapshot.topology.interface_prefix, name);
        let mut endpoint = Endpoint::pod(name.clone(), interface, pod.addresses.clone());
        let shares = self.front_ends.iter().flat_map(|it| it.shares(pod, &self.pods)).collect();
        endpoint.tiers = join(shares, |key, stage, direction| of_node.id(key, stage, direction));
        Some(endpoint)
    }
}

/// The tiers of an endpoint in order, each with its policies in order.
fn join(
    shares: Vec<Share>,
    mut id: impl FnMut(&PolicyKey, PolicyStage, Direction) -> PolicyId,
) -> BTreeMap<(PolicyStage, Direction), Vec<Tier>> {
    let mut places: BTreeMap<(PolicyStage, Direction), BTreeMap<TierPlace, Share>> = BTreeMap::new();
    for share in shares {
        let of_place = places.entry((share.stage, share.direction)).or_default();
        match of_place.get_mut(&share.place) {
            Some(joined) => {
                // NetworkPolicies have no tier of their own: where others are in it, it is theirs.
                if joined.end == End::Isolation {
                    joined.name = share.name;
                }
                joined.end = joined.end.joined(share.end);
                joined.policies.extend(share.policies);
            }
            None => drop(of_place.insert(share.place.clone(), share)),
        }
    }
    let mut tier = |mut share: Share| {
        sort(&mut share.policies);
        let (stage, direction) = (share.stage, share.direction);
        let policies = share.policies.iter().map(|(_, key)| id(key, stage, direction)).collect();
        Tier { name: share.name, policies, end: share.end }
    };
    let mut tiers = |mut of_place: BTreeMap<TierPlace, Share>| {
        // A tier of Calico's may be called as NetworkPolicies call theirs; no two tiers of an endpoint have one name.
        let names: BTreeSet<String> = of_place.keys().map(|place| place.name.clone()).collect();
        for share in of_place.values_mut().filter(|it| it.name != it.place.name && names.contains(&it.name)) {
            share.name.clone_from(&share.place.name);
        }
        of_place.into_values().map(&mut tier).collect()
    };
    places.into_iter().map(|(at, of_place)| (at, tiers(of_place))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::front_end::{Order, names};
    use crate::program::index::{Key, PodEntry, Scope, SelectionId};
    use crate::program::{AddressTest, Denial, Match, Rule, RuleAction};
    use crate::world::{World, namespace, pod, policy};
    use netproof_api::{LabelSelector, NetworkPolicyPeer, Policy as Object};
    use netproof_model::{Families, PolicyKind, Wiring};

    /// The API of administrators, as thin as a test needs it: what is written as a NetworkPolicy of the namespace
    /// `admin` holds for the pods of every namespace, and denies what its first peer sends.
    #[derive(Debug, Default)]
    struct Admins(BTreeMap<PolicyKey, (SelectionId, SelectionId)>);

    impl FrontEnd for Admins {
        fn reads(&self, kind: PolicyKind) -> bool {
            kind == PolicyKind::NetworkPolicy
        }

        fn follow(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes {
            let mut changes = Changes::default();
            if key.namespace.as_deref() != Some("admin") {
                return changes;
            }
            let own = PolicyKey::cluster(PolicyKind::ClusterNetworkPolicy, key.name.as_str());
            if let Some((subjects, peers)) = self.0.remove(&own) {
                changes.pods.extend(names(pods.members(subjects)));
                BTreeSet::from([subjects, peers]).into_iter().for_each(|it| pods.release(it, &own));
            }
            if let Some(Object::NetworkPolicy(policy)) = object {
                let mut select = |selector: &LabelSelector| {
                    let scope = Scope::Labelled(LabelSelector::default().into());
                    pods.select(Key { scope, pods: selector.clone().into() }, &own)
                };
                let NetworkPolicyPeer::Pods { pod_selector: Some(peer), .. } =
                    &policy.spec.ingress[0].peers[0]
                else {
                    panic!("a test's policy has a peer by labels")
                };
                let selections = (select(&policy.spec.pod_selector), select(peer));
                changes.pods.extend(names(pods.members(selections.0)));
                self.0.insert(own.clone(), selections);
            }
            changes.policies.insert(own);
            changes
        }

        fn policies(&self) -> Vec<PolicyKey> {
            self.0.keys().cloned().collect()
        }

        fn of_everybody(&self) -> Vec<PolicyKey> {
            Vec::new()
        }

        fn of_nodes(&self) -> Vec<PolicyKey> {
            Vec::new()
        }

        fn compile(&self, key: &PolicyKey, node: &str, pods: &Index) -> Vec<Policy> {
            let Some((subjects, peers)) = self.0.get(key) else { return Vec::new() };
            if !pods.members(*subjects).any(|pod| is_on(pod, node)) {
                return Vec::new();
            }
            let members = pods.members(*peers).flat_map(|pod| &pod.addresses).copied().collect();
            let source = vec![AddressTest { members: Some(members), ..AddressTest::default() }];
            let deny = Rule {
                action: RuleAction::Deny(Denial::Drop),
                matches: Match { source, ..Match::default() },
            };
            vec![Policy {
                policy: key.clone(),
                tier: "admin".into(),
                stage: PolicyStage::Local,
                direction: Direction::Ingress,
                rules: vec![deny],
            }]
        }

        fn shares(&self, pod: &PodEntry, pods: &Index) -> Vec<Share> {
            let own = pods.users_of_pod(pod).filter(|(selection, user)| {
                self.0.get(*user).is_some_and(|(subjects, _)| subjects == selection)
            });
            let policies: Vec<_> = own.map(|(_, user)| (Order(1.0), user.clone())).collect();
            let share = Share {
                stage: PolicyStage::Local,
                direction: Direction::Ingress,
                place: TierPlace { order: Order(1_000.0), name: "admin".into() },
                name: "admin".into(),
                policies,
                end: End::Pass,
            };
            Some(share).filter(|share| !share.policies.is_empty()).into_iter().collect()
        }
    }

    fn both() -> Vec<Box<dyn FrontEnd>> {
        // NetworkPolicies first: the place of a tier does not depend on who is asked first.
        vec![Box::new(NetworkPolicies::default()), Box::new(Admins::default())]
    }

    /// A second API stands beside NetworkPolicy, and its policies are followed as those are.
    #[test]
    fn two_front_ends_share_the_endpoints() {
        let mut world = World::new(Families::Ipv4, Wiring::Routed);
        world.apply(&(namespace("admin", "") + &namespace("other", "")));
        world.apply(&(pod("web", "node1", "app=web", "") + &pod("other/client", "node2", "app=x", "")));
        let deny = policy(
            "admin/deny",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
        );
        let first = world.apply(&(deny + &policy("allow", "{podSelector: {}, ingress: [{}]}")));
        let mut compiler = Compiler::with(both(), &first);
        let mut program = compiler.node("node1");
        let web = program.program().to_string();
        let tiers = web.split("pod/default/web\n").nth(1).unwrap();
        assert!(
            tiers.starts_with(
                "  local ingress\n    tier admin, else pass\n      clusternetworkpolicy/deny\n    \
                 tier networkpolicy, else isolation\n      networkpolicy/default/allow\n"
            ),
            "{web}"
        );
        assert!(web.contains("clusternetworkpolicy/deny ingress\n  0: drop, from {}\n"), "{web}");
        let mut states = vec![world.label("pod", "other/client", "app", Some("client"))];
        states.push(world.label("pod", "web", "app", Some("other")));
        states.push(world.label("pod", "web", "app", Some("web")));
        states.push(world.delete(PolicyKind::NetworkPolicy.word(), "allow"));
        states.push(world.delete(PolicyKind::NetworkPolicy.word(), "admin/deny"));
        let mut seen = BTreeSet::from([web]);
        for snapshot in &states {
            let changes = compiler.advance(snapshot).unwrap();
            compiler.update("node1", &changes, &mut program);
            let fresh = Compiler::with(both(), snapshot).node("node1");
            assert_eq!(program.program().to_string(), fresh.program().to_string());
            seen.insert(fresh.program().to_string());
        }
        // But for the label that is taken back each change shows.
        assert_eq!(seen.len(), states.len());
    }

    /// Front ends that share a place share the tier: its policies stand by their order, and it ends once.
    #[test]
    fn shares_of_one_place_are_one_tier() {
        let key = |kind, name: &str| PolicyKey::namespaced(kind, "default", name);
        let share = |name: &str, order, policies: &[(f64, &PolicyKey)], end| Share {
            stage: PolicyStage::Local,
            direction: Direction::Egress,
            place: TierPlace { order: Order(order), name: "default".into() },
            name: name.into(),
            policies: policies.iter().map(|(order, key)| (Order(*order), (*key).clone())).collect(),
            end,
        };
        let own = ["b", "a"].map(|name| key(PolicyKind::NetworkPolicy, name));
        let others = ["first", "last"].map(|name| key(PolicyKind::CalicoNetworkPolicy, name));
        let shares = vec![
            share("networkpolicy", 5.0, &[(1000.0, &own[0]), (1000.0, &own[1])], End::Isolation),
            share(
                "default",
                5.0,
                &[(f64::INFINITY, &others[1]), (10.0, &others[0])],
                End::Deny(Denial::Drop),
            ),
            share("security", 1.0, &[(1.0, &others[0])], End::Pass),
        ];
        let order = [&others[0], &own[1], &own[0], &others[1]];
        let position = |key: &PolicyKey| order.iter().position(|it| *it == key).unwrap();
        let mut asked = Vec::new();
        let tiers = join(shares, |key, _, _| {
            asked.push(position(key));
            PolicyId(position(key))
        });
        let tiers = &tiers[&(PolicyStage::Local, Direction::Egress)];
        let shown: Vec<_> = tiers.iter().map(|it| (it.name.as_str(), it.policies.len(), it.end)).collect();
        assert_eq!(shown, [("security", 1, End::Pass), ("default", 4, End::Deny(Denial::Drop))]);
        assert_eq!(asked, [0, 0, 1, 2, 3]);
    }

    /// Chains and evidence tell tiers apart by their names.
    #[test]
    fn no_two_tiers_of_an_endpoint_have_one_name() {
        let policy = PolicyKey::namespaced(PolicyKind::NetworkPolicy, "default", "p");
        let share = |place: &str, name: &str, order| Share {
            stage: PolicyStage::Local,
            direction: Direction::Egress,
            place: TierPlace { order: Order(order), name: place.into() },
            name: name.into(),
            policies: vec![(Order(1.0), policy.clone())],
            end: End::Pass,
        };
        let shares =
            vec![share("default", "networkpolicy", 5.0), share("networkpolicy", "networkpolicy", 1.0)];
        let tiers = join(shares, |_, _, _| PolicyId(0));
        let names: Vec<_> = tiers.values().flatten().map(|tier| tier.name.as_str()).collect();
        assert_eq!(names, ["networkpolicy", "default"]);
    }
}
