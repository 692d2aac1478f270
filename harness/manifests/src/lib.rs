//! Files and folders of plain manifests, without a scenario: read as `kubectl apply` reads them, and
//! planned as one step that expects nothing.
//!
//! What a person applies to a cluster that has more in it is allowed for: a namespace that is used and not
//! declared exists. So is what a cluster exports: the nodes and addresses that it says are those of the
//! topology (`fit`), unless another one is asked for, and what controllers made stands for itself (`made`).

mod fit;
mod inferred;
mod lineage;
mod made;
mod missing;
mod pending;
mod room;
mod texts;
mod twice;
mod warnings;

use missing::Makers;
use netproof_api::manifest::{Context, Located, read_document};
use netproof_api::source::Span;
use netproof_api::yaml::{self, Reading, documents};
use netproof_api::{
    Diagnostic, Diagnostics, Effect, Ignored, Namespace, Object, ObjectMeta, Pod, Service, Source, Workload,
    WorkloadPods,
};
use netproof_controlplane::well_known::{DNS_NAMESPACE, DNS_POD, DNS_SERVICE};
use netproof_controlplane::{Change, ControlPlane, ObjectRef, Snapshot};
use netproof_documents::document::{self, Problems};
use netproof_documents::library::{self, Library};
use netproof_documents::lost::Lost;
use netproof_documents::placed::Placed;
use netproof_documents::{Options, files, own_kinds, refusals, topology};
use netproof_model::event::ScenarioId;
use netproof_model::{NamespacedName, Topology};
use netproof_plan::ignored::IgnoredObjects;
use netproof_plan::states::{States, count_places};
use netproof_plan::{Loaded, MatrixPlan, Plan, Step};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the only step.
pub const STEP: &str = "as written";

/// Whether anything at or below the paths is a scenario, or another document of netproof's own that runs.
pub fn has_scenarios(paths: &[PathBuf]) -> bool {
    // What cannot be read is reported when it is read for good.
    files::Search::new(files::is_yaml).find(paths, &mut Problems::default()).iter().any(|found| {
        let Ok(source) = Source::read(&found.path) else { return false };
        own_kinds::mentions_netproof(&source.text)
            && documents(&source, Reading::Strict).is_ok_and(|documents| {
                let mut roots = documents.iter().filter_map(|document| document.root.as_ref());
                roots.any(own_kinds::is_of_the_format)
            })
    })
}

/// Reads every manifest at or below the paths, or from standard input (`-`), as the objects of one cluster.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(paths: &[PathBuf], options: &Options) -> Result<Loaded, Diagnostics> {
    let mut problems = Problems::default();
    let texts = texts::read(paths, &mut problems);
    read(texts::name(paths), texts, options, problems)
}

/// Reads the manifests of a text that is in memory.
///
/// # Errors
/// As [`load`].
pub fn load_text(source: &Arc<Source>, options: &Options) -> Result<Loaded, Diagnostics> {
    read(source.name.clone(), vec![(Arc::clone(source), true)], options, Problems::default())
}

