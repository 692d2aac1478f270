//! The cost of a probe, compared with the same socket calls in a bare loop: two nodes, one pod on each.
//!
//!     cargo run --release -p netproof-probe --example probe_cost [PROBES]
//!
//! The program `nft` loads the rules that drop; without it only allowed probes are measured.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement ends at the first surprise"
)]

#[path = "../tests/probe/world.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod world;

use netproof_model::{Family, Outcome, Wiring};
use netproof_probe::Probe;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrIn, accept4, bind, connect, getsockopt,
    listen, recv, recvfrom, send, sendto, setsockopt, socket, sockopt,
};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use world::{World, client, has_nft, request, sctp, tcp, udp, web};

const CHUNK: usize = 64;

fn open(kind: SockType) -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, kind, flags, None).unwrap();
    if kind == SockType::Stream {
        setsockopt(&fd, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    }
    fd
}

/// Connects that many times, looks at each socket, closes it; the server accepts and closes.
fn bare_tcp(world: &World, target: SocketAddrV4, probes: usize) -> Duration {
    let listener = world.cluster.netns(&web()).unwrap().enter(|| open(SockType::Stream)).unwrap();
    bind(listener.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, target.port())))
        .unwrap();
    listen(&listener, Backlog::MAXCONN).unwrap();
    let to = SockaddrIn::from(target);
    let loop_ = || {
        let began = Instant::now();
        for _ in 0..probes.div_ceil(CHUNK) {
            for _ in 0..CHUNK {
                let fd = open(SockType::Stream);
                let _ = connect(fd.as_raw_fd(), &to);
                getsockopt(&fd, sockopt::SocketError).unwrap();
            }
            while let Ok(accepted) = accept4(listener.as_raw_fd(), SockFlag::SOCK_NONBLOCK) {
                drop(owned(accepted));
            }
        }
        began.elapsed()
    };
    world.cluster.netns(&client()).unwrap().enter(loop_).unwrap()
}

/// Sends that many datagrams from new sockets and looks for the answers; the server answers.
fn bare_udp(world: &World, target: SocketAddrV4, probes: usize) -> Duration {
    let server = world.cluster.netns(&web()).unwrap().enter(|| open(SockType::Datagram)).unwrap();
    bind(server.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, target.port())))
        .unwrap();
    let to = SockaddrIn::from(target);
    let loop_ = || {
        let began = Instant::now();
        let mut buffer = [0; 64];
        for _ in 0..probes.div_ceil(CHUNK) {
            let sockets: Vec<OwnedFd> = (0..CHUNK)
                .map(|_| {
                    let fd = open(SockType::Datagram);
                    connect(fd.as_raw_fd(), &to).unwrap();
                    let _ = send(fd.as_raw_fd(), b"1234 netproof", MsgFlags::empty());
                    fd
                })
                .collect();
            while let Ok((length, Some(from))) = recvfrom::<SockaddrIn>(server.as_raw_fd(), &mut buffer) {
                let _ = sendto(server.as_raw_fd(), &buffer[..length], &from, MsgFlags::empty());
            }
            for fd in sockets {
                let _ = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty());
            }
        }
        began.elapsed()
    };
    world.cluster.netns(&client()).unwrap().enter(loop_).unwrap()
}

#[expect(unsafe_code, reason = "nix gives an accepted connection as a bare number")]
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the number was just returned by accept4, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The same number of probes in one batch: time without the settle window, and the window.
fn probes(world: &mut World, request: Probe, probes: usize, expected: Outcome) -> (Duration, Duration) {
    let requests = vec![request; probes];
    let began = Instant::now();
    let seen = world.prober.probe(&requests).unwrap();
    let elapsed = began.elapsed();
    assert!(seen.iter().all(|seen| seen.outcome == expected), "{:#?}", seen[0]);
    let waited: Duration = seen.iter().map(|seen| seen.waited).sum();
    (elapsed - waited, waited)
}

fn main() {
    let count = std::env::args().nth(1).map_or(5000, |text| text.parse().expect("a number of probes"));
    netproof_cluster::sandbox::enter().expect("a sandbox");
    let mut cases = vec![("allowed", None, Outcome::Connected)];
    if has_nft() {
        cases.push(("dropped, logged", Some("log prefix \"netproof:1\" group 4790 drop"), Outcome::Dropped));
        cases.push(("dropped, silent", Some("drop"), Outcome::Dropped));
    }
    println!("{:<24} {:>8} {:>8} {:>6} {:>10}", "us a probe", "bare", "probe", "ratio", "waited ms");
    for (name, rule, expected) in cases {
        for protocol in ["tcp", "udp", "sctp"] {
            let mut best: Option<(f64, f64, Duration)> = None;
            for _ in 0..3 {
                let mut world = World::new(Wiring::Routed);
                if let Some(rule) = rule {
                    world.rules("node1", "forward", rule);
                }
                let std::net::IpAddr::V4(address) = world.address(&web(), Family::Ipv4) else {
                    unreachable!()
                };
                let bare_target = SocketAddrV4::new(address, 4000);
                let target = SocketAddr::new(address.into(), 80);
                let (bare, port) = if protocol == "tcp" {
                    (bare_tcp(&world, bare_target, count), tcp(80))
                } else {
                    // There may be no sockets of SCTP; a datagram and its answer are as many packets.
                    let port = if protocol == "udp" { udp(80) } else { sctp(80) };
                    (bare_udp(&world, bare_target, count), port)
                };
                let (own, waited) = probes(&mut world, request(target.ip(), port), count, expected);
                let per = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
                let (bare, own) = (per(bare), per(own));
                if best.is_none_or(|(_, best, _)| own < best) {
                    best = Some((bare, own, waited));
                }
            }
            let (bare, own, waited) = best.expect("three rounds");
            let name = format!("{protocol} {name}");
            println!("{name:<24} {bare:>8.1} {own:>8.1} {:>6.2} {:>10}", own / bare, waited.as_millis());
        }
    }
}
