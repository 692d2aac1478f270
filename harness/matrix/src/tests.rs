//! What a matrix says and how it looks, over manifests.

use super::*;
use netproof_api::Source;
use netproof_documents::Options;
use netproof_model::{Families, Verdict};
use netproof_oracle::Profile;

/// A pod, `labels` as YAML.
fn pod(name: &str, labels: &str, ports: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let ports: Vec<String> =
        ports.split_whitespace().map(|port| format!("{{containerPort: {port}}}")).collect();
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}, \
         spec: {{containers: [{{name: a, ports: [{}]}}]}}}}\n",
        ports.join(", ")
    )
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n"
    )
}

fn service(name: &str, spec: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n")
}

fn question() -> Question {
    Question {
        step: None,
        from: Vec::new(),
        to: Vec::new(),
        ports: Vec::new(),
        services: false,
        profile: None,
    }
}

fn asked(text: &str, options: &Options, question: &Question) -> Result<Matrix, String> {
    let loaded = netproof_manifests::load_text(&Source::new("objects.yaml", text), options)
        .unwrap_or_else(|errors| panic!("{errors}"));
    predict(&loaded.plans[0], question).map_err(|error| error.to_string())
}

fn shop() -> String {
    [
        pod("web", "app: web", "80"),
        pod("db", "app: db", "5432 80"),
        pod("dev/client", "app: client", ""),
        policy("db", "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]"),
    ]
    .concat()
}

fn choices<T: std::str::FromStr<Err = String>>(words: &[&str]) -> Vec<T> {
    words.iter().map(|word| word.parse().unwrap_or_else(|error| panic!("{word}: {error}"))).collect()
}

#[test]
fn a_table_for_each_port() {
    let matrix = asked(&shop(), &Options::default(), &question()).unwrap();
    insta::assert_snapshot!(text(&matrix, None, false));
    assert_eq!(matrix.counts(), Counts { allowed: 16, denied: 5, ..Counts::default() });
}

#[test]
fn what_is_chosen() {
    let question =
        Question { from: choices(&["dev"]), to: choices(&["pod/d*"]), ports: choices(&["80"]), ..question() };
    let matrix = asked(&shop(), &Options::default(), &question).unwrap();
    insta::assert_snapshot!(text(&matrix, None, false));
    let dns = Question {
        to: choices(&["kube-system", "node/node1"]),
        from: choices(&["web"]),
        ports: choices(&["53/udp", "icmp"]),
        ..question
    };
    insta::assert_snapshot!(text(&asked(&shop(), &Options::default(), &dns).unwrap(), None, false));
}

#[test]
fn services_are_columns_where_they_are_asked_for() {
    let objects = [
        shop(),
        pod("other", "app: web", "80"),
        service("web", "selector: {app: web}, ports: [{port: 80}]"),
        service("both", "selector: {part: both}, ports: [{port: 80}]"),
        service("nobody", "selector: {app: nobody}, ports: [{port: 80}]"),
        service("headless", "clusterIP: None, selector: {app: web}, ports: [{port: 80}]"),
        pod("open", "part: both", "80"),
        pod("shut", "part: both, shut: \"\"", "80"),
        policy("shut", "podSelector: {matchLabels: {shut: \"\"}}"),
    ];
    let question = Question { services: true, ports: choices(&["80"]), ..question() };
    let matrix = asked(&objects.concat(), &Options::default(), &question).unwrap();
    insta::assert_snapshot!(text(&matrix, Some(60), false));
    let one = Question { services: false, to: choices(&["service/web"]), ..question };
    let matrix = asked(&objects.concat(), &Options::default(), &one).unwrap();
    assert_eq!(matrix.tables[0].destinations.len(), 1, "a service that is named needs no --services");
}

#[test]
fn what_is_open_names_its_switch() {
    let question = Question { profile: Some(Profile::STRICT), ports: choices(&["icmp"]), ..question() };
    let matrix = asked(&shop(), &Options::default(), &question).unwrap();
    insta::assert_snapshot!(text(&matrix, None, false));
    let json = serde_json::to_value(Report::of(&matrix)).unwrap();
    assert_eq!(json["tables"][0]["predicted"][1], serde_json::json!(["either", "allow", "allow", "allow"]));
    assert_eq!(json["tables"][0]["open"][0]["switches"], serde_json::json!(["icmp"]));
    assert_eq!(json["cells"]["differ"], serde_json::Value::Null);
}

#[test]
fn families_that_say_the_same_are_said_once() {
    let dual = Options { family: Some(Families::Dual), ..Options::default() };
    let said = text(&asked(&shop(), &dual, &question()).unwrap(), None, false);
    assert!(said.contains("\nipv4 and ipv6\n"), "{said}");
    let block = policy("v4", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]");
    let said = text(&asked(&(shop() + &block), &dual, &question()).unwrap(), None, false);
    assert!(said.contains("\nipv4\n") && said.contains("\nipv6\n"), "{said}");
}