/// The texts, each with whether it was named itself, as the objects of one cluster.
fn read(
    name: String,
    texts: Vec<(Arc<Source>, bool)>,
    options: &Options,
    mut problems: Problems,
) -> Result<Loaded, Diagnostics> {
    let mut loaded = Loaded::default();
    let mut lost = Lost::default();
    let (mut objects, mut ignored) = (Vec::new(), Vec::new());
    let context = Context { namespace: options.namespace.clone().unwrap_or_else(|| "default".to_owned()) };
    for (source, named) in texts {
        text(&source, named, &context, (&mut objects, &mut ignored, &mut lost), &mut loaded, &mut problems);
    }
    let mut seen = HashSet::new();
    ignored.retain(|object: &Ignored| {
        let reference = lineage::reference_of(object, &context.namespace);
        object.name.is_empty() || seen.insert(reference)
    });
    if objects.is_empty() && ignored.is_empty() && problems.errors() == 0 {
        problems.push(nothing_at(&name, loaded.files));
    }
    // Without a Node that was meant, pods would be refused that are right.
    let named = topology_of(options, &mut problems).filter(|_| !lost.may_be_any("node"));
    if let Some(named) = named.filter(|_| !objects.is_empty()) {
        forget_labels_of_nodes(&mut objects);
        let changed = twice::keep_last(&mut objects, &mut problems);
        loaded.notes.extend(made::take_away(&mut objects, &mut ignored, &changed));
        loaded.notes.extend(missing::take_templates(&mut objects, &mut ignored, &context.namespace));
        let (wiring, family) = (options.wiring.unwrap_or(named.wiring), options.family);
        let named = topology::with_parameters(&named, named.wiring, named.family, options);
        let fit = match options.topology {
            Some(_) => None,
            None => Some(fit::topology(&named, &objects, wiring, family)),
        };
        let fits = fit.as_ref().is_some_and(|fit| fit.is_said);
        let topology = match fit {
            Some(fit) => {
                loaded.notes.extend(fit.notes);
                Arc::new(fit.topology)
            }
            None => topology::with_parameters(&named, wiring, family.unwrap_or(named.family), options),
        };
        nodes_of_topology(&mut objects, &topology, fits, &mut loaded.ignored);
        let id = ScenarioId { suite: String::new(), name, variant: Vec::new() };
        let makers = Makers { ignored: &ignored, default_namespace: &context.namespace };
        let plan = plan(id, objects, makers, (topology, fits), lost, &mut loaded, &mut problems);
        loaded.plans.extend(plan);
    }
    ignored.iter().for_each(|object| loaded.ignored.add(object));
    loaded.warnings = Diagnostics::check(problems.into_vec())?;
    Ok(loaded)
}

/// What to say where there is no object, in so many files that were read.
fn nothing_at(name: &str, files: usize) -> Diagnostic {
    match files {
        0 => Diagnostic::error(format!("there is neither a scenario nor a manifest at {name}"))
            .help("name files or folders of Kubernetes objects"),
        _ => Diagnostic::error(format!("there is no object at {name}")).help(
            "a file that is empty, or has only comments, and a List without items have none: name files or folders \
             of Kubernetes objects",
        ),
    }
}

/// The objects of a text. In a folder, a file in which nothing looks like an object is passed over: a chart's
/// values, say.
fn text(
    source: &Arc<Source>,
    named: bool,
    context: &Context,
    (objects, ignored, lost): (&mut Vec<Located>, &mut Vec<Ignored>, &mut Lost),
    loaded: &mut Loaded,
    problems: &mut Problems,
) {
    problems.reads(source);
    // A file without a document is nothing to be told of, unless it was named itself.
    if !named && is_blank(&source.text) {
        loaded.passed_over_files += 1;
        return;
    }
    let documents = match documents(source, Reading::Kubectl) {
        Ok(documents) => documents,
        Err(errors) => {
            lost.add_anything();
            return problems.extend(errors);
        }
    };
    // What cannot be parsed may be one.
    let may_be_object = |document: &yaml::Document| match &document.root {
        Some(root) => root.get("apiVersion").is_some() || root.get("kind").is_some(),
        None => true,
    };
    if !named && !documents.iter().any(may_be_object) {
        loaded.passed_over_files += 1;
        return;
    }
    loaded.files += 1;
    for document in documents {
        let manifest = read_document(&document, source, context);
        problems.extend(manifest.problems);
        manifest.unreadable.into_iter().for_each(|object| lost.add(object));
        objects.extend(manifest.objects);
        ignored.extend(manifest.ignored);
    }
}

