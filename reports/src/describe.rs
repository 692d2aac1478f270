//! Describes a check in words, for the terminal and JUnit alike: what was expected, observed and predicted,
//! who denied the packet or where it was last seen, and where the expectation is written.

use crate::text;
use netproof_model::event::{Check, Denial, Finding, FindingKind, NoCell, NotInCells, PolicySees, Status};
use netproof_model::observation::PacketAddresses;
use netproof_model::{Action, Outcome, Protocol, Sighting, Verdicts};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// One line of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) text: String,
    /// Whether it is meant to be copied, and so never broken into lines.
    pub(crate) whole: bool,
}

impl Row {
    pub(crate) fn new(label: &'static str, text: impl AsRef<str>) -> Self {
        Row { label, text: text::one_line(text.as_ref()).into_owned(), whole: false }
    }

    pub(crate) fn whole(label: &'static str, text: impl AsRef<str>) -> Self {
        Row { whole: true, ..Row::new(label, text) }
    }
}

/// The width of the column of labels, the space after them included.
pub(crate) const LABEL_WIDTH: usize = "rejected by".len() + 2;

/// Everything that helps to understand a check that did not pass.
pub(crate) fn check(check: &Check) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(expected(check).map(|words| Row::new("expected", words)));
    rows.extend(observed(check).map(|words| Row::new("observed", words)));
    rows.extend(predicted(check).map(|words| Row::new("API says", words)));
    rows.extend(reasons(check).map(|finding| Row::new("because", &finding.message)));
    rows.extend(check.derivation.iter().map(|line| Row::new("API", line)));
    for denial in &check.denials {
        rows.push(Row::new(denied_by(denial), denial.decision.to_string()));
        let addresses = addresses(&denial.packet);
        rows.push(Row::new("on", format!("node/{}, hook {}: {addresses}", denial.node, denial.hook)));
    }
    rows.extend(check.allowed_by.iter().map(|decision| Row::new("allowed by", decision.to_string())));
    if let Some(node) = &check.via {
        rows.push(Row::new("via", format!("{node}, which chose the backend")));
    }
    if let Some(PolicySees { node, hook, source, destination }) = &check.policy_sees {
        rows.push(Row::new("policy saw", format!("{source} -> {destination}, on node/{node}, hook {hook}")));
    }
    if let Some(last) = check.path.last() {
        if check.denials.is_empty() && check.outcome != Some(Outcome::Connected) {
            rows.push(Row::new("last seen", format!("{}: {}", seen_at(last), addresses(&last.packet))));
        }
        if check.path.len() > 1 {
            let places: Vec<_> = check.path.iter().map(seen_at).collect();
            rows.push(Row::new("path", places.join(" -> ")));
        }
    }
    rows.push(Row::whole("written at", check.location.to_string()));
    rows
}

/// What is wrong in a few words; expected and observed if they differ.
pub(crate) fn headline(check: &Check) -> String {
    let says_it_all = check.status == Status::Failed && check.found(FindingKind::WrongVerdict);
    match mismatch(check) {
        Some(mismatch) if says_it_all || check.findings.is_empty() => mismatch,
        _ => check.messages(),
    }
}

/// Expected and observed in a few words; `None` if the check is not about a verdict.
pub(crate) fn mismatch(check: &Check) -> Option<String> {
    let observed = match (&check.stream, &check.observed) {
        (Some(stream), _) => stream.to_string(),
        (None, observed) => observed.as_ref()?.to_string(),
    };
    Some(format!("expected {}, observed {observed}", expected(check)?))
}

fn expected(check: &Check) -> Option<String> {
    match &check.stream {
        Some(stream) => Some(stream.never.to_string()),
        None => check.expected.as_ref().map(ToString::to_string),
    }
}

/// What the API says, with the switches that would settle what it leaves open.
fn predicted(check: &Check) -> Option<String> {
    let predicted = match &check.stream {
        Some(stream) => {
            let each: Vec<String> = stream.predicted.iter().map(ToString::to_string).collect();
            each.join(", then ")
        }
        None => check.predicted.as_ref()?.to_string(),
    };
    match check.open.as_slice() {
        [] => Some(predicted),
        switches => Some(format!("{predicted} ({})", switches.join(", "))),
    }
}

