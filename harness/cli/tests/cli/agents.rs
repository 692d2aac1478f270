//! Agents of the command line (`--enforcer agent:NAME[=PATH]`), where one cannot be had: what is said, and the exit code.

use crate::GOOD;
use crate::command::{Folder, netproof, shown};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const PROFILE: &str = "\
apiVersion: netproof/v1alpha1
kind: AgentProfile
metadata: {name: mine}
spec:
  title: an agent of mine
  role: enforcer
  program: no-such-agent
  arguments: ['--node={nod}']
  wirings: [routed]
  oracle: calic
";

/// An object of `GOOD` that it has not.
const ADMIN: &str = "    - apiVersion: policy.networking.k8s.io/v1alpha2
      kind: ClusterNetworkPolicy
      metadata: {name: admin}
      spec: {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {team: elsewhere}}}}
";

/// A scenario, profiles, and a program that can be started.
fn folder() -> Folder {
    let sound = PROFILE
        .replace("{nod}", "{node}")
        .replace("  wirings: [routed]\n", "")
        .replace("calic\n", "calico\n");
    let calls = sound.clone() + "  needs: {programs: [sh, no-such-tool]}\n";
    let proxy = sound.replace("role: enforcer", "role: proxy");
    let folder = Folder::with(&[
        ("scenario.yaml", GOOD),
        ("wrong.yaml", PROFILE),
        ("mine.yaml", &sound),
        ("calls.yaml", &calls),
        ("proxy.yaml", &proxy),
        ("agent", "#!/bin/sh\n"),
        ("no-program", ""),
    ]);
    fs::set_permissions(folder.path().join("agent"), Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn an_agent_that_cannot_be_had_says_why() {
    let folder = folder();
    let run = |options: &[&str]| {
        let output =
            netproof(&[&["run", "scenario.yaml"], options].concat()).current_dir(folder.path()).output();
        format!("$ netproof run {}\n{}", options.join(" "), shown(&output.unwrap()))
    };
    let said = [
        // Bad usage, and profiles that are wrong.
        run(&["--enforcer", "kube-router"]),
        run(&["--enforcer", "agent:"]),
        run(&["--enforcer", "agent:kube-ruter"]),
        run(&["--enforcer", "agent:kube-router="]),
        run(&["--enforcer", "agent:kube-proxy"]),
        run(&["--proxy", "agent:./mine.yaml"]),
        run(&["--enforcer", "agent:proxy.yaml"]),
        run(&["--enforcer", "agent:./no-such.yaml"]),
        run(&["--enforcer", "agent:wrong.yaml"]),
        // What the machine lacks.
        run(&["--enforcer", "agent:mine.yaml"]),
        run(&["--enforcer", "agent:mine.yaml=no-such-file"]),
        run(&["--enforcer", "agent:mine.yaml=./no-program"]),
        run(&["--enforcer", "agent:calls.yaml=agent"]),
        run(&["--proxy", "agent:proxy.yaml"]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// The same in each command that takes agents.
#[test]
fn every_command_says_so() {
    let folder = folder();
    for command in [&["matrix", "scenario.yaml"][..], &["fuzz", "--pairs", "1"]] {
        for (option, code, message) in [
            ("--enforcer=agent:mine.yaml", 3, "needs the program no-such-agent"),
            ("--proxy=agent:proxy.yaml", 3, "needs the program no-such-agent"),
            ("--enforcer=agent:proxy.yaml", 2, "is no enforcer; write --proxy agent:proxy.yaml"),
            ("--enforcer=agent:wrong.yaml", 2, "there is no placeholder {nod}"),
        ] {
            let shown = folder.run(&[command, &[option]].concat());
            assert!(shown.starts_with(&format!("exit code {code}\n")), "{command:?} {option}: {shown}");
            assert!(shown.contains(message), "{command:?} {option}: {shown}");
        }
    }
}

/// What is wrong with the input is the same on every machine: it is said before a program is looked for.
#[test]
fn input_comes_before_the_machine() {
    let folder = folder();
    fs::write(folder.path().join("broken.yaml"), "kind: Scenario\n").unwrap();
    let shown = folder.run(&["run", "broken.yaml", "--enforcer", "agent:mine.yaml"]);
    assert!(shown.starts_with("exit code 2\n") && !shown.contains("no-such-agent"), "{shown}");
}

/// A family that a profile rules out: told with the reason, counted, and no failure.
#[test]
fn what_an_agent_cannot_do_does_not_apply() {
    let folder = folder();
    let profile = fs::read_to_string(folder.path().join("calls.yaml")).unwrap();
    let profile = profile.replace("sh, no-such-tool", "sh")
        + "  notApplicable: [{family: ipv6, because: its authors have not come to that}]\n";
    fs::write(folder.path().join("old.yaml"), profile).unwrap();
    let enforcer = ["--enforcer", "agent:old.yaml=agent"];
    let because = "mine: its authors have not come to that";
    // The program ends at once, so that nothing passes where it is asked.
    let both = folder.run(&[&["run", "scenario.yaml", "--junit", "report.xml"], &enforcer[..]].concat());
    for told in ["exit code 3\n", because, "1 scenario run: 1 without a verdict; 1 not applicable"] {
        assert!(both.contains(told), "{told}: {both}");
    }
    let report = fs::read_to_string(folder.path().join("report.xml")).unwrap();
    assert!(report.contains("skipped=\"1\"") && report.contains(because), "{report}");
    let none = folder.run(&[&["run", "scenario.yaml", "--family", "ipv6"], &enforcer[..]].concat());
    assert!(none.starts_with("exit code 2\n") && none.contains(because), "{none}");
    let matrix = folder.run(&[&["matrix", "scenario.yaml", "--family", "ipv6"], &enforcer[..]].concat());
    assert!(matrix.starts_with("exit code 2\n") && matrix.contains(because), "{matrix}");
    let fuzz = folder.run(&[&["fuzz", "--family", "ipv6", "--pairs", "50"], &enforcer[..]].concat());
    assert!(fuzz.contains(&format!("2 clusters were skipped: {because}")), "{fuzz}");
}

/// Policies of a kind that its profile does not name, likewise.
#[test]
fn policies_that_an_agent_does_not_know_do_not_apply() {
    let folder = folder();
    let scenario = GOOD.replace("  objects:\n", &format!("  objects:\n{ADMIN}"));
    assert_ne!(scenario, GOOD);
    fs::write(folder.path().join("admin.yaml"), scenario).unwrap();
    let run =
        |profile: &str| folder.run(&["run", "admin.yaml", "--enforcer", &format!("agent:{profile}=agent")]);
    let sound = fs::read_to_string(folder.path().join("mine.yaml")).unwrap();
    let new = sound.clone() + "  policies: [networkpolicy, clusternetworkpolicy]\n";
    fs::write(folder.path().join("new.yaml"), new).unwrap();
    let because =
        "mine: its profile is for policies of the kind networkpolicy, and this has clusternetworkpolicy";
    let unknown = run("mine.yaml");
    assert!(unknown.starts_with("exit code 2\n") && unknown.contains(because), "{unknown}");
    // It is tried: the program ends at once.
    let known = run("new.yaml");
    assert!(known.starts_with("exit code 3\n") && known.contains("the agent ended"), "{known}");
}

#[test]
fn doctor_names_every_shipped_agent() {
    let shown = crate::run(&["doctor"]);
    for (name, _) in netproof_enforcer_agent::profile::SHIPPED {
        let lines =
            shown.lines().filter(|line| line.get(5..).is_some_and(|it| it.split(' ').next() == Some(name)));
        assert_eq!(lines.count(), 1, "{name}: {shown}");
    }
}
