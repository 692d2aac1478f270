//! The objects that a plan says its steps lead through are those that a control plane makes of its changes.

use super::*;
use netproof_controlplane::ControlPlane;

#[test]
fn the_states_of_a_plan_are_those_of_its_changes() {
    let folders = ["semantics", "services", "conformance/no-window"];
    let folders = folders.map(|folder| repository().join("scenarios").join(folder));
    let loaded = load(&folders, &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let mut repeated = 0;
    for plan in &loaded.plans {
        let mut control = ControlPlane::new(plan.topology.clone()).unwrap();
        assert_eq!(plan.own, control.snapshot(), "{}", plan.id);
        assert_eq!(plan.start.snapshot(), control.apply(&plan.initial).unwrap(), "{}", plan.id);
        for step in &plan.steps {
            let place = format!("{}, {}", plan.id, step.name);
            let mut through = step.states.through().iter();
            assert!(through.next().unwrap().has_same_objects(&control.snapshot()), "{place}");
            for (changes, state) in step.change_sets.iter().zip(through.by_ref()) {
                assert!(state.has_same_objects(&control.apply(changes).unwrap()), "{place}");
            }
            assert_eq!(through.count(), 0, "{place}");
            // A later round leads to no others.
            for changes in step.change_sets.iter().filter(|_| step.rounds > 1 || !step.streams.is_empty()) {
                control.apply(changes).unwrap();
                repeated += 1;
            }
            assert!(step.states.after().has_same_objects(&control.snapshot()), "{place}");
            assert!(step.states.control().snapshot().has_same_objects(&step.states.after()), "{place}");
        }
    }
    assert!(loaded.plans.len() > 100 && repeated > 20, "{} plans, {repeated} changes", loaded.plans.len());
}
