//! Enforcers that are not ours (`--enforcer exec:COMMAND`): the example passes, a wrong one fails, one that
//! breaks is an error, and none leaves anything behind. Each is a shell command, or the example itself: this
//! program acts as the example when it is started as `agent`.

#![expect(clippy::expect_used, reason = "a test says what went wrong by panicking")]

#[path = "../../../enforcer/exec/examples/agent/main.rs"]
mod agent;
mod pages;
mod programs;

use libtest_mimic::{Arguments, Completion, Trial};
use netproof_kubeapi::objects::{INTERFACE_ANNOTATION, TUNNEL_ADDRESSES_ANNOTATION};
use netproof_model::event::{Check, Event, FindingKind, Status};
use netproof_model::{Verdict, Verdicts};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pages::root;
use programs::{Programs, output, read_more};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Command, ExitCode, Stdio};

const PAGE: &str = "docs/test-your-own-enforcer.md";

/// A scenario with denials, and one run of it.
const SCENARIO: [&str; 3] =
    ["scenarios/recipes/deny-all-traffic-to-an-application.yaml", "--filter", "across-routed-ipv4"];

fn main() -> ExitCode {
    if programs::started_as().is_some_and(|name| name == "agent") {
        return programs::exit_code(agent::main());
    }
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        Trial::ignorable_test("the_example_passes", || Ok(the_example_passes())),
        trial("who_decided_is_a_visible_skip", who_decided_is_a_visible_skip),
        trial("who_allowed_is_a_visible_skip", who_allowed_is_a_visible_skip),
        trial("one_that_enforces_nothing_fails_each_deny", one_that_enforces_nothing_fails_each_deny),
        trial("a_wrong_one_fails_the_case_that_shows_it", a_wrong_one_fails_the_case_that_shows_it),
        trial("one_that_denies_without_policies_fails", one_that_denies_without_policies_fails),
        trial("a_matrix_reads_the_api_as_a_run_does", a_matrix_reads_the_api_as_a_run_does),
        trial("one_that_breaks_is_an_error", one_that_breaks_is_an_error),
        trial("a_command_that_is_none_is_bad_usage", a_command_that_is_none_is_bad_usage),
        trial("it_sees_its_node_and_nothing_else", it_sees_its_node_and_nothing_else),
        trial("nothing_outlives_a_kill", nothing_outlives_a_kill),
        trial("the_page_shows_what_happens", the_page_shows_what_happens),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The programs of the documentation: `agent` and `echo-agent`.
fn documented() -> Programs {
    let programs = Programs::new(&["agent"]);
    let page = fs::read_to_string(root().join(PAGE)).expect("the page");
    let script = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let path = programs.file("echo-agent");
    fs::write(&path, script.expect("the page has a script")).expect("the script is written");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("the script is made executable");
    programs
}

/// `netproof run` with such an enforcer.
fn run(programs: &Programs, enforcer: &str, arguments: &[&str]) -> Command {
    programs.netproof(&[&["run", "--enforcer", &format!("exec:{enforcer}")], arguments].concat())
}

fn checks(file: &str) -> Vec<Check> {
    let text = fs::read_to_string(file).expect("the events file");
    let events = text.lines().map(|line| serde_json::from_str(line).expect("an event"));
    events
        .filter_map(|event| match event {
            Event::CheckFinished { check, .. } => Some(*check),
            _ => None,
        })
        .collect()
}

fn the_example_passes() -> Completion {
    let programs = documented();
    // Each wiring and each family.
    let arguments = ["scenarios/recipes", "scenarios/defaults", "--filter", "routed-ipv4 or bridge-ipv6"];
    let (code, text) = output(&mut run(&programs, "agent", &arguments));
    assert_eq!(code, Some(0), "{text}");
    // The decider is unknown for such an enforcer; runs that were not tried are something else.
    let skipped: Vec<&str> = text.lines().filter(|line| line.starts_with("SKIP ")).collect();
    match skipped.as_slice() {
        [] => Completion::Completed,
        skipped => Completion::ignored_with(format!("the others passed: {}", skipped.join("; "))),
    }
}

fn who_decided_is_a_visible_skip() {
    let programs = documented();
    let json = programs.file("events.jsonl");
    let (code, text) = output(run(&programs, "agent", &SCENARIO).args(["--json", &json]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("skipped: who decided is not checked"), "{text}");
    let checks = checks(&json);
    let skipped: Vec<&Check> = checks.iter().filter(|check| check.status == Status::Skipped).collect();
    assert!(!skipped.is_empty());
    for check in skipped {
        // The verdict itself is a check of its own, and was made.
        let verdict = check.name.strip_suffix(" decidedBy").expect("the name says what is skipped");
        let verdict = checks.iter().find(|other| other.name == verdict).expect("the verdict's own check");
        let deny = Some(Verdict::Deny.into());
        assert_eq!((verdict.status, &verdict.expected), (Status::Passed, &deny), "{verdict:#?}");
        assert!(check.found(FindingKind::NotChecked), "{check:#?}");
    }
    let (code, text) = output(run(&programs, "agent", &SCENARIO).arg("--require-all"));
    assert_eq!(code, Some(1), "{text}");
}

/// Nobody knows who allowed: neither where an enforcer says nothing, nor where there is none.
fn who_allowed_is_a_visible_skip() {
    let programs = documented();
    let json = programs.file("events.jsonl");
    let arguments = ["scenarios/semantics/who-allows.yaml", "--filter", "routed-ipv4", "--json", &json];
    let (code, text) = output(&mut run(&programs, "agent", &arguments));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("skipped: who allowed is not checked: the enforcer gives no evidence"), "{text}");
    let checks = checks(&json);
    let skipped: Vec<&Check> = checks.iter().filter(|check| check.status == Status::Skipped).collect();
    let asked = checks.iter().filter(|check| check.status == Status::Passed && check.expected_by.is_some());
    assert_eq!(skipped.len(), asked.count(), "{skipped:#?}");
    assert!(checks.iter().all(|check| check.allowed_by.is_empty()));
}

fn one_that_enforces_nothing_fails_each_deny() {
    let programs = documented();
    let json = programs.file("events.jsonl");
    // By the profile that leaves nothing open: what is open fails nobody.
    let arguments =
        ["scenarios/recipes", "--filter", "routed-ipv4", "--profile", "netproof", "--json", &json];
    let (code, text) = output(&mut run(&programs, "echo-agent", &arguments));
    assert_eq!(code, Some(1), "{text}");
    let mut denials = 0;
    for check in checks(&json) {
        let expected = check.expected.as_ref().map(Verdicts::each).unwrap_or_default();
        let is_denial = |it: &Verdict| it.is_denial() || *it == Verdict::NameServerUnreachable;
        let denied = expected.iter().any(is_denial);
        let expected = if denied { Status::Failed } else { Status::Passed };
        assert_eq!(check.status, expected, "{check:#?}");
        denials += usize::from(denied);
    }
    assert!(denials > 30, "only {denials} denials: too few to mean anything");
}

/// What the API leaves open is open for an enforcer of one's own, and settled for netproof's.
fn a_matrix_reads_the_api_as_a_run_does() {
    let programs = documented();
    let matrix = ["matrix", SCENARIO[0], "--filter", SCENARIO[2], "--json"];
    for (more, profile) in [
        (&["--enforcer", "exec:agent"][..], "strict"),
        (&["--enforcer", "exec:agent", "--profile", "calico"], "calico"),
        (&["--predict"], "netproof"),
    ] {
        let (code, text) = output(&mut programs.netproof(&[&matrix[..], more].concat()));
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&format!("\"profile\": \"{profile}\"")), "{more:?}: {text}");
    }
}

