//! A world with what was rehearsed in it, and the worlds that wait for the next run of their group.

use crate::walk::cells::Rehearsed;
use crate::world::{Reaper, World};
use netproof_controlplane::Snapshot;
use netproof_model::Observation;
use netproof_plan::Plan;
use netproof_probe::{Grace, Probe};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many probes are made in one world: each leaves an entry in the connection tables of its nodes for up to
/// half a minute, and where memory is short the kernel has room for 65,536.
const MOST_PROBES: usize = 24_000;

/// A world, and what was tried in it without policy.
pub(super) struct SharedWorld {
    pub(super) world: World,
    rehearsals: Vec<Rehearsal>,
    /// How many probes were made in it.
    pub(super) probes: usize,
}

/// What was tried in one state of the objects without policy.
pub(super) struct Rehearsal {
    bare: Arc<Snapshot>,
    /// The flows of expectations, with all their tries.
    pub(super) flows: HashMap<Probe, Vec<Observation>>,
    /// The cells of the matrix, by number.
    pub(super) cells: HashMap<usize, Rehearsed>,
}

impl SharedWorld {
    pub(super) fn new(world: World) -> SharedWorld {
        SharedWorld { world, rehearsals: Vec::new(), probes: 0 }
    }

    /// What was tried in a state, which may be nothing yet, with the world to try more in.
    pub(super) fn rehearsal(&mut self, bare: &Arc<Snapshot>) -> (&mut World, &mut Rehearsal) {
        let known = self.rehearsals.iter().position(|it| it.bare.has_same_objects(bare));
        let index = known.unwrap_or_else(|| {
            let bare = Arc::clone(bare);
            self.rehearsals.push(Rehearsal { bare, flows: HashMap::new(), cells: HashMap::new() });
            self.rehearsals.len() - 1
        });
        (&mut self.world, &mut self.rehearsals[index])
    }
}

/// Worlds between the runs of their groups, the patience that they share, and the end of worlds that nobody needs
/// any more.
#[derive(Debug)]
pub struct Worlds {
    /// By group, the one that has waited longest first.
    waiting: Mutex<Vec<(String, SharedWorld)>>,
    /// So many may wait.
    most: usize,
    grace: Arc<Grace>,
    reaper: Reaper,
}

impl std::fmt::Debug for SharedWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedWorld").field("probes", &self.probes).finish_non_exhaustive()
    }
}

impl Worlds {
    /// `runs` is how many runs there are at once.
    pub fn new(runs: usize) -> Worlds {
        Worlds { waiting: Mutex::default(), most: runs, grace: Arc::default(), reaper: Reaper::new(runs) }
    }

    /// The patience that all worlds share.
    pub(crate) fn grace(&self) -> Arc<Grace> {
        Arc::clone(&self.grace)
    }

    /// A world in which a run of the same group has ended, if one waits.
    pub(super) fn take(&self, plan: &Plan) -> Option<SharedWorld> {
        let group = plan.group.as_ref()?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter().position(|(own, _)| own == group)?;
        Some(waiting.remove(index).1)
    }

    /// Takes back the world of a run that came to its end, for the next of its group.
    pub(super) fn keep(&self, plan: &Plan, shared: SharedWorld) {
        let Some(group) = plan.group.as_ref().filter(|_| shared.probes < MOST_PROBES) else {
            return self.discard(shared);
        };
        let too_many = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((group.clone(), shared));
            (waiting.len() > self.most).then(|| waiting.remove(0).1)
        };
        if let Some(shared) = too_many {
            self.discard(shared);
        }
    }

    /// Takes a world that nobody needs any more.
    pub(super) fn discard(&self, shared: SharedWorld) {
        self.reaper.take(shared.world);
    }
}
