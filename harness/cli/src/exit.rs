//! Exit codes, for scripts.

use netproof_model::event::Summary;
use nix::sys::signal::Signal;
use std::process::ExitCode;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All as expected, and at least one scenario ran.
    AsExpected,
    /// A check failed, even if something broke, too; or one was skipped under `--require-all`.
    CheckFailed,
    /// Bad usage or bad input: nothing matched, or a file is wrong.
    BadInput,
    /// Trouble of the machine or of the harness, and no failed check.
    NotDone,
    /// A signal ended the run.
    Interrupted(Signal),
}

impl Exit {
    /// The exit code of a run that completed.
    pub fn of_run(summary: &Summary, require_all: bool) -> Exit {
        let (scenarios, checks) = (&summary.scenarios, &summary.checks);
        if scenarios.failed + checks.failed > 0 {
            Exit::CheckFailed
        } else if scenarios.errored + checks.errored > 0 {
            Exit::NotDone
        } else if require_all && scenarios.skipped + checks.skipped > 0 {
            Exit::CheckFailed
        } else if scenarios.passed > 0 {
            Exit::AsExpected
        } else {
            // Everything was skipped, because this machine lacks something.
            Exit::NotDone
        }
    }

    /// Something else could not be done.
    pub fn with_trouble(self, trouble: bool) -> Exit {
        match self {
            Exit::AsExpected if trouble => Exit::NotDone,
            other => other,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::CheckFailed => 1,
            Exit::BadInput => 2,
            Exit::NotDone => 3,
            Exit::Interrupted(signal) => 128u8.saturating_add(signal as u8),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::event::Counts;

    fn counts([passed, failed, errored, skipped]: [usize; 4]) -> Counts {
        Counts { passed, failed, errored, skipped }
    }

    #[test]
    fn the_worst_decides() {
        let cases = [
            // scenario runs, checks, --require-all, exit code
            ([1, 0, 0, 0], [9, 0, 0, 0], false, 0),
            ([1, 0, 0, 0], [9, 0, 0, 0], true, 0),
            ([1, 0, 0, 0], [9, 0, 0, 1], false, 0),
            ([1, 0, 0, 0], [9, 0, 0, 1], true, 1),
            ([1, 0, 0, 1], [9, 0, 0, 0], true, 1),
            ([1, 1, 0, 0], [9, 1, 0, 0], false, 1),
            ([1, 1, 1, 0], [9, 1, 1, 0], false, 1),
            ([1, 0, 1, 0], [9, 0, 0, 0], false, 3),
            ([1, 0, 1, 1], [9, 0, 0, 1], true, 3),
            ([0, 0, 0, 2], [0, 0, 0, 0], false, 3),
        ];
        for (scenarios, checks, require_all, code) in cases {
            let (scenarios, checks) = (counts(scenarios), counts(checks));
            let summary = Summary { scenarios, checks, ..Summary::default() };
            assert_eq!(
                Exit::of_run(&summary, require_all).code(),
                code,
                "{scenarios:?} {checks:?} {require_all}"
            );
        }
    }

    #[test]
    fn signals_have_the_numbers_that_shells_give_them() {
        assert_eq!(Exit::Interrupted(Signal::SIGINT).code(), 130);
        assert_eq!(Exit::Interrupted(Signal::SIGTERM).code(), 143);
    }
}
