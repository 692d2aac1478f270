//! How long to wait for an expected answer without evidence.
//!
//! Nothing in a cluster takes three seconds, but "allowed" may become "lost" only after a real timeout. If
//! the network loses answers all the time, as under an enforcer that drops too much, each batch would wait
//! that long. So all probers of a run share a grace: once it is spent, waits are brief (decision 0019).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The number of batches that may wait in full for answers that do not come.
const FULL: usize = 4;

/// A wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Until the request is sent again.
    pub repeat: Duration,
    /// Until the wait ends.
    pub answer: Duration,
}

const PATIENT: Waits = Waits { repeat: Duration::from_secs(1), answer: Duration::from_secs(3) };
/// The same wait as for an expected denial without evidence. Deferred packets are waited for in addition.
const BRIEF: Waits = Waits { repeat: Duration::from_millis(20), answer: Duration::from_millis(50) };

/// The remaining full waits of all probers of one run.
#[derive(Debug, Default)]
pub struct Grace {
    spent: AtomicUsize,
    brief: AtomicUsize,
}

impl Grace {
    /// How long a batch that begins to wait now may wait.
    pub(crate) fn waits(&self) -> Waits {
        if self.spent.load(Ordering::Relaxed) < FULL { PATIENT } else { BRIEF }
    }

    /// Records that a batch waited this long for an answer that did not come.
    pub(crate) fn spend(&self, waits: Waits) {
        let counter = if waits == PATIENT { &self.spent } else { &self.brief };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The warning for a run in which waits became brief; `None` if none did.
    pub fn notice(&self) -> Option<String> {
        let brief = self.brief.load(Ordering::Relaxed);
        (brief > 0).then(|| {
            let times = if brief == 1 { "once".to_owned() } else { format!("{brief} times") };
            format!(
                "so many answers did not come that they were waited for {} ms and no longer {} s, {times} after the \
                 first {}",
                BRIEF.answer.as_millis(),
                PATIENT.answer.as_secs(),
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
        let grace = Grace::default();
        for _ in 0..FULL {
            assert_eq!(grace.waits(), PATIENT);
            grace.spend(PATIENT);
        }
        assert_eq!((grace.waits(), grace.notice()), (BRIEF, None));
        grace.spend(BRIEF);
        insta::assert_snapshot!(
            grace.notice().unwrap(),
            @"so many answers did not come that they were waited for 50 ms and no longer 3 s, once after the first 4"
        );
        grace.spend(BRIEF);
        insta::assert_snapshot!(
            grace.notice().unwrap(),
            @"so many answers did not come that they were waited for 50 ms and no longer 3 s, 2 times after the first 4"
        );
    }
}
