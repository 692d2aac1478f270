//! Passes values that serde's data model lacks: a whole [`Node`], a [`Span`], an [`Error`] with its place.
//! The deserializer puts the value into a thread-local slot and makes a marked call; the type's visitor
//! recognises the mark and takes the value out at once.

use super::error::Error;
use super::tree::Node;
use crate::source::Span;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

thread_local! {
    static NODE: Cell<Option<Node>> = const { Cell::new(None) };
    static SPAN: Cell<Option<Span>> = const { Cell::new(None) };
    static ERROR: Cell<Option<Error>> = const { Cell::new(None) };
}

const NODE_NAME: &str = "$netproof::Node";
const SPANNED_NAME: &str = "$netproof::Spanned";
const ERROR_SIGN: &str = "$netproof::Error";

/// Handles a request for a newtype struct of this name if it is one of ours; otherwise returns the
/// deserializer.
pub(super) fn newtype<'de, D, V>(
    name: &str,
    deserializer: D,
    node: impl FnOnce() -> Option<Node>,
    span: Span,
    visitor: V,
) -> Result<V::Value, Error>
where
    D: Deserializer<'de, Error = Error>,
    V: Visitor<'de>,
{
    match name {
        NODE_NAME => {
            NODE.set(node());
            visitor.visit_unit()
        }
        SPANNED_NAME => {
            SPAN.set(Some(span));
            visitor.visit_newtype_struct(deserializer)
        }
        _ => visitor.visit_newtype_struct(deserializer),
    }
}

/// The error that [`Node::read`] put into the slot, if `message` is its mark.
pub(super) fn take_error(message: &str) -> Option<Error> {
    if message == ERROR_SIGN { ERROR.take() } else { None }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl Visitor<'_> for NodeVisitor {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node of a YAML tree")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                NODE.take().ok_or_else(|| E::custom("a node can only be read from a YAML tree"))
            }
        }
        deserializer.deserialize_newtype_struct(NODE_NAME, NodeVisitor)
    }
}

impl Node {
    /// Reads a typed value inside a `Deserialize` of one's own: take the [`Node`] first, look at it,
    /// then read what it is. Errors keep their place within the node.
    ///
    /// ```
    /// # use netproof_text::yaml::Node;
    /// # use serde::{Deserialize, Deserializer};
    /// enum Verdict { All(String), Each(std::collections::BTreeMap<String, String>) }
    /// impl<'de> Deserialize<'de> for Verdict {
    ///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
    ///         let node = Node::deserialize(deserializer)?;
    ///         if node.as_str().is_some() { node.read().map(Verdict::All) } else { node.read().map(Verdict::Each) }
    ///     }
    /// }
    /// ```
    pub fn read<T: DeserializeOwned, E: de::Error>(&self) -> Result<T, E> {
        T::deserialize(self).map_err(|error| {
            ERROR.set(Some(error));
            E::custom(ERROR_SIGN)
        })
    }
}

/// A value and its place, for fields of types that are read with [`from_node`](super::from_node).
#[derive(Clone, Copy, Debug, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The place of the node it was read from; empty if it was not read from YAML.
    pub span: Span,
}

/// Equal if the values are: the place does not count.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpannedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
                let span = SPAN.take().unwrap_or_default();
                Ok(Spanned { value: T::deserialize(inner)?, span })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED_NAME, SpannedVisitor(PhantomData))
    }
}
