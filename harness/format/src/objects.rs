//! Items of `objects` and `apply`, labels and deletions: from what is written to the changes that a
//! control plane takes, each with the place it was written at.

use crate::refs;
use crate::short::{Items, ShortForm};
use crate::types::{ChangeSpec, LabelChanges, StepSpec};
use netproof_api::manifest::{Context, Located, Manifest, read_document, read_manifest};
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{self, Node, Reading, Spanned};
use netproof_api::{Diagnostic, Effect, Ignored, Source, names};
use netproof_controlplane::{Change, ObjectRef};
use netproof_documents::document::{self, Document, Problems, TextError};
use netproof_documents::files;
use netproof_documents::lost::Lost;
use netproof_documents::placed::Placed;
use netproof_documents::ports::listen_ports;
use netproof_documents::unions::PortText;
use netproof_model::flow::Source as FlowSource;
use netproof_model::{NamespacedName, Topology};
use netproof_plan::ignored::IgnoredObjects;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Reads the changes of one scenario.
pub struct Reader<'a> {
    /// The scenario.
    pub document: &'a Document,
    /// The namespace of what is written without one.
    pub context: &'a Context,
    /// What the cluster is built on; any, where that cannot be read.
    pub topology: &'a Topology,
    /// Whether that is known.
    pub knows_topology: bool,
    /// The scenario's folder, as the user named it.
    pub folder: &'a Path,
    /// No file outside it is read.
    pub root: &'a Path,
    /// What is wrong.
    pub problems: &'a mut Problems,
    /// What cannot be read, since this was taken away last.
    pub lost: Lost,
    /// Objects that are not kept.
    pub ignored: &'a mut IgnoredObjects,
}

/// The objects that a list has so far: where each stands.
type Seen = HashMap<ObjectRef, (Arc<Source>, Span)>;

