//! How an agent is started on a node: its profile, filled in.

use crate::Agent;
use crate::profile::{Placeholder, Template};
use netproof_enforcer_process::{Environment, Files, Launch, Output, Sealed};
use netproof_kubeapi::Authority;
use netproof_model::{Family, Topology};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the kubeconfig is.
const KUBECONFIG: &str = "/run/netproof/kubeconfig";

/// Where the certificate of the API's authority is.
const CERTIFICATE: &str = "/run/netproof/ca.crt";

/// What agents show to be let in. The API asks nobody for it: whoever reaches a node's loopback is one of them.
const TOKEN: &str = "netproof";

/// What runs a profile's script before the program.
const SHELL: &str = "/bin/sh";

/// Where the API is on each node's loopback. The numbers are high, and no node ports, since pods in their node's network
/// may have any other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) https: u16,
    pub(crate) http: u16,
}

/// What an agent is started with on one node.
pub(crate) struct Filling<'a> {
    pub(crate) node: &'a str,
    pub(crate) topology: &'a Topology,
    pub(crate) ports: Ports,
    pub(crate) authority: &'a Authority,
}

impl Filling<'_> {
    /// The agent as it is started on the node.
    pub(crate) fn launch(&self, agent: &Agent) -> Launch {
        let profile = &agent.profile;
        let environment = profile.environment.iter();
        let environment = environment.map(|(name, value)| (name.into(), self.text(value).into()));
        let files =
            profile.files.iter().map(|file| (file.path.clone(), self.text(&file.content).into_bytes()));
        let own =
            [(KUBECONFIG, self.kubeconfig()), (CERTIFICATE, self.authority.certificate_pem().to_owned())];
        let own = own.map(|(path, content)| (PathBuf::from(path), content.into_bytes()));
        let mut arguments: Vec<OsString> =
            profile.arguments.iter().map(|argument| self.text(argument).into()).collect();
        let program = match &profile.setup {
            None => agent.program.clone(),
            Some(script) => {
                let script = format!("{}\nexec \"$0\" \"$@\"", self.text(script));
                let shell = ["-ec".into(), script.into(), agent.program.clone().into()];
                arguments.splice(..0, shell);
                PathBuf::from(SHELL)
            }
        };
        Launch {
            program,
            arguments,
            environment: Environment::Only(environment.collect()),
            output: Output::Kept,
            files: Files::Sealed(Sealed {
                private: profile.private.clone(),
                programs: vec![agent.program.clone()],
                files: own.into_iter().chain(files).collect(),
            }),
        }
    }

    fn text(&self, template: &Template) -> String {
        template.fill(|placeholder| self.value(placeholder))
    }

    fn value(&self, placeholder: Placeholder) -> String {
        let has = |family| self.topology.family.contains(family).to_string();
        let list = |ranges: Vec<String>| ranges.join(",");
        let families = self.topology.family.list();
        match placeholder {
            Placeholder::Node => self.node.to_owned(),
            Placeholder::Kubeconfig => KUBECONFIG.to_owned(),
            Placeholder::Api => format!("https://127.0.0.1:{}", self.ports.https),
            Placeholder::ApiHost => "127.0.0.1".to_owned(),
            Placeholder::ApiPort => self.ports.https.to_string(),
            Placeholder::PlainApi => format!("http://127.0.0.1:{}", self.ports.http),
            Placeholder::Ca => self.authority.certificate_pem().to_owned(),
            Placeholder::Token => TOKEN.to_owned(),
            Placeholder::Ipv4 => has(Family::Ipv4),
            Placeholder::Ipv6 => has(Family::Ipv6),
            Placeholder::PodRanges => list(
                families.iter().map(|family| self.topology.ranges.pods.get(*family).to_string()).collect(),
            ),
            Placeholder::ServiceRanges => {
                let ranges = &self.topology.ranges.services;
                list(families.iter().map(|family| ranges.get(*family).to_string()).collect())
            }
        }
    }

    /// A kubeconfig that leads to the API.
    fn kubeconfig(&self) -> String {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "netproof",
            "clusters": [{"name": "netproof", "cluster": {
                "server": self.value(Placeholder::Api),
                "certificate-authority": CERTIFICATE,
            }}],
            "users": [{"name": "netproof", "user": {"token": TOKEN}}],
            "contexts": [{"name": "netproof", "context": {"cluster": "netproof", "user": "netproof"}}],
        });
        // JSON is YAML.
        config.to_string()
    }
}
