//! Case tables: what they come to, and what a user reads about one that is not as it should be.

use super::*;
use std::fmt::Write as _;

/// A table that is right, for cases to change one thing of.
pub(super) const TABLE: &str = "\
apiVersion: netproof/v1alpha1
kind: CaseTable
metadata: {name: ports, labels: {team: net}, tags: [example]}
spec:
  description: One policy, in many forms.
  tags:
    direction: [ingress, egress]
    example: []
    port: [numbered, named]
  scenario:
    objects:
      - pod: {name: web, labels: {app: web}, ports: [80, \"serve-81:81\"]}
      - pod: {name: client, labels: {app: client}, ports: [80]}
  parts:
    directions:
      - {name: ingress, of: web}
      - {name: egress, of: client}
    eighty: {name: eighty, is: [{port: 80}], tags: [numbered]}
    ports:
      - $(eighty)
      - {name: named, is: [{port: serve-81}], tags: [named]}
      - {name: both, is: [$(eighty.is), {port: serve-81}], tags: [numbered, named]}
    base:
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: base}
      spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
  cases:
    - name: $(direction.name)-$(port.name)
      for: {direction: $(directions), port: $(ports)}
      tags: [$(direction.name), $(port.tags)]
      steps:
        - name: the policy for $(port.name)
          apply:
            - like: base
              set:
                metadata.labels.form: $(port.name)
                spec.podSelector.matchLabels.app: $(direction.of)
                spec.policyTypes: null
                spec.$(direction.name): [{ports: $(port.is)}]
          matrix: |
            :80 pod/web
            pod/client ?
    - name: pair-$(a.name)-$(b.name)
      for: {a: $(ports), b: {after: a}}
      description: A pair.
      note: Costs $$(80).
      objects: [{pod: {name: third}}]
      steps:
        - {name: one, matrix: \":80 pod/web\\npod/third ?\"}
";

/// Cases that start with the same objects, in the same variant, share worlds.
#[test]
fn cases_that_start_alike_are_a_group() {
    let text = TABLE.replace("  scenario:\n", "  scenario:\n    variants: {family: [ipv4, ipv6]}\n");
    let loaded = load_text(&text).unwrap();
    let mut groups: BTreeMap<_, Vec<&Plan>> = BTreeMap::new();
    for plan in &loaded.plans {
        groups.entry(plan.group.clone()).or_default().push(plan);
    }
    let kind = |plan: &Plan| (plan.id.name.starts_with("pair-"), plan.id.variant.clone());
    let sizes: Vec<usize> = groups.values().map(Vec::len).collect();
    assert_eq!(sizes, [6, 6, 3, 3], "{groups:?}");
    for (group, plans) in groups {
        assert!(group.is_some());
        let same = plans
            .iter()
            .all(|plan| kind(plan) == kind(plans[0]) && Arc::ptr_eq(&plan.topology, &plans[0].topology));
        assert!(same, "{group:?}");
    }
    // A scenario that is no case of a table is alone, whatever it starts with.
    assert_eq!(load_text(GOOD).unwrap().plans[0].group, None);
}

fn with(from: &str, to: &str) -> String {
    assert_eq!(TABLE.matches(from).count(), 1, "{from:?} must stand once in the table");
    TABLE.replace(from, to)
}

#[test]
fn a_table_is_its_cases() {
    let folder = Folder::new(&[("scenarios/net/table.yaml", TABLE)]);
    let loaded = folder.load("scenarios", &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut text = String::new();
    for plan in &loaded.plans {
        let Location { line, column, .. } = &plan.location;
        let tags: Vec<&str> = plan.tags.iter().map(String::as_str).collect();
        let _ = writeln!(text, "{} ({line}:{column}) {}", plan.id, tags.join(" "));
        let _ = writeln!(text, "    {} {:?} {} objects", plan.description, plan.labels, plan.initial.len());
        for step in &plan.steps {
            let _ = writeln!(text, "    {}", step.name);
            for change in step.change_sets.iter().flatten() {
                let netproof_controlplane::Change::Apply(netproof_api::Object::Policy(
                    netproof_api::Policy::NetworkPolicy(policy),
                )) = change
                else {
                    continue;
                };
                let _ = writeln!(text, "    {:?} {:?}", policy.metadata.labels, policy.spec);
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn mistakes_stand_where_they_are_written() {
    let mut report = String::new();
    for (from, to) in [
        ("kind: CaseTable", "kind: CaseTabel"),
        ("{name: ports,", "{name: Ports,"),
        ("  cases:\n", "  cases: []\n  caces:\n"),
        ("    port: [numbered, named]", "    port: [Numbered, named, ingress]"),
        ("tags: [example]}", "tags: [exmple]}"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: [$(direction.name), $(port.tag)]"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: [$(directoin.name)]"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: [$(direction)]"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: [to-$(direction)]"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: numbered"),
        ("tags: [$(direction.name), $(port.tags)]", "tags: [\"$(direction.name\"]"),
        ("    - name: $(direction.name)-$(port.name)\n", "    - name: $(port.name)\n"),
        ("    - name: $(direction.name)-$(port.name)\n      for", "    - for"),
        ("    - name: $(direction.name)-$(port.name)\n", "    - name: Case $(port.name)\n"),
        ("    - name: $(direction.name)-$(port.name)\n", "    - name: [$(port.name)]\n"),
        ("{direction: $(directions), port: $(ports)}", "$(directions)"),
        ("{direction: $(directions), port: $(ports)}", "{direction: $(directions), port: []}"),
        ("{direction: $(directions), port: $(ports)}", "{direction: $(directions), port: $(eighty)}"),
        ("{direction: $(directions), port: $(ports)}", "{direction: $(directions), port: 80}"),
        ("{after: a}", "{after: c}"),
        ("{after: a}", "{before: a}"),
        ("like: base", "like: bsae"),
        ("like: base", "like: eighty.name"),
        ("like: base", "like: base\n              with: {}"),
        ("spec.policyTypes: null", "spec.policyTypes[1]: Egress"),
        ("spec.policyTypes: null", "spec.policyTypes.from: {}"),
        ("spec.policyTypes: null", "spec..x: {}"),
        ("spec.policyTypes: null", "spec.ingress[x]: {}"),
        ("spec.policyTypes: null", "spec.policyTypes: [Engress]"),
        ("spec.policyTypes: null", "spec.$(direction.name): []"),
        ("is: [{port: serve-81}]", "is: [{port: serve_81}]"),
        ("is: [{port: serve-81}]", "is: [{prot: serve-81}]"),
        ("      - $(eighty)\n", "      - $(ports)\n"),
        ("      note: Costs", "      notes: Costs"),
        ("      note: Costs $$(80).", "      note: [a]"),
        (":80 pod/web\n            pod/client ?", ":80 pod/wbe\n            pod/client ?"),
        (":80 pod/web\n            pod/client ?", ":80 pod/web\n            pod/$(port.name) ?"),
        ("objects: [{pod: {name: third}}]", "objects: [{pod: {name: web}}]"),
        ("    directions:\n", "    dir.ections:\n"),
        ("labels: {app: client}, ports: [80]", "labels: {app: client}, ports: [80], node: node9"),
        ("      steps:\n        - {name: one, matrix: \":80 pod/web\\npod/third ?\"}\n", ""),
    ] {
        let said = complaints(&with(from, to));
        let _ = writeln!(report, "--- {}\n{said}\n", to.replace('\n', "⏎"));
    }
    insta::assert_snapshot!(report);
}

/// Tables that would grow without bound are refused quickly.
#[test]
fn growth_is_bounded() {
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let five = format!("{{a: {ten}, b: {ten}, c: {ten}, d: {ten}, e: {ten}}}");
    let doubled = |first: &str, next: &dyn Fn(usize) -> String| {
        let parts: Vec<String> = (1..60).map(|n| format!("    p{n}: {}\n", next(n - 1))).collect();
        format!("  parts:\n    p0: {first}\n{}", parts.concat())
    };
    let parts = TABLE.find("  parts:").unwrap()..TABLE.find("    directions:").unwrap();
    let with_parts = |text: String| format!("{}{text}{}", &TABLE[..parts.start], &TABLE[parts.end..]);
    for (table, expected) in [
        (
            with("{a: $(ports), b: {after: a}}", &five)
                .replace("$(a.name)-$(b.name)", "$(a)$(b)$(c)$(d)$(e)"),
            "10000 cases",
        ),
        (with_parts(doubled("[x, x]", &|n| format!("[$(p{n}), $(p{n})]"))), "values"),
        (with_parts(doubled("x", &|n| format!("$(p{n})$(p{n})"))), "values"),
        (with_parts(doubled("{a: 1}", &|n| format!("{{a: $(p{n}), b: $(p{n})}}"))), "values"),
        (
            with_parts((0..100).fold(String::from("  parts:\n    q0: {}\n"), |text, n| {
                format!("{text}    q{}: {{a: $(q{n})}}\n", n + 1)
            })),
            "nested more than 64 deep",
        ),
    ] {
        // Without the bound this would not end.
        let said = complaints(&table);
        assert!(said.contains(expected), "{said}");
    }
}
