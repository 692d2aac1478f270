//! The short forms of objects: how they are written, and the manifests that they stand for.
//!
//! A short form of a Kubernetes object is written out as a manifest, with the places of its parts kept,
//! and read like one: so both are defaulted and checked alike.

use netproof_api::yaml::{Key, Node, Spanned, Value};
use netproof_documents::document::{Document, Problems};
use netproof_documents::ports::{pod_port, service_port};
use netproof_documents::topology::ExternalSpec;
use netproof_documents::tree::{At, written};
use netproof_documents::unions::{OneOrMany, PortText};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The items of `objects` and `apply`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Items(pub Vec<Node>);

impl JsonSchema for Items {
    fn schema_name() -> Cow<'static, str> {
        "Items".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<ShortForm>();
        json_schema!({
            "type": "array",
            "items": {
                "anyOf": [
                    short,
                    {
                        "type": "object",
                        "title": "manifest",
                        "description": "A Kubernetes object, as given to `kubectl apply`.",
                        "properties": {
                            "apiVersion": { "type": "string" },
                            "kind": { "type": "string" },
                        },
                        "required": ["apiVersion", "kind"],
                    },
                ],
            },
        })
    }
}

/// An item that is no manifest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShortForm {
    /// A pod.
    Pod(Box<PodShort>),
    /// A namespace. `default`, `kube-system`, `kube-public` and `kube-node-lease` exist already.
    Namespace(NamespaceShort),
    /// A service.
    Service(Box<ServiceShort>),
    /// New labels for a node of the topology.
    Node(NodeShort),
    /// A host outside the cluster, attached to the topology's router.
    External(ExternalSpec),
    /// Ports on which pods listen instead of their container ports, by pod: `pod/[NAMESPACE/]NAME`.
    #[schemars(with = "BTreeMap<String, Vec<PortText>>")]
    Listens(BTreeMap<Spanned<String>, Vec<Spanned<PortText>>>),
    /// A file of manifests, relative to the scenario.
    #[schemars(with = "String")]
    File(Spanned<String>),
}

/// A pod.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodShort {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its namespace; the scenario's if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub namespace: Option<Spanned<String>>,
    /// Its labels.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub labels: Option<Node>,
    /// The node it runs on; the placement's choice if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub node: Option<Spanned<String>>,
    /// Its address, or one of each family; the next of its node's range if absent.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub ip: Option<OneOrMany<Node>>,
    /// Its container ports, on which it listens: `80`, `53/udp`, `metrics:9100`, or a mapping as in a
    /// manifest.
    #[serde(default)]
    #[schemars(with = "Vec<PodPortSchema>")]
    pub ports: Vec<Node>,
    /// Whether it lives in its node's network.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub host_network: Option<Node>,
    /// Whether it is ready; true if absent.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub ready: Option<Spanned<bool>>,
    /// Whether it is being deleted, and may still serve; false if absent.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub terminating: Option<Spanned<bool>>,
    /// Its service account; `default` if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub service_account: Option<Node>,
    /// The ports on which it listens, if not its container ports.
    #[serde(default)]
    #[schemars(with = "Option<Vec<PortText>>")]
    pub listens: Option<Vec<Spanned<PortText>>>,
}

/// A container port, for the schema.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "PodPort")]
#[expect(dead_code, reason = "only its schema is used")]
enum PodPortSchema {
    Text(PortText),
    Manifest(BTreeMap<String, PortText>),
}

/// A namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceShort {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its labels, besides `kubernetes.io/metadata.name`.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub labels: Option<Node>,
}

/// Labels of a node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeShort {
    /// Its name, which the topology has.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its labels.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub labels: Option<Node>,
}

