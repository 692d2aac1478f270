//! Rule numbers: short enough for a log prefix, and never used twice in a run.

use netproof_model::{Identity, IdentityTable};
use std::collections::HashMap;

/// Gives every identity its number. Policy counts the odd ones and the proxy the even ones, so that
/// one look into each table suffices for a number of either.
#[derive(Clone, Debug)]
pub struct Numbers {
    table: IdentityTable,
    by_identity: HashMap<Identity, u32>,
    next: u32,
}

impl Numbers {
    /// The policy enforcer's: 1, 3, 5, ...
    pub fn odd() -> Self {
        Numbers { table: IdentityTable::new(), by_identity: HashMap::new(), next: 1 }
    }

    /// The proxy's: 2, 4, 6, ...
    pub fn even() -> Self {
        Numbers { next: 2, ..Numbers::odd() }
    }

    /// The number of an identity: the one that it has, or a new one.
    pub fn of(&mut self, identity: Identity) -> u32 {
        if let Some(number) = self.by_identity.get(&identity) {
            return *number;
        }
        let number = self.next;
        self.next = number.saturating_add(2);
        self.table.insert(number, identity.clone());
        self.by_identity.insert(identity, number);
        number
    }

    /// Every number given so far.
    pub fn table(&self) -> &IdentityTable {
        &self.table
    }
}

/// The comment of a rule that has a number: the number and what it stands for, cut where the kernel cuts it.
pub(crate) fn comment(number: u32, text: &str) -> String {
    format!("{number} {text}")
}

/// The number in such a comment.
pub(crate) fn number_in(comment: &str) -> Option<u32> {
    comment.split_once(' ')?.0.parse().ok()
}
