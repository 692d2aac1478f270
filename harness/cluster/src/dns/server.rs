//! The server: sockets in a namespace, answers from records.

use super::records::{DOMAIN, Found, Records};
use crate::netns::Netns;
use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_server::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};

const PORT: u16 = 53;
/// Time to live of an answer in seconds: CoreDNS's default.
const TTL: u32 = 5;
/// Idle timeout of a TCP connection.
const SILENCE: Duration = Duration::from_secs(10);
/// Largest UDP answer to a query with EDNS, in bytes (dnsflagday.net/2020).
const MAX_UDP: u16 = 1232;

/// The records of one cluster, from which its sockets answer.
pub(super) struct Server {
    records: Arc<RwLock<Arc<Records>>>,
    /// Dropping it closes the sockets.
    _sockets: hickory_server::Server<Answerer>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Opens UDP and TCP sockets on port 53 of the addresses, in the namespace. No query is lost once this
    /// returns: the sockets queue queries until the thread reads them.
    pub fn start(netns: &Netns, addresses: &[IpAddr], records: Records) -> io::Result<Server> {
        let runtime = runtime()?;
        let records = Arc::new(RwLock::new(Arc::new(records)));
        let mut sockets = hickory_server::Server::new(Answerer { records: Arc::clone(&records) });
        let opened = netns
            .enter(|| addresses.iter().map(|address| open(*address)).collect::<io::Result<Vec<_>>>())??;
        let _inside = runtime.enter();
        for (udp, tcp) in opened {
            sockets.register_socket(tokio::net::UdpSocket::from_std(udp)?);
            let tcp = tokio::net::TcpListener::from_std(tcp)?;
            sockets.register_listener(tcp, SILENCE, usize::from(u16::MAX));
        }
        Ok(Server { records, _sockets: sockets })
    }

    /// Replaces the records.
    pub fn replace(&self, records: Records) {
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
    }
}

fn open(address: IpAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let udp = UdpSocket::bind((address, PORT))?;
    let tcp = TcpListener::bind((address, PORT))?;
    // Accepted sockets inherit it. Closing a connection that a deny has cut off then resets it; otherwise it
    // would hold its namespace until the kernel gives up.
    setsockopt(&tcp, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok((udp, tcp))
}

/// The runtime of the thread that serves all clusters, started on first use.
fn runtime() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Result<Handle, String>> = OnceLock::new();
    let start = || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let serve = move || runtime.block_on(std::future::pending::<()>());
        thread::Builder::new().name("dns".into()).spawn(serve)?;
        Ok(handle)
    };
    let started = RUNTIME.get_or_init(|| start().map_err(|error: io::Error| error.to_string()));
    started.as_ref().map_err(|message| io::Error::other(message.clone()))
}

/// Answers each query from the current records.
struct Answerer {
    records: Arc<RwLock<Arc<Records>>>,
}

#[async_trait]
impl RequestHandler for Answerer {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let known = Arc::clone(&self.records.read().unwrap_or_else(PoisonError::into_inner));
        let Answer { code, records, soa } = answer(request, &known);
        metadata.response_code = code;
        let edns = request.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP);
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let response = builder.build(metadata, &records, [], &soa, []);
        // The client may be gone; that is no error.
        response_handle
            .send_response(response)
            .await
            .unwrap_or_else(|_| ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() }))
    }
}

struct Answer {
    code: ResponseCode,
    /// Aliases, then addresses.
    records: Vec<Record>,
    soa: Option<Record>,
}

fn answer(request: &Request, records: &Records) -> Answer {
    let only = |code| Answer { code, records: Vec::new(), soa: None };
    if request.metadata.op_code != OpCode::Query {
        return only(ResponseCode::NotImp);
    }
    let Ok(info) = request.request_info() else { return only(ResponseCode::FormErr) };
    let query = info.query.original();
    if query.query_class() != DNSClass::IN {
        return only(ResponseCode::Refused);
    }
    let name = query.name();
    let Found { aliases, addresses: found } = records.find(&name.to_ascii());
    let alias_asked = query.query_type() == RecordType::CNAME;
    let mut owner = name.clone();
    let mut answers = Vec::new();
    for target in aliases.into_iter().take(if alias_asked { 1 } else { usize::MAX }) {
        let Ok(target) = Name::from_ascii(target).and_then(|target| target.append_domain(&Name::root()))
        else {
            return only(ResponseCode::ServFail);
        };
        answers.push(Record::from_rdata(owner, TTL, RData::CNAME(CNAME(target.clone()))));
        owner = target;
    }
    if alias_asked && !answers.is_empty() {
        return Answer { code: ResponseCode::NoError, records: answers, soa: None };
    }
    let wanted = |address: &&IpAddr| match query.query_type() {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    };
    let addresses = found.unwrap_or_default().iter().filter(wanted);
    let before = answers.len();
    answers.extend(addresses.map(|address| Record::from_rdata(owner.clone(), TTL, rdata(*address))));
    // The code is that of the last alias's target (RFC 6604).
    let code = if found.is_some() { ResponseCode::NoError } else { ResponseCode::NXDomain };
    // The SOA says how long a negative answer may be cached (RFC 2308).
    let soa = if answers.len() == before { soa(&owner) } else { None };
    Answer { code, records: answers, soa }
}

fn rdata(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

/// The SOA of a name's zone: the cluster's domain, or else the root.
fn soa(name: &Name) -> Option<Record> {
    let domain = Name::from_ascii(DOMAIN).ok()?.append_domain(&Name::root()).ok()?;
    let zone = if domain.zone_of(name) { domain.clone() } else { Name::root() };
    let server = domain.prepend_label("dns").ok()?.prepend_label("ns").ok()?;
    let contact = domain.prepend_label("hostmaster").ok()?;
    let soa = SOA::new(server, contact, 1, 7200, 1800, 86400, TTL);
    Some(Record::from_rdata(zone, TTL, RData::SOA(soa)))
}
