//! Whether a pod tolerates the taints of a node.

use netproof_api::manifest::UNSCHEDULABLE;
use netproof_api::scheduling::{TaintEffect, TolerationOperator};
use netproof_api::{Node, Pod, Taint, Toleration};

/// What the controller of DaemonSets lets their pods tolerate, beside what their template says.
const OF_DAEMONS: [(&str, TaintEffect); 6] = [
    ("node.kubernetes.io/not-ready", TaintEffect::NoExecute),
    ("node.kubernetes.io/unreachable", TaintEffect::NoExecute),
    ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
    (UNSCHEDULABLE, TaintEffect::NoSchedule),
];

/// Those of them in the network of their node tolerate this as well.
const OF_DAEMONS_IN_HOST_NETWORK: (&str, TaintEffect) =
    ("node.kubernetes.io/network-unavailable", TaintEffect::NoSchedule);

/// A taint of the node that keeps the pod away.
pub(crate) fn repelling<'n>(node: &'n Node, pod: &Pod, is_daemon: bool) -> Option<&'n Taint> {
    node.taints.iter().find(|taint| taint.effect.keeps_away() && !tolerates(pod, taint, is_daemon))
}

/// Whether no taint of the node asks the scheduler to prefer another one.
pub(crate) fn prefers(node: &Node, pod: &Pod, is_daemon: bool) -> bool {
    node.taints.iter().all(|taint| taint.effect.keeps_away() || tolerates(pod, taint, is_daemon))
}

fn tolerates(pod: &Pod, taint: &Taint, is_daemon: bool) -> bool {
    let is = |(key, effect): (&str, TaintEffect)| (taint.key.as_str(), taint.effect) == (key, effect);
    let by_controller =
        is_daemon && (OF_DAEMONS.into_iter().any(is) || pod.host_network && is(OF_DAEMONS_IN_HOST_NETWORK));
    by_controller || pod.tolerations.iter().any(|toleration| matches(toleration, taint))
}

fn matches(toleration: &Toleration, taint: &Taint) -> bool {
    let Toleration { key, operator, value, effect } = toleration;
    let numbers = || Some((taint.value.parse::<i64>().ok()?, value.parse::<i64>().ok()?));
    effect.is_none_or(|effect| effect == taint.effect)
        && (key.is_empty() || *key == taint.key)
        && match operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => *value == taint.value,
            TolerationOperator::Lt => numbers().is_some_and(|(taint, own)| taint < own),
            TolerationOperator::Gt => numbers().is_some_and(|(taint, own)| taint > own),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.into(), value: value.into(), effect }
    }

    #[test]
    fn tolerations_match_by_key_operator_value_and_effect() {
        use TaintEffect::{NoExecute, NoSchedule};
        use TolerationOperator::{Equal, Exists, Gt, Lt};
        let of = |key: &str, operator, value: &str, effect| Toleration {
            key: key.into(),
            operator,
            value: value.into(),
            effect,
        };
        let gpu = taint("gpu", "4", NoSchedule);
        for (toleration, expected) in [
            (of("gpu", Equal, "4", Some(NoSchedule)), true),
            (of("gpu", Equal, "4", None), true),
            (of("gpu", Equal, "5", None), false),
            (of("gpu", Equal, "", None), false),
            (of("gpu", Exists, "", None), true),
            (of("gpu", Exists, "", Some(NoExecute)), false),
            (of("cpu", Exists, "", None), false),
            (of("", Exists, "", None), true),
            (of("", Exists, "", Some(NoExecute)), false),
            (of("gpu", Lt, "5", None), true),
            (of("gpu", Gt, "5", None), false),
            (of("gpu", Gt, "x", None), false),
        ] {
            assert_eq!(matches(&toleration, &gpu), expected, "{toleration:?}");
        }
    }

    #[test]
    fn pods_of_daemon_sets_tolerate_what_their_controller_adds() {
        let node = |taint| Node { taints: vec![taint], ..Node::default() };
        let cordoned = node(taint(UNSCHEDULABLE, "", TaintEffect::NoSchedule));
        let no_network = node(taint("node.kubernetes.io/network-unavailable", "", TaintEffect::NoSchedule));
        let (pod, in_host) = (Pod::default(), Pod { host_network: true, ..Pod::default() });
        assert!(repelling(&cordoned, &pod, true).is_none());
        assert!(repelling(&cordoned, &pod, false).is_some());
        assert!(repelling(&no_network, &pod, true).is_some());
        assert!(repelling(&no_network, &in_host, true).is_none());
        let soft = node(taint("slow", "", TaintEffect::PreferNoSchedule));
        assert!(repelling(&soft, &pod, false).is_none());
        assert!(!prefers(&soft, &pod, false));
    }
}
