//! What tests of this crate need beside what those of the plan do: denials, and the objects of manifests.

use crate::judge::Judgement;
use netproof_api::manifest::Context;
use netproof_api::{Source, read_manifests};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::event::Denial;
use netproof_model::observation::PacketAddresses;
use netproof_model::{Action, Decision, Direction, Hook, Place, PolicyKey, Protocol};
use netproof_plan::testing::control_plane;
use std::sync::Arc;

/// The objects of manifests, on one node.
pub(crate) fn objects(manifests: &str) -> Arc<Snapshot> {
    let source = Source::new("test.yaml", manifests);
    let manifest = read_manifests(&source, &Context::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let changes: Vec<Change> = manifest.objects.into_iter().map(|it| Change::Apply(it.object)).collect();
    control_plane().apply(&changes).unwrap_or_else(|error| panic!("{error}"))
}

impl Judgement {
    /// What was found, in sentences.
    pub(crate) fn said(&self) -> String {
        self.findings.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; ")
    }
}

pub(crate) fn isolation() -> Denial {
    let decision = Decision::Isolation {
        endpoint: Place::pod("default", "b"),
        direction: Direction::Ingress,
        policies: vec![PolicyKey::network_policy("default", "deny")],
    };
    denial(decision, Action::Drop)
}

pub(crate) fn denial(decision: Decision, action: Action) -> Denial {
    let packet = PacketAddresses {
        source: "10.244.1.2".parse().unwrap(),
        destination: "10.244.1.3".parse().unwrap(),
        protocol: Protocol::Tcp,
        source_port: 1000,
        destination_port: 80,
    };
    Denial { decision, action, node: "node1".into(), hook: Hook::Forward, packet }
}