/// The kind of trouble, in two or three words.
pub(crate) fn kind(check: &Check) -> &'static str {
    let finding = check.findings.iter().find(|finding| finding.kind != FindingKind::Note);
    match (check.status, finding) {
        (Status::Passed, _) => "passed",
        (Status::Skipped, _) => "skipped",
        (Status::Errored, _) => "no verdict",
        (Status::Failed, Some(finding)) => finding.kind.words(),
        (Status::Failed, None) => FindingKind::WrongVerdict.words(),
    }
}

/// Whether the verdict is right and the decider is wrong.
pub(crate) fn is_wrong_decider(check: &Check) -> bool {
    let mut failures = check.findings.iter().filter(|finding| finding.kind != FindingKind::Note);
    check.status == Status::Failed && failures.all(|finding| finding.kind == FindingKind::WrongDecider)
}

/// What happened to a check that passed.
pub(crate) fn passed(check: &Check) -> String {
    let mut words = observed(check).unwrap_or_default();
    if let Some(denial) = check.denials.first() {
        words.push_str(&format!(", {} {}, on node/{}", denied_by(denial), denial.decision, denial.node));
    }
    if !check.allowed_by.is_empty() {
        let each: Vec<String> = check.allowed_by.iter().map(ToString::to_string).collect();
        words.push_str(&format!(", allowed by: {}", each.join("; ")));
    }
    // The flow does not show which backend a service chose.
    if let Some(node) = &check.via {
        words.push_str(&format!(", via {node}"));
        if let Some(PolicySees { node, source, destination, .. }) = &check.policy_sees {
            words.push_str(&format!("; policy on node/{node} saw {source} -> {destination}"));
        }
    }
    if let Some(predicted) = predicted(check) {
        words.push_str(&format!("; the API says {predicted}"));
    }
    // Says that it is not what the scenario expects, if the API leaves that open.
    for finding in &check.findings {
        words.push_str(&format!("; {finding}"));
    }
    words
}

/// The findings, without what the rows `expected` and `observed` say already.
fn reasons(check: &Check) -> impl Iterator<Item = &Finding> {
    check.findings.iter().filter(|finding| finding.kind != FindingKind::WrongVerdict)
}

fn observed(check: &Check) -> Option<String> {
    let mut words = match (&check.stream, &check.observed) {
        (Some(stream), _) => stream.to_string(),
        (None, observed) => observed.as_ref()?.to_string(),
    };
    // The observation may say more than the word.
    match check.outcome {
        None | Some(Outcome::Connected | Outcome::Dropped) => {}
        Some(Outcome::Rejected(how)) => words.push_str(&format!(" ({how})")),
        Some(outcome) if check.observed == outcome.verdict().map(Verdicts::All) => {}
        Some(outcome) => words.push_str(&format!(" ({outcome})")),
    }
    if let Some(place) = &check.served_by {
        words.push_str(&format!(", answered by {place}"));
    }
    if let Some(source) = &check.seen_source {
        words.push_str(&format!(", which saw it come from {source}"));
    }
    Some(words)
}

fn denied_by(denial: &Denial) -> &'static str {
    match denial.action {
        Action::Drop => "dropped by",
        Action::Reject => "rejected by",
        Action::Allow => "allowed by",
    }
}

fn seen_at(sighting: &Sighting) -> String {
    format!("{} {}", sighting.place, sighting.interface)
}

fn addresses(packet: &PacketAddresses) -> String {
    let PacketAddresses { source, destination, protocol, source_port, destination_port } = *packet;
    match protocol {
        Protocol::Icmp => format!("{protocol} {source} -> {destination}"),
        _ => format!(
            "{protocol} {} -> {}",
            SocketAddr::new(source, source_port),
            SocketAddr::new(destination, destination_port)
        ),
    }
}

