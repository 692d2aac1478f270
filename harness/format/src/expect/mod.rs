//! Expectations as they are written: flows in all their forms and matrices; `assertions` reads what is expected
//! of each. Names are filled in with the scenario's namespace and not looked up yet.

mod absent;
pub mod assertions;
pub mod contradictions;
pub mod resolver;

use crate::expect::assertions::Assertions;
use crate::matrix;
use crate::types::{ExpectSpec, FlowSpec, LongFlow, StepExpectations, StepSpec};
use crate::words::{FamilyName, ProtocolName};
use netproof_api::source::Span;
use netproof_api::yaml::{Node, Spanned};
use netproof_documents::document::{Document, Problems};
use netproof_documents::unions::{TextOr, TextOrList};
use netproof_model::Family;
use netproof_model::flow::{Flow, FlowError, FlowPort, FlowProtocol, Source, parse_destination, parse_port};
use netproof_plan::flows::flow_in;
use std::ops::Range;

/// One flow and what is expected of it.
#[derive(Clone, Debug)]
pub struct Written {
    /// The flow, namespaces filled in.
    pub flow: Flow,
    /// Where the parts of the flow are written.
    pub spans: FlowSpans,
    /// What must come of it.
    pub assertions: Assertions,
    /// Whether all of it could be read: it is what was meant.
    pub is_whole: bool,
}

/// Where a flow is written.
#[derive(Clone, Copy, Debug)]
pub struct FlowSpans {
    /// All of it.
    pub whole: Span,
    /// The source.
    pub from: Span,
    /// The destination with its port.
    pub to: Span,
}

/// Reads the expectations of one scenario.
pub struct Reader<'a> {
    /// The scenario.
    pub document: &'a Document,
    /// The namespace of what is written without one.
    pub namespace: &'a str,
    /// What is wrong.
    pub problems: &'a mut Problems,
}

