//! A program as a person reads it: endpoints with their tiers, and the policies with their rules.

use super::{
    AddressTest, Attachment, Denial, End, IcmpTest, Match, PortTest, Program, ProtocolTest, RuleAction, Tier,
};
use std::fmt::{self, Display, Formatter};

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for endpoint in &self.endpoints {
            writeln!(f, "{}", endpoint.attachment)?;
            for ((stage, direction), tiers) in &endpoint.tiers {
                writeln!(f, "  {stage} {direction}")?;
                for tier in tiers {
                    self.tier(f, tier)?;
                }
            }
        }
        for (_, policy) in self.policies() {
            writeln!(f, "{} {}", policy.policy, policy.direction)?;
            for (position, rule) in policy.rules.iter().enumerate() {
                writeln!(f, "  {position}: {}{}", rule.action, rule.matches)?;
            }
        }
        Ok(())
    }
}

impl Program {
    fn tier(&self, f: &mut Formatter<'_>, tier: &Tier) -> fmt::Result {
        writeln!(f, "    tier {}, else {}", tier.name, tier.end)?;
        for id in &tier.policies {
            let policy = self.policy(*id).map_or_else(|| "gone".to_owned(), |it| it.policy.to_string());
            writeln!(f, "      {policy}")?;
        }
        Ok(())
    }
}

impl Display for Attachment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Attachment::Pod { pod, .. } => write!(f, "pod/{pod}"),
            Attachment::HostInterface(interface) => write!(f, "host interface {interface}"),
            Attachment::AllOfHost => f.write_str("every host interface"),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            End::Pass => f.write_str("pass"),
            End::Deny(denial) => denial.fmt(f),
            End::Isolation => f.write_str("isolation"),
        }
    }
}

impl Display for Denial {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denial::Drop => "drop",
            Denial::Reject => "reject",
        })
    }
}

impl Display for RuleAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            RuleAction::Allow => f.write_str("allow"),
            RuleAction::Deny(denial) => denial.fmt(f),
            RuleAction::Pass => f.write_str("pass"),
            RuleAction::Log => f.write_str("log"),
        }
    }
}

/// Every test, with a comma before it.
impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.family.iter().try_for_each(|family| write!(f, ", {family}"))?;
        self.protocols.iter().try_for_each(|test| write!(f, ", protocol {test}"))?;
        self.icmp.iter().try_for_each(|test| write!(f, ", {test}"))?;
        self.source.iter().try_for_each(|test| write!(f, ", from {test}"))?;
        self.source_ports.iter().try_for_each(|test| write!(f, ", from port {test}"))?;
        self.destination.iter().try_for_each(|test| write!(f, ", to {test}"))?;
        self.destination_ports.iter().try_for_each(|test| write!(f, ", to port {test}"))
    }
}

impl Display for AddressTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let members = self.members.iter().flatten().map(ToString::to_string);
        let blocks = self.blocks.iter().map(|block| match block.first == block.last {
            true => block.first.to_string(),
            false => format!("{}-{}", block.first, block.last),
        });
        list(f, self.negated, members.chain(blocks).collect())
    }
}

impl Display for ProtocolTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        list(f, self.negated, self.numbers.iter().map(ToString::to_string).collect())
    }
}

impl Display for PortTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers.iter().map(|port| match port.first == port.last {
            true => format!("{}/{}", port.first, port.protocol),
            false => format!("{}-{}/{}", port.first, port.last, port.protocol),
        });
        let names = self.names.iter().flatten();
        let names = names.map(|port| format!("{}:{}/{}", port.address, port.port, port.protocol));
        list(f, self.negated, numbers.chain(names).collect())
    }
}

impl Display for IcmpTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "not " } else { "" };
        write!(f, "{not}{} ICMP type {}", self.family, self.kind)?;
        self.code.map_or(Ok(()), |code| write!(f, " code {code}"))
    }
}

fn list(f: &mut Formatter<'_>, negated: bool, parts: Vec<String>) -> fmt::Result {
    let not = if negated { "not " } else { "" };
    let list = if parts.is_empty() { String::new() } else { parts.join(" ") };
    write!(f, "{not}{{{list}}}")
}
