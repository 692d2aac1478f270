//! A client that speaks HTTP/1.1 by hand, and a cluster to ask for.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this, and a test says what went wrong by panicking"
)]

#[path = "../../../../enforcer/tests/world/mod.rs"]
pub mod world;

use netproof_controlplane::Snapshot;
use netproof_kubeapi::{Authority, Event, EventType, Scheme, Server, Store, events};
use netproof_model::{Families, Wiring};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use world::World;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node that is served.
pub const NODE: &str = "node1";

/// A cluster that is served on a loopback socket, plain and over TLS.
pub struct Cluster {
    pub store: Arc<Store>,
    pub server: Server,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub authority: Authority,
    world: World,
    known: Arc<Snapshot>,
}

impl Cluster {
    pub fn start() -> Cluster {
        let mut world = World::new(Families::Ipv4, Wiring::Routed);
        let known = world.apply(
            &[
                world::namespace("dev", "team=blue"),
                world::pod("dev/web", "node1", "app=web", "http:80"),
                world::pod("client", "node2", "app=client", ""),
                world::service("dev/web", "{selector: {app: web}, ports: [{port: 80}]}"),
                world::service("dev/peers", "{clusterIP: None, selector: {app: web}, ports: [{port: 80}]}"),
                world::policy("dev/deny", "{podSelector: {}, ingress: []}"),
            ]
            .concat(),
        );
        Cluster::serve(world, known)
    }

    /// Serves what a world is.
    pub fn serve(world: World, known: Arc<Snapshot>) -> Cluster {
        let store = Store::new();
        store.apply(&events::between(None, &known)).expect("a cluster can be stored");
        store.apply(&calico()).expect("Calico's objects can be stored");
        let authority = Authority::new().expect("an authority");
        let server = Server::start(Arc::clone(&store), &authority).expect("a server");
        let [plain, tls] = [Scheme::Http, Scheme::Https].map(|scheme| {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
            let address = socket.local_addr().expect("an address");
            server.listen(NODE, socket, scheme).expect("a listener");
            address
        });
        Cluster { store, server, plain, tls, authority, world, known }
    }

    /// A pod gets another label. The server begins to hear of it at the moment that this gives.
    pub fn relabel(&mut self, pod: &str, app: &str) -> Instant {
        let now = self.world.label("pod", pod, "app", Some(app));
        let begin = Instant::now();
        self.store.apply(&events::between(Some(&self.known), &now)).expect("the change fits");
        self.known = now;
        begin
    }

    /// A pod gets another label, a policy goes, and a namespace comes with a pod: one change set.
    pub fn change(&mut self) -> u64 {
        self.world.label("pod", "dev/web", "app", Some("other"));
        self.world.delete("networkpolicy", "dev/deny");
        let now = self.world.apply(
            &[world::namespace("new", ""), world::pod("new/pod", "node1", "app=web", "http:80")].concat(),
        );
        let version = self.store.apply(&events::between(Some(&self.known), &now)).expect("the change fits");
        self.known = now;
        version
    }

    pub fn http(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.plain).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client::new(stream)
    }

    pub fn https(&self, name: &'static str) -> Client<StreamOwned<ClientConnection, TcpStream>> {
        self.handshake(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A client that trusts the authority, and nobody else, and asks for a name.
    pub fn handshake(
        &self,
        name: &'static str,
    ) -> io::Result<Client<StreamOwned<ClientConnection, TcpStream>>> {
        let certificate = CertificateDer::from_pem_slice(self.authority.certificate_pem().as_bytes());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.expect("PEM")).expect("a certificate");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = TcpStream::connect(self.tls).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let connection = ClientConnection::new(Arc::new(config), name.try_into().expect("a name"));
        let mut connection = connection.expect("a client");
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        assert_eq!(connection.alpn_protocol(), Some(b"http/1.1".as_slice()));
        Ok(Client::new(StreamOwned::new(connection, stream)))
    }
}

