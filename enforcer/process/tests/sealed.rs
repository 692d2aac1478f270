//! Sealed programs, in namespaces: what they see, what becomes of what they write, and how they end.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use libtest_mimic::{Arguments, Trial};
use netproof_cluster::{Netns, sandbox};
use netproof_enforcer_process::{Environment, Files, Launch, Output, Process, Sealed};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A folder of PATH that lies in a private one.
const TOOLS: &str = "NETPROOF_TEST_TOOLS";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(tools) = env::var_os(TOOLS) else { return with_tools() };
    if let Err(error) = sandbox::enter() {
        eprintln!("no namespaces of our own: {error}");
        return ExitCode::FAILURE;
    }
    drop(tools);
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let tests = vec![
        trial("the_host_is_seen_and_cannot_be_changed", the_host_is_seen_and_cannot_be_changed),
        trial("what_it_writes_is_nowhere_on_the_host", what_it_writes_is_nowhere_on_the_host),
        trial("files_are_there_when_it_starts", files_are_there_when_it_starts),
        trial("the_kernels_files_are_the_nodes", the_kernels_files_are_the_nodes),
        trial("a_full_disk_is_its_own", a_full_disk_is_its_own),
        trial("it_finds_no_variable_but_its_own", it_finds_no_variable_but_its_own),
        trial("a_program_in_a_private_folder_runs", a_program_in_a_private_folder_runs),
        trial("what_it_leaves_behind_ends_with_it", what_it_leaves_behind_ends_with_it),
        trial("without_input_it_ends", without_input_it_ends),
        trial("last_words_outlive_a_trim", last_words_outlive_a_trim),
        trial("what_cannot_be_private_is_refused", what_cannot_be_private_is_refused),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Runs this program again, with a folder below /tmp in its PATH.
fn with_tools() -> ExitCode {
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let tool = folder.path().join("netproof-tool");
    fs::write(&tool, "#!/bin/sh\necho a tool\n").unwrap();
    fs::set_permissions(&tool, Permissions::from_mode(0o755)).unwrap();
    let path = env::join_paths(
        [folder.path().to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let mut again = Command::new(env::current_exe().unwrap());
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let status = again.args(arguments).env("PATH", path.unwrap()).env(TOOLS, folder.path()).status().unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn shell(script: &str, sealed: Sealed) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Environment::Only(Vec::new()),
        output: Output::Piped,
        files: Files::Sealed(sealed),
    }
}

fn start(launch: &Launch) -> Process {
    let netns = Netns::new().unwrap();
    Process::start(launch, netns.fd()).unwrap_or_else(|error| panic!("{error}"))
}

/// What it writes to standard output until nobody has it open; whoever has after ten seconds was left behind.
fn read(process: &mut Process) -> String {
    let mut output = process.output.take().unwrap();
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut polled, PollTimeout::from(10_000u16)), Ok(1), "somebody is left behind");
        match output.read(&mut buffer).unwrap() {
            0 => return String::from_utf8(text).unwrap(),
            read => text.extend_from_slice(buffer.get(..read).unwrap()),
        }
    }
}

fn said(launch: &Launch) -> String {
    let mut process = start(launch);
    let text = read(&mut process);
    let errors = process.last_words().to_string();
    assert_eq!(errors, "; it wrote nothing to standard error", "{text}");
    text
}

/// A private folder that is not on the host, and a scratch folder that is.
const ABSENT: &str = "/var/lib/netproof-test-absent/inner";
const AT_THE_ROOT: &str = "/netproof-test-absent/inner";

