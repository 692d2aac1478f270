//! Namespaces for the kernel tests, and what the kernel says that it holds.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

pub mod node;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use nlink::netlink::nftables::Family;
use nlink::netlink::{Connection, Nftables};
use std::error::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Leaves the machine's namespaces. Before the first thread.
pub fn in_namespace_of_our_own() -> io::Result<()> {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// A network namespace, held by its descriptor.
pub fn new_netns() -> io::Result<File> {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    });
    thread.join().unwrap()
}

/// Everything in the namespace's nf_tables, in an order of its own and without the suffix of an epoch.
pub fn dump(netns: &File) -> Result<String, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut lines, mut rules) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let connection = Connection::<Nftables>::new_in(netns.as_fd())?;
        for table in connection.list_tables().await? {
            let family = table.family;
            let name = &table.name;
            let id = format!("{family:?}/{name}");
            lines.push(format!("table {id}"));
            for chain in connection.list_chains_in(name.as_str(), family).await? {
                lines.push(format!("chain {id} {} {:?} {:?}", chain.name, chain.hook, chain.priority));
            }
            // The order of rules within a chain counts, and that of chains, sets and elements does not.
            for (position, rule) in connection.list_rules(name, family).await?.iter().enumerate() {
                let (chain, expressions) = (&rule.chain, rule.expressions());
                let comment = rule.userdata_raw.as_deref().map(String::from_utf8_lossy);
                rules.push(format!("rule {id} {chain} {position:06} {expressions:?} {comment:?}"));
            }
            for set in connection.list_sets_in(name, family).await? {
                let set_name = set.name.clone();
                lines.push(format!("set {id} {set_name} {:?} {:?}", set.key_type, set.flags));
                for element in connection.list_set_elements(name, &set_name, family).await? {
                    lines.push(format!(
                        "element {id} {set_name} {:?} {:?} {:?}",
                        element.key(),
                        element.key_end(),
                        element.data()
                    ));
                }
            }
        }
        Ok::<_, nlink::Error>(())
    })?;
    let plain = |lines: &[String]| lines.iter().map(|line| without_epoch(line)).collect::<Vec<_>>();
    let mut lines = plain(&lines);
    lines.sort();
    // Positions count through a table, whose chains come in any order.
    rules.sort();
    let rules = plain(&rules).into_iter().map(|rule| {
        let words: Vec<&str> = rule.splitn(5, ' ').collect();
        [&words[..3], &words[4..]].concat().join(" ")
    });
    let mut rules: Vec<String> = rules.collect();
    rules.sort_by_key(|rule| rule.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>());
    lines.extend(rules);
    Ok(lines.join("\n"))
}

/// How many rules of policies the namespace has.
pub fn policy_rules(netns: &File) -> Result<usize, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rules = runtime.block_on(async {
        let connection = Connection::<Nftables>::new_in(netns.as_fd())?;
        connection.list_rules("netproof-policy", Family::Inet).await
    })?;
    let of_a_policy = |comment: &Vec<u8>| String::from_utf8_lossy(comment).contains("networkpolicy/");
    let accepts = |chain: &str| chain.starts_with("ingress-policy/");
    Ok(rules
        .iter()
        .filter(|rule| accepts(&rule.chain) && rule.userdata_raw.as_ref().is_some_and(of_a_policy))
        .count())
}

/// `name_e12` is `name`.
fn without_epoch(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find("_e") {
        let (before, after) = rest.split_at(at);
        let digits = after[2..].chars().take_while(char::is_ascii_digit).count();
        out.push_str(before);
        if digits == 0 {
            out.push_str("_e");
        }
        rest = &after[2 + digits..];
    }
    out + rest
}
