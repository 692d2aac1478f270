//! What other enforcers make of a file, by their profiles.

use crate::command::run;

/// What `explain` says of a flow of the file, in its first line, in a profile.
fn first_line(profile: &str, flow: &str) -> String {
    let file = format!("{}/tests/cli/field/inputs/everywhere-by-block.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = run(&["explain", "--profile", profile, &file, "--flow", flow]);
    let line = text.lines().find(|line| line.contains("scraper -> "));
    line.unwrap_or(&text).to_owned()
}

#[test]
fn whether_a_block_matches_a_node_is_the_profiles_choice() {
    let node = "pod/scraper -> node/node2:9100";
    let outside = "pod/scraper -> external/internet:443";
    for (profile, to_node) in [
        ("netproof", "allow"),
        ("calico", "allow"),
        ("cilium", "deny"),
        ("strict", "ip-block-and-nodes"),
        ("kube-router", "ip-block-and-nodes"),
        ("antrea", "ip-block-and-nodes"),
        ("aws", "ip-block-and-nodes"),
    ] {
        let line = first_line(profile, node);
        assert!(line.contains(to_node), "{profile}: {line}");
        let line = first_line(profile, outside);
        assert!(line.contains("allow") && !line.contains("ip-block"), "{profile}: {line}");
    }
}
