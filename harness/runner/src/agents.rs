//! What agents can do nothing with: said before anything is built, with the reason.

use crate::{EnforcerChoice, ProxyChoice, RunOptions};
use netproof_cluster::doctor;
use netproof_controlplane::Snapshot;
use netproof_enforcer_agent::Agent;
use netproof_model::PolicyKind;
use netproof_plan::{Loaded, NotApplicable, Plan};
use std::collections::BTreeSet;

/// Moves the scenario runs that the agents of these options can do nothing with to those that do not apply.
pub fn set_aside(loaded: &mut Loaded, options: &RunOptions) {
    if options.agents().next().is_none() {
        return;
    }
    for plan in std::mem::take(&mut loaded.plans) {
        match not_applicable(&plan, options) {
            None => loaded.plans.push(plan),
            Some(because) => {
                let Plan { id, location, .. } = plan;
                loaded.not_applicable.push(NotApplicable { id, location, because });
            }
        }
    }
}

/// Why the agents of these options can do nothing with a scenario run; `None` if they can.
pub fn not_applicable(plan: &Plan, options: &RunOptions) -> Option<String> {
    let mut of_topology = options.agents().filter_map(|agent| {
        let because = agent.profile.not_applicable(&plan.topology)?;
        Some(format!("{}: {because}", agent.profile.name))
    });
    of_topology.next().or_else(|| unknown_policies(plan, options)).or_else(|| match &options.proxy {
        ProxyChoice::Agent(agent) => {
            Some(format!("{}: {}", agent.profile.name, beyond_a_proxy(plan, agent)?))
        }
        _ => None,
    })
}

/// The kinds of policy objects of a scenario run that the agent which enforces policy does not know.
fn unknown_policies(plan: &Plan, options: &RunOptions) -> Option<String> {
    let EnforcerChoice::Agent(agent) = &options.enforcer else { return None };
    let profile = &agent.profile;
    let of_plan = states(plan).flat_map(|state| state.policies.keys().map(|key| key.kind));
    let unknown: BTreeSet<PolicyKind> = of_plan.filter(|kind| !profile.policies.contains(kind)).collect();
    let words =
        |kinds: &BTreeSet<PolicyKind>| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", ");
    (!unknown.is_empty()).then(|| {
        format!(
            "{}: its profile is for policies of the kind {}, and this has {}",
            profile.name,
            words(&profile.policies),
            words(&unknown)
        )
    })
}

/// The objects of a scenario run at any time.
fn states(plan: &Plan) -> impl Iterator<Item = &Snapshot> {
    plan.steps.iter().flat_map(|step| step.states.through()).map(|state| &**state)
}

/// What of a scenario run is no matter of this proxy.
fn beyond_a_proxy(plan: &Plan, agent: &Agent) -> Option<String> {
    let mode = agent.profile.proxy_mode;
    if plan.topology.proxy_mode != mode {
        return Some(format!("it does as kube-proxy does in its mode {}", mode.name()));
    }
    let host_ports =
        "a proxy does not lead the host ports of pods to them; in a cluster a plugin of the network does";
    has_host_ports(plan).then(|| host_ports.to_owned())
}

/// What of the kernel the agents of these options lack on this machine, as the reason of a skip. Call it inside a sandbox.
pub(crate) fn lack(options: &RunOptions) -> Option<String> {
    options.agents().find_map(|agent| {
        let needs = agent.profile.needs.kernel.iter();
        // Where the machine cannot be asked, building says what is wrong.
        let lacks = needs.filter_map(|feature| doctor::lacks(*feature).ok().flatten()).next()?;
        Some(format!("{}: {lacks}", agent.profile.name))
    })
}

fn has_host_ports(plan: &Plan) -> bool {
    states(plan)
        .flat_map(|state| state.pods.values())
        .any(|pod| !pod.host_network && pod.ports().any(|port| port.host_port.is_some()))
}
