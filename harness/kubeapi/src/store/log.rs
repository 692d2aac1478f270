//! What happened, in order: what watches are told.

use super::Stored;
use crate::events::EventType;
use crate::kinds::KindId;
use crate::selector::Selector;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much JSON of changes is kept; of more the oldest change sets are forgotten. A scenario changes some hundred
/// kilobytes, an hour of `netproof fuzz` some hundred megabytes; in memory an object takes some ten times its JSON.
const KEPT: usize = 8 << 20;

/// What happened to one object.
pub(super) enum Change {
    Added(Arc<Stored>),
    Modified {
        before: Arc<Stored>,
        after: Arc<Stored>,
    },
    /// As it was, under the version of its deletion.
    Deleted(Arc<Stored>),
}

/// A change as a client sees it that has selected objects: one that is selected no more is deleted to it.
pub(crate) struct Seen {
    pub kind: EventType,
    pub object: Arc<Stored>,
}

/// What followed a version is no longer all kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooOld {
    /// The oldest version that can be followed.
    pub oldest: u64,
}

struct Record {
    version: u64,
    kind: KindId,
    change: Change,
}

/// The newest change sets.
#[derive(Default)]
pub(super) struct Log {
    records: VecDeque<Record>,
    size: usize,
    /// The newest version of what was forgotten.
    forgotten: u64,
}

impl Log {
    /// Appends a change set; those before it are forgotten where there are too many.
    pub(super) fn append(&mut self, version: u64, changes: Vec<(KindId, Change)>) {
        for (kind, change) in changes {
            let record = Record { version, kind, change };
            self.size += record.size();
            self.records.push_back(record);
        }
        while self.size > KEPT {
            let Some(oldest) = self.records.front().map(|record| record.version).filter(|it| *it != version)
            else {
                break;
            };
            let end = self.records.partition_point(|record| record.version <= oldest);
            self.size -= self.records.drain(..end).map(|record| record.size()).sum::<usize>();
            self.forgotten = oldest;
        }
    }

    /// What a client has not seen that has seen everything up to a version.
    pub(super) fn since(&self, kind: KindId, selector: &Selector, version: u64) -> Result<Vec<Seen>, TooOld> {
        if version < self.forgotten {
            return Err(TooOld { oldest: self.forgotten });
        }
        let first = self.records.partition_point(|record| record.version <= version);
        let records = self.records.range(first..).filter(|record| record.kind == kind);
        Ok(records.filter_map(|record| record.seen(selector)).collect())
    }
}

impl Record {
    fn size(&self) -> usize {
        let (Change::Added(object) | Change::Deleted(object) | Change::Modified { after: object, .. }) =
            &self.change;
        object.json.len()
    }

    fn seen(&self, selector: &Selector) -> Option<Seen> {
        let seen = |kind, object: &Arc<Stored>| Some(Seen { kind, object: Arc::clone(object) });
        match &self.change {
            Change::Added(object) if selector.matches(&object.value) => seen(EventType::Added, object),
            Change::Deleted(object) if selector.matches(&object.value) => seen(EventType::Deleted, object),
            Change::Added(_) | Change::Deleted(_) => None,
            Change::Modified { before, after } => {
                match (selector.matches(&before.value), selector.matches(&after.value)) {
                    (true, true) => seen(EventType::Modified, after),
                    (false, true) => seen(EventType::Added, after),
                    // It is told as it was when it was last selected.
                    (true, false) => Some(Seen { kind: EventType::Deleted, object: before.at(self.version) }),
                    (false, false) => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    #[test]
    fn of_too_much_the_oldest_change_sets_are_forgotten_whole() {
        let (kind, _) = kinds::of_object("v1", "Pod").unwrap();
        let large = || Change::Added(Stored::new(json!({"text": "x".repeat(KEPT / 5)})));
        let mut log = Log::default();
        for version in 2..=4 {
            log.append(version, vec![(kind, large()), (kind, large())]);
        }
        let all = Selector::default();
        assert_eq!(log.since(kind, &all, 1).err(), Some(TooOld { oldest: 2 }));
        assert_eq!(log.since(kind, &all, 2).unwrap().len(), 4);
        assert_eq!(log.since(kind, &all, 3).unwrap().len(), 2);
        assert_eq!(log.since(kind, &all, 4).unwrap().len(), 0);
        // One change set is kept, however large it is.
        log.append(5, (0..7).map(|_| (kind, large())).collect());
        assert_eq!(log.since(kind, &all, 4).unwrap().len(), 7);
        assert_eq!(log.since(kind, &all, 3).err(), Some(TooOld { oldest: 4 }));
    }
}
