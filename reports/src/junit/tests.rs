//! The file against what the common schemas say, written down here as a table.

use super::*;
use crate::testing;
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};
use std::collections::BTreeSet;

fn written(events: &[Event]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    let mut junit = Junit::new(ReportFile::create(&path).unwrap(), Rerun::default());
    for event in events {
        junit.event(event).unwrap();
    }
    junit.finish().unwrap();
    junit.finish().unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// What Jenkins's junit-10.xsd lets an element have, and the three additions of the common format.
struct Element {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Attributes that no XSD has and that every reader of the common format takes.
    common: &'static [&'static str],
    children: &'static [&'static str],
    text: bool,
}

const ELEMENTS: [Element; 8] = [
    Element {
        name: "testsuites",
        required: &[],
        optional: &["name", "time", "tests", "failures", "errors"],
        common: &["skipped"],
        children: &["testsuite"],
        text: false,
    },
    Element {
        name: "testsuite",
        required: &["name", "tests", "failures", "errors"],
        optional: &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        common: &[],
        children: &["properties", "testcase", "system-out", "system-err"],
        text: false,
    },
    Element {
        name: "properties",
        required: &[],
        optional: &[],
        common: &[],
        children: &["property"],
        text: false,
    },
    Element {
        name: "property",
        required: &["name", "value"],
        optional: &[],
        common: &[],
        children: &[],
        text: false,
    },
    Element {
        name: "testcase",
        required: &["name"],
        optional: &["time", "classname", "group"],
        common: &["file", "line"],
        children: &["skipped", "error", "failure", "system-out", "system-err"],
        text: false,
    },
    Element {
        name: "failure",
        required: &[],
        optional: &["type", "message"],
        common: &[],
        children: &[],
        text: true,
    },
    Element {
        name: "error",
        required: &[],
        optional: &["type", "message"],
        common: &[],
        children: &[],
        text: true,
    },
    Element {
        name: "skipped",
        required: &[],
        optional: &["type", "message"],
        common: &[],
        children: &[],
        text: true,
    },
];

#[derive(Debug)]
struct Case {
    class: String,
    name: String,
    /// Whether it says its file and line.
    placed: bool,
}

/// Walks the file; the test cases come back.
fn validate(xml: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<&'static Element> = Vec::new();
    let mut cases = Vec::new();
    let mut enter = |start: &BytesStart<'_>, parent: Option<&Element>| -> &'static Element {
        let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
        let element =
            ELEMENTS.iter().find(|element| element.name == name).unwrap_or_else(|| panic!("<{name}>"));
        match parent {
            Some(parent) => assert!(parent.children.contains(&element.name), "<{name}> in <{}>", parent.name),
            None => assert_eq!(name, "testsuites", "the root"),
        }
        let attributes: BTreeMap<String, String> = start
            .attributes()
            .map(|attribute| {
                let attribute = attribute.unwrap();
                let value =
                    attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned();
                (String::from_utf8(attribute.key.as_ref().to_vec()).unwrap(), value)
            })
            .collect();
        for required in element.required {
            assert!(attributes.contains_key(*required), "<{name}> lacks {required}");
        }
        for (key, value) in &attributes {
            let known = [element.required, element.optional, element.common].concat();
            assert!(known.contains(&key.as_str()), "<{name}> has {key}");
            if key == "time" {
                let (whole, fraction) = value.split_once('.').unwrap();
                assert!(whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit()), "time {value}");
            }
        }
        if name == "testcase" {
            for wanted in ["classname", "time"] {
                assert!(attributes.contains_key(wanted), "<testcase> lacks {wanted}");
            }
            let line = attributes.get("line").map(|line| line.parse::<usize>().unwrap());
            assert!(line != Some(0) && line.is_some() == attributes.contains_key("file"));
            let placed = line.is_some();
            let (class, name) = (attributes["classname"].clone(), attributes["name"].clone());
            cases.push(Case { class, name, placed });
        }
        element
    };
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(start) => {
                let element = enter(&start, open.last().copied());
                open.push(element);
            }
            Xml::Empty(start) => {
                enter(&start, open.last().copied());
            }
            Xml::End(_) => {
                open.pop().unwrap();
            }
            Xml::Text(text) => {
                let blank = text.iter().all(u8::is_ascii_whitespace);
                assert!(blank || open.last().unwrap().text, "text in <{}>", open.last().unwrap().name);
            }
            Xml::GeneralRef(_) => assert!(open.last().unwrap().text),
            Xml::Decl(_) => assert!(open.is_empty()),
            Xml::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty());
    let forbidden = |c: char| (c < ' ' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}');
    assert!(!xml.contains(forbidden), "a character that XML 1.0 does not have");
    let unique: BTreeSet<_> = cases.iter().map(|case| (&case.class, &case.name)).collect();
    assert_eq!(unique.len(), cases.len(), "two test cases of one name: {cases:?}");
    cases
}

