//! The table of the Kubernetes e2e tests has all of them, with their pods and their truth tables.

use super::*;
use netproof_api::Object;
use netproof_controlplane::Change;
use std::collections::BTreeSet;

#[test]
fn there_are_as_many_tests_pods_and_validations() {
    let options = Options { family: Some(Families::Ipv4), ..Options::default() };
    let path = repository().join("scenarios/conformance/kubernetes-e2e.yaml");
    let loaded = load(&[path], &options).unwrap_or_else(|errors| panic!("{errors}"));
    let (of_the_api, tests): (Vec<&Plan>, Vec<&Plan>) =
        loaded.plans.iter().partition(|plan| plan.tags.contains("api"));
    assert_eq!((tests.len(), of_the_api.len()), (48, 2));
    for (protocol, count) in [("tcp", 42), ("udp", 4), ("sctp", 3)] {
        // One of those for TCP looks at UDP, too.
        let tagged = tests.iter().filter(|plan| plan.tags.contains(protocol)).count();
        assert_eq!(tagged, count, "{protocol}");
    }
    let is_pod = |change: &&Change| matches!(change, Change::Apply(Object::Pod(_)));
    let pods: usize = tests.iter().map(|plan| plan.initial.iter().filter(is_pod).count()).sum();
    assert_eq!(pods, 157);
    // Each validation of a test is a table of one port. The suite has 65; the step in which one policy allows what
    // another one excepts is ours.
    let mut tables = 0;
    for plan in &tests {
        let pods = plan.initial.iter().filter(is_pod).count();
        for step in &plan.steps {
            let ports: BTreeSet<_> = step.expectations.iter().map(|it| it.flow.port.clone()).collect();
            assert_eq!(
                step.expectations.len(),
                ports.len() * pods * (pods - 1),
                "{}, {}",
                plan.id,
                step.name
            );
            tables += ports.len();
        }
    }
    assert_eq!(tables, 66);
}