/// What was no cell's destination, a line for each reason.
pub(crate) fn in_no_cell(all: &BTreeSet<NotInCells>) -> Vec<String> {
    let reasons = [
        (NoCell::ListensNowhere, "in no cell as a destination", "pod", "where nobody listens"),
        (NoCell::HostNetwork, "in no cell", "pod", "in the network of the node"),
        (NoCell::NoNetwork, "in no cell", "pod", "without a network"),
        (NoCell::NoAddress, "in no cell as a destination", "service", "without an address or a port"),
    ];
    reasons
        .iter()
        .filter_map(|(why, cell, kind, text)| {
            let names: Vec<&str> =
                all.iter().filter(|it| it.why == *why).map(|it| it.name.as_str()).collect();
            let count = text::count(names.len(), kind);
            (!names.is_empty()).then(|| format!("{cell}: {count} {text}: {}", names.join(", ")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn rows(of: &Check) -> String {
        check(of).iter().map(|row| format!("{:<LABEL_WIDTH$}{}\n", row.label, row.text)).collect()
    }

    #[test]
    fn a_deny_that_connected_shows_its_path() {
        insta::assert_snapshot!(rows(&testing::failing_deny()));
    }

    #[test]
    fn an_allow_that_was_dropped_names_who_dropped_it() {
        insta::assert_snapshot!(rows(&testing::failing_allow()));
    }

    #[test]
    fn a_reject_says_how() {
        insta::assert_snapshot!(rows(&testing::failing_reject()));
    }

    #[test]
    fn a_lost_packet_shows_where_it_was_last_seen() {
        insta::assert_snapshot!(rows(&testing::lost()));
    }

    #[test]
    fn a_cell_shows_how_the_apis_answer_follows() {
        insta::assert_snapshot!(rows(&testing::failing_cell()));
    }

    /// With a wrong decider, expected and observed are the same: they do not say what is wrong.
    #[test]
    fn a_wrong_decider_is_no_wrong_verdict() {
        let message = "expected to be decided by service, decided by networkpolicy/default/a#ingress[0]";
        let finding = Finding::new(FindingKind::WrongDecider, message);
        let check = Check { status: Status::Failed, findings: vec![finding], ..testing::denied("a", "b") };
        assert_eq!(headline(&check), message);
        assert_eq!(kind(&check), "wrong decider");
        assert!(rows(&check).contains(&format!("because      {message}\n")), "{}", rows(&check));
        let wrong = Finding::new(FindingKind::WrongVerdict, "expected deny, observed drop");
        let note = Finding::new(FindingKind::Note, "backends differ");
        let both = Check { findings: vec![note, wrong], ..check };
        assert_eq!(
            (headline(&both).as_str(), kind(&both)),
            ("expected deny, observed drop", "wrong verdict")
        );
    }

    #[test]
    fn passed_checks_in_one_line() {
        assert_eq!(
            passed(&testing::passed("a", "b")),
            "allow, answered by pod/default/web, which saw it come from pod/default/client"
        );
        assert_eq!(
            passed(&testing::denied("a", "b")),
            "drop, dropped by ingress isolation of pod/default/web by networkpolicy/default/api-allow, \
             networkpolicy/default/web-deny-all, on node/node1; the API says deny"
        );
    }

    #[test]
    fn a_service_names_the_node_the_backend_and_both_sources() {
        let check = testing::through_a_service();
        assert_eq!(
            passed(&check),
            "allow, answered by pod/default/web, which saw it come from node/node2 (172.18.0.3), via node/node2; \
             policy on node/node1 saw node/node2 (172.18.0.3) -> pod/default/web (10.244.0.2)"
        );
        insta::assert_snapshot!(rows(&Check { status: Status::Failed, ..check }));
    }

    #[test]
    fn ports_of_ipv6_are_told_from_addresses() {
        let packet = PacketAddresses {
            source: "fd00::1".parse().unwrap(),
            destination: "fd00::2".parse().unwrap(),
            protocol: Protocol::Udp,
            source_port: 1,
            destination_port: 53,
        };
        assert_eq!(addresses(&packet), "udp [fd00::1]:1 -> [fd00::2]:53");
        assert_eq!(
            addresses(&PacketAddresses { protocol: Protocol::Icmp, ..packet }),
            "icmp fd00::1 -> fd00::2"
        );
    }
}
