//! A node's program as an nftables ruleset.
//!
//! Two base chains see each forwarded packet, one after the other: the first asks the source's egress
//! policies, the second the destination's ingress policies; each finds the endpoint's chain by one
//! look into a verdict map. `accept` ends only the base chain that it is reached from, so a packet
//! must be accepted by both. (One base chain whose egress rules lead on to the ingress chains would do
//! as well, but the kernel checks every path through the jumps at each change, and those would be as
//! many as pairs of endpoints.)
//!
//! An endpoint's chain jumps to one chain for each policy of its first tier that selects it, and ends as the tier
//! does: it goes on to the chain of the next tier, or logs and denies. A policy's
//! chain is shared by its endpoints, has a rule for each rule of the policy (one for each family and
//! each kind of match that nft cannot say in one), and returns if none matched. What passes to the next tier returns
//! with a bit of the packet mark.

use super::hooks::{self, far};
use super::rules::RuleWriter;
use crate::identities::{self, Numbers};
use crate::program::{Attachment, Denial, End, Endpoint, Policy, Program, RuleAction, Slice, Tier};
use netproof_model::{
    Action, Decision, Direction, Family, Identity, NamespacedName, Place, PolicyKey, PolicyStage, Topology,
    Wiring,
};
use netproof_netfilter::nft::{
    Chain, Part, Rule, Ruleset, Statement, Table, TableFamily, TableId, Test, Verdict, names,
};
use std::net::IpAddr;
use thiserror::Error;

/// The table of the policies.
pub const TABLE: TableId = TableId { family: TableFamily::Inet, name: "netproof-policy" };

/// The table of the source check where pods are ports of a bridge.
pub const SOURCE_TABLE: TableId = TableId { family: TableFamily::Bridge, name: "netproof-source" };

/// The bit of the packet mark that says: this tier's policies passed the packet to the next tier. kube-proxy and
/// ours have others.
const PASSED: u32 = 0x0020_0000;

/// The comment of a rule that allows what no tier has decided.
pub(super) const NO_TIER: &str = "no tier decides";

/// What a program may say and this backend does not render.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unrendered {
    /// Policy on an interface that is no pod's.
    #[error("policy on {0} is not rendered with nftables")]
    Endpoint(String),
    /// Policy at a stage that pods do not have.
    #[error("policy at the stage {0} is not rendered with nftables: {1}")]
    Stage(PolicyStage, String),
    /// An endpoint names a policy that its program does not have.
    #[error("a policy of pod/{0} is not in its program, which is a bug of netproof's")]
    Gone(NamespacedName),
}

/// The ruleset of a node.
///
/// # Errors
/// What the program says and nftables is not made to say here.
pub fn render(program: &Program, topology: &Topology, numbers: &mut Numbers) -> Result<Ruleset, Unrendered> {
    let whole = Slice::whole(program);
    let mut renderer = Renderer::new(&whole, topology, numbers);
    renderer.render()?;
    let families = topology.family.list();
    renderer.policies.chains.extend(hooks::base_chains(families));
    renderer.sources.chains.extend(hooks::source_check(families, renderer.numbers));
    Ok(renderer.ruleset(topology.wiring))
}

/// What the ruleset of a node has for a part of its program: the chains and sets of the part alone, and of the sets
/// that are shared the part's elements.
///
/// # Errors
/// As [`render`].
pub(super) fn render_slice(
    slice: &Slice<'_>,
    topology: &Topology,
    numbers: &mut Numbers,
) -> Result<Ruleset, Unrendered> {
    let mut renderer = Renderer::new(slice, topology, numbers);
    renderer.render()?;
    Ok(renderer.ruleset(topology.wiring))
}

struct Renderer<'p, 'n> {
    slice: &'p Slice<'p>,
    /// The table of the policies.
    policies: Table,
    /// What belongs to the check of source addresses.
    sources: Table,
    families: &'static [Family],
    numbers: &'n mut Numbers,
}

