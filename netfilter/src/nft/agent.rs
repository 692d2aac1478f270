//! Loads a ruleset into one node's kernel, with one atomic switch for each change.
//!
//! A change that fits into one send is one transaction. A larger one is built side by side:
//!
//! 1. Several transactions make everything but the base chains, under the names of a new epoch. Nothing
//!    refers to it yet.
//! 2. A last, small transaction makes the base chains refer to the new epoch.
//! 3. The old epoch is removed.

use super::diff::{build, demolish, difference, leftovers, repoint, same_shape, sets_made, undo};
use super::encode::{Epoch, Message, Operation, encode};
use super::kernel::{Kernel, KernelError};
use super::ruleset::{Ruleset, Table, TableId};
use std::os::fd::BorrowedFd;

/// The cost of one change, for measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Transactions sent.
    pub transactions: usize,
    /// Messages in them.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Whether a new epoch was built side by side.
    pub side_by_side: bool,
}

/// One component's connection to one node's nf_tables, and what it has loaded there.
pub struct Agent {
    kernel: Kernel,
    /// What is in force, under the names of `epoch`.
    current: Ruleset,
    epoch: Epoch,
    /// The highest epoch ever begun, so that names of a failed epoch are never reused.
    last_epoch: u32,
    /// What else the kernel has under the names of `epoch`; nothing in force refers to it.
    leftover: Ruleset,
    /// What would remove the remains of earlier epochs.
    litter: Vec<Message>,
    fresh: bool,
}

impl Agent {
    /// Opens an agent in the namespace, whose socket asks for a send buffer of this many bytes.
    pub fn open(netns: BorrowedFd<'_>, send_buffer: usize) -> Result<Agent, KernelError> {
        Ok(Agent {
            kernel: Kernel::open(netns, send_buffer)?,
            current: Ruleset::default(),
            epoch: Epoch(0),
            last_epoch: 0,
            leftover: Ruleset::default(),
            litter: Vec::new(),
            fresh: true,
        })
    }

    /// What is in force.
    pub fn current(&self) -> &Ruleset {
        &self.current
    }

    /// The most bytes of messages in one transaction.
    pub fn send_limit(&self) -> usize {
        self.kernel.limit()
    }

    /// Makes `new` the ruleset in force. If the switch fails the old one stays in force.
    pub fn apply(&mut self, new: Ruleset) -> Result<Report, KernelError> {
        let mut report = Report::default();
        if self.fresh {
            self.remove_foreign(&new, &mut report)?;
            self.fresh = false;
        }
        if self.current == new {
            return Ok(report);
        }
        let mut held = std::mem::take(&mut self.current);
        merge(&mut held, std::mem::take(&mut self.leftover));
        let result = match self.change(&held, &new, &mut report) {
            Ok(None) => self.switch_epoch(&mut held, &new, &mut report).map(|()| Tidied::all()),
            Ok(Some(tidied)) => Ok(tidied),
            Err(error) => Err(error),
        };
        let tidied = match result {
            Ok(tidied) => tidied,
            Err(error) => {
                self.current = held;
                return Err(error);
            }
        };
        self.current = new;
        self.finish(tidied, &mut report)?;
        Ok(report)
    }

    /// Changes a part of the ruleset in force, at the cost of that part: `gone` is the part as it is in
    /// force, `come` as it shall be. A set in both may be shared with other parts: `gone` and `come` then
    /// have only the elements of this part.
    pub fn patch(&mut self, gone: Ruleset, come: &Ruleset) -> Result<Report, KernelError> {
        let mut report = Report::default();
        let mut held = gone;
        merge(&mut held, self.leftover.clone());
        let Some(tidied) = self.change(&held, come, &mut report)? else {
            let mut new = self.current.clone();
            edit(&mut new, &held, come);
            return self.apply(new);
        };
        edit(&mut self.current, &held, come);
        self.finish(tidied, &mut report)?;
        Ok(report)
    }

    /// Changes what the kernel has under the names of this epoch to `new`, with one transaction for the
    /// switch. Returns `None` and does nothing if that transaction would be too large. What was made before
    /// a switch that failed is a leftover.
    fn change(
        &mut self,
        held: &Ruleset,
        new: &Ruleset,
        report: &mut Report,
    ) -> Result<Option<Tidied>, KernelError> {
        let way = difference(held, new);
        let switch = messages(&way.switch, self.epoch);
        if size(&switch) > self.kernel.limit() {
            return Ok(None);
        }
        let ahead = messages(&way.ahead, self.epoch);
        if size(&ahead) > self.kernel.limit() {
            return Ok(None);
        }
        self.commit(&ahead, report)?;
        if let Err(error) = self.commit(&switch, report) {
            merge_all(&mut self.leftover, sets_made(&way.ahead));
            return Err(error);
        }
        let (done, result) = self.commit_in_parts(&way.tidy, self.epoch, report);
        Ok(Some(Tidied { leftover: leftovers(way.tidy.iter().skip(done)), result }))
    }

    /// After the switch: remembers what the kernel could not remove yet.
    fn finish(&mut self, tidied: Tidied, report: &mut Report) -> Result<(), KernelError> {
        self.leftover = tidied.leftover;
        unless_busy(tidied.result)?;
        self.sweep(report)
    }

