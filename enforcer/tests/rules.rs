//! What the rulesets of the cases look like to a person.

mod world;

use netproof_enforcer::Numbers;
use netproof_enforcer::backend::nft::policies;
use netproof_enforcer::backend::nft::services;
use netproof_enforcer::program::Compiler;
use netproof_enforcer::proxy;
use netproof_enforcer::services::{NodeView, ServiceProgram, ServiceSite};
use netproof_model::ProxyMode;
use std::collections::BTreeSet;
use world::cases;

#[test]
fn policies() {
    for case in cases::policies() {
        let program = Compiler::new(&case.snapshot).node("node1");
        let ruleset =
            policies::render(program.program(), &case.snapshot.topology, &mut Numbers::odd()).unwrap();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("policy-{}", case.name), ruleset.to_string());
        });
    }
}

#[test]
fn services() {
    for case in cases::services() {
        let node = NodeView::new(&case.snapshot, "node1").unwrap();
        let site = ServiceSite {
            generation: case.snapshot.generation,
            topology: &case.snapshot.topology,
            node: &node,
            behaviour: ProxyMode::default().into(),
            masquerade_all: false,
        };
        let gathered = proxy::inputs(&case.snapshot);
        let ruleset = services::render(
            &ServiceProgram::new(&gathered, BTreeSet::new(), site),
            site,
            &mut Numbers::even(),
        )
        .ruleset;
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("proxy-{}", case.name), ruleset.to_string());
        });
    }
}
