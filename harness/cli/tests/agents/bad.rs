//! Agents that break, each in its own way: the exit code, what is said, and that nothing is left. (What netproof finds
//! before it builds anything is in `cli/agents.rs`.)

use crate::pages::root;
use crate::programs::{output, read_more};
use crate::{SCENARIO, programs, run, wrong};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A profile whose program this is.
fn profile(program: &str, arguments: &[&str]) -> Value {
    json!({
        "apiVersion": "netproof/v1alpha1", "kind": "AgentProfile", "metadata": {"name": "bad"},
        "spec": {"title": "no good", "role": "enforcer", "program": program, "arguments": arguments},
    })
}

/// Where an agent tries to leave something: in its own folders, and in those of the machine.
fn hideouts() -> Vec<PathBuf> {
    let folders = ["/tmp", "/run", "/var/tmp", "/etc", "/var/lib", "/dev/shm", "/"].map(PathBuf::from);
    folders.into_iter().chain([root()]).map(|folder| folder.join("left-by-a-test-of-netproof")).collect()
}

/// What a run finds out: each is an error and no verdict, with what the agent wrote and asked for.
pub fn agents_that_break_are_errors() {
    let programs = programs();
    let fifo = Fifo::new();
    let hideouts: Vec<String> = hideouts().iter().map(|it| it.display().to_string()).collect();
    let leave = format!("for path in {}; do echo x >$path; done 2>&1", hideouts.join(" "));
    let fill = "dd if=/dev/zero of=/tmp/full bs=1M count=100 2>&1; exit 1";
    let daemon = "(setsid sleep 1000 >/dev/null 2>&1 </dev/null &) && sleep 1000 & exit 0";
    let script = |script: &str| profile("sh", &["-c", &format!("exec 9>{}\n{script}", fifo.path())]);
    let mut setup = script("exit 0");
    setup["spec"]["setup"] = json!("echo not ready; exit 9");
    let path = programs.file("bad.yaml");
    let bad = |profile: Value| {
        fs::write(&path, profile.to_string()).expect("the profile is written");
        format!("agent:{path}")
    };
    let sh = |text: &str| bad(script(text));
    let wrong = |fault: &str| wrong::agent(&programs, fault);
    let lacks = format!("it has no answer to GET {} (status 404, once)", wrong::UNKNOWN_KIND);
    // How long each has: those that end have time to do so, on a machine that is busy, too.
    type Case<'a> = (&'a dyn Fn() -> String, &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 14] = [
        (&|| sh("exit 7"), "30s", &["the agent ended (exit status 7)", "it has asked nothing of the API"]),
        (&|| sh("echo last words"), "30s", &["(exit status 0)", "standard output and error: last words"]),
        (&|| sh("kill -9 $$"), "30s", &["exit status 137, which is signal 9"]),
        (&|| bad(setup.clone()), "30s", &["ended (exit status 9)", "not ready"]),
        (&|| wrong("no-such-fault"), "30s", &["ended (exit status 1)", "there is no such fault"]),
        (&|| sh(fill), "30s", &["ended (exit status 1)", "No space left on device"]),
        (&|| sh(&leave), "30s", &["Read-only file system"]),
        (&|| sh(daemon), "30s", &["the agent ended (exit status 0)"]),
        (&|| sh("printf '\\033[2J\\377'; exit 1"), "30s", &["\\u{1b}[2J"]),
        (
            &|| sh("sleep 1000"),
            "500ms",
            &["within 0.5 s (--enforcer-timeout", "it has asked nothing of the API"],
        ),
        (&|| sh("trap '' TERM HUP INT; while :; do sleep 1000; done"), "500ms", &["within 0.5 s"]),
        (
            &|| wrong("enforces-nothing"),
            "5s",
            &["generation 1 of the sentinel", "connects, and policy denies it", "3 requests"],
        ),
        (&|| wrong("unknown-kind"), "5s", &["within 5 s", &lacks]),
        (&|| sh("yes >&2"), "5s", &["within 5 s", "standard output and error: y | y | y"]),
    ];
    for (number, (agent, patience, expected)) in cases.iter().enumerate() {
        // Open, so that agents can open the other end.
        let mut reader = fifo.reader();
        let mut netproof = run(&programs, &agent(), &SCENARIO);
        let (code, text) = output(netproof.args(["--enforcer-timeout", patience]));
        assert_eq!(code, Some(3), "case {number}: {text}");
        assert!(text.contains("cannot program the nodes: node node"), "case {number}: {text}");
        for expected in *expected {
            assert!(text.contains(expected), "case {number}: expected {expected:?} in {text}");
        }
        // Whoever had it open has ended. The reader sees the end when somebody had it open, so we do.
        drop(OpenOptions::new().write(true).open(fifo.path()).expect("the fifo opens"));
        while read_more(&mut reader, &mut Vec::new()) {}
        let left: Vec<&String> = hideouts.iter().filter(|path| Path::new(path).exists()).collect();
        assert!(left.is_empty(), "case {number} left {left:?}");
    }
    // The proxy's sentinel is its own.
    let mut mute = profile("sh", &["-c", "sleep 1000"]);
    mute["spec"]["role"] = json!("proxy");
    let proxy = bad(mute);
    let arguments = [&["run", "--proxy", &proxy, "--enforcer-timeout", "500ms"], &SCENARIO[..]].concat();
    let (code, text) = output(&mut programs.netproof(&arguments));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("within 0.5 s") && text.contains("it has asked nothing of the API"), "{text}");
}

/// Every process that an agent starts, however it hides, ends when netproof is killed.
pub fn nothing_outlives_a_kill() {
    let programs = programs();
    let fifo = Fifo::new();
    let hide = format!(
        "exec 9>{}\ntrap '' HUP TERM PIPE\n(setsid sleep 1000 >/dev/null 2>&1 </dev/null &)\nsleep 1000 &\necho up >&9\n\
         while :; do sleep 1000; done",
        fifo.path()
    );
    let path = programs.file("bad.yaml");
    fs::write(&path, profile("sh", &["-c", &hide]).to_string()).expect("the profile is written");
    for _ in 0..3 {
        let mut told = fifo.reader();
        let mut netproof = run(&programs, &format!("agent:{path}"), &SCENARIO);
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

/// A fifo that agents can open for writing: in no folder that is private to them.
struct Fifo(tempfile::TempDir);

impl Fifo {
    fn new() -> Fifo {
        let fifo = Fifo(tempfile::tempdir_in("/var/tmp").expect("a scratch folder"));
        mkfifo(&fifo.0.path().join("fifo"), Mode::S_IRWXU).expect("a fifo");
        fifo
    }

    fn path(&self) -> String {
        self.0.path().join("fifo").display().to_string()
    }

    fn reader(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK).open(self.path()).expect("the fifo opens")
    }
}
