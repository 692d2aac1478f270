//! The addresses of a service as written: cluster IPs and their families, external IPs, the load balancer's
//! addresses in its status, and the name of an ExternalName service.

use super::{scalars, tables};
use crate::core::{AddressType, IpFamilyPolicy, IpMode, LoadBalancerIngress, Service, ServiceType};
use crate::names;
use crate::reader::{Field, Fields};
use netproof_text::yaml::Value;
use std::net::IpAddr;

const FAMILIES: &[(&str, AddressType)] = &[("IPv4", AddressType::IPv4), ("IPv6", AddressType::IPv6)];

const FAMILY_POLICIES: &[(&str, IpFamilyPolicy)] = &[
    ("SingleStack", IpFamilyPolicy::SingleStack),
    ("PreferDualStack", IpFamilyPolicy::PreferDualStack),
    ("RequireDualStack", IpFamilyPolicy::RequireDualStack),
];

const IP_MODES: &[(&str, IpMode)] = &[("VIP", IpMode::VIP), ("Proxy", IpMode::Proxy)];

/// Reads them into a service whose type is known.
pub(super) fn read(spec: &Fields<'_>, object: &Fields<'_>, service: &mut Service) {
    (service.headless, service.cluster_ips) = cluster_ips(spec);
    service.ip_family_policy =
        spec.get("ipFamilyPolicy").and_then(|field| field.word("ipFamilyPolicy", FAMILY_POLICIES));
    service.ip_families = ip_families(spec, service);
    service.external_ips = external_ips(spec);
    service.load_balancer_ingress = ingress(object, service);
    if let Some(field) = spec.text("loadBalancerIP") {
        let help = "write `status: {loadBalancer: {ingress: [{ip: ...}]}}`, as a load balancer would";
        field.warn("`loadBalancerIP` is not looked at", help);
    }
    if service.service_type == ServiceType::ExternalName {
        service.external_name = external_name(spec);
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(field) =
                spec.text(name).filter(|field| field.node.value != Value::Sequence(Vec::new()))
            {
                field.error(format!("a service of type ExternalName has no `{name}`"), "leave it out");
            }
        }
        return;
    }
    if let Some(field) = spec.text("externalName") {
        let help = "write `type: ExternalName`, or leave it out";
        field.warn(
            format!("`externalName` does nothing for a service of type {:?}", service.service_type),
            help,
        );
    }
    if service.headless && service.service_type != ServiceType::ClusterIP {
        let help = "leave `clusterIP` out, or make the type ClusterIP";
        let message = format!("a service of type {:?} cannot be headless", service.service_type);
        spec.get("clusterIP").as_ref().unwrap_or(spec.field()).error(message, help);
    }
}

/// Whether the service is headless, and its addresses from `clusterIPs` and `clusterIP`, its first.
fn cluster_ips(spec: &Fields<'_>) -> (bool, Vec<IpAddr>) {
    let mut words = spec.items("clusterIPs");
    if let Some(field) = spec.text("clusterIP") {
        match words.first() {
            None => words.push(field),
            Some(first) if first.node.value != field.node.value => {
                field.error("`clusterIP` is not the first of `clusterIPs`", "make them the same");
            }
            Some(_) => {}
        }
    }
    if words.first().is_some_and(|field| field.node.as_str() == Some("None")) {
        if let Some(second) = words.get(1) {
            second.error("a headless service has no addresses", "write `clusterIP: None` alone");
        }
        return (true, Vec::new());
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for field in &words {
        let Some(address) = scalars::address(field) else { continue };
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            field.error("two addresses of one family", "a service has at most one IPv4 and one IPv6 address");
        }
        addresses.push(address);
    }
    (false, addresses)
}