impl Reader<'_> {
    /// Everything that a step expects, in the order it is written; `expect` before `matrix`.
    pub fn step(&mut self, step: &StepSpec) -> Vec<Written> {
        let mut all = Vec::new();
        if let Some(Spanned { value: StepExpectations::Flows(flows), .. }) = &step.expect {
            for expect in flows {
                self.expect(expect, &mut all);
            }
        }
        let mut tables = matrix::Tables::default();
        for table in step.matrix.iter().flat_map(|tables| &tables.0) {
            self.matrix(table, &mut tables, &mut all);
        }
        all
    }

    pub(super) fn report(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.document.error(span, message).help(help));
    }

    fn expect(&mut self, spec: &Spanned<ExpectSpec>, all: &mut Vec<Written>) {
        let flows = self.flows(spec.span, &spec.flow, &spec.flows, spec.family);
        let before = self.problems.errors();
        if let Some(by_family) = self.assertions_by_family(spec) {
            let is_whole = self.is_whole(spec, before);
            for (flow, spans) in flows {
                for (family, assertions) in &by_family {
                    if flow.family.is_none_or(|own| own == *family) {
                        let flow = Flow { family: Some(*family), ..flow.clone() };
                        all.push(Written { flow, spans, assertions: assertions.clone(), is_whole });
                    }
                }
            }
            return;
        }
        let assertions = self.assertions(spec);
        let is_whole = self.is_whole(spec, before);
        all.extend(flows.into_iter().map(|(flow, spans)| Written {
            flow,
            spans,
            assertions: assertions.clone(),
            is_whole,
        }));
    }

    /// Whether an expectation is what was meant, with so many errors before it was read. A flow that is wrong takes
    /// nothing from those beside it.
    fn is_whole(&self, spec: &Spanned<ExpectSpec>, before: usize) -> bool {
        self.problems.errors() == before && !self.problems.is_broken(&self.document.source, spec.span)
    }

    /// The flows of `flow` or `flows`, in the family that stands beside them.
    pub(super) fn flows(
        &mut self,
        whole: Span,
        flow: &Option<FlowSpec>,
        flows: &Option<TextOrList<FlowSpec>>,
        family: Option<FamilyName>,
    ) -> Vec<(Flow, FlowSpans)> {
        let mut found = self.written_flows(whole, flow, flows);
        let Some(family) = family.map(Family::from) else { return found };
        for (flow, spans) in &mut found {
            if let Some(own) = flow.family.filter(|own| *own != family) {
                let message = format!("the flow is of {own} and the expectation of {family}");
                self.report(spans.whole, message, "say it in one place");
            } else {
                flow.family = Some(family);
            }
        }
        found
    }

    fn written_flows(
        &mut self,
        whole: Span,
        flow: &Option<FlowSpec>,
        several: &Option<TextOrList<FlowSpec>>,
    ) -> Vec<(Flow, FlowSpans)> {
        let mut flows = Vec::new();
        match (flow, several) {
            (Some(flow), None) => flows.extend(self.flow(flow)),
            (None, Some(TextOrList::List(list))) => {
                if list.is_empty() {
                    self.report(whole, "`flows` has no flow", "list at least one");
                }
                flows.extend(list.iter().filter_map(|flow| self.flow(flow)));
            }
            (None, Some(TextOrList::Text(text))) => {
                let lines = text.lines(&self.document.source);
                let mut lines = lines.iter().filter(|line| !line.text.trim().is_empty()).peekable();
                if lines.peek().is_none() {
                    self.report(text.span, "`flows` has no flow", "write one a line");
                }
                for line in lines {
                    flows
                        .extend(self.short_flow(line.text, |start, length| line.part(start..start + length)));
                }
            }
            (Some(_), Some(_)) => {
                self.report(whole, "`flow` and `flows` stand side by side", "keep one of the two");
            }
            (None, None) => {
                let help = "add `flow: SOURCE -> DESTINATION[:PORT[/PROTOCOL]]`";
                self.report(whole, "the expectation names no flow", help);
            }
        }
        flows
    }

    fn flow(&mut self, flow: &FlowSpec) -> Option<(Flow, FlowSpans)> {
        let document = self.document;
        match flow {
            TextOr::Text(node) => {
                let text = node.as_str().unwrap_or_default();
                self.short_flow(text, |start, length| document.part(node, start, length))
            }
            TextOr::Fields(long) => self.long_flow(long),
        }
    }

    /// A flow in one text; `place` finds a part of it.
    fn short_flow(&mut self, text: &str, place: impl Fn(usize, usize) -> Span) -> Option<(Flow, FlowSpans)> {
        let trimmed = |from: usize, to: usize| {
            let part = &text[from..to];
            let start = from + (part.len() - part.trim_start().len());
            place(start, part.trim().len())
        };
        match text.parse::<Flow>() {
            Ok(flow) => {
                let arrow = text.find("->").unwrap_or(text.len());
                let spans = FlowSpans {
                    whole: trimmed(0, text.len()),
                    from: trimmed(0, arrow),
                    to: trimmed((arrow + 2).min(text.len()), text.len()),
                };
                Some((flow_in(flow, self.namespace), spans))
            }
            Err(error) => {
                self.report(place(error.offset, error.length), error.message, error.help);
                None
            }
        }
    }

    fn long_flow(&mut self, long: &LongFlow) -> Option<(Flow, FlowSpans)> {
        let document = self.document;
        let inside = |node: &Node, error: FlowError| {
            let span = document.part(node, error.offset, error.length);
            (span, error.message, error.help)
        };
        let text = |node: &Node| match node.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err((
                node.span,
                format!("a string is wanted here, not {}", node.describe()),
                "write a place, as in pod/client".to_owned(),
            )),
        };
        let read = || {
            let from: Source = text(&long.from)?.parse().map_err(|error| inside(&long.from, error))?;
            let (to, port) = parse_destination(&text(&long.to)?).map_err(|error| inside(&long.to, error))?;
            let port = match (port, long_port(long)?) {
                (Some(_), Some((span, _))) => {
                    let help = "write it at `to` or at `port`".to_owned();
                    return Err((span, "the flow has two ports".to_owned(), help));
                }
                (Some(port), None) | (None, Some((_, port))) => Some(port),
                (None, None) => None,
            };
            Ok(Flow { from, to, port, family: long.family.map(Into::into) })
        };
        match read() {
            Ok(flow) => {
                let whole = Span::new(
                    long.from.span.start.min(long.to.span.start),
                    long.from.span.end.max(long.to.span.end),
                );
                let spans = FlowSpans { whole, from: long.from.span, to: long.to.span };
                Some((flow_in(flow, self.namespace), spans))
            }
            Err((span, message, help)) => {
                self.report(span, message, help);
                None
            }
        }
    }

    fn matrix(&mut self, table: &Node, tables: &mut matrix::Tables, all: &mut Vec<Written>) {
        let Some(text) = table.as_str() else {
            let message = format!("a table is wanted here, not {}", table.describe());
            return self.report(table.span, message, "write the table as a block of text, `matrix: |`");
        };
        match tables.read(text, self.namespace) {
            Ok(cells) => all.extend(cells.into_iter().map(|cell| {
                let span = |range: Range<usize>| self.document.part(table, range.start, range.len());
                Written {
                    flow: cell.flow,
                    spans: FlowSpans {
                        whole: span(cell.sign),
                        from: span(cell.source),
                        to: span(cell.destination),
                    },
                    assertions: Assertions::plain(cell.expected),
                    is_whole: true,
                }
            })),
            Err(errors) => {
                for error in errors {
                    let span = self.document.part(table, error.offset, error.length);
                    self.report(span, error.message, error.help);
                }
            }
        }
    }
}

/// The port of a long flow, from `port` and `protocol`, and where it is written.
fn long_port(long: &LongFlow) -> Result<Option<(Span, FlowPort)>, (Span, String, String)> {
    let port = long.port.as_ref();
    let protocol = match &long.protocol {
        None => FlowProtocol::Tcp,
        Some(Spanned { value: ProtocolName::Icmp, span }) => {
            return match port {
                None => Ok(Some((*span, FlowPort::Icmp))),
                Some(port) => Err((port.span, "icmp has no port".to_owned(), "leave out `port`".to_owned())),
            };
        }
        Some(Spanned { value, span }) => {
            if port.is_none() {
                let help = "add `port`".to_owned();
                return Err((*span, "a protocol only ever follows a port".to_owned(), help));
            }
            match value {
                ProtocolName::Tcp | ProtocolName::Icmp => FlowProtocol::Tcp,
                ProtocolName::Udp => FlowProtocol::Udp,
                ProtocolName::Sctp => FlowProtocol::Sctp,
                ProtocolName::Http => FlowProtocol::Http,
                ProtocolName::Dns => FlowProtocol::Dns,
            }
        }
    };
    let Some(Spanned { value: written, span }) = port else {
        return Ok(None);
    };
    let parsed = parse_port(&written.0).map_err(|error| (*span, error.message, error.help))?;
    match (parsed, &long.protocol) {
        (FlowPort::Port { port, protocol: FlowProtocol::Tcp }, _) if !written.0.contains('/') => {
            Ok(Some((*span, FlowPort::Port { port, protocol })))
        }
        (parsed, None) => Ok(Some((*span, parsed))),
        (_, Some(second)) => {
            let help = "write it at `port` or at `protocol`".to_owned();
            Err((second.span, "the flow has two protocols".to_owned(), help))
        }
    }
}