impl<'p, 'n> Renderer<'p, 'n> {
    /// With the sets that all share, without elements.
    fn new(slice: &'p Slice<'p>, topology: &Topology, numbers: &'n mut Numbers) -> Self {
        let families = topology.family.list();
        let (mut policies, mut sources) = (Table::default(), Table::default());
        policies.sets.extend(hooks::endpoint_maps(families));
        sources.sets.extend(hooks::source_sets(families));
        Renderer { slice, policies, sources, families, numbers }
    }

    fn render(&mut self) -> Result<(), Unrendered> {
        self.slice.policies.iter().try_for_each(|policy| self.policy(policy))?;
        self.slice.endpoints.iter().try_for_each(|endpoint| self.endpoint(endpoint))
    }

    fn ruleset(self, wiring: Wiring) -> Ruleset {
        let (mut policies, sources) = (self.policies, self.sources);
        let mut ruleset = Ruleset::default();
        match wiring {
            Wiring::Routed | Wiring::Vxlan => {
                policies.sets.extend(sources.sets);
                policies.chains.extend(sources.chains);
            }
            Wiring::Bridge => drop(ruleset.tables.insert(SOURCE_TABLE, sources)),
        }
        ruleset.tables.insert(TABLE, policies);
        ruleset
    }

    /// An endpoint's chains for each direction in which it has tiers, and the way to the first of them; its
    /// interface with its addresses.
    fn endpoint(&mut self, endpoint: &Endpoint) -> Result<(), Unrendered> {
        let (pod, interface) = match &endpoint.attachment {
            Attachment::Pod { pod, interface } => (pod, interface),
            host @ (Attachment::HostInterface(_) | Attachment::AllOfHost) => {
                return Err(Unrendered::Endpoint(host.to_string()));
            }
        };
        hooks::add_source(&mut self.sources, interface, &endpoint.addresses);
        for ((stage, direction), tiers) in &endpoint.tiers {
            if *stage != PolicyStage::Local {
                return Err(Unrendered::Stage(*stage, endpoint.attachment.to_string()));
            }
            let chains = chains_of(pod, *direction, tiers);
            for (position, (tier, chain)) in tiers.iter().zip(&chains).enumerate() {
                let mut rules = Vec::new();
                if position == 0 {
                    hooks::add_endpoint(&mut self.policies, *direction, &endpoint.addresses, chain);
                }
                if tier.end == End::Isolation {
                    rules.extend(endpoint.addresses.iter().map(|own| reaches_itself(*direction, *own)));
                }
                // What passes the last tier is allowed.
                let next = chains.get(position + 1).cloned().map_or(Verdict::Accept, Verdict::Goto);
                rules.extend(self.tier(pod, (*stage, *direction), tier, &next)?);
                self.policies.chains.insert(chain.clone(), Chain { base: None, rules });
            }
        }
        Ok(())
    }

    /// The policies of a tier in order, and its end.
    fn tier(
        &mut self,
        pod: &NamespacedName,
        (stage, direction): (PolicyStage, Direction),
        tier: &Tier,
        next: &Verdict,
    ) -> Result<Vec<Rule>, Unrendered> {
        let (mut rules, mut policies) = (Vec::new(), Vec::new());
        for id in &tier.policies {
            let policy = self.slice.policy(*id).ok_or_else(|| Unrendered::Gone(pod.clone()))?;
            let chain = policy_chain(direction, &policy.policy);
            rules.push(Rule::new([Statement::Verdict(Verdict::Jump(chain))]));
            if policy.rules.iter().any(|rule| rule.action == RuleAction::Pass) {
                let (passed, forget) = (Statement::HasMark(PASSED), Statement::FlipMark(PASSED));
                rules.push(goes_on([passed, forget], next));
            }
            policies.push(policy.policy.clone());
        }
        policies.sort();
        let endpoint = Place::Pod(pod.clone());
        rules.push(match tier.end {
            End::Pass => goes_on([], next),
            End::Isolation => {
                let decision = Decision::Isolation { endpoint, direction, policies };
                deny_rule(decision, Denial::Drop, self.numbers)
            }
            End::Deny(denial) => {
                let tier = tier.name.clone();
                let decision = Decision::EndOfTier { endpoint, stage, direction, tier, policies };
                deny_rule(decision, denial, self.numbers)
            }
        });
        Ok(rules)
    }

