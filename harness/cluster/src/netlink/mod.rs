//! Links, addresses, neighbours, routes and forwarding entries, over rtnetlink.
//!
//! A small blocking client: requests are queued and sent many at a time, and the kernel answers before
//! `send` returns. docs/decisions/0002-netlink-without-rtnetlink.md says why it is not the crate
//! `rtnetlink`.

mod message;
mod netfilter;
mod socket;

pub(crate) use message::*;
pub(crate) use netfilter::{
    XTable, conntrack, forget_connections, ipset, nf_tables, nflog, nfnetlink_queue, nft_queue, xtables,
};
pub(crate) use socket::{Netlink, NetlinkError};
