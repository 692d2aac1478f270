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

impl World {
    /// The node where most packets wait for a program's decision, and how many. `None` where the kernel decides, and
    /// where nothing waits.
    pub(crate) fn undecided(&mut self) -> Result<Option<(Place, u64)>, ProbeError> {
        if self.data_path == DataPath::Kernel {
            return Ok(None);
        }
        let mut most = None;
        let nodes = self.stacks.iter_mut().filter(|(place, _)| matches!(place, Place::Node(_)));
        for (place, stack) in nodes {
            let packets = stack.undecided().map_err(system("read the queues of packets", place))?;
            if packets > most.as_ref().map_or(0, |(_, packets)| *packets) {
                most = Some((place.clone(), packets));
            }
        }
        Ok(most)
    }
}

impl Stack {
    /// How many packets wait in its queues. The kernel has the file once a program has used a queue.
    fn undecided(&mut self) -> io::Result<u64> {
        if self.queues.is_none() {
            self.queues = match self.netns.enter(|| File::open(QUEUES))? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                opened => Some(opened?),
            };
        }
        let Some(file) = &self.queues else { return Ok(0) };
        let mut bytes = [0; 4096];
        let length = file.read_at(&mut bytes, 0)?;
        waiting(&String::from_utf8_lossy(&bytes[..length]))
    }
}

/// The sum over the queues. A text that is not the kernel's is an error: taken for "none", it would hide packets.
fn waiting(queues: &str) -> io::Result<u64> {
    let number = |line: &str| {
        let column = line.split_whitespace().nth(WAITING).and_then(|column| column.parse::<u64>().ok());
        column.ok_or_else(|| io::Error::other(format!("not a queue: {line:?}")))
    };
    queues.lines().map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_any_queue_counts() {
        let queue = |waiting: u64| format!("  100  12345 {waiting:5} 2 65531     0     0       17  1\n");
        assert_eq!(waiting("").unwrap(), 0);
        assert_eq!(waiting(&(queue(0) + &queue(0))).unwrap(), 0);
        assert_eq!(waiting(&(queue(3) + &queue(1024))).unwrap(), 1027);
        assert!(waiting("many packets wait\n").is_err());
    }
}
