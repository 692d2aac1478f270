//! How long to wait for an expected answer without evidence.
//!
//! Nothing in a cluster takes three seconds, but "allowed" may become "lost" only after a real timeout. If
//! the network loses answers all the time, as under an enforcer that drops too much, each batch would wait
//! that long. So all probers of a run share a grace: once it is spent, waits are brief (decision 0019).

use netproof_model::DataPath;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The number of batches that may wait in full for answers that do not come.
const FULL: usize = 4;

/// A wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Until the request is sent again, and again between two times.
    pub repeat: Duration,
    /// How often it is sent again.
    pub repeats: u32,
    /// Until the wait ends.
    pub answer: Duration,
}

/// Where the kernel decides, an answer that does not come after a second try does not come.
const PATIENT: Waits = Waits { repeat: Duration::from_secs(1), repeats: 1, answer: Duration::from_secs(3) };
/// The same wait as for an expected denial without evidence. Deferred packets are waited for in addition.
const BRIEF: Waits =
    Waits { repeat: Duration::from_millis(20), repeats: 1, answer: Duration::from_millis(50) };
/// A program that decides may lose a packet now and then: TCP has sent its SYN two times more by then, after one second
/// and after three.
const PATIENT_WITH_PROGRAMS: Waits =
    Waits { repeat: Duration::from_secs(1), repeats: 2, answer: Duration::from_secs(4) };
const BRIEF_WITH_PROGRAMS: Waits =
    Waits { repeat: Duration::from_millis(30), repeats: 2, answer: Duration::from_millis(100) };

/// The full wait and the brief one.
fn waits(data_path: DataPath) -> (Waits, Waits) {
    match data_path {
        DataPath::Kernel => (PATIENT, BRIEF),
        DataPath::UserSpace => (PATIENT_WITH_PROGRAMS, BRIEF_WITH_PROGRAMS),
    }
}

/// The remaining full waits of all probers of one run.
#[derive(Debug, Default)]
pub struct Grace {
    spent: AtomicUsize,
    brief: AtomicUsize,
}

impl Grace {
    /// How long a batch that begins to wait now may wait.
    pub(crate) fn waits(&self, data_path: DataPath) -> Waits {
        let (patient, brief) = waits(data_path);
        if self.spent.load(Ordering::Relaxed) < FULL { patient } else { brief }
    }

    /// Records that a batch waited this long for an answer that did not come.
    pub(crate) fn spend(&self, data_path: DataPath, waited: Waits) {
        let (patient, _) = waits(data_path);
        let counter = if waited == patient { &self.spent } else { &self.brief };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The warning for a run in which waits became brief; `None` if none did. All of its probers have this data path.
    pub fn notice(&self, data_path: DataPath) -> Option<String> {
        let (patient, brief) = waits(data_path);
        let times = self.brief.load(Ordering::Relaxed);
        (times > 0).then(|| {
            let often = if times == 1 { "once".to_owned() } else { format!("{times} times") };
            format!(
                "so many answers did not come that they were waited for {} ms and no longer {} s, {often} after the \
                 first {}",
                brief.answer.as_millis(),
                patient.answer.as_secs(),
                self.spent.load(Ordering::Relaxed)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_spent_once_for_all() {
        let (grace, kernel) = (Grace::default(), DataPath::Kernel);
        for _ in 0..FULL {
            assert_eq!(grace.waits(kernel), PATIENT);
            grace.spend(kernel, PATIENT);
        }
        assert_eq!((grace.waits(kernel), grace.notice(kernel)), (BRIEF, None));
        grace.spend(kernel, BRIEF);
        insta::assert_snapshot!(
            grace.notice(kernel).unwrap(),
            @"so many answers did not come that they were waited for 50 ms and no longer 3 s, once after the first 4"
        );
        grace.spend(kernel, BRIEF);
        insta::assert_snapshot!(
            grace.notice(kernel).unwrap(),
            @"so many answers did not come that they were waited for 50 ms and no longer 3 s, 2 times after the first 4"
        );
    }

    #[test]
    fn programs_have_more_time() {
        let (grace, programs) = (Grace::default(), DataPath::UserSpace);
        for _ in 0..FULL {
            assert_eq!(grace.waits(programs), PATIENT_WITH_PROGRAMS);
            grace.spend(programs, PATIENT_WITH_PROGRAMS);
        }
        grace.spend(programs, grace.waits(programs));
        insta::assert_snapshot!(
            grace.notice(programs).unwrap(),
            @"so many answers did not come that they were waited for 100 ms and no longer 4 s, once after the first 4"
        );
    }
}
