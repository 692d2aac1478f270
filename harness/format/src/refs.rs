//! Names of objects, policies and places as scenarios write them outside flows.

use netproof_api::suggest::{did_you_mean, suggestion};
use netproof_controlplane::{KINDS, ObjectRef, is_of_the_cluster};
use netproof_documents::document::TextError;
use netproof_model::flow::Source;
use netproof_model::policy::Role;
use netproof_model::{DecidedBy, Direction, NamespacedName, PolicyKind};
use netproof_plan::flows::source_in;
use std::net::IpAddr;

/// Reads `KIND/[NAMESPACE/]NAME`; a namespace that is not written is `default`.
pub fn object_ref(text: &str, default: &str) -> Result<ObjectRef, TextError> {
    let form = || "write KIND/[NAMESPACE/]NAME, as in networkpolicy/web-deny-all".to_owned();
    let Some((kind, rest)) = text.split_once('/') else {
        return Err((format!("`{text}` is not the name of an object"), form()));
    };
    // Workloads of other groups are written as kubectl writes them, with a dot: `rollout.argoproj.io/web`.
    if !KINDS.contains(&kind) && !kind.contains('.') {
        return Err((format!("`{kind}` is not a kind of object"), suggestion(kind, &KINDS)));
    }
    let (namespace, name) = match rest.split_once('/') {
        _ if is_of_the_cluster(kind) => (None, rest),
        Some((namespace, name)) => (Some(namespace), name),
        None => (Some(default), rest),
    };
    for part in namespace.iter().chain([&name]) {
        if netproof_api::names::check_dns_subdomain(part).is_err() {
            return Err((format!("`{part}` in `{text}` is not a name"), form()));
        }
    }
    Ok(ObjectRef::new(kind, namespace, name))
}

/// Reads what stands at `decidedBy`.
pub fn decided_by(text: &str, default: &str) -> Result<DecidedBy, TextError> {
    const WORDS: [&str; 3] = ["isolation", "service", "default"];
    match text {
        "isolation" => return Ok(DecidedBy::Isolation),
        "service" => return Ok(DecidedBy::Service),
        "default" => return Ok(DecidedBy::Default),
        "host" => {
            let help = "leave `decidedBy` out, or name who decides: networkpolicy/NAME, or one of: ";
            return Err((
                "nothing is ever decided by `host`: netproof's nodes have no rules of their own".to_owned(),
                format!("{help}{}", WORDS.join(", ")),
            ));
        }
        _ => {}
    }
    if !text.contains('/') {
        let help = match did_you_mean(text, WORDS) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write KIND/[NAMESPACE/]NAME[#ingress[N]], or one of: {}", WORDS.join(", ")),
        };
        return Err((format!("`{text}` does not say who decides"), help));
    }
    let (name, place) = match text.split_once('#') {
        Some((name, place)) => (name, Some(place)),
        None => (text, None),
    };
    let object = object_ref(name, default)?;
    let Some(policy) = object.policy_key().filter(|key| key.kind.role() == Role::Decides) else {
        let kinds = PolicyKind::supported().filter(|kind| kind.role() == Role::Decides);
        let words: Vec<&str> = kinds.map(PolicyKind::word).collect();
        return Err((format!("`{}` is not a kind of policy", object.kind), suggestion(&object.kind, &words)));
    };
    let (direction, rule) = match place {
        None => (None, None),
        Some(place) => {
            let (direction, rule) = rule_place(place).ok_or_else(|| {
                let help = "write #ingress, #egress, or with the rule's position from 0, #ingress[0]";
                (format!("`#{place}` is not a place in a policy"), help.to_owned())
            })?;
            (Some(direction), rule)
        }
    };
    Ok(DecidedBy::Policy { policy, direction, rule })
}

