//! What the rulesets of the cases look like to a person.

mod world;

use netproof_enforcer::backend::nft::policies;
use netproof_enforcer::backend::nft::services::{self, Site};
use netproof_enforcer::program::Compiler;
use netproof_enforcer::proxy::{self, NodeView};
use netproof_enforcer::{Numbers, ProxyOptions};
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
        let node = NodeView::new(&case.snapshot, "node1");
        let options = ProxyOptions::default();
        let site = Site { topology: &case.snapshot.topology, node: &node, options };
        let gathered = proxy::inputs(&case.snapshot);
        let ruleset = services::render(&gathered, site, &mut Numbers::even()).ruleset;
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("proxy-{}", case.name), ruleset.to_string());
        });
    }
}