/// The example's input is falsified: that makes a wrong enforcer.
fn a_wrong_one_fails_the_case_that_shows_it() {
    let programs = documented();
    for (fault, scenario) in [
        ("s/,.except.:\\[[^]]*\\]//g", "semantics::except-is-not-a-deny"),
        ("s/,.Egress.\\]/]/g", "semantics::policy-types"),
    ] {
        let wrong = format!("sh -c 'sed -u {} | agent'", format_args!("\"{}\"", fault.replace('"', "\\\"")));
        let filter = format!("\"{scenario}\" and same-node-ipv4");
        let arguments = ["scenarios/semantics", "--filter", &filter];
        let (code, text) = output(&mut run(&programs, &wrong, &arguments));
        assert_eq!(code, Some(1), "{fault}: {text}");
        assert!(text.contains(&format!("FAIL   {scenario}")), "{fault}: {text}");
        let (code, text) = output(&mut run(&programs, "agent", &arguments));
        assert_eq!(code, Some(0), "{fault}: {text}");
    }
}

/// It denies before there is any policy: that is wrong, too, and no trouble of the machine.
fn one_that_denies_without_policies_fails() {
    let programs = documented();
    let [path, json, scenario] =
        ["agent.sh", "events.jsonl", "scenario.yaml"].map(|name| programs.file(name));
    // What policy denies in the end, too: only without it is anything wrong.
    let text = "{apiVersion: netproof/v1alpha1, kind: Scenario, metadata: {name: two-pods}, spec: {description: Nobody in., \
                objects: [{pod: {name: a, ports: [80]}}, {pod: {name: b}}], steps: [{name: denied, expect: oracle, apply: [\
                {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: nobody}, spec: {}}]}]}}";
    fs::write(&scenario, text).expect("the scenario is written");
    let policy = r#"{"type":"ADDED","object":{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"of-its-own","namespace":"default"},"spec":{"podSelector":{},"policyTypes":["Ingress"]}}}"#;
    let script = format!("sed -u '1s|\"events\": *\\[|&{policy},|' | agent");
    fs::write(&path, script).expect("the script is written");
    let (code, text) = output(&mut run(&programs, &format!("sh {path}"), &[&scenario, "--json", &json]));
    assert_eq!(code, Some(1), "{text}");
    let rehearsed: Vec<Check> =
        checks(&json).into_iter().filter(|check| check.name.starts_with("rehearsal/")).collect();
    assert!(rehearsed.iter().any(|check| check.name.contains("/matrix/")), "{text}");
    for check in rehearsed {
        assert_eq!(check.status, Status::Failed, "{check:#?}");
    }
}

