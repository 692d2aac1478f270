//! Three-valued answers: yes, no, and "the API leaves it open", with the switches that would settle it.

use crate::profile::{Switch, Switches};

/// Whether something matches or passes.
///
/// The logic is Kleene's: what is open stays open only where no other part settles the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// In every reading of the API.
    No,
    /// In some readings and not in others: these switches would settle it.
    Either(Switches),
    /// In every reading of the API.
    Yes,
}

impl Truth {
    /// Open because of one switch.
    pub fn open(switch: Switch) -> Truth {
        Truth::Either(Switches::of(switch))
    }

    /// Both must hold: a no settles it.
    #[must_use]
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, rest) | (rest, Truth::Yes) => rest,
            (Truth::Either(a), Truth::Either(b)) => Truth::Either(a.union(b)),
        }
    }

    /// One is enough: a yes settles it.
    #[must_use]
    pub fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
            (Truth::No, rest) | (rest, Truth::No) => rest,
            (Truth::Either(a), Truth::Either(b)) => Truth::Either(a.union(b)),
        }
    }

    /// The answers of two readings that `switch` chooses between: open where they differ.
    #[must_use]
    pub fn either(self, other: Truth, switch: Switch) -> Truth {
        match (self, other) {
            (Truth::Yes, Truth::Yes) => Truth::Yes,
            (Truth::No, Truth::No) => Truth::No,
            (a, b) => Truth::Either(Switches::of(switch).union(a.switches()).union(b.switches())),
        }
    }

    fn switches(self) -> Switches {
        match self {
            Truth::Either(switches) => switches,
            Truth::No | Truth::Yes => Switches::default(),
        }
    }
}

impl From<bool> for Truth {
    fn from(yes: bool) -> Truth {
        if yes { Truth::Yes } else { Truth::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_does_not_depend_on_what_is_open() {
        let open = Truth::open(Switch::Icmp);
        for (a, b, and, or) in [
            (Truth::Yes, Truth::Yes, Truth::Yes, Truth::Yes),
            (Truth::Yes, Truth::No, Truth::No, Truth::Yes),
            (Truth::No, Truth::No, Truth::No, Truth::No),
            (open, Truth::Yes, open, Truth::Yes),
            (open, Truth::No, Truth::No, open),
            (open, open, open, open),
        ] {
            assert_eq!((a.and(b), b.and(a)), (and, and), "{a:?} and {b:?}");
            assert_eq!((a.or(b), b.or(a)), (or, or), "{a:?} or {b:?}");
        }
        let both = Truth::Either(Switches::of(Switch::Icmp).union(Switches::of(Switch::Sctp)));
        assert_eq!(open.and(Truth::open(Switch::Sctp)), both);
        assert_eq!(open.or(Truth::open(Switch::Sctp)), both);
    }

    #[test]
    fn two_readings_that_agree_leave_nothing_open() {
        let open = Truth::open(Switch::Icmp);
        assert_eq!(Truth::Yes.either(Truth::Yes, Switch::Icmp), Truth::Yes);
        assert_eq!(Truth::No.either(Truth::No, Switch::Icmp), Truth::No);
        assert_eq!(Truth::Yes.either(Truth::No, Switch::Icmp), open);
        assert_eq!(Truth::Yes.either(open, Switch::Icmp), open);
    }
}
