//! For tests: netproof's own proxy, as one that gives no evidence of what it denies.

use netproof_controlplane::Snapshot;
use netproof_enforcer::{EnforcerError, Proxy, ServiceProxy};
use netproof_model::IdentityTable;
use std::sync::Arc;

/// Does what the proxy does, and says nothing.
pub(super) struct Mute(pub(super) ServiceProxy);

impl Proxy for Mute {
    fn name(&self) -> &str {
        "mute"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        self.0.program(snapshot)
    }

    fn explains(&self) -> bool {
        false
    }

    fn identities(&self, _: &str) -> Option<&IdentityTable> {
        None
    }

    fn rules(&self, _: &str) -> Option<String> {
        None
    }
}
