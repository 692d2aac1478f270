//! What docs/events.md shows is what the types read.

use netproof_model::Decision;
use netproof_model::event::CellTable;
use std::path::Path;

#[test]
fn the_examples_of_the_documentation_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks: Vec<&str> =
        text.split("```json\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let [deciders, cells] = blocks[..] else { panic!("{} examples", blocks.len()) };
    for line in deciders.lines() {
        serde_json::from_str::<Decision>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    serde_json::from_str::<CellTable>(cells).unwrap();
}
