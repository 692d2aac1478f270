//! The reasons that a reader of the recipes would give, one snapshot for each recipe.

use crate::explain::explanations;

/// The recipe, its cluster with its policies, and flows that show what it is about.
const RECIPES: [(&str, &str, &str); 14] = [
    (
        "allow-all-traffic-from-a-namespace",
        "namespace dev purpose=develop
         namespace prod purpose=production
         pod web node1 labels=app=web ports=80
         pod dev/client node2
         pod prod/client node2
         pod client node1 labels=purpose=production
         service web selector=app=web ports=80
         policy web-allow-prod {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {purpose: production}}}]}]}",
        "pod/dev/client -> service/web:80
         pod/client -> service/web:80
         pod/prod/client -> service/web:80",
    ),
    (
        "allow-all-traffic-to-an-application",
        "pod web node1 labels=app=web ports=80
         pod client node2
         policy web-deny-all {podSelector: {matchLabels: {app: web}}, ingress: []}
         policy web-allow-all {podSelector: {matchLabels: {app: web}}, ingress: [{}]}",
        "pod/client -> pod/web:80
         external/internet -> pod/web:80",
    ),
    (
        "allow-traffic-from-all-namespaces",
        "namespace bar
         pod web node1 labels=app=web ports=80
         pod bar/client node2
         policy default-deny-all {podSelector: {}, ingress: []}
         policy web-allow-all-namespaces {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}]}]}",
        "pod/bar/client -> pod/web:80
         external/internet -> pod/web:80",
    ),
    (
        "allow-traffic-from-apps-using-multiple-selectors",
        "pod db node1 labels=app=bookstore,role=db ports=6379
         pod mixed node2 labels=app=inventory,role=api
         pod inventory node2 labels=app=inventory,role=web
         policy redis-allow-services {podSelector: {matchLabels: {app: bookstore, role: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: bookstore, role: search}}}, {podSelector: {matchLabels: {app: bookstore, role: api}}}, {podSelector: {matchLabels: {app: inventory, role: web}}}]}]}",
        "pod/inventory -> pod/db:6379
         pod/mixed -> pod/db:6379",
    ),
    (
        "allow-traffic-from-external-clients",
        "pod web node1 labels=app=web ports=80
         service web selector=app=web ports=80@30080
         policy default-deny-all {podSelector: {}, ingress: []}
         policy web-allow-external {podSelector: {matchLabels: {app: web}}, ingress: [{from: []}]}",
        "external/internet -> nodeport/web@node2
         node/node1 -> pod/web:80",
    ),
    (
        "allow-traffic-from-some-pods-in-another-namespace",
        "namespace other team=operations
         pod web node1 labels=app=web ports=80
         pod other/client node2
         pod monitor node2 labels=type=monitoring
         pod other/monitor node2 labels=type=monitoring
         policy web-allow-all-ns-monitoring {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: operations}}, podSelector: {matchLabels: {type: monitoring}}}]}]}",
        "pod/other/client -> pod/web:80
         pod/monitor -> pod/web:80
         pod/other/monitor -> pod/web:80",
    ),
    (
        "allow-traffic-only-to-a-port-of-an-application",
        "pod web node1 labels=app=web ports=8000,5000
         pod client node2
         pod monitor node2 labels=role=monitoring
         service web selector=app=web ports=a:8001:8000,b:5001:5000
         policy api-allow-5000 {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 5000}], from: [{podSelector: {matchLabels: {role: monitoring}}}]}]}",
        "pod/client -> service/web:8001
         pod/monitor -> service/web:8001
         pod/monitor -> service/web:5001",
    ),
    (
        "deny-all-non-whitelisted-traffic-from-a-namespace",
        "namespace elsewhere
         pod web node1 labels=app=web ports=80
         pod client node2
         pod elsewhere/web node1 labels=app=web ports=80
         policy default-deny-all-egress {policyTypes: [Egress], podSelector: {}, egress: []}
         policy to-web {policyTypes: [Egress], podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}",
        "pod/client -> pod/web:80
         pod/client -> pod/elsewhere/web:80",
    ),
    (
        "deny-all-non-whitelisted-traffic-to-a-namespace",
        "pod web node1 labels=app=web ports=80
         pod client node2
         pod kube-system/client node2 ports=80
         policy default-deny-all {podSelector: {}, ingress: []}",
        "pod/client -> pod/web:80
         pod/web -> pod/kube-system/client:80",
    ),
    (
        "deny-all-traffic-from-other-namespaces",
        "namespace foo
         pod web node1 labels=app=web ports=80
         pod client node2
         pod foo/client node2
         policy deny-from-other-namespaces {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
        "pod/foo/client -> pod/web:80
         pod/client -> pod/web:80",
    ),
    (
        "deny-all-traffic-to-an-application",
        "pod web node1 labels=app=web ports=80
         pod client node2
         service web selector=app=web ports=80
         policy web-deny-all {podSelector: {matchLabels: {app: web}}, ingress: []}",
        "pod/client -> service/web:80
         external/internet -> pod/web:80",
    ),
    (
        "deny-egress-traffic-from-an-application",
        "pod web node1 labels=app=web ports=80
         pod foo node2 labels=app=foo
         service web selector=app=web ports=80
         policy foo-deny-egress {podSelector: {matchLabels: {app: foo}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]}]}",
        "pod/foo -> service/web:80
         pod/foo -> service/kube-system/kube-dns:53/udp
         pod/foo -> external/internet:icmp",
    ),
    (
        "deny-external-egress-traffic",
        "pod web node1 labels=app=web ports=80
         pod foo node2 labels=app=foo
         policy foo-deny-external-egress {podSelector: {matchLabels: {app: foo}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}, {to: [{namespaceSelector: {}}]}]}",
        "pod/foo -> pod/web:80
         pod/foo -> external/internet:53/udp
         pod/foo -> external/internet:443
         pod/web -> external/internet:443",
    ),
    (
        "limit-traffic-to-an-application",
        "namespace elsewhere
         pod web node1 labels=app=bookstore,role=api ports=80
         pod client node2
         pod wrong node2 labels=app=inventory,role=frontend
         pod elsewhere/frontend node2 labels=app=bookstore,role=frontend
         service web selector=app=bookstore,role=api ports=80
         policy api-allow {podSelector: {matchLabels: {app: bookstore, role: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: bookstore}}}]}]}",
        "pod/client -> service/web:80
         pod/wrong -> service/web:80
         pod/elsewhere/frontend -> service/web:80
         pod/web -> pod/web:80",
    ),
];

#[test]
fn every_recipe_has_its_reasons() {
    for (name, lines, flows) in RECIPES {
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(name, explanations("", lines, flows));
        });
    }
}