/// Where the manifests have no Node, nobody knows its labels: a `nodeSelector` of pods is met then. (A DaemonSet is
/// of chosen nodes, and has no pods where it finds none.)
fn forget_labels_of_nodes(objects: &mut [Located]) {
    if objects.iter().any(|located| matches!(located.object, Object::Node(_))) {
        return;
    }
    for located in objects {
        match &mut located.object {
            Object::Pod(pod) => pod.node_selector.clear(),
            Object::Workload(workload) if matches!(workload.pods, WorkloadPods::Ordinals(_)) => {
                workload.template.node_selector.clear();
            }
            _ => {}
        }
    }
}

/// Whether a text has no document.
fn is_blank(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || matches!(line, "---" | "..."))
}

/// Passes over Nodes that the topology lacks. One that fits has their addresses, and every node but those that
/// only pods which have ended were on.
fn nodes_of_topology(
    objects: &mut Vec<Located>,
    topology: &Topology,
    fits: bool,
    ignored: &mut IgnoredObjects,
) {
    objects.retain_mut(|located| {
        let is_there = |name: &str| topology.node_index(name).is_some();
        let node = match &mut located.object {
            Object::Node(node) => node,
            Object::Pod(pod) if fits && pod.phase.has_ended() => {
                pod.node_name = pod.node_name.take().filter(|name| is_there(name));
                return true;
            }
            _ => return true,
        };
        if fits {
            (node.addresses, node.pod_cidrs) = (Vec::new(), Vec::new());
        }
        let is_there = is_there(&node.metadata.name);
        if !is_there {
            ignored.add_named(Effect::None, "Node", "", node.metadata.name.clone());
        }
        is_there
    });
}

/// In a topology that fits, the cluster's DNS must have no address that an object has: the changes that take
/// it away before the objects come, and those that bring it back afterwards, unless they have one of their own.
fn own_dns(own: &Snapshot, objects: &[Located]) -> (Vec<Change>, Vec<Change>) {
    let reference = |kind: &str, name: &str| ObjectRef::new(kind, Some(DNS_NAMESPACE), name);
    let delete = [reference("pod", DNS_POD), reference("service", DNS_SERVICE)].map(Change::Delete);
    let theirs = objects.iter().any(|Located { object, .. }| {
        let metadata = object.metadata();
        object.kind() == "service"
            && (metadata.namespace.as_deref(), metadata.name.as_str()) == (Some(DNS_NAMESPACE), DNS_SERVICE)
    });
    let mut back = Vec::new();
    if !theirs {
        let name = |name| NamespacedName::new(DNS_NAMESPACE, name);
        let pod = own.pods.get(&name(DNS_POD)).map(|pod| Pod { pod_ips: Vec::new(), ..Pod::clone(pod) });
        let service = own.services.get(&name(DNS_SERVICE));
        let service = service.map(|it| Service { cluster_ips: Vec::new(), ..Service::clone(it) });
        back.extend(pod.map(Object::Pod).map(Change::Apply));
        back.extend(service.map(Object::Service).map(Change::Apply));
    }
    (delete.into(), back)
}

/// The topology that the command line names, or else the usual one.
fn topology_of(options: &Options, problems: &mut Problems) -> Option<Arc<Topology>> {
    let name = options.topology.as_deref().unwrap_or(library::DEFAULT);
    let here = Path::new(".");
    let real = here.canonicalize().unwrap_or_else(|_| here.to_owned());
    let root = files::root(options.root.as_deref(), here).unwrap_or_else(|_| real.clone());
    Library::default().asked_for(name, &real, &root, problems)
}

