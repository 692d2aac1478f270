//! Services: who may answer, and which source the server and policy see.

use crate::script::run;

#[test]
fn every_cell_has_the_right_answer() {
    run(include_str!("cases/services.txt"));
}
