//! The YAML format: reads scenario files, checks them as a whole, and turns them into plans.
//!
//! [`load`] finds the files, reads every document, and walks every variant through all of its steps on a
//! control plane, so that a mistake anywhere is found before anything is built. The way is one line:
//! `files` -> `types` (as written) -> `objects`, `expect` (as meant) -> `walk` (as planned).

mod cases;
mod expect;
mod filter;
mod gaps;
mod groups;
mod matrix;
mod meanwhile;
mod objects;
mod placement;
mod refs;
mod scenario;
mod schema;
mod short;
mod suite;
mod types;
mod variants;
mod walk;
mod warnings;
mod words;

#[cfg(test)]
mod tests;

pub use schema::{case_table_schema, scenario_schema, suite_schema, topology_schema};

use filter::{Filter, Known};
use netproof_api::source::Span;
use netproof_api::{Diagnostic, Diagnostics, Source};
use netproof_documents::document::Problems;
use netproof_documents::lint::Lint;
use netproof_documents::{Options, files};
use netproof_model::event::Location;
use netproof_plan::{Loaded, NotApplicable};
use scenario::Loader;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use walk::Scenario;

/// Reads every scenario at or below the paths, and plans every variant of each.
///
/// # Errors
/// Everything that is wrong with any of them, and the warnings beside.
pub fn load(paths: &[PathBuf], options: &Options) -> Result<Loaded, Diagnostics> {
    let filter = options.filter.as_deref().map(read_filter).transpose()?;
    let mut problems = Problems::default();
    let mut loaded = Loaded::default();
    let mut loader = Loader::new(options);
    let mut known = Known::default();
    let mut names: HashMap<(String, String), Location> = HashMap::new();
    if let Some(Err(error)) = options.root.as_ref().map(|root| root.read_dir()) {
        let message = format!("the root cannot be read: {error}");
        return Err(Diagnostic::error(message).help("name an existing folder with `--root`").into());
    }
    let mut search = files::Search::new(files::is_yaml);
    let mut found = VecDeque::from(search.find(paths, &mut problems));
    while let Some(file) = found.pop_front() {
        let scenarios = loader.file(&file, &mut loaded, &mut problems);
        let mut cases = Vec::new();
        for scenario in scenarios {
            let place = scenario.document.location(scenario.name.span);
            let name = (scenario.suite.clone(), scenario.name.value.clone());
            if let Some(first) = names.get(&name) {
                let message = format!("a second scenario of this suite is named `{}`", scenario.name.value);
                let error = scenario.document.error(scenario.name.span, message);
                problems
                    .push(error.help(format!("the first one is at {first}; give each a name of its own")));
                continue;
            }
            names.insert(name, place);
            let mut found = Problems::default();
            let before = loaded.plans.len();
            let filter = filter.as_ref().map(|filter| (filter, &mut known));
            plan(&scenario, options, filter, &mut loaded, &mut found);
            if scenario.case().is_some() {
                cases.extend(before..loaded.plans.len());
            }
            problems.extend_from(scenario.case(), found);
        }
        groups::assign(&mut loaded.plans, &cases);
        // What was named itself keeps the name that it was given.
        if found.is_empty() {
            found.extend(search.find(&loader.take_included(), &mut problems));
        }
    }
    if loaded.files == 0 && problems.errors() == 0 {
        let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let message = match named.as_slice() {
            [] => "no path was given".to_owned(),
            named => format!("there is no scenario at {}", named.join(", ")),
        };
        problems.push(
            Diagnostic::error(message)
                .help("a scenario is a YAML document with `kind: Scenario`, or `kind: CaseTable`"),
        );
    }
    loaded.warnings = Diagnostics::check(problems.into_vec())?;
    loaded.filter_help = filter.filter(|_| loaded.plans.is_empty()).and_then(|filter| known.help(&filter));
    Ok(loaded)
}

/// Reads the scenarios of a text that is in memory, and plans every variant of each. They are in no suite, and
/// `options.filter` leaves none out.
///
/// # Errors
/// As [`load`].
pub fn load_text(source: &Arc<Source>, options: &Options) -> Result<Loaded, Diagnostics> {
    let (mut loaded, mut problems) = (Loaded::default(), Problems::default());
    for scenario in Loader::new(options).text(source, &mut loaded, &mut problems) {
        plan(&scenario, options, None, &mut loaded, &mut problems);
    }
    loaded.warnings = Diagnostics::check(problems.into_vec())?;
    Ok(loaded)
}

fn read_filter(text: &str) -> Result<Filter, Diagnostics> {
    Filter::parse(text).map_err(|error| {
        Diagnostic::error(error.message)
            .at(&Source::new("--filter", text), Span::new(error.start, error.end))
            .help("as in `suite=recipes and not (ipv6 or variant=bridge)`")
            .into()
    })
}

/// Walks every variant of a scenario that a filter chooses, if there is one; what it might choose becomes known. A
/// mistake that several variants share is reported once.
fn plan(
    scenario: &Scenario,
    options: &Options,
    mut filter: Option<(&Filter, &mut Known)>,
    loaded: &mut Loaded,
    problems: &mut Problems,
) {
    let mut reported: HashSet<(String, Span)> = HashSet::new();
    let mut lint = Lint::default();
    let mut complete = true;
    let variants = variants::variants(&scenario.variants, &scenario.topology, options);
    for (index, variant) in variants.iter().enumerate() {
        let id = scenario.id(variant);
        if let Some((filter, known)) = &mut filter {
            known.add(&id, &scenario.labels, &scenario.tags);
            if !filter.matches(&id, &scenario.labels, &scenario.tags) {
                loaded.filtered_out += 1;
                continue;
            }
        }
        let mode = options.kube_proxy_mode.unwrap_or(scenario.topology.proxy_mode);
        if let Some(requires) = scenario.requires.as_ref()
            && !variant.satisfies(requires, mode)
        {
            let location = scenario.document.location(requires.span);
            loaded.not_applicable.push(NotApplicable { id, location, because: requires.because.clone() });
            continue;
        }
        let mut found = Problems::default();
        match walk::walk(scenario, variant, options, &mut lint, &mut found) {
            Some(plan) => loaded.plans.push(plan),
            None => complete = false,
        }
        // At one place a variant may have several, as of the two families of a flow.
        let before = reported.clone();
        let mut said = HashSet::new();
        for mut diagnostic in found.into_vec() {
            let file = diagnostic.source.as_ref().map_or_else(String::new, |source| source.name.clone());
            let place = (file, diagnostic.span.unwrap_or_default());
            let is_new = !before.contains(&place) && said.insert((place.clone(), diagnostic.message.clone()));
            reported.insert(place);
            if is_new {
                if index > 0 && !variant.words.is_empty() {
                    diagnostic.message = format!("{} (in variant {})", diagnostic.message, id.variant_name());
                }
                problems.push(diagnostic);
            }
        }
    }
    if complete && !lint.is_empty() {
        scenario.lint(lint, problems);
    }
}