/// One plan of all objects: namespaces first, whatever the order of the files.
fn plan(
    id: ScenarioId,
    objects: Vec<Located>,
    makers: Makers<'_>,
    (topology, fits): (Arc<Topology>, bool),
    mut lost: Lost,
    loaded: &mut Loaded,
    problems: &mut Problems,
) -> Option<Plan> {
    let topology = inferred::with_load_balancer(topology, &objects);
    let (topology, stand_ins) = inferred::with_stand_ins(topology, &objects);
    let mut control_plane = match ControlPlane::new(topology.clone()) {
        Ok(control_plane) => control_plane,
        Err(error) => {
            problems.push(Diagnostic::error(error.message).help(error.help));
            return None;
        }
    };
    let own = control_plane.snapshot();
    let mut declared: BTreeSet<&str> = own.namespaces.keys().map(String::as_str).collect();
    declared.extend(objects.iter().filter_map(|located| match &located.object {
        Object::Namespace(namespace) => Some(namespace.metadata.name.as_str()),
        _ => None,
    }));
    let used = objects.iter().filter_map(|located| located.object.metadata().namespace.as_deref());
    let missing: BTreeSet<&str> = used.filter(|namespace| !declared.contains(namespace)).collect();
    loaded.implied_namespaces.extend(missing.iter().map(|name| (*name).to_owned()));
    let first = objects.first().map(|located| (located.source.clone(), located.span));
    let (source, span) = first.unwrap_or_else(|| (Source::new("", ""), Span::default()));
    let location = document::location(&source, Span::new(span.start, span.start));
    let namespaces = missing.iter().map(|name| {
        let metadata = ObjectMeta { name: (*name).to_owned(), ..ObjectMeta::default() };
        let change = Change::Apply(Object::Namespace(Namespace { metadata }));
        Placed { change, source: source.clone(), span }
    });
    let mut placed: Vec<Placed> = namespaces.collect();
    let (delete, back) = if fits { own_dns(&own, &objects) } else { Default::default() };
    let of_netproof = |change| Placed { change, source: source.clone(), span };
    placed.extend(delete.into_iter().map(of_netproof));
    // What has an address comes before what gets one, and what one node alone can take before what has a choice.
    let (mut first, mut second, mut third, mut rest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Located { object, source, span } in objects {
        let list = match &object {
            // Pods are put on nodes whose taints are known.
            Object::Namespace(_) | Object::Node(_) => &mut first,
            Object::Pod(pod) if !pod.pod_ips.is_empty() => &mut second,
            Object::Service(service) if !service.cluster_ips.is_empty() => &mut second,
            Object::Pod(pod) if pod.node_name.is_some() => &mut third,
            Object::Workload(Workload { template, pods, .. })
                if template.node_name.is_some() || matches!(pods, WorkloadPods::Nodes(_)) =>
            {
                &mut third
            }
            _ => &mut rest,
        };
        list.push(Placed { change: Change::Apply(object), source, span });
    }
    placed.extend(first.into_iter().chain(second).chain(third).chain(rest));
    placed.extend(back.into_iter().map(of_netproof));
    let mut initial: Vec<Change> = placed.iter().map(|placed| placed.change.clone()).collect();
    let report = |error| problems.push(error);
    refusals::apply(&mut control_plane, (&initial, &placed), &mut lost, &source, report)?;
    if problems.errors() > 0 {
        return None;
    }
    loaded.notes.extend(pending::notes(&control_plane));
    let listens = inferred::listens(&control_plane.snapshot());
    if let Err(error) = control_plane.apply(&listens) {
        problems.push(Diagnostic::error(error.message).help(error.help));
        return None;
    }
    initial.extend(listens);
    let snapshot = control_plane.snapshot();
    warnings::selectors(&snapshot, &placed, makers, problems);
    warnings::idle_daemon_sets(&snapshot, &placed, problems);
    let step = Step {
        name: STEP.to_owned(),
        location: location.clone(),
        change_sets: Vec::new(),
        rounds: 1,
        streams: Vec::new(),
        expectations: Vec::new(),
        states: States::begin(&control_plane),
    };
    Some(Plan {
        id,
        location,
        description: String::new(),
        labels: BTreeMap::new(),
        tags: BTreeSet::new(),
        topology,
        initial,
        written: placed.iter().filter_map(|placed| placed.written(None)).collect(),
        own,
        start: control_plane,
        steps: vec![step],
        places: count_places(&snapshot),
        stand_ins: Some(stand_ins),
        matrix: MatrixPlan::default(),
        profile: None,
        group: None,
    })
}

#[cfg(test)]
mod tests;
