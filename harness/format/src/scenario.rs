//! From a file to its scenarios: each document read, its topology found, its objects, changes and
//! expectations read.

use crate::cases::{self, Case, Table};
use crate::gaps::Gaps;
use crate::objects::Reader as ObjectReader;
use crate::types::{
    MatrixFields, MatrixSpec, Metadata, ScenarioFile, ScenarioSpec, StepExpectations, StepSpec, check_tag,
};
use crate::walk::{ReadStep, Scenario};
use crate::words::{Off, OracleWord, ScenarioKind};
use crate::{expect, refs, suite, variants};
use netproof_api::manifest::Context;
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Node, Spanned, recover};
use netproof_api::{Diagnostic, Source, names};
use netproof_controlplane::ObjectRef;
use netproof_documents::document::{Document, Problems, documents};
use netproof_documents::files::{self, Found};
use netproof_documents::library::{self, Library};
use netproof_documents::lost::Lost;
use netproof_documents::options::Options;
use netproof_documents::own_kinds::{
    is_misspelt, is_one_of_ours, is_ours, mentions_netproof, not_a_scenario,
};
use netproof_documents::placed::Placed;
use netproof_documents::unions::TextOr;
use netproof_documents::words::ApiVersion;
use netproof_model::Topology;
use netproof_plan::{Loaded, MatrixDestination, MatrixPlan};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most characters of a step's name.
const STEP_NAME_CHARACTERS: usize = 200;
/// After so many errors the rest of a table's cases are not looked at.
const MAX_ERRORS_OF_A_TABLE: usize = 20;

