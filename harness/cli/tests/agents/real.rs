//! Real agents, where they are installed: one recipe and one scenario of the semantics each.

use crate::programs::{Programs, output};
use libtest_mimic::{Completion, Trial};

/// Shipped profiles, and what a run of such an agent is tried with: cases that each of them is known to pass.
const AGENTS: [(&str, Kind); 8] = [
    ("calico-felix", Kind::Enforcer),
    ("calico-felix-iptables", Kind::Enforcer),
    ("kube-network-policies", Kind::Enforcer),
    ("kube-network-policies-iptables", Kind::Enforcer),
    ("kube-proxy", Kind::Proxy),
    ("kube-proxy-iptables", Kind::Proxy),
    ("kube-router", Kind::Enforcer),
    ("kube-router-nftables", Kind::Enforcer),
];

#[derive(Clone, Copy)]
enum Kind {
    Enforcer,
    Proxy,
}

/// A test for each, which is a visible skip where the program is not installed.
pub fn trials() -> impl Iterator<Item = Trial> {
    AGENTS.into_iter().map(|(name, kind)| {
        Trial::ignorable_test(format!("real::{name}"), move || Ok(passes_or_does_not_apply(name, kind)))
    })
}

fn passes_or_does_not_apply(name: &str, kind: Kind) -> Completion {
    let programs = Programs::new(&[]);
    let (option, files) = match kind {
        Kind::Enforcer => {
            ("--enforcer", ["recipes/limit-traffic-to-an-application", "semantics/policies-add-up"])
        }
        Kind::Proxy => ("--proxy", ["recipes/limit-traffic-to-an-application", "services/port-mapping"]),
    };
    let files = files.map(|file| format!("scenarios/{file}.yaml"));
    let agent = format!("agent:{name}");
    let arguments = ["run", &files[0], &files[1], option, &agent, "--filter", "across and ipv4"];
    let (code, text) = output(&mut programs.netproof(&arguments));
    // The error that says what must be installed, and the only one of these that a machine may have.
    let missing =
        text.lines().find(|line| line.starts_with("error: ") && line.contains("in no folder of PATH"));
    if let (Some(3), Some(missing)) = (code, missing) {
        return Completion::ignored_with(format!(
            "does not apply: {}",
            missing.trim_start_matches("error: ")
        ));
    }
    // Nothing but skips is no success of a run's either.
    let skipped = text.lines().find(|line| line.starts_with("SKIP "));
    match skipped
        .filter(|_| !text.lines().any(|line| line.starts_with("FAIL ") || line.starts_with("ERROR ")))
    {
        Some(skipped) => Completion::ignored_with(format!("does not apply: {skipped}")),
        None => {
            assert_eq!(code, Some(0), "{text}");
            Completion::Completed
        }
    }
}