impl Reader<'_> {
    /// The change sets of a step.
    pub fn change_sets(&mut self, step: &StepSpec) -> Vec<Vec<Placed>> {
        let at_once = step.apply.is_some() || step.label.is_some() || step.delete.is_some();
        let Some(changes) = &step.changes else {
            let set = self.change_set(&step.apply, &step.label, &step.delete);
            return if at_once { vec![set] } else { Vec::new() };
        };
        if at_once {
            let message = "`changes` stands beside `apply`, `label` or `delete`";
            let help = "write all of the step's changes under `changes`, in the order they are to be made";
            self.problems.push(self.document.error(changes.span, message).help(help));
            self.lost.add_anything();
            self.lost.add_deletion();
        }
        let mut sets = Vec::new();
        for Spanned { value: ChangeSpec { apply, label, delete }, span } in changes.iter() {
            if apply.is_none() && label.is_none() && delete.is_none() {
                let error = self.document.error(*span, "the change is empty");
                self.problems.push(error.help("add `apply`, `label` or `delete`, or leave it out"));
            }
            sets.push(self.change_set(apply, label, delete));
        }
        sets
    }

    /// What takes effect at once, in the order in which it is made.
    fn change_set(
        &mut self,
        apply: &Option<Items>,
        label: &Option<LabelChanges>,
        delete: &Option<Vec<Spanned<String>>>,
    ) -> Vec<Placed> {
        let mut set = Vec::new();
        set.extend(apply.iter().flat_map(|items| self.items(items)));
        set.extend(label.iter().flat_map(|labels| self.labels(labels)));
        set.extend(delete.iter().flat_map(|objects| self.deletions(objects)));
        set
    }

    /// The changes of a list of items.
    pub fn items(&mut self, items: &Items) -> Vec<Placed> {
        let mut seen = Seen::new();
        let mut changes = Vec::new();
        for item in &items.0 {
            let manifest = item.get("apiVersion").is_some() || item.get("kind").is_some();
            let before = changes.len();
            let is_right = if let Some(error) = ours(item, &self.document.source) {
                self.problems.push(error);
                self.lost.add_anything();
                true
            } else if manifest {
                let manifest = read_manifest(item, &self.document.source, self.context);
                self.manifest(manifest, &mut seen, &mut changes);
                true
            } else {
                self.short(item, &mut seen, &mut changes)
            };
            // What is not as it was meant is not there at all: what depends on it is not judged.
            if !is_right || self.problems.is_broken(&self.document.source, item.span) {
                changes.truncate(before);
                self.lost.add_item(item);
            }
        }
        changes
    }

    /// Reads an item that is no manifest; whether nothing is wrong with it but unknown fields.
    fn short(&mut self, item: &Node, seen: &mut Seen, changes: &mut Vec<Placed>) -> bool {
        let mut read = yaml::recover::<ShortForm>(item, &self.document.source);
        read.errors = read.errors.into_iter().map(explain_item).collect();
        let Some(short) = self.problems.recovered(&self.document.source, read) else { return false };
        // What is wrong with a file is wrong with what stands in it.
        let is_file = matches!(short, ShortForm::File(_));
        let errors = self.problems.errors();
        self.short_form(item, short, seen, changes);
        is_file || self.problems.errors() == errors
    }

    fn short_form(&mut self, item: &Node, short: ShortForm, seen: &mut Seen, changes: &mut Vec<Placed>) {
        let document = self.document;
        let place = item.entries().first().map_or(item.span, |(key, _)| key.span);
        let node = match short {
            ShortForm::File(path) => return self.file(&path, seen, changes),
            ShortForm::Listens(listens) => {
                for (pod, ports) in &listens {
                    changes.extend(self.listens(pod, ports));
                }
                return;
            }
            ShortForm::External(external) => {
                let host = external.host(self.topology, document, self.problems);
                let reference = ObjectRef::new("external", None, &host.name);
                if self.is_first(seen, reference, &document.source, external.name.span) {
                    changes.push(self.placed(Change::ApplyExternal(host), place));
                }
                return;
            }
            ShortForm::Pod(pod) => {
                let manifest = pod.manifest(&self.context.namespace, document, self.problems);
                self.check_node(pod.node.as_ref());
                self.read_short(&manifest, seen, changes);
                if let Some(ports) = &pod.listens {
                    let ports = listen_ports(ports, document, self.problems);
                    let namespace =
                        pod.namespace.as_ref().map_or(&self.context.namespace, |name| &name.value);
                    let pod = NamespacedName::new(namespace, &pod.name.value);
                    changes.push(self.placed(Change::Listen { pod, ports }, place));
                }
                return;
            }
            ShortForm::Namespace(namespace) => namespace.manifest(),
            ShortForm::Node(node) => node.manifest(),
            ShortForm::Service(service) => {
                match service.manifest(&self.context.namespace, document, self.problems) {
                    Some(manifest) => manifest,
                    None => return,
                }
            }
        };
        self.read_short(&node, seen, changes);
    }

    /// The control plane would find it too, and know the pod's place only.
    fn check_node(&mut self, node: Option<&Spanned<String>>) {
        if !self.knows_topology {
            return;
        }
        let known: Vec<&str> = self.topology.nodes.iter().map(|node| node.name.as_str()).collect();
        let Some(node) = node.filter(|node| !known.contains(&node.value.as_str())) else {
            return;
        };
        let error = self.document.error(node.span, format!("the topology has no node `{}`", node.value));
        self.problems.push(error.help(suggestion(&node.value, &known)));
    }

    /// Reads the manifest that a short form stands for. Its fields are not the short form's, so errors and
    /// warnings keep their place and lose their path.
    fn read_short(&mut self, manifest: &Node, seen: &mut Seen, changes: &mut Vec<Placed>) {
        let bare = |diagnostic: Diagnostic| Diagnostic { path: None, ..diagnostic };
        let read = read_manifest(manifest, &self.document.source, self.context);
        self.problems.extend(read.problems.into_iter().map(bare));
        read.unreadable.into_iter().for_each(|object| self.lost.add(object));
        self.located(read.objects, seen, changes);
    }

    fn listens(&mut self, pod: &Spanned<String>, ports: &[Spanned<PortText>]) -> Option<Placed> {
        let ports = listen_ports(ports, self.document, self.problems);
        match refs::place(&pod.value, &self.context.namespace) {
            Ok(FlowSource::Pod(name)) => {
                let namespace = name.namespace.unwrap_or_else(|| self.context.namespace.clone());
                let pod_name = NamespacedName::new(namespace, name.name);
                Some(self.placed(Change::Listen { pod: pod_name, ports }, pod.span))
            }
            _ => {
                let message = format!("`{}` is not the name of a pod", pod.value);
                let help = "write `listens: {pod/[NAMESPACE/]NAME: [80, 53/udp]}`";
                self.problems.push(self.document.error(pod.span, message).help(help));
                None
            }
        }
    }

    fn manifest(&mut self, manifest: Manifest, seen: &mut Seen, changes: &mut Vec<Placed>) {
        self.problems.extend(manifest.problems);
        manifest.unreadable.into_iter().for_each(|object| self.lost.add(object));
        for object in manifest.ignored.iter().filter(|object| object.effect == Effect::Policy) {
            self.lost.add_policy(&object.name);
        }
        self.problems.extend(manifest.ignored.iter().filter_map(missing));
        manifest.ignored.iter().for_each(|object| self.ignored.add(object));
        self.located(manifest.objects, seen, changes);
    }

    fn located(&mut self, objects: Vec<Located>, seen: &mut Seen, changes: &mut Vec<Placed>) {
        for Located { object, source, span } in objects {
            let metadata = object.metadata();
            let reference = ObjectRef::new(object.kind(), metadata.namespace.as_deref(), &metadata.name);
            if self.is_first(seen, reference.clone(), &source, span) {
                changes.push(Placed { change: Change::Apply(object), source, span });
            } else {
                self.lost.add_named(&reference);
            }
        }
    }

    /// Whether the list has no such object yet; reports the second one.
    fn is_first(&mut self, seen: &mut Seen, object: ObjectRef, source: &Arc<Source>, span: Span) -> bool {
        if let Some((first_source, first)) = seen.get(&object) {
            let place = document::location(first_source, *first);
            let error = Diagnostic::error(format!("{object} stands twice in this list")).at(source, span);
            self.problems.push(error.help(format!("the first one is at {place}; keep one, or rename one")));
            return false;
        }
        seen.insert(object, (Arc::clone(source), span));
        true
    }

    /// The manifests of a file.
    fn file(&mut self, path: &Spanned<String>, seen: &mut Seen, changes: &mut Vec<Placed>) {
        let source = match self.open(&path.value) {
            Ok(source) => source,
            Err((message, help)) => {
                self.problems.push(self.document.error(path.span, message).help(help));
                return self.lost.add_anything();
            }
        };
        self.problems.reads(&source);
        match yaml::documents(&source, Reading::Kubectl) {
            Ok(documents) => {
                for document in documents {
                    if let Some(error) = document.root.as_ref().and_then(|root| ours(root, &source)) {
                        self.problems.push(error);
                        self.lost.add_anything();
                        continue;
                    }
                    self.manifest(read_document(&document, &source, self.context), seen, changes);
                }
            }
            Err(errors) => {
                self.problems.extend(errors);
                self.lost.add_anything();
            }
        }
    }

    /// Reads a file inside the root.
    fn open(&self, path: &str) -> Result<Arc<Source>, TextError> {
        let named = files::inside(self.root, self.folder, path)?;
        Source::read(&named).map_err(|errors| {
            let message = errors.iter().next().map_or_else(String::new, |error| error.message.clone());
            (format!("{}: {message}", named.display()), "name a YAML file of manifests".to_owned())
        })
    }

    /// The changes of a `label`.
    fn labels(&mut self, changes: &LabelChanges) -> Vec<Placed> {
        let mut placed = Vec::new();
        for (object, labels) in &changes.0 {
            let errors = self.problems.errors();
            let mut values = BTreeMap::new();
            for (key, value) in labels {
                self.problems.check_name(self.document, key, names::check_label_key);
                if let Some(value) = value {
                    self.problems.check_name(self.document, value, names::check_label_value);
                }
                values.insert(key.value.clone(), value.as_ref().map(|value| value.value.clone()));
            }
            if let Some(reference) = self.reference(object) {
                let change = Change::Label { object: reference, labels: values };
                placed.push(self.placed(change, object.span));
            }
            if self.problems.errors() > errors {
                self.lost.add_change();
            }
        }
        placed
    }

    /// The changes of a `delete`.
    fn deletions(&mut self, objects: &[Spanned<String>]) -> Vec<Placed> {
        let mut seen = Seen::new();
        let mut placed = Vec::new();
        for object in objects {
            let Some(reference) = self.reference(object) else {
                self.lost.add_deletion();
                continue;
            };
            if self.is_first(&mut seen, reference.clone(), &self.document.source, object.span) {
                placed.push(self.placed(Change::Delete(reference), object.span));
            }
        }
        placed
    }

    fn reference(&mut self, object: &Spanned<String>) -> Option<ObjectRef> {
        refs::object_ref(&object.value, &self.context.namespace)
            .map_err(|(message, help)| {
                self.problems.push(self.document.error(object.span, message).help(help));
            })
            .ok()
    }

    fn placed(&self, change: Change, span: Span) -> Placed {
        Placed { change, source: Arc::clone(&self.document.source), span }
    }
}

