//! The reasons that `netproof explain` gives for each recipe, one snapshot a recipe: read aloud, they are what
//! a reader of the recipe would say.

use netproof_documents::Options;
use netproof_explain::{Question, explain};
use netproof_format::load;
use std::path::Path;

const RECIPES: [&str; 14] = [
    "allow-all-traffic-from-a-namespace",
    "allow-all-traffic-to-an-application",
    "allow-traffic-from-all-namespaces",
    "allow-traffic-from-apps-using-multiple-selectors",
    "allow-traffic-from-external-clients",
    "allow-traffic-from-some-pods-in-another-namespace",
    "allow-traffic-only-to-a-port-of-an-application",
    "deny-all-non-whitelisted-traffic-from-a-namespace",
    "deny-all-non-whitelisted-traffic-to-a-namespace",
    "deny-all-traffic-from-other-namespaces",
    "deny-all-traffic-to-an-application",
    "deny-egress-traffic-from-an-application",
    "deny-external-egress-traffic",
    "limit-traffic-to-an-application",
];

#[test]
fn every_recipe_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/recipes");
    for recipe in RECIPES {
        let path = folder.join(format!("{recipe}.yaml"));
        let loaded = load(&[path], &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = loaded.plans.first().unwrap_or_else(|| panic!("{recipe} has no run"));
        let mut text = String::new();
        // What a policy decides: a step without one explains nothing but defaults.
        for step in
            plan.steps.iter().filter(|step| step.expectations.iter().any(|it| it.decided_by.is_some()))
        {
            let question =
                Question { step: Some(&step.name), flow: None, namespace: "default", profile: None };
            let explanations = explain(plan, &question).unwrap_or_else(|error| panic!("{error}"));
            text.push_str(&format!("{}\n", step.name));
            for explanation in explanations {
                text.push_str(&format!("\n{explanation}"));
            }
            text.push_str("\n----\n");
        }
        assert!(!text.is_empty(), "{recipe}");
        insta::assert_snapshot!(recipe, text);
    }
}
