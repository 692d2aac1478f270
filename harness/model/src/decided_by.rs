//! The expected decider: a scenario's `decidedBy`.

use crate::decision::Direction;
use crate::policy::PolicyKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who must have decided: who denied, or who allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum DecidedBy {
    /// `KIND/[NS/]NAME[#DIRECTION[N]]`: that policy; it denied by a rule or by isolating the endpoint, or allowed by a
    /// rule at one end.
    Policy {
        /// The policy, namespace filled in. It exists in this step.
        policy: PolicyKey,
        /// In this direction, if it is written.
        direction: Option<Direction>,
        /// By this rule, if it is written: the position in the direction's list, from 0.
        rule: Option<usize>,
    },
    /// `isolation`: no rule matched, whichever policies isolate.
    Isolation,
    /// `service`: the proxy.
    Service,
    /// `default`, for an allowed flow: no policy isolates the pod at either end. An end that is not a pod
    /// does not count.
    Default,
}

/// As written.
impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecidedBy::Policy { policy, direction, rule } => {
                policy.fmt(f)?;
                if let Some(direction) = direction {
                    write!(f, "#{direction}")?;
                }
                if let Some(rule) = rule {
                    write!(f, "[{rule}]")?;
                }
                Ok(())
            }
            DecidedBy::Isolation => f.write_str("isolation"),
            DecidedBy::Service => f.write_str("service"),
            DecidedBy::Default => f.write_str("default"),
        }
    }
}