/// A service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceShort {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its namespace; the scenario's if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub namespace: Option<Spanned<String>>,
    /// The labels of the pods behind it.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub selector: Option<Node>,
    /// `ClusterIP` (if absent), `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(default, rename = "type")]
    #[schemars(with = "Option<String>")]
    pub service_type: Option<Node>,
    /// Its ports: `80`, `8001:8000` (service port, then the pods' port, a number or a name), `53/udp`,
    /// `80/sctp`, or a mapping as in a manifest. Only a service of type ExternalName needs none.
    #[serde(default)]
    #[schemars(with = "Vec<PodPortSchema>")]
    pub ports: Vec<Node>,
    /// The port on every node, of a service with one port.
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    pub node_port: Option<Node>,
    /// Its cluster IP, or `None` (the word) for a headless service.
    #[serde(default, rename = "clusterIP")]
    #[schemars(with = "Option<String>")]
    pub cluster_ip: Option<Node>,
    /// `IPv4` and `IPv6`, the first one first; those of the topology if absent.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub ip_families: Option<Node>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`; every family of the topology if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub ip_family_policy: Option<Node>,
    /// Addresses that lead to it where a node receives them.
    #[serde(default, rename = "externalIPs")]
    #[schemars(with = "Option<Vec<String>>")]
    pub external_ips: Option<Node>,
    /// The addresses of its load balancer; the topology's load balancer gives it one if absent. Those of
    /// families that the topology does not have are left out.
    #[serde(default, rename = "loadBalancerIPs")]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub load_balancer_ips: Option<OneOrMany<Node>>,
    /// What the load balancer does with the destination of these addresses: `VIP` (if absent) leaves it,
    /// `Proxy` rewrites it to a node and node port.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub ip_mode: Option<Node>,
    /// Who may use the load balancer's addresses; everybody if absent.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub load_balancer_source_ranges: Option<Node>,
    /// Whether a service of type LoadBalancer gets node ports; true if absent.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub allocate_load_balancer_node_ports: Option<Node>,
    /// The port where nodes say whether they have endpoints, of type LoadBalancer with the
    /// externalTrafficPolicy Local; the next free one if absent.
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    pub health_check_node_port: Option<Node>,
    /// `Cluster` (if absent) or `Local`: the endpoints for what comes from outside.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub external_traffic_policy: Option<Node>,
    /// `Cluster` (if absent) or `Local`: the endpoints for what comes to the cluster IP.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub internal_traffic_policy: Option<Node>,
    /// `PreferSameZone` or `PreferSameNode`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub traffic_distribution: Option<Node>,
    /// `None` (if absent) or `ClientIP`: a client keeps its endpoint.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub session_affinity: Option<Node>,
    /// For how many seconds after its last connection; 10800 if absent.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub session_affinity_timeout: Option<Node>,
    /// Whether its endpoints count as ready whatever their pods say; false if absent.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub publish_not_ready_addresses: Option<Node>,
    /// The DNS name that it is an alias of, of type ExternalName.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub external_name: Option<Node>,
}

/// A time, for a field whose presence is all that counts.
const SOME_TIME: &str = "2026-01-01T00:00:00Z";

fn namespace_or(written_one: Option<&Spanned<String>>, default: &str, at: At) -> Node {
    written_one.map_or_else(|| at.text(default), written)
}

impl PodShort {
    /// The manifest that it stands for.
    pub fn manifest(&self, default: &str, document: &Document, problems: &mut Problems) -> Node {
        let at = At(self.name.span);
        let ports: Vec<Node> =
            self.ports.iter().filter_map(|port| pod_port(port, document, problems)).collect();
        let container = at.map([
            ("name", Some(at.text("main"))),
            ("image", Some(at.text("netproof"))),
            ("ports", Some(at.list(ports))),
        ]);
        let spec = at.map([
            ("containers", Some(at.list(vec![container]))),
            ("nodeName", self.node.as_ref().map(written)),
            ("hostNetwork", self.host_network.clone()),
            ("serviceAccountName", self.service_account.clone()),
        ]);
        let pod_ips = self.ip.as_ref().map(|OneOrMany(addresses)| {
            let one = |address: &Node| At(address.span).map([("ip", Some(address.clone()))]);
            at.list(addresses.iter().map(one).collect())
        });
        let conditions = self.ready.map(|ready| {
            let at = At(ready.span);
            let status = if ready.value { "True" } else { "False" };
            at.list(vec![at.map([("type", Some(at.text("Ready"))), ("status", Some(at.text(status)))])])
        });
        let status = (pod_ips.is_some() || conditions.is_some())
            .then(|| at.map([("podIPs", pod_ips), ("conditions", conditions)]));
        let namespace = namespace_or(self.namespace.as_ref(), default, at);
        let mut metadata = at.metadata(&self.name, Some(namespace), &self.labels);
        if let Value::Mapping(fields) = &mut metadata.value
            && let Some(Spanned { span, .. }) = self.terminating.filter(|terminating| terminating.value)
        {
            let key = Key { name: "deletionTimestamp".to_owned(), span };
            fields.push((key, At(span).text(SOME_TIME)));
        }
        at.manifest("Pod", metadata, [("spec", Some(spec)), ("status", status)])
    }
}