fn one_that_breaks_is_an_error() {
    let programs = documented();
    let acknowledge = "n=0; ack() { n=$((n + 1)); echo \"{\\\"generation\\\": $n}\"; }";
    let table = [
        ("exit 7", "ended (exit status 7)"),
        ("echo last words >&2; exit 0", "it wrote last to standard error: last words"),
        // In the middle of a run, before an answer and after one.
        ("while read -r x; do [ $n = 2 ] && kill -9 $$; ack; done", "exit status 137, which is signal 9"),
        ("read -r x; ack; read -r x; ack; exit 3", "ended (exit status 3)"),
        ("read -r x; sleep 1000", "gave no answer to generation 1 within 0.3 s"),
        ("sleep 1000", "gave no answer to generation 1 within 0.3 s"),
        ("read -r x; ack; read -r x; sleep 1000", "gave no answer to generation 2 within 0.3 s"),
        ("read -r x; printf '{\"generation\": 1}'; sleep 1000", "and a line end"),
        ("exec >&-; read -r x; sleep 1000", "gave no answer to generation 1"),
        ("read -r x; echo ready; read -r x", "answered generation 1 with `ready`: expected value"),
        ("read -r x; echo; read -r x", "answered generation 1 with ``"),
        ("read -r x; echo '{\"generation\": 2}'; read -r x", "that is generation 2"),
        ("read -r x; echo '{}'; read -r x", "neither a generation nor an error"),
        ("read -r x; echo '{\"generation\": 1, \"ok\": true}'; read -r x", "unknown field `ok`"),
        ("read -r x; ack; ack; while read -r x; do ack; done", "generation 2"),
        (
            "read -r x; echo '{\"error\": \"no nft here\"}'; read -r x",
            "could not program generation 1: no nft here",
        ),
        ("echo '{\"error\": \"no nft here\"}'; read -r x", "could not program generation 1: no nft here"),
        ("read -r x; yes | tr -d '\\n'", "answered generation 1 with `yyyyyyyy"),
        ("read -r x; printf '\\377\\033[2J\\n'; read -r x", "\\u{1b}[2J"),
    ];
    let path = programs.file("agent.sh");
    for (script, expected) in table {
        fs::write(&path, format!("{acknowledge}\n{script}\n")).expect("the script is written");
        let mut run = run(&programs, &format!("sh {path}"), &SCENARIO);
        let (code, text) = output(run.args(["--enforcer-timeout", "300ms"]));
        assert_eq!(code, Some(3), "{script}: {text}");
        assert!(text.contains(expected), "{script}: expected {expected:?} in {text}");
        assert!(text.contains("node node"), "{script}: {text}");
    }
}

