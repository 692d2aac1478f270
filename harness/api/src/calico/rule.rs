//! Rules of policies and profiles.

use super::selector::Selector;
use crate::networking::Cidr;
use netproof_model::Family;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;

/// A rule. It matches a packet for which everything holds that it says.
///
/// `http` is not kept: where packets are filtered, such a rule matches what the rest of it matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalicoRule {
    /// What it does with a packet.
    pub action: CalicoAction,
    /// `ipVersion`: packets of this family alone.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ipVersion", with = "ip_version")]
    pub family: Option<Family>,
    /// Packets of this protocol alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolNumber>,
    /// Packets of any protocol but this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_protocol: Option<ProtocolNumber>,
    /// ICMP messages of this type and code alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpMatch>,
    /// No ICMP messages of this type and code.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "notICMP")]
    pub not_icmp: Option<IcmpMatch>,
    /// The source.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub source: EntityRule,
    /// The destination.
    #[serde(default, skip_serializing_if = "EntityRule::is_empty")]
    pub destination: EntityRule,
}

/// 4 or 6.
mod ip_version {
    use netproof_model::Family;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(family: &Option<Family>, to: S) -> Result<S::Ok, S::Error> {
        family.map(|family| if family == Family::Ipv4 { 4 } else { 6 }).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Family>, D::Error> {
        match Option::<u8>::deserialize(from)? {
            None => Ok(None),
            Some(4) => Ok(Some(Family::Ipv4)),
            Some(6) => Ok(Some(Family::Ipv6)),
            Some(_) => Err(de::Error::custom("an IP version is 4 or 6")),
        }
    }
}

/// What a rule does with a packet that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CalicoAction {
    /// Allows it.
    Allow,
    /// Denies it.
    Deny,
    /// Logs it, and goes on with the next rule.
    Log,
    /// Leaves the tier; in a profile, the profile.
    Pass,
}

/// What a rule asks of one end of a packet. One that says nothing matches every address and port.
///
/// A selector that is absent or empty is `None`, which is not the same as `all()`: that means every address that
/// Calico knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EntityRule {
    /// One of these ranges has the address, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<Cidr>,
    /// None of these ranges has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_nets: Vec<Cidr>,
    /// The address is of an endpoint or a set that this matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// It is of none that this matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_selector: Option<Selector>,
    /// Where `selector` looks: in the namespaces with these labels; `global()` means in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// The address is of a pod of one of these service accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountMatch>,
    /// The address (and of a destination the port) is an endpoint's of this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceMatch>,
    /// The port is one of these, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMatch>,
    /// It is none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<PortMatch>,
}

impl EntityRule {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == EntityRule::default()
    }
}

/// Service accounts; both hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccountMatch {
    /// The account has one of these names, if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Its labels match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceMatch {
    /// Its name.
    pub name: String,
    /// Its namespace. In a namespaced policy it may be absent: the reference means the policy's own then, while Calico
    /// 3.32 looks for a service without a namespace and finds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A type of ICMP messages, and a code of that type. Without a type it is every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IcmpMatch {
    /// The type, 0 to 254.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// The code; absent means every code. Never without a type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

/// An entry of `ports` and `notPorts`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "NumberOrText", try_from = "NumberOrText")]
pub enum PortMatch {
    /// A port, or the ports of a range, both ends included.
    Range {
        /// The first, never 0.
        first: u16,
        /// The last, not before the first.
        last: u16,
    },
    /// The ports of this name that the endpoint at the address declares.
    Named(String),
}

impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortMatch::Range { first, last } if first == last => write!(f, "{first}"),
            PortMatch::Range { first, last } => write!(f, "{first}:{last}"),
            PortMatch::Named(name) => f.write_str(name),
        }
    }
}

/// As the API writes ports and protocols.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u16),
    Text(String),
}

impl From<PortMatch> for NumberOrText {
    fn from(port: PortMatch) -> NumberOrText {
        match port {
            PortMatch::Range { first, last } if first == last => NumberOrText::Number(first),
            other => NumberOrText::Text(other.to_string()),
        }
    }
}

impl TryFrom<NumberOrText> for PortMatch {
    type Error = &'static str;

    fn try_from(written: NumberOrText) -> Result<PortMatch, Self::Error> {
        let (first, last) = match &written {
            NumberOrText::Number(port) => (*port, *port),
            NumberOrText::Text(text) => match text.split_once(':') {
                None => return Ok(PortMatch::Named(text.clone())),
                Some((first, last)) => match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) => (first, last),
                    _ => return Err("a range of ports has two numbers"),
                },
            },
        };
        if first == 0 || first > last { Err("no such ports") } else { Ok(PortMatch::Range { first, last }) }
    }
}

/// The number of a protocol above IP (IANA), 1 to 255. The API's names are names of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "NumberOrText", try_from = "NumberOrText")]
pub struct ProtocolNumber(NonZeroU8);

impl ProtocolNumber {
    /// The names that the API knows.
    pub const NAMES: [(&'static str, u8); 6] =
        [("TCP", 6), ("UDP", 17), ("ICMP", 1), ("ICMPv6", 58), ("SCTP", 132), ("UDPLite", 136)];

    /// The protocol of this number; `None` for 0.
    pub fn new(number: u8) -> Option<ProtocolNumber> {
        NonZeroU8::new(number).map(ProtocolNumber)
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

/// Its name, or the number if it has none here.
impl fmt::Display for ProtocolNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, number)| *number == self.get()) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl From<ProtocolNumber> for NumberOrText {
    fn from(protocol: ProtocolNumber) -> NumberOrText {
        match ProtocolNumber::NAMES.iter().find(|(_, number)| *number == protocol.get()) {
            Some((name, _)) => NumberOrText::Text((*name).to_owned()),
            None => NumberOrText::Number(protocol.get().into()),
        }
    }
}

impl TryFrom<NumberOrText> for ProtocolNumber {
    type Error = &'static str;

    fn try_from(written: NumberOrText) -> Result<ProtocolNumber, Self::Error> {
        let number = match &written {
            NumberOrText::Number(number) => u8::try_from(*number).ok(),
            NumberOrText::Text(text) => {
                ProtocolNumber::NAMES.iter().find(|(name, _)| name == text).map(|(_, number)| *number)
            }
        };
        number.and_then(ProtocolNumber::new).ok_or("no such protocol")
    }
}
