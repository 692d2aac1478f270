//! The program of one node while it is followed: which parts a change is about, and what those were before.

use super::{Attachment, Endpoint, Policy, PolicyId, Program};
use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyStage};
use std::collections::{BTreeMap, BTreeSet};

/// The program of a node, with what is needed to change a part of it.
#[derive(Debug, Default)]
pub struct NodeProgram {
    program: Program,
    ids: BTreeMap<PolicyKey, BTreeMap<(PolicyStage, Direction), PolicyId>>,
}

/// What may be another in the programs of nodes than it was.
#[derive(Debug, Default)]
pub struct Changes {
    pub(super) policies: BTreeSet<PolicyKey>,
    pub(super) pods: BTreeSet<NamespacedName>,
}

impl Changes {
    pub(super) fn extend(&mut self, other: Changes) {
        self.policies.extend(other.policies);
        self.pods.extend(other.pods);
    }
}

/// Parts of a program as they were before others took their places; `None` where nothing was.
#[derive(Debug, Default)]
pub struct Replaced {
    policies: BTreeMap<PolicyId, Option<Policy>>,
    endpoints: BTreeMap<Attachment, Option<Endpoint>>,
}

/// Some parts of a program, or all of them.
#[derive(Debug)]
pub struct Slice<'p> {
    /// The policies.
    pub policies: Vec<&'p Policy>,
    /// The endpoints.
    pub endpoints: Vec<&'p Endpoint>,
    program: &'p Program,
    /// What was there in place of parts of the program.
    replaced: Option<&'p Replaced>,
}

/// From one program of a node to the next: the parts that may differ, as they were and as they are.
#[derive(Debug)]
pub struct Change<'p> {
    /// As they were.
    pub before: Slice<'p>,
    /// As they are.
    pub after: Slice<'p>,
}

impl<'p> Slice<'p> {
    /// The whole of a program.
    pub fn whole(program: &'p Program) -> Slice<'p> {
        let policies = program.policies().map(|(_, policy)| policy).collect();
        Slice { policies, endpoints: program.endpoints.iter().collect(), program, replaced: None }
    }

    /// The policy of an identifier, whether it is among these or not; `None` if the program never had it, or has it no
    /// more.
    pub fn policy(&self, id: PolicyId) -> Option<&'p Policy> {
        match self.replaced.and_then(|replaced| replaced.policies.get(&id)) {
            Some(before) => before.as_ref(),
            None => self.program.policy(id),
        }
    }
}

impl NodeProgram {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The way from what was replaced to what is there in its place.
    pub fn change<'p>(&'p self, replaced: &'p Replaced) -> Change<'p> {
        let program = &self.program;
        let before = Slice {
            policies: replaced.policies.values().flatten().collect(),
            endpoints: replaced.endpoints.values().flatten().collect(),
            program,
            replaced: Some(replaced),
        };
        let after = Slice {
            policies: replaced.policies.keys().filter_map(|id| program.policy(*id)).collect(),
            endpoints: replaced.endpoints.keys().filter_map(|it| program.endpoint(it)).collect(),
            program,
            replaced: None,
        };
        Change { before, after }
    }

    /// The identifier of a policy. One that the program does not have (yet) gets one all the same: whoever renders an
    /// endpoint of such a policy must fail, and not leave the policy out.
    pub(super) fn id(&mut self, key: &PolicyKey, stage: PolicyStage, direction: Direction) -> PolicyId {
        let of_key = self.ids.entry(key.clone()).or_default();
        *of_key.entry((stage, direction)).or_insert_with(|| self.program.reserve())
    }

    /// Puts all that an object has for the node in the place of what it had.
    pub(super) fn set_policy(&mut self, key: &PolicyKey, policies: Vec<Policy>, replaced: &mut Replaced) {
        let mut held = self.ids.remove(key).unwrap_or_default();
        let mut ids = BTreeMap::new();
        for policy in policies {
            let at = (policy.stage, policy.direction);
            let (id, before) = match held.remove(&at) {
                Some(id) => (id, self.program.replace(id, policy)),
                None => (self.program.add(policy), None),
            };
            replaced.policies.entry(id).or_insert(before);
            ids.insert(at, id);
        }
        for id in held.into_values() {
            let before = self.program.remove(id);
            replaced.policies.entry(id).or_insert(before);
        }
        if !ids.is_empty() {
            self.ids.insert(key.clone(), ids);
        }
    }

    pub(super) fn set_endpoint(&mut self, endpoint: Endpoint, replaced: &mut Replaced) {
        let attachment = endpoint.attachment.clone();
        let before = self.program.set_endpoint(endpoint);
        replaced.endpoints.entry(attachment).or_insert(before);
    }

    pub(super) fn remove_pod(&mut self, pod: &NamespacedName, replaced: &mut Replaced) {
        if let Some(before) = self.program.remove_pod(pod) {
            replaced.endpoints.entry(before.attachment.clone()).or_insert(Some(before));
        }
    }
}