/// Reads files into scenarios, and keeps the topologies that it has met.
pub struct Loader<'a> {
    options: &'a Options,
    library: Library,
    /// What suites include and was not asked for yet.
    included: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    /// With nothing read yet.
    pub fn new(options: &'a Options) -> Self {
        Loader { options, library: Library::default(), included: Vec::new() }
    }

    /// The files and folders that the suites include which were read since the last call.
    pub fn take_included(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.included)
    }

    /// The scenarios of a file; those with a mistake are left out and reported.
    pub fn file(&mut self, found: &Found, loaded: &mut Loaded, problems: &mut Problems) -> Vec<Scenario> {
        let source = match Source::read(&found.path) {
            Ok(source) => source,
            Err(errors) => {
                problems.extend(errors);
                return Vec::new();
            }
        };
        // A file in a folder may be anybody's: a chart's template is not even YAML.
        if !found.named && !mentions_netproof(&source.text) {
            loaded.passed_over_files += 1;
            return Vec::new();
        }
        let Some(documents) = documents(&source, problems) else { return Vec::new() };
        let has_ours = documents.iter().any(is_one_of_ours);
        if !has_ours && !found.named && documents.iter().all(|document| !is_misspelt(document)) {
            loaded.passed_over_files += 1;
            return Vec::new();
        }
        loaded.files += 1;
        let folder = found.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let root = match files::root(self.options.root.as_deref(), folder) {
            Ok(root) => root,
            Err(error) => {
                let message = format!("the root cannot be found: {error}");
                problems.push(Diagnostic::error(message).help("name an existing folder with `--root`"));
                return Vec::new();
            }
        };
        let place = Place { suite: &found.suite, folder, root: &root };
        self.documents(&source, documents, &place, loaded, problems)
    }

    /// The scenarios of a text, which stands nowhere and names no file.
    pub fn text(
        &mut self,
        source: &Arc<Source>,
        loaded: &mut Loaded,
        problems: &mut Problems,
    ) -> Vec<Scenario> {
        let Some(documents) = documents(source, problems) else { return Vec::new() };
        loaded.files += 1;
        let here = PathBuf::from(".");
        let place = Place { suite: "", folder: &here, root: &here };
        self.documents(source, documents, &place, loaded, problems)
    }

    fn documents(
        &mut self,
        source: &Arc<Source>,
        documents: Vec<Node>,
        place: &Place<'_>,
        loaded: &mut Loaded,
        problems: &mut Problems,
    ) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for root in documents {
            let document = Document { source: Arc::clone(source), root };
            if is_ours(&document.root, "CaseTable") {
                scenarios.extend(self.table(&document, place, loaded, problems));
            } else if is_ours(&document.root, "Suite") {
                self.included.extend(suite::included(&document, place.folder, place.root, problems));
            } else {
                scenarios.extend(self.document(document, place, loaded, problems));
            }
        }
        scenarios
    }

    /// The cases of a table. Cases have most of their text in common: where several are wrong, the rest would
    /// say no more.
    fn table(
        &mut self,
        document: &Document,
        place: &Place<'_>,
        loaded: &mut Loaded,
        problems: &mut Problems,
    ) -> Vec<Scenario> {
        let Some(Table { name, cases }) = cases::read(document, problems) else {
            return Vec::new();
        };
        let suite = if place.suite.is_empty() { name } else { format!("{}::{name}", place.suite) };
        let place = Place { suite: &suite, ..*place };
        let before = problems.errors();
        let mut scenarios = Vec::new();
        for Case { name, document } in cases {
            if problems.errors() >= before + MAX_ERRORS_OF_A_TABLE {
                break;
            }
            let mut found = Problems::default();
            let scenario = self.document(document, &place, loaded, &mut found);
            problems.extend_from(Some(&name), found);
            scenarios.extend(scenario.map(|scenario| Scenario { is_case: true, ..scenario }));
        }
        scenarios
    }

    fn document(
        &mut self,
        document: Document,
        place: &Place<'_>,
        loaded: &mut Loaded,
        problems: &mut Problems,
    ) -> Option<Scenario> {
        if !is_ours(&document.root, "Scenario") {
            problems.push(not_a_scenario(&document));
            return None;
        }
        let before = problems.errors();
        let read = recover(&document.root, &document.source);
        let gaps = Gaps::found(&document, &read.lost, problems);
        let file: ScenarioFile = problems.recovered(&document.source, read)?;
        let ScenarioFile { api_version: ApiVersion::V1Alpha1, kind: ScenarioKind::Scenario, metadata, spec } =
            file;
        let is_sound = check_metadata(&document, &metadata, &spec, problems) && !gaps.base;
        let known = self.topology(&document, (&spec, &gaps), place, problems);
        let topology = known.clone().or_else(|| self.library.stand_in())?;
        let namespace = spec.namespace.as_ref().map(|name| &name.value);
        let namespace = namespace.filter(|name| names::check_dns_label(name).is_ok());
        let context = Context { namespace: namespace.map_or("default", String::as_str).to_owned() };
        let mut reader = ObjectReader {
            document: &document,
            context: &context,
            topology: &topology,
            knows_topology: known.is_some(),
            folder: place.folder,
            root: place.root,
            problems,
            lost: Lost::default(),
            ignored: &mut loaded.ignored,
        };
        let initial = reader.items(&spec.objects);
        let lost = std::mem::take(&mut reader.lost);
        let mut changes = |(at, step)| {
            let change_sets = reader.change_sets(step);
            let mut lost = std::mem::take(&mut reader.lost);
            if gaps.has_changes_of(at) {
                lost.add_anything();
                lost.add_deletion();
            }
            (change_sets, lost)
        };
        let changes = spec.steps.iter().enumerate().map(&mut changes).collect();
        let steps = steps(&document, &spec, &context.namespace, (changes, &gaps), problems);
        let matrix = matrix(&document, &spec, problems);
        let matches_nothing = matches_nothing(&document, &spec, &context.namespace, problems);
        if problems.errors() == before && steps.iter().all(ReadStep::is_empty) {
            let error = document.error(spec.steps.span, "the scenario expects nothing");
            problems.push(error.help(
                "add `expect`, `matrix` or `meanwhile` to a step; `expect: oracle` is what the API says",
            ));
        }
        let topology_span = spec.topology.as_ref().map_or(metadata.name.span, |topology| topology.span);
        let is_right = problems.errors() == before;
        (known.is_some() && is_sound).then(|| Scenario {
            suite: place.suite.to_owned(),
            name: metadata.name,
            is_case: false,
            labels: metadata.labels,
            tags: metadata.tags.into_iter().map(|tag| tag.value).collect(),
            description: spec.description.trim().to_owned(),
            topology: Spanned { value: topology, span: topology_span },
            initial,
            lost,
            steps,
            variants: spec.variants,
            requires: spec.requires,
            matches_nothing,
            matrix,
            profile: spec.profile.map(|name| name.0),
            is_right,
            knows_profile: !gaps.profile,
            document,
        })
    }

    /// The scenario's topology, or the one that the command line names.
    fn topology(
        &mut self,
        document: &Document,
        (spec, gaps): (&ScenarioSpec, &Gaps),
        place: &Place<'_>,
        problems: &mut Problems,
    ) -> Option<Arc<Topology>> {
        let real = place.folder.canonicalize().unwrap_or_else(|_| place.folder.to_owned());
        if let Some(name) = &self.options.topology {
            return self.library.asked_for(name, &real, place.root, problems);
        }
        let (name, span) = match &spec.topology {
            None => (library::DEFAULT, document.root.span),
            Some(Spanned { value: TextOr::Text(node), span }) => (node.as_str().unwrap_or_default(), *span),
            Some(Spanned { value: TextOr::Fields(inline), span }) => {
                // What it lacks may be what could not be read.
                let topology =
                    (!gaps.topology).then(|| inline.resolve("inline", document, problems)).flatten();
                let topology = topology.filter(|_| !problems.is_broken(&document.source, *span));
                return topology.map(Arc::new);
            }
        };
        self.library.find(name, &real, place.root, problems).unwrap_or_else(|known| {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let error = document.error(span, format!("there is no topology `{name}`"));
            problems.push(error.help(suggestion(name, &known)));
            None
        })
    }
}

