//! Short forms of services and pods: the manifests that they stand for, and what is said of bad ones.

use super::*;
use netproof_controlplane::Change;

/// A short form, and the manifest without `apiVersion` and `kind` that it stands for.
const PAIRS: &[(&str, &str)] = &[
    (
        "service: {name: s, selector: {app: web}, ports: [80, 53/udp, '90:9000/sctp']}",
        "kind: Service, metadata: {name: s}, spec: {selector: {app: web}, ports: [\
         {name: tcp-80, port: 80}, {name: udp-53, port: 53, protocol: UDP}, \
         {name: sctp-90, port: 90, targetPort: 9000, protocol: SCTP}]}",
    ),
    (
        "service: {name: s, type: LoadBalancer, ports: [80], nodePort: 30080, externalTrafficPolicy: Local, \
         internalTrafficPolicy: Local, healthCheckNodePort: 30081, externalIPs: [198.51.100.7], \
         loadBalancerIPs: [198.51.100.8, '2001:db8:51::8'], ipMode: Proxy, \
         loadBalancerSourceRanges: [203.0.113.0/24], trafficDistribution: PreferSameNode, \
         publishNotReadyAddresses: true, sessionAffinity: ClientIP, sessionAffinityTimeout: 10}",
        "kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, ports: [{port: 80, nodePort: 30080}], \
         externalTrafficPolicy: Local, internalTrafficPolicy: Local, healthCheckNodePort: 30081, \
         externalIPs: [198.51.100.7], loadBalancerSourceRanges: [203.0.113.0/24], \
         trafficDistribution: PreferSameNode, publishNotReadyAddresses: true, sessionAffinity: ClientIP, \
         sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}}, status: {loadBalancer: {ingress: [\
         {ip: 198.51.100.8, ipMode: Proxy}, {ip: '2001:db8:51::8', ipMode: Proxy}]}}",
    ),
    (
        "service: {name: s, type: LoadBalancer, ports: [80], allocateLoadBalancerNodePorts: false, \
         loadBalancerIPs: 198.51.100.8, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, sessionAffinity: ClientIP}",
        "kind: Service, metadata: {name: s}, spec: {type: LoadBalancer, ports: [{port: 80}], \
         allocateLoadBalancerNodePorts: false, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, \
         sessionAffinity: ClientIP}, status: {loadBalancer: {ingress: [{ip: 198.51.100.8}]}}",
    ),
    (
        "service: {name: s, type: ExternalName, externalName: db.example.com}",
        "kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: db.example.com}",
    ),
    (
        "pod: {name: p, node: node1, ports: [9000/sctp], terminating: true}",
        "kind: Pod, metadata: {name: p, deletionTimestamp: 2026-11-21T00:00:00Z}, spec: {nodeName: node1, \
         containers: [{name: main, ports: [{containerPort: 9000, protocol: SCTP}]}]}",
    ),
    (
        "pod: {name: p, node: node1, terminating: false}",
        "kind: Pod, metadata: {name: p}, spec: {nodeName: node1, containers: [{name: main}]}",
    ),
];

#[test]
fn short_forms_are_the_manifests_that_they_stand_for() {
    let read = |item: &str| -> Change {
        let pod = "- pod: {name: client}";
        let loaded = load_text(&changed(pod, &format!("{pod}\n    - {item}")));
        let plan = loaded.unwrap_or_else(|errors| panic!("{item}: {errors}")).plans.remove(0);
        let named = |change: &&Change| match change {
            Change::Apply(object) => ["s", "p"].contains(&object.metadata().name.as_str()),
            _ => false,
        };
        plan.initial.iter().find(named).unwrap().clone()
    };
    for (short, manifest) in PAIRS {
        assert_eq!(read(short), read(&format!("{{apiVersion: v1, {manifest}}}")), "{short}");
    }
}

#[test]
fn what_is_said_of_bad_services() {
    let mut report = String::new();
    for services in [
        "service: {name: a, type: Loadbalancer, ports: [80]}",
        "service: {name: a}",
        "service: {name: a, ports: [80/quic]}",
        "service: {name: a, type: ExternalName}",
        "service: {name: a, type: NodePort, ports: [80], nodePort: 80}",
        "service: {name: a, ports: [80], externalTrafficPolicy: Local}",
        "service: {name: a, ports: [80], sessionAffinityTimeout: 10}",
        "service: {name: a, ports: [80], sessionAffinity: ClientIP, sessionAffinityTimeout: 0}",
        "service: {name: a, type: LoadBalancer, ports: [80], ipMode: Proxy}",
        "service: {name: a, type: LoadBalancer, ports: [80], loadBalancerIPs: [198.51.100.8, lb.example.com]}",
        "service: {name: a, ports: [80], loadBalancerIPs: [198.51.100.8]}",
        "service: {name: a, type: LoadBalancer, ports: [80], loadBalancerSourceRanges: [203.0.113.0]}",
        "service: {name: a, ports: [80], externalName: db.example.com}",
        // What the control plane finds stands where the later one is written.
        "service: {name: a, type: NodePort, ports: [80], nodePort: 30000}
    - service: {name: b, type: NodePort, ports: [81], nodePort: 30000}",
        "service: {name: a, ports: [80], clusterIP: 10.96.0.50}
    - service:
        name: b
        ports: [80]
        clusterIP: 10.96.0.50",
        "service: {name: a, type: LoadBalancer, ports: [80], loadBalancerIPs: 198.51.100.8}
    - {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {type: LoadBalancer, ports: [{port: 80}]},
       status: {loadBalancer: {ingress: [{ip: 198.51.100.8}]}}}",
        "service: {name: a, ports: [80], externalIPs: [198.51.100.7]}
    - service: {name: b, ports: [80], externalIPs: [198.51.100.7]}",
        "service: {name: a, ports: [80], externalIPs: [10.244.1.9]}",
        "service: {name: a, ports: [80], ipFamilyPolicy: RequireDualStack}",
        "service: {name: a, type: LoadBalancer, ports: [80], externalTrafficPolicy: Local, healthCheckNodePort: 30000}
    - service: {name: b, type: NodePort, ports: [80], nodePort: 30000}",
    ] {
        let pod = "- pod: {name: client}";
        report.push_str(&format!("{}\n\n\n", complaints(&changed(pod, &format!("{pod}\n    - {services}")))));
    }
    insta::assert_snapshot!(report);
}

/// The change that is refused is a later step's, in a manifest of a file of its own.
#[test]
fn a_refusal_stands_in_the_file_of_the_object() {
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n---\napiVersion: v1\nkind: Service\n\
                    metadata: {name: b}\nspec:\n  type: NodePort\n  ports: [{port: 80, nodePort: 30000}]\n";
    let first = "- service: {name: a, type: NodePort, ports: [80], nodePort: 30000}";
    let scenario = changed("- pod: {name: client}", &format!("- pod: {{name: client}}\n    {first}"))
        .replace("  steps:\n", "  steps:\n    - name: zero\n      apply: [{file: b.yaml}]\n");
    let folder = Folder::new(&[("scenario.yaml", &scenario), ("b.yaml", manifest)]);
    let errors = folder.load("scenario.yaml", &Options::default()).unwrap_err();
    assert!(errors.contains("b.yaml:5:1: error: 30000 is the node port of service/default/a"), "{errors}");
}
