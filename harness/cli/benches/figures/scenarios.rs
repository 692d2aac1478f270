//! The whole of `scenarios/`: wall time, and what share of it is spent waiting.

use crate::ms;
use netproof_documents::Options;
use netproof_model::event::Summary;
use netproof_runner::{RunOptions, run};
use std::path::Path;

pub fn measure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = Options { root: Some(root.clone()), ..Options::default() };
    let loaded = netproof_format::load(&[root.join("scenarios")], &options).expect("the scenarios");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    println!("| jobs | scenario runs | checks | wall time | a scenario run | waiting |");
    println!("|---|---|---|---|---|---|");
    let mut choices = vec![1, jobs];
    choices.dedup();
    for jobs in choices {
        let options = RunOptions { jobs, ..RunOptions::default() };
        let summary: Summary = run(&loaded, &options, &mut |_| {});
        let share = 100.0 * summary.waited.as_secs_f64() / summary.busy.as_secs_f64();
        let each = summary.busy / u32::try_from(summary.scenarios.total().max(1)).unwrap_or(u32::MAX);
        println!(
            "| {jobs} | {} | {} | {} | {} | {share:.1} % |",
            summary.scenarios.total(),
            summary.checks.total(),
            ms(summary.elapsed),
            ms(each),
        );
    }
}
