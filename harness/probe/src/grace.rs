//! How long an answer is waited for of which there is no sign.
//!
//! Nothing in a cluster takes three seconds, but a real timeout is due before "allowed" becomes "lost". Where the
//! network loses answers all the time, as under an enforcer that drops too much, each batch would wait so long.
//! So what waits for one run shares a grace: once it is spent, waits are brief.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// So many batches may wait in full for answers that do not come.
const FULL: usize = 4;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Until the request is sent once more.
    pub repeat: Duration,
    /// Until the end.
    pub answer: Duration,
}

const PATIENT: Waits = Waits { repeat: Duration::from_secs(1), answer: Duration::from_secs(3) };
/// As long as a denial of which there is no sign is waited for. The packets that the kernel has put off are waited
/// for besides.
const BRIEF: Waits = Waits { repeat: Duration::from_millis(20), answer: Duration::from_millis(50) };

/// What is left of the patience of everybody who probes for one run.
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

    /// A batch has waited so long for an answer that did not come.
    pub(crate) fn spend(&self, waits: Waits) {
        let counter = if waits == PATIENT { &self.spent } else { &self.brief };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What to tell of a run in which waits became brief; `None` where none did.
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
