//! The namespaces of names that are written without one.

use netproof_model::flow::{Destination, Flow, Source};

/// A source with its namespace filled in.
pub fn source_in(mut from: Source, default: &str) -> Source {
    if let Source::Pod(name) = &mut from {
        name.namespace.get_or_insert_with(|| default.to_owned());
    }
    from
}

/// A destination with its namespace filled in.
pub fn destination_in(mut to: Destination, default: &str) -> Destination {
    match &mut to {
        Destination::Pod(name)
        | Destination::Service(name)
        | Destination::LoadBalancer(name)
        | Destination::NodePort { service: name, .. } => {
            name.namespace.get_or_insert_with(|| default.to_owned());
        }
        Destination::Node(_) | Destination::External(_) | Destination::Dns(_) | Destination::Ip(_) => {}
    }
    to
}

/// A flow with its namespaces filled in.
pub fn flow_in(flow: Flow, default: &str) -> Flow {
    Flow { from: source_in(flow.from, default), to: destination_in(flow.to, default), ..flow }
}