/// `ingress`, `egress[2]`
fn rule_place(text: &str) -> Option<(Direction, Option<usize>)> {
    let (word, rule) = match text.split_once('[') {
        Some((word, rest)) => {
            let digits = rest.strip_suffix(']')?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (word, Some(digits.parse().ok()?))
        }
        None => (text, None),
    };
    match word {
        "ingress" => Some((Direction::Ingress, rule)),
        "egress" => Some((Direction::Egress, rule)),
        _ => None,
    }
}

/// The name of an address; the namespace is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceName {
    /// `pod/[NAMESPACE/]NAME`, `node/NAME`, `external/NAME`
    Place(Source),
    /// `tunnel/NODE`
    Tunnel(String),
    /// `router`
    Router,
    /// `service/[NAMESPACE/]NAME`: its cluster IP. For what a name resolves to only.
    Service(NamespacedName),
    /// `ip/ADDRESS`
    Address(IpAddr),
}

/// Reads the name of a place.
pub fn place(text: &str, default: &str) -> Result<Source, TextError> {
    let place: Source = text.parse().map_err(|_| {
        let help = "a place is pod/[NAMESPACE/]NAME, node/NAME or external/NAME";
        (format!("`{text}` is not the name of a place"), help.to_owned())
    })?;
    Ok(source_in(place, default))
}

/// Reads the name of an address that a packet carries: a place, `tunnel/NODE`, `router` or `ip/ADDRESS`.
pub fn address_name(text: &str, default: &str) -> Result<PlaceName, TextError> {
    if text == "router" {
        return Ok(PlaceName::Router);
    }
    match text.split_once('/') {
        Some(("ip", address)) => address.parse().map(PlaceName::Address).map_err(|_| {
            (format!("`{address}` is not an IP address"), "write ip/10.0.0.1 or ip/fd00::1".to_owned())
        }),
        Some(("tunnel", node)) => Ok(PlaceName::Tunnel(node.to_owned())),
        Some(("service", _)) => Err((
            format!("`{text}` is not the name of an address that is seen here"),
            "both the server and policy see addresses after DNAT: name the backend that was chosen, as in \
             pod/[NAMESPACE/]NAME"
                .to_owned(),
        )),
        _ => place(text, default).map(PlaceName::Place).map_err(|(message, help)| {
            (message, format!("{help}; addresses are also called tunnel/NODE, router and ip/ADDRESS"))
        }),
    }
}

/// Reads the name of an address that a name resolves to, which may be a service's.
pub fn resolved_name(text: &str, default: &str) -> Result<PlaceName, TextError> {
    if !text.starts_with("service/") {
        return address_name(text, default);
    }
    let object = object_ref(text, default)?;
    let namespace = object.namespace.unwrap_or_else(|| default.to_owned());
    Ok(PlaceName::Service(NamespacedName::new(namespace, object.name)))
}

/// Reads `node/NAME`.
pub fn node(text: &str) -> Result<String, TextError> {
    match text.parse() {
        Ok(Source::Node(name)) => Ok(name),
        _ => Err((format!("`{text}` is not the name of a node"), "write node/NAME".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decided() {
        for (text, expected) in [
            ("isolation", "isolation"),
            ("service", "service"),
            ("default", "default"),
            ("networkpolicy/a", "networkpolicy/shop/a"),
            ("networkpolicy/b/a#ingress", "networkpolicy/b/a#ingress"),
            ("networkpolicy/b/a#egress[12]", "networkpolicy/b/a#egress[12]"),
        ] {
            let decided = decided_by(text, "shop").unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(decided.to_string(), expected);
        }
        for text in [
            "host",
            "defaults",
            "isolated",
            "networkpolicy/",
            "networkpolicy/a#",
            "networkpolicy/a#ingress[]",
            "networkpolicy/a#ingress[-1]",
            "networkpolicy/a#ingress[+1]",
            "networkpolicy/a#ingress[99999999999999999999]",
            "networkpolicy/a#both",
            "networkpolicy/a/b/c",
            "pod/a",
            "netpol/a",
            "",
        ] {
            assert!(decided_by(text, "default").is_err(), "{text}");
        }
    }
}
