//! Case tables: many scenarios that differ in a few values, as one file of compact data.
//!
//! A case is a scenario whose spec is what all cases of the table share, with the case's own fields on top.
//! It is made on the tree, before anything is read into types: every value keeps the place where it is
//! written, and each case is then read, checked and planned like any other scenario.

mod case;
mod expand;
mod generate;
mod like;
mod scope;
mod tags;
mod types;

pub use types::{CaseTableFile, allow_placeholders};

use super::document::{Document, Problems};
use super::words::{ApiVersion, CaseTableKind};
use case::Shared;
use expand::Expander;
use netproof_api::names;
use netproof_api::source::Span;
use netproof_api::yaml::{Node, from_node};
use scope::Scope;
use tags::TagTree;
use types::CaseTableSpec;

/// The most cases that one table may come to.
const MAX_CASES: usize = 10_000;

/// A table's cases.
pub struct Table {
    /// Its name, the last part of the suite.
    pub name: String,
    /// Each a scenario.
    pub cases: Vec<Case>,
}

/// A case: a scenario in a document of its own, with the places of the table.
pub struct Case {
    /// Its name.
    pub name: String,
    /// The scenario.
    pub document: Document,
}

/// The cases of a table; `None` if something is wrong with the table itself, which is reported.
pub fn read(document: &Document, problems: &mut Problems) -> Option<Table> {
    let file: CaseTableFile = match from_node(&document.root, &document.source) {
        Ok(file) => file,
        Err(errors) => {
            problems.extend(errors);
            return None;
        }
    };
    let CaseTableFile { api_version: ApiVersion::V1Alpha1, kind: CaseTableKind::CaseTable, metadata, spec } =
        file;
    let before = problems.errors();
    problems.check_name(document, &metadata.name, names::check_dns_subdomain);
    let tags = TagTree::read(&spec.tags, document, problems);
    let cases = cases(document, &spec, &tags).unwrap_or_else(|wrong| {
        problems.push(document.error(wrong.span, wrong.message).help(wrong.help));
        Vec::new()
    });
    (problems.errors() == before).then_some(Table { name: metadata.name.value, cases })
}

fn cases(document: &Document, spec: &CaseTableSpec, tags: &TagTree) -> Result<Vec<Case>, Wrong> {
    if spec.cases.items().is_empty() {
        let help = "`cases` is a list: `- name: ...` with `steps`";
        return Err(Problem::new(spec.cases.span, "the table has no case", help));
    }
    let mut expander = Expander::default();
    let mut scope = Scope::default();
    for (key, part) in spec.parts.iter().flat_map(Node::entries) {
        scope::check_name(key)?;
        let part = expander.value(part, &scope)?;
        scope.bind(&key.name, part);
    }
    let shared = match &spec.scenario {
        Some(scenario) => Some(expander.value(scenario, &scope)?),
        None => None,
    };
    let shared = Shared { document, spec: shared.as_ref(), description: &spec.description, tags };
    let mut cases = Vec::new();
    for template in spec.cases.items() {
        generate::each(template, &mut scope, &mut expander, &mut |case| {
            if cases.len() >= MAX_CASES {
                let message = format!("the table comes to more than {MAX_CASES} cases");
                return Err(Problem::new(template.span, message, "split it into several tables"));
            }
            cases.push(shared.case(&case)?);
            Ok(())
        })?;
    }
    Ok(cases)
}

/// What is wrong with a table, and where.
#[derive(Debug)]
struct Problem {
    span: Span,
    message: String,
    help: String,
}

/// Boxed: it stands in the results of functions that call themselves.
type Wrong = Box<Problem>;

impl Problem {
    fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Wrong {
        Box::new(Problem { span, message: message.into(), help: help.into() })
    }
}
