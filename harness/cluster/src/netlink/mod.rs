//! Links, addresses, neighbours, routes and forwarding entries, over rtnetlink.
//!
//! A small blocking client: requests are queued, sent many at a time, and answered before `send`
//! returns. Why not the crate `rtnetlink`: docs/decisions/0002-netlink-without-rtnetlink.md.

mod message;
mod netfilter;
mod socket;

pub(crate) use message::*;
pub(crate) use netfilter::{conntrack, ipset, nf_tables, nflog};
pub(crate) use socket::{Netlink, NetlinkError};
