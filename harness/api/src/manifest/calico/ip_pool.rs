//! IPPool.

use super::super::Context;
use super::super::tables;
use super::Dialect;
use super::metadata::{metadata, rules};
use super::scalars::{cidr, plain_selector};
use crate::calico::{IpPool, IpPoolSpec, PoolUse};
use crate::names;
use crate::networking::Cidr;
use crate::reader::{Field, Fields};
use ipnet::IpNet;

const USES: &[(&str, PoolUse)] =
    &[("Workload", PoolUse::Workload), ("Tunnel", PoolUse::Tunnel), ("LoadBalancer", PoolUse::LoadBalancer)];

/// When packets between nodes are encapsulated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encapsulation {
    Never,
    Sometimes,
}

const ENCAPSULATIONS: &[(&str, Encapsulation)] = &[
    ("Never", Encapsulation::Never),
    ("Always", Encapsulation::Sometimes),
    ("CrossSubnet", Encapsulation::Sometimes),
];

const ASSIGNMENTS: &[(&str, ())] = &[("Automatic", ()), ("Manual", ())];

const SPEC: &[&str] = &[
    "cidr",
    "natOutgoing",
    "disabled",
    "allowedUses",
    "ipipMode",
    "vxlanMode",
    "blockSize",
    "nodeSelector",
    "namespaceSelector",
    "assignmentMode",
    "disableBGPExport",
];

pub(super) fn ip_pool(document: &Field<'_>, dialect: Dialect, context: &Context) -> Option<IpPool> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = metadata(&object, rules(false, names::check_dns_subdomain), dialect, context);
    let spec = object.require("spec")?.fields(SPEC)?;
    let boolean = |name| spec.get(name).and_then(|field| field.boolean()).unwrap_or(false);
    let range = spec.require("cidr").and_then(|field| cidr(&field, dialect).map(|it| (field, it)));
    check_what_is_not_kept(&spec, range.as_ref().map(|(_, range)| *range));
    let (nat_outgoing, disabled) = (boolean("natOutgoing"), boolean("disabled"));
    boolean("disableBGPExport");
    let allowed_uses = allowed_uses(&spec);
    let (field, range) = range?;
    if is_link_local(range) {
        field.error(
            format!("{range} has link-local addresses, which are no pod's"),
            "write a range outside of 169.254.0.0/16 and fe80::/10",
        );
    }
    let spec = IpPoolSpec { cidr: range, nat_outgoing, disabled, allowed_uses };
    Some(IpPool { metadata, spec })
}

fn is_link_local(range: Cidr) -> bool {
    let range = range.net();
    ["169.254.0.0/16", "fe80::/10"].iter().any(|reserved| {
        reserved.parse::<IpNet>().is_ok_and(|reserved| reserved.contains(&range) || range.contains(&reserved))
    })
}

fn allowed_uses(spec: &Fields<'_>) -> Vec<PoolUse> {
    let items = spec.items("allowedUses");
    let uses: Vec<PoolUse> = items.iter().filter_map(|item| item.word("use of a pool", USES)).collect();
    if uses.len() > 1
        && uses.contains(&PoolUse::LoadBalancer)
        && let Some(field) = spec.get("allowedUses")
    {
        field.error("`LoadBalancer` stands alone", "make two pools of it");
    }
    if items.is_empty() { vec![PoolUse::Workload, PoolUse::Tunnel] } else { uses }
}

/// Fields that no verdict depends on.
fn check_what_is_not_kept(spec: &Fields<'_>, range: Option<Cidr>) {
    let mode = |name| {
        let field = spec.text(name)?;
        let mode = field.word("mode", ENCAPSULATIONS)?;
        (mode != Encapsulation::Never).then_some(field)
    };
    let is_ipv6 = range.map(|range| range.net().network().is_ipv6());
    let (ipip, vxlan) = (mode("ipipMode"), mode("vxlanMode"));
    if let Some(ipip) = &ipip {
        if is_ipv6 == Some(true) {
            ipip.error("IP-in-IP carries no IPv6", "write `ipipMode: Never`, and perhaps a `vxlanMode`");
        } else if vxlan.is_some() {
            ipip.error("a pool has one encapsulation", "write `Never` for one of `ipipMode` and `vxlanMode`");
        }
    }
    if let Some(field) = spec.get("blockSize") {
        let sizes = if is_ipv6 == Some(true) { 116..=128 } else { 20..=32 };
        field.integer::<u8>("block size", sizes);
    }
    for name in ["nodeSelector", "namespaceSelector"] {
        spec.text(name).and_then(|field| plain_selector(&field));
    }
    spec.text("assignmentMode").and_then(|field| field.word("assignment mode", ASSIGNMENTS));
}
