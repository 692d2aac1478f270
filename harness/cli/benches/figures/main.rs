//! The figures of docs/performance.md: `cargo bench -p netproof`. Each stands beside its yardstick,
//! measured in the same run on the same machine, so that the ratio means something elsewhere too.
//!
//! `cargo bench -p netproof -- build` measures one part only: build, policy, services,
//! manifests, scenarios or agents.

#![expect(clippy::expect_used, reason = "a measurement ends at the first surprise")]

mod agents;
mod build;
mod manifests;
mod policy;
mod scenarios;
mod services;
mod worlds;

use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    // Before any thread exists.
    if let Err(error) = netproof_cluster::sandbox::enter() {
        eprintln!("cannot measure here: {error}");
        return ExitCode::from(3);
    }
    let parts: [(&str, fn()); 6] = [
        ("build", build::measure),
        ("policy", policy::measure),
        ("services", services::measure),
        ("manifests", manifests::measure),
        ("scenarios", scenarios::measure),
        ("agents", agents::measure),
    ];
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            println!("\n### {name}\n");
            measure();
        }
    }
    ExitCode::SUCCESS
}

/// The median of several runs of `run`, after one that warms up. `run` says how long it took, so that it
/// can leave its preparation out.
fn median(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    run();
    let mut times: Vec<Duration> = (0..runs).map(|_| run()).collect();
    times.sort();
    times[times.len() / 2]
}

/// How long `work` takes.
fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let result = work();
    (begin.elapsed(), result)
}

/// Milliseconds, as the tables print them.
fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// How many times `yardstick` goes into `duration`.
fn ratio(duration: Duration, yardstick: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() / yardstick.as_secs_f64())
}
