//! `docs/points.md` says of each point of NetworkPolicy which scenarios show it; the scenarios say so themselves,
//! by their tags. `UPDATE_DOCS=1` writes the column anew.

#![expect(clippy::panic, reason = "a test says what went wrong by panicking")]

use netproof_documents::Options;
use netproof_model::{Families, Wiring};
use netproof_plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const POINTS: usize = 56;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the suite plays, in one variant of what makes no difference here.
static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let (wiring, family) = (Some(Wiring::Routed), Some(Families::Dual));
    let options = Options { root: Some(root()), wiring, family, ..Options::default() };
    let suite = root().join("scenarios/conformance/networkpolicy.yaml");
    netproof_format::load(&[suite], &options).unwrap_or_else(|errors| panic!("{errors}")).plans
});

fn points_of(plan: &Plan) -> BTreeSet<usize> {
    let number = |tag: &String| {
        let number = tag.strip_prefix("point-")?;
        Some(number.parse().unwrap_or_else(|_| panic!("{}: the tag {tag}", plan.id)))
    };
    plan.tags.iter().filter_map(number).collect()
}

/// Every point from the first to the last is shown, and the page has a line for each that names its scenarios.
#[test]
fn every_point_is_shown_by_the_scenarios_that_the_page_names() {
    let mut shown: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for plan in PLANS.iter() {
        for point in points_of(plan) {
            let scenario = format!("`{}::{}`", plan.id.suite, plan.id.name);
            shown.entry(point).or_default().insert(scenario);
        }
    }
    assert_eq!(shown.keys().copied().collect::<Vec<_>>(), (1..=POINTS).collect::<Vec<_>>());

    let page = root().join("docs/points.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let mut next = 1;
    let mut real = String::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", number, sentence, open, _, ""] if number.parse() == Ok(next) => {
                let scenarios: Vec<&str> = shown[&next].iter().map(String::as_str).collect();
                real.push_str(&format!("| {next} | {sentence} | {open} | {} |", scenarios.join(", ")));
                next += 1;
            }
            _ => real.push_str(line),
        }
        real.push('\n');
    }
    assert_eq!(next, POINTS + 1, "the page has no line for point {next}, or not in its place");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &real).expect("the page is written");
    } else if real != text {
        let differs = text.lines().zip(real.lines()).find(|(a, b)| a != b);
        panic!("docs/points.md is not what the tags say (UPDATE_DOCS=1 rewrites it): {differs:#?}");
    }
}

/// A description may name points, as in \"(semantics, points 26, 27 and 30 to 32)\"; the tags know them, too.
#[test]
fn descriptions_and_tags_name_the_same_points() {
    let mut wrong = Vec::new();
    for plan in PLANS.iter() {
        let (said, tags) = (points_in(&plan.description), points_of(plan));
        if !said.is_subset(&tags) {
            let name = format!("{}::{}", plan.id.suite, plan.id.name);
            wrong.push(format!("{name}: the description names {said:?}, the tags {tags:?}"));
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn points_in(description: &str) -> BTreeSet<usize> {
    let mut points = BTreeSet::new();
    for (at, word) in description.match_indices("point") {
        let rest = description[at + word.len()..].trim_start_matches('s');
        let mut last: Option<usize> = None;
        let mut range = false;
        for word in rest.split_whitespace() {
            let number = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            match (word, number.parse::<usize>(), last) {
                (_, Ok(point), Some(first)) if range => points.extend(first..=point),
                (_, Ok(point), _) => {
                    points.insert(point);
                }
                ("and", ..) => continue,
                ("to", ..) => {
                    range = true;
                    continue;
                }
                _ => break,
            }
            range = false;
            last = number.parse().ok();
            // The list ends with a bracket or a full stop.
            if !word.ends_with(|c: char| c.is_ascii_digit() || c == ',') {
                break;
            }
        }
    }
    points
}

#[test]
fn points_are_found_in_a_description() {
    let text = "Blocks (semantics, points 26, 27 and 30 to 32) are 4 things. What ends (point 48) ends; point of view.";
    assert_eq!(points_in(text), BTreeSet::from([26, 27, 30, 31, 32, 48]));
}