/// `ipFamilies`: each once, in the order of the cluster IPs, and one only for SingleStack.
fn ip_families(spec: &Fields<'_>, service: &Service) -> Vec<AddressType> {
    let mut families: Vec<AddressType> = Vec::new();
    for (index, field) in spec.items("ipFamilies").iter().enumerate() {
        let Some(family) = field.word("address family", FAMILIES) else { continue };
        if families.contains(&family) {
            field.error(format!("the family {family:?} stands here twice"), "keep one of them");
            continue;
        }
        if let Some(address) = service.cluster_ips.get(index)
            && address.is_ipv4() != (family == AddressType::IPv4)
        {
            let message = format!("the cluster IP in this place is {address}, which is not {family:?}");
            field.error(message, "write `clusterIPs` and `ipFamilies` in the same order");
        }
        families.push(family);
    }
    let several = families.len() > 1 || service.cluster_ips.len() > 1;
    if several
        && service.ip_family_policy == Some(IpFamilyPolicy::SingleStack)
        && let Some(field) = spec.get("ipFamilyPolicy")
    {
        let help = "write PreferDualStack or RequireDualStack, or keep one family";
        field.error("a service of two families is not SingleStack", help);
    }
    families
}

/// `externalIPs`, each once.
fn external_ips(spec: &Fields<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for field in spec.items("externalIPs") {
        let Some(address) = scalars::routable(&field, "an external IP") else { continue };
        if addresses.contains(&address) {
            field.error(format!("the external IP {address} stands here twice"), "keep one of them");
        }
        addresses.push(address);
    }
    addresses
}

/// `status.loadBalancer.ingress`.
fn ingress(object: &Fields<'_>, service: &Service) -> Vec<LoadBalancerIngress> {
    let status = object.get("status").and_then(|field| field.fields(&["loadBalancer", "conditions"]));
    let balancer = status.and_then(|status| status.get("loadBalancer"));
    let Some(balancer) = balancer.and_then(|field| field.fields(&["ingress"])) else { return Vec::new() };
    let items = balancer.items("ingress");
    if let Some(first) = items.first()
        && service.service_type != ServiceType::LoadBalancer
    {
        let message = format!("a service of type {:?} has no load balancer", service.service_type);
        first.error(message, "write `type: LoadBalancer`, or leave its addresses out");
    }
    let mut all: Vec<LoadBalancerIngress> = Vec::new();
    for item in &items {
        let Some(entry) = ingress_entry(item) else { continue };
        if all.iter().any(|other| other.ip == entry.ip) {
            item.error(format!("the address {} stands here twice", entry.ip), "keep one of them");
        }
        all.push(entry);
    }
    all
}

fn ingress_entry(item: &Field<'_>) -> Option<LoadBalancerIngress> {
    let fields = item.fields(tables::LOAD_BALANCER_INGRESS)?;
    let mode = fields.get("ipMode");
    let ip_mode = mode.as_ref().and_then(|field| field.word("ipMode", IP_MODES)).unwrap_or_default();
    let Some(ip) = fields.text("ip") else {
        let help = "write the address that it stands for: `ip: ...`";
        match (fields.text("hostname"), mode) {
            // Nodes use only entries with an address (pkg/proxy, BaseServicePortInfo).
            (Some(field), _) => field.warn("the name of a load balancer leads nowhere here", help),
            (None, Some(field)) => field.error("`ipMode` without `ip`", help),
            (None, None) => fields.missing("ip"),
        }
        return None;
    };
    Some(LoadBalancerIngress { ip: scalars::routable(&ip, "a load balancer's address")?, ip_mode })
}

/// The target of the service's DNS alias: a full name. A final dot is removed.
fn external_name(spec: &Fields<'_>) -> Option<String> {
    let Some(field) = spec.text("externalName") else {
        spec.missing("externalName");
        return None;
    };
    let name = field.checked("external name", |name| {
        names::check_dns_subdomain(name.strip_suffix('.').unwrap_or(name))
    })?;
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.parse::<IpAddr>().is_ok() {
        let help = "for an address, write a service without a selector and an EndpointSlice";
        field.warn(format!("{name} is an address, and DNS takes it for a name"), help);
    }
    Some(name.to_owned())
}
