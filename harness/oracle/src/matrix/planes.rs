//! The relation between classes at one port: who reaches whom.

use super::classes::{Class, Classes};
use crate::flow::PortProtocol;
use crate::order::{Bits, Matching, SetWalk, transposed};
use crate::policy::many::{At, Many};
use netproof_model::Direction;
use std::collections::HashMap;
use std::rc::Rc;

/// Who reaches whom at one port: a row for each class of sources, of the classes of destinations.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// In every reading of the API.
    pub certain: Vec<Bits>,
    /// In some reading.
    pub possible: Vec<Bits>,
}

impl Plane {
    /// The relation at one port: egress of the source and ingress of the destination.
    pub(super) fn at<'a>(port: PortProtocol, apis: &[Box<dyn Many + 'a>], classes: &Classes<'a>) -> Plane {
        let asked = |direction| -> Vec<Box<dyn At + '_>> {
            apis.iter().map(|api| api.at(direction, port, &classes.ends)).collect()
        };
        let (mut apis, mut cache) = (asked(Direction::Ingress), HashMap::new());
        let mut ingress: Vec<Rc<Matching>> = Vec::with_capacity(classes.list.len());
        for Class { selection, port_names, .. } in &classes.list {
            let sources = cache
                .entry((*selection, *port_names))
                .or_insert_with(|| Rc::new(allowed(&mut apis, classes, *selection, Some(*port_names))));
            ingress.push(sources.clone());
        }
        let rows = |part: fn(&Matching) -> &Bits| {
            transposed(&ingress.iter().map(|matching| part(matching)).collect::<Vec<_>>())
        };
        let mut plane = Plane {
            certain: rows(|matching| &matching.certain),
            possible: rows(|matching| &matching.possible),
        };
        let (mut apis, mut cache) = (asked(Direction::Egress), HashMap::new());
        for (source, class) in classes.list.iter().enumerate() {
            let egress = cache
                .entry(class.selection)
                .or_insert_with(|| allowed(&mut apis, classes, class.selection, None));
            plane.certain[source].keep(&egress.certain);
            plane.possible[source].keep(&egress.possible);
        }
        plane
    }
}

/// Whom the policies of a selection allow, API by API. `names`: what the endpoints call their ports, where they are the
/// destination.
fn allowed(
    apis: &mut [Box<dyn At + '_>],
    classes: &Classes<'_>,
    selection: usize,
    names: Option<usize>,
) -> Matching {
    let mut tiers = SetWalk::new(classes.ends.bound);
    for (api, selection) in apis.iter_mut().zip(&classes.selections[selection]) {
        api.ask(*selection, names, &mut tiers);
    }
    tiers.outcome()
}