impl NamespaceShort {
    /// The manifest that it stands for.
    pub fn manifest(&self) -> Node {
        let at = At(self.name.span);
        at.manifest("Namespace", at.metadata(&self.name, None, &self.labels), [])
    }
}

impl NodeShort {
    /// The manifest that it stands for.
    pub fn manifest(&self) -> Node {
        let at = At(self.name.span);
        at.manifest("Node", at.metadata(&self.name, None, &self.labels), [])
    }
}

impl ServiceShort {
    /// The manifest that it stands for; `None` if a port cannot be read.
    pub fn manifest(&self, default: &str, document: &Document, problems: &mut Problems) -> Option<Node> {
        let at = At(self.name.span);
        let several = self.ports.len() > 1;
        let ports: Vec<Option<Node>> =
            self.ports.iter().map(|port| service_port(port, several, document, problems)).collect();
        let mut ports: Vec<Node> = ports.into_iter().collect::<Option<_>>()?;
        if let Some(node_port) = &self.node_port {
            if let ([port], Value::Mapping(fields)) =
                (self.ports.as_slice(), ports.first_mut().map_or(&mut Value::Null, |port| &mut port.value))
                && port.entries().iter().all(|(key, _)| key.name != "nodePort")
            {
                fields.push((Key { name: "nodePort".to_owned(), span: node_port.span }, node_port.clone()));
            } else {
                let error = document.error(node_port.span, "`nodePort` does not say which port it is for");
                problems.push(error.help(
                    "write it at the port: `ports: [{name: http, port: 80, targetPort: 80, nodePort: 30080}]`",
                ));
            }
        }
        let spec = at.map([
            ("type", self.service_type.clone()),
            ("selector", self.selector.clone()),
            ("clusterIP", self.cluster_ip.clone()),
            ("ipFamilies", self.ip_families.clone()),
            ("ipFamilyPolicy", self.ip_family_policy.clone()),
            ("externalIPs", self.external_ips.clone()),
            ("loadBalancerSourceRanges", self.load_balancer_source_ranges.clone()),
            ("allocateLoadBalancerNodePorts", self.allocate_load_balancer_node_ports.clone()),
            ("healthCheckNodePort", self.health_check_node_port.clone()),
            ("externalTrafficPolicy", self.external_traffic_policy.clone()),
            ("internalTrafficPolicy", self.internal_traffic_policy.clone()),
            ("trafficDistribution", self.traffic_distribution.clone()),
            ("sessionAffinity", self.session_affinity.clone()),
            ("sessionAffinityConfig", self.session_affinity_config(document, problems)),
            ("publishNotReadyAddresses", self.publish_not_ready_addresses.clone()),
            ("externalName", self.external_name.clone()),
            ("ports", Some(at.list(ports))),
        ]);
        let status = self.status(document, problems);
        let namespace = namespace_or(self.namespace.as_ref(), default, at);
        let metadata = at.metadata(&self.name, Some(namespace), &None);
        Some(at.manifest("Service", metadata, [("spec", Some(spec)), ("status", status)]))
    }

    /// `spec.sessionAffinityConfig`, where there is a timeout.
    fn session_affinity_config(&self, document: &Document, problems: &mut Problems) -> Option<Node> {
        let timeout = self.session_affinity_timeout.as_ref()?;
        if self.session_affinity.as_ref().and_then(Node::as_str) != Some("ClientIP") {
            let message = "`sessionAffinityTimeout` is for `sessionAffinity: ClientIP`";
            problems.push(document.error(timeout.span, message).help("add it, or leave the timeout out"));
            return None;
        }
        let at = At(timeout.span);
        let client = at.map([("timeoutSeconds", Some(timeout.clone()))]);
        Some(at.map([("clientIP", Some(client))]))
    }

    /// `status`, where the load balancer has addresses.
    fn status(&self, document: &Document, problems: &mut Problems) -> Option<Node> {
        let Some(OneOrMany(addresses)) = &self.load_balancer_ips else {
            if let Some(mode) = &self.ip_mode {
                let error = document.error(mode.span, "`ipMode` says nothing without `loadBalancerIPs`");
                problems.push(error.help("write the addresses that it is about, one of each family"));
            }
            return None;
        };
        let ingress = addresses
            .iter()
            .map(|address| {
                At(address.span).map([("ip", Some(address.clone())), ("ipMode", self.ip_mode.clone())])
            })
            .collect();
        let at = At(addresses.first()?.span);
        let balancer = at.map([("ingress", Some(at.list(ingress)))]);
        Some(at.map([("loadBalancer", Some(balancer))]))
    }
}
