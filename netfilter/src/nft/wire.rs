//! The kernel's numbers of attributes, registers and keys of nf_tables
//! (`include/uapi/linux/netfilter/nf_tables.h`), a module for each of its enums.

pub(super) mod table {
    pub const NAME: u16 = 1;
}

pub(super) mod chain {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 3;
    pub const HOOK: u16 = 4;
    pub const POLICY: u16 = 5;
    pub const TYPE: u16 = 7;
}

pub(super) mod hook {
    pub const NUMBER: u16 = 1;
    pub const PRIORITY: u16 = 2;
}

pub(super) mod rule {
    pub const TABLE: u16 = 1;
    pub const CHAIN: u16 = 2;
    pub const HANDLE: u16 = 3;
    pub const EXPRESSIONS: u16 = 4;
    pub const USERDATA: u16 = 7;
}

pub(super) mod set {
    pub const TABLE: u16 = 1;
    pub const NAME: u16 = 2;
    pub const FLAGS: u16 = 3;
    pub const KEY_TYPE: u16 = 4;
    pub const KEY_LENGTH: u16 = 5;
    pub const DATA_TYPE: u16 = 6;
    pub const DATA_LENGTH: u16 = 7;
    pub const DESCRIPTION: u16 = 9;
    pub const ID: u16 = 10;
    pub const TIMEOUT: u16 = 11;

    pub const FLAG_INTERVAL: u32 = 1 << 2;
    pub const FLAG_MAP: u32 = 1 << 3;
    pub const FLAG_TIMEOUT: u32 = 1 << 4;
    pub const FLAG_EVAL: u32 = 1 << 5;
    pub const FLAG_CONCATENATED: u32 = 1 << 7;
    /// The data type of a verdict map.
    pub const TYPE_VERDICT: u32 = 0xffff_ff00;
}

pub(super) mod description {
    pub const SIZE: u16 = 1;
    pub const CONCATENATION: u16 = 2;
    /// Of one field of the concatenation.
    pub const LENGTH: u16 = 1;
}

pub(super) mod elements {
    pub const TABLE: u16 = 1;
    pub const SET: u16 = 2;
    pub const ELEMENTS: u16 = 3;
}

pub(super) mod element {
    pub const KEY: u16 = 1;
    pub const DATA: u16 = 2;
    pub const FLAGS: u16 = 3;
    pub const KEY_END: u16 = 10;

    pub const FLAG_INTERVAL_END: u32 = 1;
}

/// An item of any list.
pub(super) const LIST_ITEM: u16 = 1;

pub(super) mod data {
    pub const VALUE: u16 = 1;
    pub const VERDICT: u16 = 2;
}

pub(super) mod verdict {
    pub const CODE: u16 = 1;
    pub const CHAIN: u16 = 2;

    pub const DROP: i32 = 0;
    pub const ACCEPT: i32 = 1;
    pub const JUMP: i32 = -3;
    pub const GOTO: i32 = -4;
    pub const RETURN: i32 = -5;
}

pub(super) mod expression {
    pub const NAME: u16 = 1;
    pub const DATA: u16 = 2;
}

pub(super) mod register {
    pub const VERDICT: u32 = 0;
    /// The first of four registers of 16 bytes.
    pub const FIRST: u32 = 1;
    pub const SECOND: u32 = 2;
    /// The first of sixteen registers of four bytes; it overlaps `FIRST`.
    pub const FIRST_WORD: u32 = 8;
}

pub(super) mod meta {
    pub const DESTINATION: u16 = 1;
    pub const KEY: u16 = 2;
    pub const SOURCE: u16 = 3;

    pub const PROTOCOL: u32 = 1;
    pub const MARK: u32 = 3;
    pub const INPUT_NAME: u32 = 6;
    pub const TRACE: u32 = 12;
    pub const NFPROTO: u32 = 15;
    pub const L4PROTO: u32 = 16;
}

pub(super) mod cmp {
    pub const SOURCE: u16 = 1;
    pub const OPERATION: u16 = 2;
    pub const DATA: u16 = 3;

    pub const EQUAL: u32 = 0;
    pub const NOT_EQUAL: u32 = 1;
}

pub(super) mod range {
    pub const SOURCE: u16 = 1;
    pub const OPERATION: u16 = 2;
    pub const FROM: u16 = 3;
    pub const TO: u16 = 4;

    pub const INSIDE: u32 = 0;
    pub const OUTSIDE: u32 = 1;
}

pub(super) mod payload {
    pub const DESTINATION: u16 = 1;
    pub const BASE: u16 = 2;
    pub const OFFSET: u16 = 3;
    pub const LENGTH: u16 = 4;

    pub const NETWORK_HEADER: u32 = 1;
    pub const TRANSPORT_HEADER: u32 = 2;
}

pub(super) mod lookup {
    pub const SET: u16 = 1;
    pub const SOURCE: u16 = 2;
    pub const DESTINATION: u16 = 3;
    pub const FLAGS: u16 = 5;

    pub const INVERTED: u32 = 1;
}

pub(super) mod dynset {
    pub const SET_NAME: u16 = 1;
    pub const OPERATION: u16 = 3;
    pub const KEY: u16 = 4;

    pub const UPDATE: u32 = 1;
}

pub(super) mod ct {
    pub const DESTINATION: u16 = 1;
    pub const KEY: u16 = 2;

    pub const STATE: u32 = 0;
    pub const STATUS: u32 = 2;
}

pub(super) mod bitwise {
    pub const SOURCE: u16 = 1;
    pub const DESTINATION: u16 = 2;
    pub const LENGTH: u16 = 3;
    pub const MASK: u16 = 4;
    pub const XOR: u16 = 5;
}

pub(super) mod immediate {
    pub const DESTINATION: u16 = 1;
    pub const DATA: u16 = 2;
}

pub(super) mod fib {
    pub const DESTINATION: u16 = 1;
    pub const RESULT: u16 = 2;
    pub const FLAGS: u16 = 3;

    pub const RESULT_INTERFACE: u32 = 1;
    pub const RESULT_ADDRESS_TYPE: u32 = 3;
    pub const OF_SOURCE: u32 = 1;
    pub const OF_DESTINATION: u32 = 1 << 1;
}

pub(super) mod log {
    pub const GROUP: u16 = 1;
    pub const PREFIX: u16 = 2;
    pub const LENGTH: u16 = 3;
    pub const THRESHOLD: u16 = 4;
}

pub(super) mod reject {
    pub const TYPE: u16 = 1;
    pub const CODE: u16 = 2;

    /// Reject by an ICMP error of the packet's own family.
    pub const ICMP: u32 = 0;
    /// Reject by an ICMP error that exists in every family.
    pub const ICMPX: u32 = 2;
    pub const ICMPX_PORT: u8 = 1;
}

pub(super) mod nat {
    pub const TYPE: u16 = 1;
    pub const FAMILY: u16 = 2;
    pub const ADDRESS: u16 = 3;
    pub const PORT: u16 = 5;

    pub const DESTINATION: u32 = 1;
}

pub(super) mod masquerade {
    pub const FLAGS: u16 = 1;

    /// `NF_NAT_RANGE_PROTO_RANDOM_FULLY` (`linux/netfilter/nf_nat.h`).
    pub const RANDOM_FULLY: u32 = 1 << 4;
}

pub(super) mod numgen {
    pub const DESTINATION: u16 = 1;
    pub const MODULUS: u16 = 2;
    pub const TYPE: u16 = 3;
    pub const OFFSET: u16 = 4;

    pub const RANDOM: u32 = 1;
}
