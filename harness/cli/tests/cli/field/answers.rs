//! A request that arrives, and an answer that takes another path.

use crate::command::{Folder, run};
use std::time::{Duration, Instant};

const INPUT: &str = include_str!("inputs/asked-elsewhere.yaml");

#[test]
fn an_answer_that_takes_another_way_is_expected_and_found_at_once() {
    let folder = Folder::with(&[("asked.yaml", INPUT)]);
    assert_eq!(
        folder.run(&["validate", "asked.yaml"]),
        "exit code 0\n--- stdout\nvalid: 1 file, 2 scenario runs\n"
    );
    let began = Instant::now();
    let text = folder.run(&["run", "asked.yaml"]);
    assert!(text.starts_with("exit code 0\n") && text.contains("4 checks, all passed"), "{text}");
    // Waiting for the answer would take six seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{text}");
}

#[test]
fn whoever_expects_another_outcome_is_told_which_way_the_answer_takes() {
    let folder = Folder::with(&[(
        "asked.yaml",
        &INPUT.replace("outcome: no-answer\n          sees: pod/buyer", "verdict: allow"),
    )]);
    let text = folder.run(&["validate", "asked.yaml"]);
    assert!(text.starts_with("exit code 2\n"), "{text}");
    for part in [
        "expected allow, the API says no-answer",
        "Its answer goes to pod/default/buyer (10.244.1.3) and not over node/node3, which translated the destination",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The packets say so, too, and that is a verdict and no trouble of the machine.
    let text = folder.run(&["run", "asked.yaml", "--family", "ipv4"]);
    assert!(text.starts_with("exit code 1\n"), "{text}");
    assert!(text.contains("the scenario contradicts the API, and the packets do as the API says"), "{text}");
}

#[test]
fn the_answer_as_data_has_the_word_too() {
    let file =
        format!("{}/../../scenarios/services/answers-that-take-another-way.yaml", env!("CARGO_MANIFEST_DIR"));
    let asked = ["explain", &file, "--json", "--flow", "pod/client -> nodeport/far@node3:80"];
    let text = run(&asked);
    assert!(text.contains("\"no-answer\""), "{text}");
}