fn sealed(private: &[&str]) -> Sealed {
    Sealed { private: private.iter().map(PathBuf::from).collect(), ..Sealed::default() }
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn the_host_is_seen_and_cannot_be_changed() {
    // Also where a folder was rebuilt for a private one.
    for private in [&[][..], &[ABSENT], &[ABSENT, AT_THE_ROOT]] {
        for folder in ["/", "/etc", "/usr/bin", "/var/lib", "/var", "/dev", "/sys", "/proc/sys/kernel"] {
            let script = format!("touch {folder}/netproof-test 2>/dev/null || echo refused");
            assert_eq!(said(&shell(&script, sealed(private))), "refused\n", "{folder} {private:?}");
            assert!(!Path::new(folder).join("netproof-test").exists());
        }
        for folder in ["/", "/etc", "/var/lib"] {
            let seen = said(&shell(&format!("ls -A {folder}"), sealed(private)));
            let mut seen: BTreeSet<String> = seen.lines().map(str::to_owned).collect();
            let made = seen.take("netproof-test-absent").is_some();
            let inside = |it: &&str| Path::new(it).parent().and_then(Path::parent) == Some(Path::new(folder));
            assert_eq!(made, private.iter().any(inside), "{folder} {private:?}");
            assert_eq!(seen, names(folder), "{folder} {private:?}");
        }
        let passwd = said(&shell("cat /etc/passwd; test -L /bin && readlink /bin", sealed(private)));
        assert!(passwd.starts_with(&fs::read_to_string("/etc/passwd").unwrap()), "{passwd}");
        assert_eq!(said(&shell("pwd", sealed(private))), "/\n");
    }
    // A setting that is the machine's, written as it is.
    let setting = "/proc/sys/vm/swappiness";
    let script = format!("value=$(cat {setting}); (echo $value >{setting}) 2>/dev/null || echo refused");
    assert_eq!(said(&shell(&script, sealed(&[]))), "refused\n");
}

fn what_it_writes_is_nowhere_on_the_host() {
    let before: Vec<_> = ["/run", "/tmp", "/var/lib", "/"].map(names).into();
    for folder in ["/run", "/var/run", "/tmp", "/dev/shm", ABSENT, AT_THE_ROOT, "/var/log"] {
        let script =
            format!("ls -A {folder}; echo written >{folder}/netproof-test; cat {folder}/netproof-test");
        let written = said(&shell(&script, sealed(&[ABSENT, AT_THE_ROOT, "/var/log"])));
        // Empty but for the way to a program.
        let written: Vec<&str> = written.lines().filter(|line| !line.starts_with(".tmp")).collect();
        assert_eq!(written, ["written"], "{folder}");
        assert!(!Path::new(folder).join("netproof-test").exists(), "{folder}");
    }
    assert_eq!(before, <Vec<_>>::from(["/run", "/tmp", "/var/lib", "/"].map(names)));
    assert!(!Path::new(ABSENT).exists() && !Path::new(AT_THE_ROOT).exists());
}

fn files_are_there_when_it_starts() {
    for path in [
        "/run/netproof-test/kubeconfig",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/etc/netproof-test.conf",
        "/var/lib/netproof-test-absent/file",
        "/netproof-test",
    ] {
        let mut sealed = sealed(&[]);
        sealed.files.push((path.into(), b"content".to_vec()));
        let text = said(&shell(&format!("cat {path}; echo; head -c 4 /etc/passwd"), sealed));
        assert_eq!(text, "content\nroot", "{path}");
        assert!(!Path::new(path).exists(), "{path}");
    }
}

fn the_kernels_files_are_the_nodes() {
    let launch = |script: &str| shell(script, sealed(&[]));
    let devices = said(&launch("echo x >/dev/null; head -c 5 /dev/urandom | wc -c; ls /dev"));
    assert_eq!(
        devices.split_whitespace().collect::<Vec<_>>(),
        ["5", "fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    );
    // Processes are numbered anew: the first of them, and the shell.
    assert_eq!(said(&launch("echo $$; ls -d /proc/[0-9]* | grep -vx /proc/$$ | head -n 1")), "2\n/proc/1\n");
    assert_eq!(said(&launch("ls /sys/class/net")), "lo\n");
    assert_eq!(said(&launch("ls -A /sys/fs/cgroup /sys/fs/bpf 2>/dev/null | grep -v : | xargs")), "\n");
    let path = "/proc/sys/net/ipv4/ip_forward";
    assert_eq!(said(&launch(&format!("echo 1 >{path}; cat {path}"))), "1\n");
}

fn a_full_disk_is_its_own() {
    for folder in ["/run", "/tmp", ABSENT] {
        let script = format!("head -c 70000000 /dev/zero >{folder}/big; stat -c %s {folder}/big");
        let mut process = start(&shell(&script, sealed(&[ABSENT])));
        assert_eq!(read(&mut process), "67108864\n", "{folder}");
        let said = process.last_words().to_string();
        assert!(said.contains("No space left on device"), "{folder}: {said}");
    }
}

fn it_finds_no_variable_but_its_own() {
    let mut launch = shell("", sealed(&[]));
    launch.program = "/usr/bin/env".into();
    launch.arguments.clear();
    launch.environment = Environment::Only(vec![("NODE_NAME".into(), "node1".into())]);
    let found = said(&launch);
    let path = netproof_enforcer_process::path().into_string().unwrap();
    let expected = ["HOME=/tmp".to_owned(), "NODE_NAME=node1".to_owned(), format!("PATH={path}")];
    assert_eq!(found.lines().collect::<BTreeSet<_>>(), expected.iter().map(String::as_str).collect());
}

fn a_program_in_a_private_folder_runs() {
    let folder = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let (script, link) = (folder.path().join("in/script"), folder.path().join("link"));
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/beside"), "").unwrap();
    let text = format!("#!/bin/sh\necho \"$@\"; ls {}/in; netproof-tool", folder.path().display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    symlink(&script, &link).unwrap();
    for program in [script, link] {
        let mut launch = shell("", sealed(&[]));
        launch.program = program;
        launch.arguments = vec!["an".into(), "argument".into()];
        // What lies beside it is not there; what lies in a folder of PATH is.
        assert_eq!(said(&launch), "an argument\nscript\na tool\n");
    }
    // One that the program starts, by the path of a link to it.
    let more = Sealed { programs: vec![folder.path().join("link")], ..sealed(&[]) };
    let script = format!("{} by another", folder.path().join("link").display());
    assert!(said(&shell(&script, more)).starts_with("by another\n"));
    // By the name that it was given.
    let named = folder.path().join("a-name");
    symlink("/bin/sh", &named).unwrap();
    let launch = Launch { program: named.clone(), ..shell("echo $0", sealed(&[])) };
    assert_eq!(said(&launch), format!("{}\n", named.display()));
}

fn what_it_leaves_behind_ends_with_it() {
    // In a session of its own, and no child of the program.
    let launch = shell("(setsid sleep 1000 &); exit 3", sealed(&[]));
    let mut process = start(&launch);
    assert_eq!(read(&mut process), "");
    assert_eq!(process.wait().unwrap().code(), Some(3));
    let mut process =
        start(&shell("trap '' TERM INT HUP; (setsid sleep 1000 &); echo; sleep 1000", sealed(&[])));
    let mut output = process.output.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    assert!(process.ended().unwrap().is_none());
    drop(process);
    let mut polled = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::from(10_000u16)), Ok(1), "somebody is left behind");
}

fn without_input_it_ends() {
    let launch = shell("sleep 1000", sealed(&[]));
    let mut process = start(&launch);
    process.input = None;
    assert_eq!(read(&mut process), "");
}

fn last_words_outlive_a_trim() {
    let script = "head -c 6000000 /dev/zero | tr '\\0' '\\n'; echo so; echo it ends >&2; exit 7";
    let mut process = start(&Launch { output: Output::Kept, ..shell(script, sealed(&[])) });
    assert_eq!(process.wait().unwrap().code(), Some(7));
    let words = "; it wrote last to standard output and error: so | it ends";
    assert_eq!(process.last_words().to_string(), words);
    assert!(process.kept() > 6_000_000);
    process.trim();
    assert_eq!(process.last_words().to_string(), words);
    assert!(process.kept() < 100_000);
}

fn what_cannot_be_private_is_refused() {
    for (path, expected) in [
        ("/proc/sys", "cannot make private /proc/sys: that is no place for a program's files"),
        ("/", "cannot make private /: that is no place for a program's files"),
        ("/etc/passwd/x", "cannot make private /etc/passwd/x: there is a file in the way"),
    ] {
        let netns = Netns::new().unwrap();
        let error = Process::start(&shell("exit", sealed(&[path])), netns.fd()).err();
        assert_eq!(error.unwrap().to_string(), expected);
    }
    let launch = Launch { program: "/no/such/program".into(), ..shell("", sealed(&[])) };
    let error = Process::start(&launch, Netns::new().unwrap().fd()).err().unwrap();
    assert!(error.to_string().starts_with("cannot find /no/such/program: "), "{error}");
}