#[test]
fn one_of_everything() {
    let xml = written(&testing::mixed_run());
    for case in validate(&xml) {
        assert!(case.placed, "{case:?}");
    }
    insta::assert_snapshot!(xml);
}

#[test]
fn names_are_the_same_in_every_run() {
    let names =
        |events: &[Event]| validate(&written(events)).into_iter().map(|case| case.name).collect::<Vec<_>>();
    assert_eq!(
        names(&testing::all_passed()),
        [
            "before/pod/client -> service/web:80",
            "deny all/pod/client -> service/web:80",
            "across::before/pod/client -> service/web:80",
            "across::deny all/pod/client -> service/web:80",
            "same-node::before/pod/client -> service/web:80",
            "same-node::deny all/pod/client -> service/web:80",
        ]
    );
}

#[test]
fn a_run_that_is_broken_off_has_an_error_for_what_was_under_way() {
    let events = testing::mixed_run();
    let middle = events.iter().rposition(|event| matches!(event, Event::CheckFinished { .. })).unwrap();
    let xml = written(&events[..=middle]);
    validate(&xml);
    assert!(xml.contains(r#"name="same-node-ipv6" classname="recipes::deny-all""#), "{xml}");
    assert!(xml.contains("the run was broken off"), "{xml}");
}

#[test]
fn a_dropped_report_is_written_with_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    drop(Junit::new(ReportFile::create(&path).unwrap(), Rerun::default()));
    validate(&std::fs::read_to_string(path).unwrap());
}

#[test]
fn the_xsd_agrees() {
    // A second opinion where the program is installed, as in CI; the table above is the first.
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/junit.xsd");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    std::fs::write(&path, written(&testing::mixed_run())).unwrap();
    let Ok(output) =
        std::process::Command::new("xmllint").args(["--noout", "--schema", schema]).arg(&path).output()
    else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

proptest! {
    #[test]
    fn any_strings_make_valid_xml(text in any::<String>()) {
        validate(&written(&testing::run_of(&text, Duration::from_micros(1))));
    }
}

/// The type says whether the verdicts are wrong or only who decided.
#[test]
fn a_matrix_says_what_is_wrong() {
    for (differing, wrong_deciders, unexplained, kind) in [
        (0, 0, 0, None),
        (2, 2, 0, Some("wrong decider")),
        (3, 2, 0, Some("packets contradict API")),
        (2, 2, 1, Some("wrong decider")),
        (0, 0, 1, Some("no verdict")),
    ] {
        let cells = Cells { total: 9, differing, wrong_deciders, unexplained, ..Cells::default() };
        let found = match matrix_status(&cells) {
            TestCaseStatus::NonSuccess { ty, .. } => ty.map(|it| it.to_string()),
            _ => None,
        };
        assert_eq!(found.as_deref(), kind, "{cells:?}");
    }
}
