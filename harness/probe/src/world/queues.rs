//! The packets that wait in nodes until a program decides about them.
//!
//! Where an enforcer's verdicts are made in user space, a packet that has not arrived may wait in a queue of NFQUEUE.
//! The kernel says how many do, so nothing has to be guessed from the time.

use super::{World, system};
use crate::error::ProbeError;
use crate::stack::Stack;
use netproof_model::{DataPath, Place};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The queues of a namespace, one a line (linux/net/netfilter/nfnetlink_queue.c).
const QUEUES: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";
/// The column with the number of waiting packets.
const WAITING: usize = 2;
/// The column with the number of packets that were ever queued (`id_sequence`).
const QUEUED: usize = 7;

/// The queues of all nodes at one moment. Nothing where the kernel decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    /// The node where most packets wait for a program's decision, and how many. `None` where nothing waits.
    pub waiting: Option<(Place, u64)>,
    /// How many packets were ever queued: whether one was queued between two looks.
    pub queued: u64,
}

/// The same of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    waiting: u64,
    queued: u64,
}

impl World {
    /// Looks at the queues of every node.
    pub(crate) fn queues(&mut self) -> Result<Queues, ProbeError> {
        let mut queues = Queues::default();
        if self.data_path == DataPath::Kernel {
            return Ok(queues);
        }
        let nodes = self.stacks.iter_mut().filter(|(place, _)| matches!(place, Place::Node(_)));
        for (place, stack) in nodes {
            let counts = stack.queues().map_err(system("read the queues of packets", place))?;
            if counts.waiting > queues.waiting.as_ref().map_or(0, |(_, packets)| *packets) {
                queues.waiting = Some((place.clone(), counts.waiting));
            }
            queues.queued += counts.queued;
        }
        Ok(queues)
    }
}

impl Stack {
    /// Its queues. The kernel has the file once a program has used a queue.
    fn queues(&mut self) -> io::Result<Counts> {
        if self.queues.is_none() {
            self.queues = match self.netns.enter(|| File::open(QUEUES))? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Counts::default()),
                opened => Some(opened?),
            };
        }
        let Some(file) = &self.queues else { return Ok(Counts::default()) };
        let mut bytes = [0; 4096];
        let length = file.read_at(&mut bytes, 0)?;
        counts(&String::from_utf8_lossy(&bytes[..length]))
    }
}

/// The sums over the queues. A text that is not the kernel's is an error: taken for "none", it would hide packets.
fn counts(queues: &str) -> io::Result<Counts> {
    let mut sums = Counts::default();
    for line in queues.lines() {
        let number = |column: usize| {
            let text = line.split_whitespace().nth(column);
            let number = text.and_then(|text| text.parse::<u64>().ok());
            number.ok_or_else(|| io::Error::other(format!("not a queue: {line:?}")))
        };
        sums.waiting += number(WAITING)?;
        sums.queued += number(QUEUED)?;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_any_queue_counts() {
        let queue = |waiting: u64, queued: u64| {
            format!("  100  12345 {waiting:5} 2 65531     0     0 {queued:8}  1\n")
        };
        let of = |text: &str| counts(text).map(|it| (it.waiting, it.queued)).unwrap();
        assert_eq!(of(""), (0, 0));
        assert_eq!(of(&(queue(0, 17) + &queue(0, 3))), (0, 20));
        assert_eq!(of(&(queue(3, 3) + &queue(1024, 5000))), (1027, 5003));
        assert!(counts("many packets wait\n").is_err());
        assert!(counts("  100  12345     0 2 65531\n").is_err());
    }
}
