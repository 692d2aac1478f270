//! The way to netfilter (nf_tables, conntrack): a netlink socket, and attributes as its messages have them.

mod attributes;
mod socket;

pub(crate) use attributes::{Attributes, attribute};
pub use socket::Refusal;
pub(crate) use socket::{HEADERS, Message, Socket};
