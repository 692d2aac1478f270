//! The points of NetworkPolicy that implementations get wrong, one case or more for each.

use crate::script::run;

#[test]
fn every_point_has_the_right_answer() {
    let ids = run(include_str!("cases/networkpolicy.txt"));
    let numbers = |id: &String| id.split('-').next().unwrap().parse::<usize>().unwrap();
    let points: Vec<usize> = {
        let mut points: Vec<usize> = ids.iter().map(numbers).collect();
        points.dedup();
        points
    };
    assert_eq!(points, (1..=56).collect::<Vec<_>>());
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "an id stands twice");
}
