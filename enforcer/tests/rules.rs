//! What the rulesets of the cases look like to a person.

mod world;

use netproof_enforcer::program::Compiler;
use netproof_enforcer::{Numbers, policy, proxy};
use world::cases;

#[test]
fn policies() {
    for case in cases::policies() {
        let program = Compiler::new(&case.snapshot).node("node1");
        let ruleset = policy::render(&program, &case.snapshot.topology, &mut Numbers::odd());
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("policy-{}", case.name), ruleset.to_string());
        });
    }
}

#[test]
fn services() {
    for case in cases::services() {
        let node = &case.snapshot.nodes["node1"];
        let services = proxy::compile(&case.snapshot);
        let ruleset =
            proxy::render(&services, &case.snapshot.topology, &node.addresses, &mut Numbers::even());
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("proxy-{}", case.name), ruleset.to_string());
        });
    }
}
