//! A world with what was rehearsed in it, and the worlds that wait for the next run that fits.

use crate::RunOptions;
use crate::walk::cells::Rehearsed;
use crate::world::{HarnessError, Reaper, World};
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::Observation;
use netproof_model::event::ScenarioId;
use netproof_plan::Plan;
use netproof_probe::{Grace, Probe};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many probes are made in one world: each leaves an entry in the connection tables of its nodes for up to
/// half a minute, and where memory is short the kernel has room for 65,536.
const MOST_PROBES: usize = 24_000;

/// So many worlds wait where they are kept for every later run of their topology. The suites mix some twenty
/// topologies of one wiring: with six worlds one run of fourteen builds its own, with all twenty one of forty.
const MOST_KEPT: usize = 6;
/// The same where every run has a topology of its own, for what is tried again: the agents of a world that waits work
/// on, and take their time from those of the others.
const MOST_KEPT_AT_RANDOM: usize = 1;

/// A world, and what was tried in it without policy.
pub(super) struct SharedWorld {
    pub(super) world: World,
    rehearsals: Vec<Rehearsal>,
    /// How many probes were made in it whose connections it knows.
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

    /// Takes away everything that the runs before have made, as one change set that must be in force before
    /// anything else comes, and forgets what they have tried and connected. `seed` is the next run's.
    fn start_over(&mut self, seed: u64) -> Result<(), HarnessError> {
        self.rehearsals.clear();
        let topology = Arc::clone(&self.world.snapshot().topology);
        self.world.start_over(ControlPlane::new(topology)?, seed)?;
        self.probes = 0;
        Ok(())
    }
}

/// A world that waits.
#[derive(Debug)]
struct Waiting {
    /// The group of the run that had it last.
    group: Option<String>,
    /// That run.
    left_by: ScenarioId,
    shared: SharedWorld,
}

/// Worlds between runs, the patience that they share, and the end of worlds that nobody needs any more.
#[derive(Debug)]
pub struct Worlds {
    /// The one that has waited longest first.
    waiting: Mutex<Vec<Waiting>>,
    /// How many runs there are at once.
    runs: usize,
    /// How many worlds wait where worlds are kept.
    kept: usize,
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
        Worlds::keeping(runs, runs.max(MOST_KEPT))
    }

    /// For runs that have a topology of their own each.
    pub fn of_random_runs(runs: usize) -> Worlds {
        Worlds::keeping(runs, MOST_KEPT_AT_RANDOM)
    }

    fn keeping(runs: usize, kept: usize) -> Worlds {
        Worlds { waiting: Mutex::default(), runs, kept, grace: Arc::default(), reaper: Reaper::new(runs) }
    }

    /// The patience that all worlds share.
    pub(crate) fn grace(&self) -> Arc<Grace> {
        Arc::clone(&self.grace)
    }

    /// A world in which a run of the same group has ended, as that has left it; else, where worlds are kept, an
    /// empty one in which any run of the same topology has ended. `None` if neither waits.
    ///
    /// # Errors
    /// If the world cannot be emptied. It is gone then.
    pub(super) fn take(
        &self,
        plan: &Plan,
        options: &RunOptions,
        seed: u64,
    ) -> Result<Option<SharedWorld>, HarnessError> {
        if let Some(Waiting { shared, .. }) = self
            .take_where(|it| plan.group.is_some() && it.group == plan.group && it.shared.probes < MOST_PROBES)
        {
            return Ok(Some(shared));
        }
        if !options.keeps_worlds() {
            return Ok(None);
        }
        let of_topology = |it: &Waiting| it.shared.world.snapshot().topology == plan.topology;
        let Some(Waiting { mut shared, left_by, .. }) = self.take_where(of_topology) else {
            return Ok(None);
        };
        match shared.start_over(seed) {
            Ok(()) => Ok(Some(shared)),
            Err(error) => {
                self.discard(shared);
                Err(HarnessError::NotEmptied { left_by, source: Box::new(error) })
            }
        }
    }

    fn take_where(&self, fits: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter().position(fits)?;
        Some(waiting.remove(index))
    }

    /// Takes back the world of a run that came to its end, for the next that fits.
    pub(super) fn keep(&self, plan: &Plan, options: &RunOptions, shared: SharedWorld) {
        // Where worlds are kept its connections are forgotten before another run has it.
        let is_for_its_group = plan.group.is_some() && shared.probes < MOST_PROBES;
        if !options.keeps_worlds() && !is_for_its_group {
            return self.discard(shared);
        }
        let most = if options.keeps_worlds() { self.kept } else { self.runs };
        let too_many = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Waiting { group: plan.group.clone(), left_by: plan.id.clone(), shared });
            (waiting.len() > most).then(|| waiting.remove(0).shared)
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