#[test]
fn many_pods_are_shown_by_what_they_are_like() {
    let workload = |name: &str, count: u32, ports: &str| {
        format!(
            "---\n{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {count}, selector: \
             {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: \
             [{{name: a, ports: [{ports}]}}]}}}}}}}}\n"
        )
    };
    let objects = [
        workload("web", 10, "{containerPort: 80}"),
        workload("api", 9, "{containerPort: 80}"),
        workload("job", 2, ""),
        policy(
            "web",
            "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]",
        ),
    ];
    let matrix =
        asked(&objects.concat(), &Options::default(), &Question { ports: choices(&["80"]), ..question() })
            .unwrap();
    insta::assert_snapshot!(text(&matrix, None, false));
    let full = text(&matrix, None, true);
    assert_eq!(full.lines().filter(|line| line.starts_with("pod/")).count(), 21);
    // A group says what each of its members does, to each member of the other.
    let table = &matrix.tables[0];
    let groups = groups::alike(&[table]);
    assert_eq!(groups.iter().map(|group| group.names.len()).collect::<Vec<_>>(), [9, 2, 10, 1]);
}

/// A matrix is drawn in the signs of scenarios, so one of them can be pasted into a scenario.
#[test]
fn a_scenario_reads_the_tables() {
    let matrix = asked(&shop(), &Options::default(), &question()).unwrap();
    let said = text(&matrix, None, false);
    let tables: Vec<&str> = said.split("\n\n").filter(|part| part.starts_with(':')).collect();
    assert_eq!(tables.len(), matrix.tables.len());
    let head = "apiVersion: netproof/v1alpha1\nkind: Scenario\nmetadata: {name: pasted}\nspec:\n  description: A table.\n  \
                objects:\n    - {apiVersion: v1, kind: Namespace, metadata: {name: dev}}\n";
    let objects = shop().replace("---\n", "    - ");
    let step = "  steps:\n    - name: one\n      matrix: |\n";
    for (drawn, table) in tables.iter().zip(&matrix.tables) {
        let lines: String = drawn.lines().map(|line| format!("            {line}\n")).collect();
        let scenario = format!("{head}{objects}{step}{lines}");
        let loaded = netproof_format::load_text(&Source::new("pasted.yaml", scenario), &Options::default());
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
        let asked = table.cells.rows().flatten().filter(|cell| cell.predicted != Sign::NotAsked);
        assert_eq!(loaded.plans[0].steps[0].expectations.len(), asked.count());
    }
}

#[test]
fn wrong_questions_are_answered_with_a_suggestion() {
    let ask = |question: Question| asked(&shop(), &Options::default(), &question).unwrap_err();
    let wrong = [
        ask(Question { step: Some("as writen".into()), ..question() }),
        ask(Question { from: choices(&["pod/wep"]), ..question() }),
        ask(Question { to: choices(&["nowhere/else"]), ..question() }),
        ask(Question { ports: choices(&["metrics"]), ..question() }),
        ask(Question { to: choices(&["dev"]), ..question() }),
    ];
    insta::assert_snapshot!(wrong.join("\n\n"));
}

#[test]
fn what_packets_do_with_open_points_is_shown() {
    let question = Question { profile: Some(Profile::STRICT), ports: choices(&["icmp"]), ..question() };
    let mut matrix = asked(&shop(), &Options::default(), &question).unwrap();
    let verdicts = [Verdict::Allow, Verdict::Drop, Verdict::Reject, Verdict::Unreachable];
    for (column, verdict) in verdicts.into_iter().enumerate() {
        let cells = &mut matrix.tables[0].cells;
        if let Some(cell) = cells.get(1, column).cloned() {
            let observed = Some(Observed { verdicts: Some(verdict.into()), differs: Vec::new() });
            cells.set(1, column, Cell { predicted: Sign::Open, observed, ..cell });
        }
    }
    insta::assert_snapshot!(text(&matrix, None, false));
}

/// What packets do otherwise is marked, listed and counted.
#[test]
fn differences_are_marked() {
    let mut matrix = asked(&shop(), &Options::default(), &question()).unwrap();
    let observe = |cells: &mut Cells, row, column, cell: Cell, verdict: Verdict, differs: Vec<String>| {
        let observed = Some(Observed { verdicts: Some(verdict.into()), differs });
        cells.set(row, column, Cell { observed, ..cell });
    };
    for table in &mut matrix.tables {
        for (row, column) in
            (0..table.sources.len()).flat_map(|row| (0..table.destinations.len()).map(move |it| (row, it)))
        {
            let cell = table.cells.get(row, column).unwrap().clone();
            let verdict = if cell.predicted == Sign::Allow { Verdict::Allow } else { Verdict::Drop };
            if cell.predicted != Sign::NotAsked {
                observe(&mut table.cells, row, column, cell, verdict, Vec::new());
            }
        }
    }
    let same = text(&matrix, None, false);
    assert!(same.contains("16 allowed, 5 denied, the packets did the same"), "{same}");
    let cells = &mut matrix.tables[0].cells;
    let cell = cells.get(1, 0).unwrap().clone();
    let differs = vec!["expected deny, observed allow".to_owned()];
    observe(cells, 1, 0, cell, Verdict::Allow, differs);
    insta::assert_snapshot!(text(&matrix, None, false));
    assert_eq!(matrix.counts().differ, 1);
    let json = serde_json::to_value(Report::of(&matrix)).unwrap();
    assert_eq!(json["cells"]["differ"], 1);
    assert_eq!(json["tables"][0]["differ"].as_array().map(Vec::len), Some(1));
}