/// What Felix must find.
fn calico() -> Vec<Event> {
    let object = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name});
        let object =
            json!({"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec});
        Event { kind: EventType::Added, object }
    };
    vec![
        object("ClusterInformation", "default", json!({"datastoreReady": true})),
        object("Tier", "default", json!({"order": 1_000_000})),
    ]
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Ask {
        Ask { method: "GET".into(), path: path.into(), headers: BTreeMap::new(), body: Vec::new() }
    }
}

/// An answer that is whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub fn content_type(&self) -> &str {
        self.headers.get("content-type").map_or("", String::as_str)
    }
}

/// One connection.
pub struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    fn new(stream: S) -> Client<S> {
        Client { stream: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).expect("the server listens");
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(&Ask::get(path))
    }

    pub fn ask(&mut self, ask: &Ask) -> Answer {
        self.send_request(ask);
        self.answer()
    }

    pub fn send_request(&mut self, ask: &Ask) {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: kubernetes\r\n", ask.method, ask.path);
        for (name, value) in &ask.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !ask.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", ask.body.len());
        }
        head += "\r\n";
        self.send(&[head.as_bytes(), &ask.body].concat());
    }

    /// Reads a whole answer.
    pub fn answer(&mut self) -> Answer {
        let (status, headers) = self.head();
        let mut body = Vec::new();
        if headers.contains_key("transfer-encoding") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else {
            let length = headers.get("content-length").map_or(0, |it| it.parse().expect("a length"));
            body.resize(length, 0);
            self.stream.read_exact(&mut body).expect("a body");
        }
        Answer { status, headers, body }
    }

    fn head(&mut self) -> (u16, BTreeMap<String, String>) {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, headers);
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// A chunk; `None` at the end.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let length = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).expect("a chunk");
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Begins a watch on this connection.
    pub fn watch(mut self, ask: &Ask) -> Watch<S> {
        self.send_request(ask);
        let (status, headers) = self.head();
        assert_eq!(status, 200, "{}", ask.path);
        assert_eq!(headers.get("content-type").map(String::as_str), Some("application/json"));
        Watch { client: self, read: Vec::new() }
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        matches!(self.stream.read_to_end(&mut rest), Ok(0) | Err(_))
    }
}

/// A watch.
pub struct Watch<S: Read + Write> {
    client: Client<S>,
    read: Vec<u8>,
}

impl<S: Read + Write> Watch<S> {
    /// The next event; `None` at the end.
    pub fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            match self.client.chunk() {
                Some(chunk) => self.read.extend(chunk),
                None => {
                    assert!(self.read.is_empty(), "the watch ends within an event");
                    return None;
                }
            }
        }
    }

    /// Reads so many events, and looks at none.
    pub fn pass(&mut self, count: usize) {
        let mut left = count;
        loop {
            let ends = self.read.iter().filter(|byte| **byte == b'\n').count();
            if ends > left {
                panic!("more than {count} events");
            }
            self.read.clear();
            left -= ends;
            if left == 0 {
                return;
            }
            self.read = self.client.chunk().expect("the watch goes on");
        }
    }

    /// The next events, each as one line.
    pub fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next().map_or_else(|| "END".to_owned(), |event| line(&event))).collect()
    }
}

/// `ADDED Pod dev/web@2`, `BOOKMARK Pod@3`, `BOOKMARK Pod@3 end of what was there`.
pub fn line(event: &Value) -> String {
    let object = &event["object"];
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = [&metadata["namespace"], &metadata["name"]]
        .into_iter()
        .map(text)
        .filter(|it| !it.is_empty())
        .collect();
    let names = if names.is_empty() { String::new() } else { format!(" {}", names.join("/")) };
    let end = match &metadata["annotations"]["k8s.io/initial-events-end"] {
        Value::Null => "",
        _ => " end of what was there",
    };
    let version = text(&metadata["resourceVersion"]);
    format!("{} {}{names}@{version}{end}", text(&event["type"]), text(&object["kind"]))
}

/// Namespace and name of each item of a list.
pub fn items(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}")).iter();
    items
        .map(|item| {
            let metadata = &item["metadata"];
            let name = metadata["name"].as_str().expect("a name");
            metadata["namespace"].as_str().map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"))
        })
        .collect()
}