fn a_command_that_is_none_is_bad_usage() {
    let programs = documented();
    for (command, expected) in [
        ("no-such-program --flag", "there is no program no-such-program in the folders of PATH"),
        ("./no-such-program", "there is no file ./no-such-program"),
        ("README.md", "write ./README.md for the file in the current folder"),
        ("./README.md", "./README.md is not executable"),
        ("", "the command is missing"),
        ("agent 'a", "a quote is not closed"),
        ("agent | tee log", "exec:sh -c"),
    ] {
        let (code, text) = output(&mut run(&programs, command, &SCENARIO));
        assert_eq!(code, Some(2), "{command}: {text}");
        assert!(text.contains(expected), "{command}: {text}");
    }
    // It can be executed, and is no program after all.
    let path = programs.file("no-interpreter");
    fs::write(&path, "#!/no/such/interpreter\n").expect("the file is written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is made executable");
    let (code, text) = output(&mut run(&programs, &path, &SCENARIO));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cannot be started: cannot start the program"), "{text}");
}

fn it_sees_its_node_and_nothing_else() {
    let programs = documented();
    let script = programs.file("look.sh");
    // `ls` has the folder open that it lists.
    let look = "read -r x\n\
                files=$(ls /proc/self/fd | tr '\\n' ' ')\n\
                links=$(tail -n +3 /proc/self/net/dev | cut -d: -f1 | sort | tr -d ' ' | cut -c1-3 | uniq | tr '\\n' ' ')\n\
                echo x >/run/xtables.lock && run=$(ls /run)\n\
                [ -w /proc/sys/net/ipv4/ip_forward ] && net=rw\n\
                [ -w /proc/sys/kernel/printk_delay ] || kernel=ro\n\
                echo \"{\\\"error\\\": \\\"$NETPROOF_NODE, files $files, links $links, run $run, sysctls $net $kernel, pid $$\\\"}\"\n\
                read -r x\n";
    fs::write(&script, look).expect("the script is written");
    let (code, text) = output(&mut run(&programs, &format!("sh {script}"), &SCENARIO));
    assert_eq!(code, Some(3), "{text}");
    let node = text.split("node ").nth(1).and_then(|rest| rest.split(':').next());
    let node = node.expect("the error names its node");
    let seen = format!("generation 1: {node}, files 0 1 2 3 , links ");
    for expected in [&seen, " eth ", " np", ", run xtables.lock, sysctls rw ro, pid 2;"] {
        assert!(text.contains(expected), "expected {expected:?} in {text}");
    }
    // The machine may have one of its own, which an ordinary user cannot read, and so did not write.
    assert!(fs::read("/run/xtables.lock").map_or(true, |it| it != b"x\n"));
}

/// Every process that an enforcer starts, however it hides, ends when netproof is killed.
fn nothing_outlives_a_kill() {
    let programs = documented();
    let (fifo, script) = (programs.file("fifo"), programs.file("agent.sh"));
    mkfifo(fifo.as_str(), Mode::S_IRWXU).expect("a fifo");
    // Each process has the writing end open, so that the reading end tells when the last has ended.
    let hide = format!(
        "exec 9>{fifo}\ntrap '' HUP TERM PIPE\n(setsid sleep 1000 >/dev/null 2>&1 </dev/null &)\nsleep 1000 &\n\
         echo up >&9\nwhile read -r x; do :; done\nsleep 1000\n"
    );
    fs::write(&script, hide).expect("the script is written");
    for _ in 0..3 {
        let mut told = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(&fifo)
            .expect("the fifo opens");
        let mut netproof = run(&programs, &format!("sh {script}"), &SCENARIO);
        let mut netproof =
            netproof.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        let mut up = Vec::new();
        while up.len() < "up\nup\n".len() {
            assert!(read_more(&mut told, &mut up), "both are up before they end");
        }
        netproof.kill().expect("it is there");
        netproof.wait().expect("it ends");
        while read_more(&mut told, &mut up) {}
        assert_eq!(up, b"up\nup\n");
    }
}

fn the_page_shows_what_happens() {
    let programs = documented();
    let page = root().join(PAGE);
    pages::check(&page, "<!-- run with the agents: netproof ", |command| {
        let arguments: Vec<&str> = command.split(' ').collect();
        output(&mut programs.netproof(&arguments)).1
    });
    let text = fs::read_to_string(&page).expect("the page");
    for word in [INTERFACE_ANNOTATION, TUNNEL_ADDRESSES_ANNOTATION, "NETPROOF_NODE", "--enforcer-timeout"] {
        assert!(text.contains(word), "the page does not tell of {word}");
    }
    for line in text.lines().filter(|line| line.starts_with("    {\"")) {
        let parsed = serde_json::from_str::<serde_json::Value>(line.trim());
        assert!(parsed.is_ok(), "an example of the page is no JSON: {line}: {parsed:?}");
    }
}
