//! Agents (`--enforcer agent:PROFILE`, `--proxy agent:PROFILE`): the example passes all of NetworkPolicy, wrong ones
//! fail the case that shows it, bad ones are errors, none leaves anything behind, and real ones are tried where they
//! are installed. This program acts as each of its agents when it is started by its name.

#![expect(clippy::expect_used, reason = "a test says what went wrong by panicking")]

#[path = "../../../../enforcer/exec/examples/agent/main.rs"]
mod agent;
mod bad;
#[path = "../pages/mod.rs"]
mod pages;
#[path = "../programs/mod.rs"]
mod programs;
mod proxy;
mod real;
mod reports;
mod wrong;

use libtest_mimic::{Arguments, Trial};
use pages::root;
use programs::{Programs, output};
use std::process::{Command, ExitCode};

/// The example's profile.
const EXAMPLE: &str = "agent:enforcer/exec/examples/agent/profile.yaml";

/// netproof's own proxy as an agent.
const PROXY: &str = "agent:harness/cli/tests/agents/proxy.yaml";

/// A scenario with denials, and one run of it.
const SCENARIO: [&str; 3] =
    ["scenarios/recipes/deny-all-traffic-to-an-application.yaml", "--filter", "across-routed-ipv4"];

fn main() -> ExitCode {
    let name = programs::started_as().unwrap_or_default();
    match name.to_str() {
        Some("agent") => return programs::exit_code(agent::main()),
        Some("wrong-agent") => return programs::exit_code(wrong::main()),
        Some("proxy-agent") => return programs::exit_code(proxy::main()),
        _ => {}
    }
    let mut trials = vec![
        trial("the_example_passes", the_example_passes),
        trial("services_pass_by_a_proxy_that_is_an_agent", services_pass_by_a_proxy_that_is_an_agent),
        trial("enforcer_and_proxy_may_both_be_agents", enforcer_and_proxy_may_both_be_agents),
        trial("wrong_ones_fail_the_case_that_shows_it", wrong_ones_fail_the_case_that_shows_it),
        trial("reports_name_the_agent", reports::reports_name_the_agent),
        trial("what_the_api_lacks_is_told", reports::what_the_api_lacks_is_told),
        trial("agents_that_break_are_errors", bad::agents_that_break_are_errors),
        trial("nothing_outlives_a_kill", bad::nothing_outlives_a_kill),
        trial("the_page_shows_what_happens", the_page_shows_what_happens),
    ];
    trials.extend(real::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// This program by the names of its agents.
fn programs() -> Programs {
    Programs::new(&["agent", "wrong-agent", "proxy-agent"])
}

/// `netproof run` with such an enforcer.
fn run(programs: &Programs, enforcer: &str, arguments: &[&str]) -> Command {
    programs.netproof(&[&["run", "--enforcer", enforcer], arguments].concat())
}

fn the_example_passes() {
    let programs = programs();
    // Of each wiring and each family some.
    for (folders, filter) in [
        (&["scenarios/recipes", "scenarios/defaults"][..], "routed-ipv4 or bridge-ipv6 or vxlan"),
        (&["scenarios/semantics"], "not same-node and (ipv6 or dual)"),
    ] {
        let arguments = [folders, &["--filter", filter]].concat();
        let (code, text) = output(&mut run(&programs, EXAMPLE, &arguments));
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("SKIP "), "{text}");
    }
}

fn services_pass_by_a_proxy_that_is_an_agent() {
    let programs = programs();
    let arguments =
        ["run", "scenarios/services", "--proxy", PROXY, "--filter", "not bridge and not vxlan and not ipv6"];
    let (code, text) = output(&mut programs.netproof(&arguments));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("a proxy does not lead the host ports of pods to them"), "{text}");
}

fn enforcer_and_proxy_may_both_be_agents() {
    let programs = programs();
    let arguments = ["scenarios/services/policy-and-node-ports.yaml", "--proxy", PROXY];
    let (code, text) = output(&mut run(&programs, EXAMPLE, &arguments));
    assert_eq!(code, Some(0), "{text}");
}

/// Each in a line that says what is wrong.
fn wrong_ones_fail_the_case_that_shows_it() {
    let programs = programs();
    for (fault, scenario, line) in [
        (
            "drops-except",
            "except-is-not-a-deny",
            "one block with two exceptions/external/in-1 -> pod/default/web:80: expected deny, observed allow",
        ),
        // What kube-router does as well: the three below.
        (
            "one-set-of-blocks",
            "except-is-not-a-deny",
            "with an exception that the other one covers/external/in-1 -> pod/default/web:80: expected allow, observed drop",
        ),
        (
            "named-port-without-peers",
            "named-ports",
            "on the way out, to anybody/pod/default/client -> external/outside:8001: expected deny, observed allow",
        ),
        (
            "protocols-share-names",
            "named-ports",
            "with its protocol, and a number beside it/pod/default/client -> pod/default/over-sctp:8001/udp: expected deny, observed allow",
        ),
    ] {
        let agent = wrong::agent(&programs, fault);
        let file = format!("scenarios/semantics/{scenario}.yaml");
        let arguments = [&file, "--filter", "across-ipv4"];
        let (code, text) = output(&mut run(&programs, &agent, &arguments));
        assert_eq!(code, Some(1), "{fault}: {text}");
        let failures = text.split_once("Failures\n").map(|(_, failures)| failures).unwrap_or_default();
        assert!(failures.lines().any(|it| it.contains(line)), "{fault}: no line has {line:?}: {text}");
    }
}

fn the_page_shows_what_happens() {
    let programs = programs();
    let page = root().join("docs/test-your-own-enforcer.md");
    pages::check(&page, "<!-- run as an agent: netproof ", |command| {
        let arguments: Vec<&str> = command.split(' ').collect();
        output(&mut programs.netproof(&arguments)).1
    });
    let profile = EXAMPLE.trim_start_matches("agent:");
    let profile = std::fs::read_to_string(root().join(profile)).expect("the profile");
    let text = std::fs::read_to_string(page).expect("the page");
    let shown = profile.split_once('\n').map(|(_, after_its_comment)| after_its_comment);
    assert!(shown.is_some_and(|it| text.contains(it)), "the page does not show {profile}");
}
