//! What everything is drawn from: small vocabularies of names, labels, ports and addresses.

use crate::case::PodPort;
use crate::policy::Labels;
use crate::random::Random;
use netproof_api::core::TransportProtocol;
use netproof_model::NamespacedName;

/// Namespaces. `x` with `y-p0` and `x-y` with `p0` are one name to who joins them carelessly, and the last is a
/// number to who reads it carelessly. The first one exists always.
pub(super) const NAMESPACES: [&str; 4] = ["default", "x", "x-y", "0"];
pub(super) const PODS: [&str; 8] = ["p0", "p1", "p2", "y-p0", "y-p1", "p3", "p4", "p5"];
pub(super) const SERVICES: [&str; 3] = ["s0", "y-s0", "s1"];
pub(super) const POLICIES: [&str; 9] = ["n0", "n1", "n2", "y-n0", "y-n1", "p0", "n0.n1", "1", "n"];
/// As long as names may be.
pub(super) const LONGEST_NAME: usize = 253;

/// Labels of pods, some of namespaces, too, and an empty value, which is not an absent key.
pub(super) const POD_LABELS: [(&str, &str); 8] = [
    ("app", "a"),
    ("app", "b"),
    ("app", ""),
    ("role", "x"),
    ("role", "z"),
    ("tier", ""),
    ("example.com/team", "a"),
    ("example.com/team", "b"),
];
/// Labels of namespaces besides their name's.
pub(super) const NAMESPACE_LABELS: [(&str, &str); 6] =
    [("env", "prod"), ("env", "dev"), ("env", ""), ("app", "a"), ("role", "x"), ("example.com/team", "b")];

/// Port numbers, next to each other and at the ends.
pub(super) const NUMBERS: [u16; 8] = [80, 81, 82, 8080, 1, 65535, 5000, 5001];
/// Names of ports. No pod has the last.
pub(super) const PORT_NAMES: [&str; 4] = ["web", "dns", "alt", "absent"];

/// From here on hostNetwork pods listen: nobody else on a node does.
pub(super) const FIRST_OF_HOSTS: u16 = 9000;

/// The last parts of addresses: on both sides of the boundaries between ranges.
pub(super) const HOSTS: [u8; 12] = [62, 63, 64, 65, 66, 95, 96, 127, 128, 129, 191, 192];

/// So many ports at most, at least one.
pub(super) fn pod_ports(random: &mut Random, most: usize) -> Vec<PodPort> {
    let mut ports: Vec<PodPort> = Vec::new();
    // What others serve as well, often.
    if random.chance(35) {
        ports.push(PodPort { name: Some("web".to_owned()), number: 80, protocol: TransportProtocol::Tcp });
    }
    for _ in ports.len()..random.between(1, most) {
        let port = PodPort {
            name: random.chance(60).then(|| PORT_NAMES[random.below(PORT_NAMES.len() - 1)].to_owned()),
            number: if random.chance(50) { random.pick(&[80, 81]) } else { random.pick(&NUMBERS) },
            protocol: protocol(random),
        };
        let taken = |it: &PodPort| {
            (it.number, it.protocol) == (port.number, port.protocol)
                || (port.name.is_some() && it.name == port.name)
        };
        if !ports.iter().any(taken) {
            ports.push(port);
        }
    }
    ports
}

/// TCP more often than others.
pub(super) fn protocol(random: &mut Random) -> TransportProtocol {
    random.pick(&[
        TransportProtocol::Tcp,
        TransportProtocol::Tcp,
        TransportProtocol::Tcp,
        TransportProtocol::Udp,
        TransportProtocol::Udp,
        TransportProtocol::Sctp,
    ])
}

/// So many labels at most; a key stands once.
pub(super) fn labels<const N: usize>(random: &mut Random, from: &[(&str, &str); N], most: usize) -> Labels {
    let count = random.between(0, most);
    (0..count).map(|_| random.pick(from)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The number of a name that is made of two vocabularies, from 1.
pub(super) fn number_of<const N: usize>(name: &NamespacedName, names: &[&str; N]) -> u16 {
    let position =
        |among: &[&str], it: &str| among.iter().position(|known| *known == it).unwrap_or(among.len());
    let (namespace, own) = (position(&NAMESPACES, &name.namespace), position(names, &name.name));
    (namespace * (N + 1) + own + 1) as u16
}

/// Another value, or none, for a key; or a key more.
pub(super) fn relabel<const N: usize>(random: &mut Random, labels: &mut Labels, from: &[(&str, &str); N]) {
    let keys: Vec<String> = labels.keys().cloned().collect();
    match random.choose(&keys) {
        Some(key) if random.chance(50) => {
            labels.remove(key);
        }
        _ => {
            let (key, value) = random.pick(from);
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
}
