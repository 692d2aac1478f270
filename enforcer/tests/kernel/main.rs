//! Rulesets in a real kernel, in a user and network namespace of our own, without privilege.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

#[path = "../kernel_support/mod.rs"]
mod kernel_support;
mod policies;
#[path = "../programs/mod.rs"]
mod programs;
mod rulesets;
mod services;
#[path = "../world/mod.rs"]
mod world;

use kernel_support::node::Node;
use libtest_mimic::{Arguments, Trial};
use netproof_api::Service;
use netproof_cluster::sandbox;
use netproof_controlplane::Snapshot;
use netproof_enforcer::NodeHandle;
use netproof_model::{Families, NamespacedName, Wiring};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use world::World;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(error) = sandbox::enter() {
        eprintln!("no namespaces of our own: {error}");
        return ExitCode::FAILURE;
    }
    let tests = vec![
        Trial::test("every_ruleset_loads", rulesets::every_ruleset_loads),
        Trial::test("every_program_of_pods_loads", rulesets::every_program_of_pods_loads),
        Trial::test("following_equals_a_fresh_load", rulesets::following_equals_a_fresh_load),
        Trial::test("a_change_equals_a_fresh_load", rulesets::a_change_equals_a_fresh_load),
        Trial::test("five_thousand_rules_load_with_a_stock_send_buffer", rulesets::five_thousand_rules),
        Trial::test("a_label_changes_elements_only", rulesets::a_label_changes_elements_only),
        Trial::test("both_ends_must_allow", policies::both_ends_must_allow),
        Trial::test("a_spoofed_source_is_dropped", policies::a_spoofed_source_is_dropped),
        Trial::test("services_lead_to_endpoints", services::services_lead_to_endpoints),
        Trial::test("a_patch_equals_a_fresh_load", services::a_patch_equals_a_fresh_load),
        Trial::test("a_failed_side_by_side_load_can_be_repeated", rulesets::a_failed_side_by_side_load),
        Trial::test("a_client_keeps_its_endpoint", services::a_client_keeps_its_endpoint),
        Trial::test("datagrams_follow_the_endpoints", services::datagrams_follow_the_endpoints),
        Trial::test("health_checks_are_answered", services::health_checks_are_answered),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn three_pods() -> World {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for name in ["web", "api", "client"] {
        world.apply(&world::pod(name, "node1", &format!("app={name}"), "http:80"));
    }
    world
}

fn handle(node: &Node) -> Vec<NodeHandle<'_>> {
    vec![NodeHandle { name: "node1".into(), netns: node.netns.as_fd() }]
}

fn object(name: &str) -> NamespacedName {
    NamespacedName::new("default", name)
}

/// The snapshot with a service changed in ways that no manifest is needed for.
fn with_service(snapshot: &Snapshot, name: &str, change: impl FnOnce(&mut Service)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(snapshot.services.get_mut(&object(name)).unwrap()));
    Arc::new(snapshot)
}

fn readable() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings
}
