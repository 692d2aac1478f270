//! Repeated objects: the last one counts, and differences are warnings.

use crate::command::run;

/// What `matrix --predict` says of these files of the folder, their paths left out.
fn predicted(files: &[&str]) -> String {
    let folder = format!("{}/tests/cli/field/inputs/written-twice/", env!("CARGO_MANIFEST_DIR"));
    let paths: Vec<String> = files.iter().map(|file| format!("{folder}{file}")).collect();
    let mut arguments = vec!["matrix", "--predict", "--to", "shop"];
    arguments.extend(paths.iter().map(String::as_str));
    run(&arguments).replace(&folder, "")
}

#[test]
fn an_export_and_what_it_was_made_of_say_the_same() {
    let alone = predicted(&["export.yaml"]);
    for files in [["export.yaml", "same.yaml"], ["same.yaml", "export.yaml"]] {
        let both = predicted(&files).replace(&files.join(" "), "export.yaml");
        assert_eq!(both, alone, "{files:?}");
    }
}

#[test]
fn a_changed_policy_after_an_export_answers_what_if() {
    insta::assert_snapshot!(predicted(&["export.yaml", "policy.yaml"]));
}

#[test]
fn the_order_of_the_files_says_which_one_counts() {
    let text = predicted(&["policy.yaml", "export.yaml"]);
    assert!(text.contains("networkpolicy/shop/cart replaces the one at policy.yaml:2:1"), "{text}");
    assert!(text.contains("pod/shop/admin         X"), "{text}");
}

#[test]
fn a_changed_deployment_replaces_the_pods_of_its_old_template() {
    insta::assert_snapshot!(predicted(&["export.yaml", "deployment.yaml"]));
}