    /// The chain of one direction of a policy.
    fn policy(&mut self, policy: &Policy) -> Result<(), Unrendered> {
        if policy.stage != PolicyStage::Local {
            return Err(Unrendered::Stage(policy.stage, policy.policy.to_string()));
        }
        let mut rules = Vec::new();
        for (position, rule) in policy.rules.iter().enumerate() {
            let decision = Decision::Rule {
                policy: policy.policy.clone(),
                tier: policy.tier.clone(),
                stage: policy.stage,
                direction: policy.direction,
                rule: position,
            };
            let comment = decision.to_string();
            let action = match rule.action {
                RuleAction::Allow | RuleAction::Pass | RuleAction::Log => Action::Allow,
                RuleAction::Deny(denial) => action_of(denial),
            };
            let number = self.numbers.of(Identity { decision, action });
            let end = match rule.action {
                RuleAction::Deny(denial) => deny(number, denial),
                RuleAction::Pass => vec![Statement::SetMark(PASSED), Statement::Verdict(Verdict::Return)],
                RuleAction::Log => vec![Statement::LogOnly(number)],
                RuleAction::Allow => vec![Statement::Verdict(Verdict::Accept)],
            };
            let mut writer = RuleWriter::new(&mut self.policies.sets, self.families, number);
            for statements in writer.alternatives(&rule.matches) {
                let rule = Rule::new(statements.into_iter().chain(end.clone()));
                rules.push(rule.comment(identities::comment(number, &comment)));
            }
        }
        let name = policy_chain(policy.direction, &policy.policy);
        self.policies.chains.insert(name, Chain { base: None, rules });
        Ok(())
    }
}

/// The chains of a pod's tiers in one direction: the first is the pod's.
fn chains_of(pod: &NamespacedName, direction: Direction, tiers: &[Tier]) -> Vec<String> {
    let first = names::object(&format!("{direction}-pod"), pod);
    let later = tiers.iter().skip(1);
    let later = later.map(|tier| names::object_part(&format!("{direction}-tier"), pod, &tier.name));
    std::iter::once(first).chain(later).collect()
}

/// What no policy of a tier decides goes to the next tier, or is allowed after the last.
fn goes_on<const N: usize>(tests: [Statement; N], next: &Verdict) -> Rule {
    let rule = Rule::new(tests.into_iter().chain([Statement::Verdict(next.clone())]));
    match next {
        Verdict::Accept => rule.comment(NO_TIER),
        _ => rule,
    }
}

/// The name of the chain of one direction of a policy.
pub fn policy_chain(direction: Direction, policy: &PolicyKey) -> String {
    names::shorten(format!("{direction}-{policy}"))
}

/// A pod cannot block itself by NetworkPolicies. Its own address never leaves it, but a packet to its own service comes here and goes
/// back, and is not masqueraded yet.
fn reaches_itself(direction: Direction, own: IpAddr) -> Rule {
    let own_address =
        Statement::Match(vec![far(direction, Family::of(own))], Test::Is(Part::One(own.into())));
    Rule::new([own_address, Statement::Verdict(Verdict::Accept)]).comment("a pod reaches itself")
}

/// The evidence and the end of a packet.
pub(super) fn deny_rule(decision: Decision, denial: Denial, numbers: &mut Numbers) -> Rule {
    let comment = decision.to_string();
    let number = numbers.of(Identity { decision, action: action_of(denial) });
    Rule::new(deny(number, denial)).comment(identities::comment(number, &comment))
}

fn deny(number: u32, denial: Denial) -> Vec<Statement> {
    let end = match denial {
        Denial::Drop => Statement::Verdict(Verdict::Drop),
        Denial::Reject => Statement::Reject,
    };
    vec![Statement::Log(number), end]
}

fn action_of(denial: Denial) -> Action {
    match denial {
        Denial::Drop => Action::Drop,
        Denial::Reject => Action::Reject,
    }
}
