//! The names of interfaces that the cluster and an enforcer have to agree on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The first characters of the names of pods' interfaces on their nodes: one to four letters and digits, a letter
/// first. The names have eleven characters more, and Linux allows fifteen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfacePrefix(String);

/// Why a text is no [`InterfacePrefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix of interface names is one to four letters and digits, a letter first")]
pub struct NotAPrefix;

impl InterfacePrefix {
    /// The most characters.
    pub const MAX: usize = 4;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `np`.
impl Default for InterfacePrefix {
    fn default() -> Self {
        InterfacePrefix("np".to_owned())
    }
}

impl FromStr for InterfacePrefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        InterfacePrefix::try_from(text.to_owned())
    }
}

impl TryFrom<String> for InterfacePrefix {
    type Error = NotAPrefix;

    fn try_from(text: String) -> Result<Self, NotAPrefix> {
        let is_right = text.len() <= InterfacePrefix::MAX
            && text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|other| other.is_ascii_alphanumeric());
        if is_right { Ok(InterfacePrefix(text)) } else { Err(NotAPrefix) }
    }
}

impl From<InterfacePrefix> for String {
    fn from(prefix: InterfacePrefix) -> String {
        prefix.0
    }
}

impl fmt::Display for InterfacePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_one_to_four_letters_and_digits() {
        for right in ["np", "cali", "a", "v2x"] {
            assert_eq!(right.parse::<InterfacePrefix>().unwrap().as_str(), right);
        }
        for wrong in ["", "calic", "2np", "n p", "n/p", "n%d", "nü", "np."] {
            assert_eq!(wrong.parse::<InterfacePrefix>(), Err(NotAPrefix), "{wrong:?}");
        }
    }

    #[test]
    fn the_default_is_one() {
        let default = InterfacePrefix::default();
        assert_eq!(default.as_str().parse(), Ok(default));
    }
}