/// A document of netproof's own formats is no object of a cluster.
fn ours(document: &Node, source: &Arc<Source>) -> Option<Diagnostic> {
    let version = document.get("apiVersion")?;
    let kind = document.get("kind").and_then(Node::as_str).unwrap_or("netproof document");
    version.as_str()?.starts_with("netproof/").then(|| {
        Diagnostic::error(format!("this is a {kind}, not an object of a cluster"))
            .at(source, version.span)
            .help("name a file of Kubernetes manifests")
    })
}

/// An item that is no mapping, or of several keys, is told what an item is.
fn explain_item(mut error: Diagnostic) -> Diagnostic {
    error.message = error.message.replace("unknown value", "unknown item");
    match error.path {
        Some(_) => error,
        None if error.help.as_ref().is_some_and(|help| help.starts_with("did you mean")) => error,
        None => error.help(
            "an item is a short form (`pod:`, `namespace:`, `service:`, `node:`, `external:`, `listens:`), \
             `file:`, or a manifest with `apiVersion` and `kind`",
        ),
    }
}

/// What to say of an object that is not kept where every verdict is to be right: a policy that is not looked at
/// makes them wrong, and pods that are missing are not tried.
fn missing(ignored: &Ignored) -> Option<Diagnostic> {
    let Ignored { kind, group, .. } = ignored;
    let diagnostic = match ignored.effect {
        Effect::None | Effect::Unknown | Effect::Routes | Effect::PodsLater => return None,
        Effect::Policy => Diagnostic::error(format!("{kind} of {group} is not looked at"))
            .help("without it the verdicts would be wrong: test it elsewhere, or leave it out knowingly"),
        Effect::Pods | Effect::PerhapsPods | Effect::Objects => {
            let what = match ignored.effect {
                Effect::Objects => "brings objects that are not read",
                Effect::PerhapsPods => "has containers: if it makes pods, they are missing",
                _ => "makes pods that cannot be read from it",
            };
            Diagnostic::warning(format!("{kind} of {group} {what}"))
                .help("write the pods, or a workload that makes them")
        }
    };
    Some(diagnostic.at(&ignored.source, ignored.span))
}
