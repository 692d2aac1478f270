//! An agent on every node, with the API that it watches.

use crate::Agent;
use crate::asked::{Asked, together};
use crate::error::AgentError;
use crate::launch::{Filling, Ports};
use crate::profile::Times;
use crate::sentinel::{Awaited, Spot, Unseen, Watch, within};
use netproof_enforcer::{EnforcerError, NodeHandle};
use netproof_enforcer_process::Process;
use netproof_kubeapi::{Authority, Event, EventType, Scheme, Server, Store};
use netproof_model::Topology;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An agent on every node, with the API that it watches. Everything ends when this is dropped.
pub(crate) struct Running {
    // Dropped in this order: agents before the API that they would miss.
    nodes: Vec<Node>,
    server: Server,
    store: Arc<Store>,
    authority: Authority,
    agent: Agent,
    topology: Topology,
    ports: Ports,
    patience: Duration,
}

/// A node and its agent, which is there from the first generation on.
struct Node {
    name: String,
    netns: OwnedFd,
    process: Option<Process>,
}

impl Running {
    /// Serves the API on each node. The agents start with what they are told first.
    pub(crate) fn new(
        nodes: &[NodeHandle<'_>],
        topology: &Topology,
        agent: &Agent,
        ports: Ports,
        patience: Duration,
    ) -> Result<Running, EnforcerError> {
        let store = Store::new();
        // What all nodes share is told of the first.
        let first = nodes.first().map_or("", |node| node.name.as_str());
        let authority = Authority::new().map_err(|source| api("make certificates", first, source))?;
        let server = Server::start(Arc::clone(&store), &authority);
        let server = server.map_err(|source| api("start its thread", first, source))?;
        for node in nodes {
            for (scheme, port) in [(Scheme::Https, ports.https), (Scheme::Http, ports.http)] {
                let socket = within(node.netns, || TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
                let socket =
                    socket.map_err(|source| api("listen on the node's loopback", &node.name, source))?;
                let listening = server.listen(&node.name, socket, scheme);
                listening.map_err(|source| api("listen on the node's loopback", &node.name, source))?;
            }
        }
        let keep = |node: &NodeHandle<'_>| {
            let netns = node.netns.try_clone_to_owned();
            let netns = netns.map_err(|source| api("keep the node's namespace", &node.name, source))?;
            Ok(Node { name: node.name.clone(), netns, process: None })
        };
        let nodes = nodes.iter().map(keep).collect::<Result<_, EnforcerError>>()?;
        let (agent, topology) = (agent.clone(), topology.clone());
        Ok(Running { nodes, server, store, authority, agent, topology, ports, patience })
    }

    pub(crate) fn name(&self) -> &str {
        &self.agent.profile.name
    }

    /// How often the sentinel changes for a change of the cluster.
    pub(crate) fn times(&self) -> usize {
        match self.agent.profile.sentinel.times {
            Times::Once => 1,
            Times::Twice => 2,
        }
    }

    /// Makes these events true in the API, all at once. The agents are started if they are not there yet, and then see
    /// the objects of the profile as well.
    pub(crate) fn tell(&mut self, events: &[Event]) -> Result<(), EnforcerError> {
        let starts = self.nodes.iter().any(|node| node.process.is_none());
        let mut all = Vec::new();
        if starts {
            let objects = self.agent.profile.objects.iter().cloned();
            all.extend(objects.map(|object| Event { kind: EventType::Added, object }));
        }
        all.extend_from_slice(events);
        self.store.apply(&all).map_err(|error| {
            let node = self.nodes.first().map_or("", |node| node.name.as_str());
            EnforcerError::node(node, error)
        })?;
        for node in self.nodes.iter_mut().filter(|node| node.process.is_none()) {
            let (topology, ports, authority) = (&self.topology, self.ports, &self.authority);
            let filling = Filling { node: &node.name, topology, ports, authority };
            let started = Process::start(&filling.launch(&self.agent), node.netns.as_fd());
            let started = started.map_err(|source| {
                let program = self.agent.program.display().to_string();
                EnforcerError::node(&node.name, AgentError::Start { program, source })
            })?;
            node.process = Some(started);
        }
        Ok(())
    }

    /// Waits until a generation of the sentinel is in force everywhere.
    pub(crate) fn wait(&mut self, spots: &[Spot], awaited: &Awaited) -> Result<(), EnforcerError> {
        let deadline = Instant::now() + self.patience;
        let mut watch = Watch::new(spots);
        let watched = watch.until(awaited, deadline, &mut || self.check().map_err(Interrupted::Agent));
        match watched {
            Ok(None) => Ok(()),
            Ok(Some(unseen)) => Err(self.not_in_force(spots, awaited, unseen)),
            Err(Interrupted::Agent(error)) => Err(error),
            Err(Interrupted::System(source)) => {
                let node = spots.first().map_or("", |spot| spot.node.as_str());
                Err(api("watch the sentinel", node, source))
            }
        }
    }

    /// Whether every agent is still there.
    pub(crate) fn check(&mut self) -> Result<(), EnforcerError> {
        for node in &mut self.nodes {
            let Some(process) = &mut node.process else { continue };
            process.trim();
            let error = match process.ended() {
                Ok(None) => continue,
                Ok(Some(status)) => AgentError::Ended {
                    status,
                    asked: Asked::of(&self.server, &node.name),
                    said: process.last_words(),
                },
                Err(source) => AgentError::Api { doing: "look after the agent", source: source.into() },
            };
            return Err(EnforcerError::node(&node.name, error));
        }
        Ok(())
    }

    /// The error of a generation that is not in force in time.
    fn not_in_force(&self, spots: &[Spot], awaited: &Awaited, unseen: Unseen) -> EnforcerError {
        let (index, port, what) = match unseen {
            Unseen::Answer(spot) => (spot, awaited.asked, "does not connect"),
            Unseen::Denial(spot, denied) => (spot, denied, "connects, and policy denies it"),
        };
        let spot = spots.get(index);
        let process = spot.and_then(|spot| self.nodes.iter().find(|it| it.name == spot.node));
        let (Some(spot), Some(process)) = (spot, process.and_then(|it| it.process.as_ref())) else {
            let source = io::Error::from(io::ErrorKind::NotFound);
            let node = spot.map_or("", |spot| spot.node.as_str());
            return api("find the agent of a node", node, source);
        };
        let error = AgentError::NotInForce {
            generation: awaited.generation,
            patience: self.patience,
            flow: spot.flow(port),
            what,
            asked: Asked::of(&self.server, &spot.node),
            said: process.last_words(),
        };
        EnforcerError::node(&spot.node, error)
    }
}

/// Nobody else learns what agents lacked that were content.
impl Drop for Running {
    fn drop(&mut self) {
        let unanswered = self.nodes.iter().flat_map(|node| self.server.unanswered(&node.name));
        if let Some(requests) = together(unanswered) {
            tracing::info!("{} asked for what the API does not have: {requests}", self.agent);
        }
    }
}

/// Why watching ended early.
enum Interrupted {
    Agent(EnforcerError),
    System(io::Error),
}

impl From<io::Error> for Interrupted {
    fn from(error: io::Error) -> Interrupted {
        Interrupted::System(error)
    }
}

fn api(doing: &'static str, node: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> EnforcerError {
    EnforcerError::node(node, AgentError::Api { doing, source: source.into() })
}
