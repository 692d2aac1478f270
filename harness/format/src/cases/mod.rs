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

use crate::words::CaseTableKind;
use case::Shared;
use expand::Expander;
use netproof_api::names;
use netproof_api::source::Span;
use netproof_api::yaml::{LeftOut, Node, Segment, recover};
use netproof_documents::document::{Document, Problems};
use netproof_documents::words::ApiVersion;
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

/// The cases of a table that can be read; `None` if something is wrong that all of them depend on, which is reported.
pub fn read(document: &Document, problems: &mut Problems) -> Option<Table> {
    let read = recover::<CaseTableFile>(&document.root, &document.source);
    // Every case depends on all of the table but what it says of itself.
    let is_own = |lost: &LeftOut| match lost.way.as_slice() {
        [Segment::Field(field), ..] if field == "metadata" => true,
        [_, Segment::Field(field), ..] => field == "description",
        _ => false,
    };
    let is_sound = read.lost.iter().all(is_own);
    let file = problems.recovered(&document.source, read)?;
    let CaseTableFile { api_version: ApiVersion::V1Alpha1, kind: CaseTableKind::CaseTable, metadata, spec } =
        file;
    problems.check_name(document, &metadata.name, names::check_dns_subdomain);
    let errors = problems.errors();
    let tags = TagTree::read(&spec.tags, document, problems);
    if !is_sound || problems.errors() > errors {
        return None;
    }
    let mut cases = Vec::new();
    let mut report = |wrong: CaseError| {
        problems.push(document.error(wrong.span, wrong.message).help(wrong.help));
    };
    self::cases(document, &spec, &tags, &mut cases, &mut report).unwrap_or_else(&mut report);
    Some(Table { name: metadata.name.value, cases })
}

/// Makes the cases. What is wrong with one of them, or one of the parts, is reported, and the next is looked at.
///
/// # Errors
/// What no case can be made with.
fn cases(
    document: &Document,
    spec: &CaseTableSpec,
    tags: &TagTree,
    cases: &mut Vec<Case>,
    report: &mut impl FnMut(CaseError),
) -> Result<(), CaseError> {
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
    for template in spec.cases.items() {
        let mut is_full = false;
        let made = generate::each(template, &mut scope, &mut expander, &mut |case| {
            is_full = cases.len() >= MAX_CASES;
            if is_full {
                let message = format!("the table comes to more than {MAX_CASES} cases");
                return Err(Problem::new(template.span, message, "split it into several tables"));
            }
            cases.push(shared.case(&case)?);
            Ok(())
        });
        match made {
            Err(wrong) if is_full || expander.is_spent() => return Err(wrong),
            made => made.unwrap_or_else(&mut *report),
        }
    }
    Ok(())
}

/// What is wrong with a table, and where.
#[derive(Debug)]
struct Problem {
    span: Span,
    message: String,
    help: String,
}

/// Boxed: it stands in the results of functions that call themselves.
type CaseError = Box<Problem>;

impl Problem {
    fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> CaseError {
        Box::new(Problem { span, message: message.into(), help: help.into() })
    }
}