/// Where a file stands.
struct Place<'a> {
    suite: &'a str,
    folder: &'a Path,
    root: &'a PathBuf,
}

/// Checks names, tags, variants and steps; whether the variants and the namespace are right, which everything else
/// depends on.
fn check_metadata(
    document: &Document,
    metadata: &Metadata,
    spec: &ScenarioSpec,
    problems: &mut Problems,
) -> bool {
    problems.check_name(document, &metadata.name, names::check_dns_subdomain);
    for tag in &metadata.tags {
        check_tag(document, tag, problems);
    }
    let errors = problems.errors();
    if let Some(namespace) = &spec.namespace {
        problems.check_name(document, namespace, names::check_dns_label);
    }
    let is_sound = problems.errors() == errors;
    check_steps(document, spec, problems);
    variants::check(document, spec, problems) && is_sound
}

/// The change sets of a step, and what is lost of them.
type ReadChanges = (Vec<Vec<Placed>>, Lost);

/// The steps as they are read, with their changes.
fn steps(
    document: &Document,
    spec: &ScenarioSpec,
    namespace: &str,
    (changes, gaps): (Vec<ReadChanges>, &Gaps),
    problems: &mut Problems,
) -> Vec<ReadStep> {
    let mut reader = expect::Reader { document, namespace, problems };
    let steps = spec.steps.value.iter().enumerate().zip(changes);
    steps
        .map(|((at, step), (change_sets, lost))| {
            let meanwhile = reader.meanwhile(step, change_sets.len());
            let before = reader.problems.errors();
            let expectations = reader.step(step);
            ReadStep {
                name: step.name.clone(),
                meanwhile,
                change_sets,
                lost,
                expectations,
                is_whole: reader.problems.errors() == before && !gaps.has_expectations_of(at),
                by_oracle: by_oracle(step),
            }
        })
        .collect()
}

fn check_steps(document: &Document, spec: &ScenarioSpec, problems: &mut Problems) {
    if spec.steps.is_empty() {
        let error = document.error(spec.steps.span, "the scenario has no step");
        problems.push(error.help("add one: `- name: ...` with `expect`"));
    }
    let mut seen = HashMap::new();
    for step in &spec.steps.value {
        if step.name.trim().is_empty() {
            let error = document.error(step.name.span, "the step's name is empty");
            problems.push(error.help("say in a few words what the step is about"));
        }
        if step.name.chars().any(char::is_control) || step.name.chars().count() > STEP_NAME_CHARACTERS {
            let error = document.error(step.name.span, "the step's name is not one short line");
            problems.push(error.help(format!(
                "reports name each check after it: write at most {STEP_NAME_CHARACTERS} characters"
            )));
        }
        problems.check_twice(document, &mut seen, &step.name, "step");
    }
}

/// Where a step says that it expects what the API says.
fn by_oracle(step: &StepSpec) -> Option<Span> {
    let expect = step.expect.as_ref()?;
    matches!(expect.value, StepExpectations::Oracle(OracleWord::Oracle)).then_some(expect.span)
}

/// The matrix of every step.
fn matrix(document: &Document, spec: &ScenarioSpec, problems: &mut Problems) -> MatrixPlan {
    match &spec.matrix {
        None => MatrixPlan::default(),
        Some(MatrixSpec::Off(Off::Off)) => {
            for span in spec.steps.value.iter().filter_map(by_oracle) {
                let error =
                    document.error(span, "the step relies on a matrix that the scenario switches off");
                problems.push(error.help("take `matrix: off` away, or list what the step expects"));
            }
            MatrixPlan::Off
        }
        Some(MatrixSpec::On(MatrixFields { destinations })) => {
            if destinations.value.is_empty() {
                let error = document.error(destinations.span, "the matrix has no destination");
                problems.push(error.help("list some of pod-ip, service-ip and service-name, or write `off`"));
            }
            let destinations = destinations.value.iter().map(|it| MatrixDestination::from(it.value));
            MatrixPlan::On { destinations: destinations.collect() }
        }
    }
}

fn matches_nothing(
    document: &Document,
    spec: &ScenarioSpec,
    namespace: &str,
    problems: &mut Problems,
) -> Vec<Spanned<ObjectRef>> {
    let mut objects = Vec::new();
    for name in &spec.matches_nothing {
        match refs::object_ref(&name.value, namespace) {
            Ok(value) if value.policy_key().is_some() || value.kind == "service" => {
                objects.push(Spanned { value, span: name.span });
            }
            Ok(value) => {
                let error = document.error(name.span, format!("{value} has no selector"));
                problems.push(error.help("name a networkpolicy or a service"));
            }
            Err((message, help)) => problems.push(document.error(name.span, message).help(help)),
        }
    }
    objects
}
