//! Features of a kernel that programs of others need, and that netproof itself does without.

use std::fmt;

/// A feature of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelFeature {
    /// nf_tables' `queue` expression, which hands packets to a program.
    NftQueue,
    /// Packets handed to programs, whatever rule does so.
    NfnetlinkQueue,
    /// The target of iptables that does so, through nf_tables.
    XtNfqueue,
    /// Sets of addresses, as ipset makes them.
    IpSet,
    /// Matches of iptables in nf_tables, with which iptables-nft looks into such sets.
    XtSet,
}

impl KernelFeature {
    /// Every feature.
    pub const ALL: [KernelFeature; 5] = [
        KernelFeature::NftQueue,
        KernelFeature::NfnetlinkQueue,
        KernelFeature::XtNfqueue,
        KernelFeature::IpSet,
        KernelFeature::XtSet,
    ];
}

/// As profiles of agents name it: that of the kernel's module.
impl fmt::Display for KernelFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KernelFeature::NftQueue => "nft_queue",
            KernelFeature::NfnetlinkQueue => "nfnetlink_queue",
            KernelFeature::XtNfqueue => "xt_nfqueue",
            KernelFeature::IpSet => "ip_set",
            KernelFeature::XtSet => "xt_set",
        })
    }
}
