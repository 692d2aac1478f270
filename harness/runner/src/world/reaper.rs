//! Taking worlds apart beside the next run.
//!
//! Closing a netfilter socket waits until the kernel has freed the rules that were replaced in its
//! namespace, several milliseconds a socket, and there are four on each node: a third of a run, were it
//! to wait for them.

use crate::world::World;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread that drops the worlds of finished runs.
#[derive(Debug)]
pub(crate) struct Reaper {
    worlds: Option<SyncSender<World>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Starts the thread. `runs` is how many runs there are at once: so many worlds may wait, one of each,
    /// before a run waits for its turn. It bounds the memory.
    pub(crate) fn new(runs: usize) -> Reaper {
        let (worlds, finished): (_, Receiver<World>) = sync_channel(runs);
        let thread = std::thread::spawn(move || finished.into_iter().for_each(drop));
        Reaper { worlds: Some(worlds), thread: Some(thread) }
    }

    /// Takes a world that nobody needs any more.
    pub(crate) fn take(&self, world: World) {
        // Without the thread, which ends with the reaper only, the world is dropped here.
        if let Some(worlds) = &self.worlds {
            let _ = worlds.send(world);
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.worlds = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened; there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}