    /// Builds `new` next to the ruleset in force, then switches over. On an error `held` stays in force;
    /// what was built so far is litter, and `held` lists the tables that exist now.
    fn switch_epoch(
        &mut self,
        held: &mut Ruleset,
        new: &Ruleset,
        report: &mut Report,
    ) -> Result<(), KernelError> {
        report.side_by_side = true;
        self.last_epoch += 1;
        let epoch = Epoch(self.last_epoch);
        for id in new.tables.keys() {
            if !held.tables.contains_key(id) {
                self.commit(&messages(&[Operation::AddTable(*id)], epoch), report)?;
                held.tables.insert(*id, Table::default());
            }
        }
        let building = build(held, new);
        let (built, result) = self.commit_in_parts(&building, epoch, report);
        let result = result.and_then(|()| {
            // Base chains have the same names in every epoch; their rules are encoded under the new one.
            self.commit(&messages(&repoint(held, new), epoch), report)
        });
        if let Err(error) = result {
            self.litter.extend(messages(&undo(building.iter().take(built)), epoch));
            return Err(error);
        }
        self.litter.extend(messages(&demolish(held, new), self.epoch));
        self.epoch = epoch;
        Ok(())
    }

    /// Removes the remains of earlier epochs, as far as the kernel can remove them already.
    fn sweep(&mut self, report: &mut Report) -> Result<(), KernelError> {
        while !self.litter.is_empty() {
            let taken = part(&self.litter, self.kernel.limit());
            let part: Vec<Message> = self.litter.iter().take(taken).cloned().collect();
            match self.commit(&part, report) {
                Ok(()) => drop(self.litter.drain(..taken)),
                Err(error) => return unless_busy(Err(error)),
            }
        }
        Ok(())
    }

    /// Never builds upon tables of our names that something else left in the namespace.
    fn remove_foreign(&mut self, new: &Ruleset, report: &mut Report) -> Result<(), KernelError> {
        for id in new.tables.keys().copied().collect::<Vec<TableId>>() {
            if self.kernel.has_table(id)? {
                self.commit(&messages(&[Operation::DeleteTable(id)], Epoch(0)), report)?;
            }
        }
        Ok(())
    }

    /// Sends the operations in order, in as few transactions as the limit allows. Also returns how many
    /// operations are done.
    fn commit_in_parts(
        &mut self,
        operations: &[Operation<'_>],
        epoch: Epoch,
        report: &mut Report,
    ) -> (usize, Result<(), KernelError>) {
        let mut done = 0;
        let mut pending = Vec::new();
        let mut pending_size = 0;
        for (position, operation) in operations.iter().enumerate() {
            let mut encoded = Vec::new();
            encode(operation, epoch, &mut encoded);
            for message in encoded {
                if pending_size + message.size() > self.kernel.limit() {
                    if let Err(error) = self.commit(&std::mem::take(&mut pending), report) {
                        return (done, Err(error));
                    }
                    pending_size = 0;
                    done = position;
                }
                pending_size += message.size();
                pending.push(message);
            }
        }
        match self.commit(&pending, report) {
            Ok(()) => (operations.len(), Ok(())),
            Err(error) => (done, Err(error)),
        }
    }

    fn commit(&mut self, messages: &[Message], report: &mut Report) -> Result<(), KernelError> {
        if messages.is_empty() {
            return Ok(());
        }
        report.transactions += 1;
        report.messages += messages.len();
        report.bytes += size(messages);
        self.kernel.commit(messages)
    }
}

/// The result of removing what nothing refers to any more.
struct Tidied {
    leftover: Ruleset,
    result: Result<(), KernelError>,
}

impl Tidied {
    fn all() -> Tidied {
        Tidied { leftover: Ruleset::default(), result: Ok(()) }
    }
}

/// Kernels before 6.2 notice late that nothing refers to a chain any more, so its removal may have to wait.
fn unless_busy(result: Result<(), KernelError>) -> Result<(), KernelError> {
    match result {
        Err(error) if error.is_busy() => Ok(()),
        result => result,
    }
}

fn messages(operations: &[Operation<'_>], epoch: Epoch) -> Vec<Message> {
    let mut messages = Vec::new();
    for operation in operations {
        encode(operation, epoch, &mut messages);
    }
    messages
}

fn size(messages: &[Message]) -> usize {
    messages.iter().map(Message::size).sum()
}

/// How many messages fit into one send; at least one.
fn part(messages: &[Message], limit: usize) -> usize {
    let mut sum = 0;
    let fitting = messages.iter().take_while(|message| {
        sum += message.size();
        sum <= limit
    });
    fitting.count().max(1)
}

fn merge(into: &mut Ruleset, from: Ruleset) {
    for (id, table) in from.tables {
        if let Some(held) = into.tables.get_mut(&id) {
            held.sets.extend(table.sets);
            held.chains.extend(table.chains);
        }
    }
}

/// The same, tables included that `into` does not have.
fn merge_all(into: &mut Ruleset, from: Ruleset) {
    for id in from.tables.keys() {
        into.tables.entry(*id).or_default();
    }
    merge(into, from);
}

/// Replaces `gone` by `come`.
fn edit(ruleset: &mut Ruleset, gone: &Ruleset, come: &Ruleset) {
    for (id, part) in &gone.tables {
        let Some(table) = ruleset.tables.get_mut(id) else { continue };
        let kept = come.tables.get(id);
        for (name, set) in &part.sets {
            if kept.is_some_and(|come| come.sets.contains_key(name)) {
                if let Some(held) = table.sets.get_mut(name) {
                    for element in set.elements.keys() {
                        held.elements.remove(element);
                    }
                }
            } else {
                table.sets.remove(name);
            }
        }
        for name in part.chains.keys() {
            table.chains.remove(name);
        }
    }
    for (id, part) in &come.tables {
        let table = ruleset.tables.entry(*id).or_default();
        for (name, set) in &part.sets {
            match table.sets.get_mut(name) {
                Some(held) if same_shape(held, set) => held.elements.extend(set.elements.clone()),
                _ => drop(table.sets.insert(name.clone(), set.clone())),
            }
        }
        table.chains.extend(part.chains.clone());
    }
}
