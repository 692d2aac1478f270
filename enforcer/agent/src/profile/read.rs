//! Reads profiles: from text, through what is written, to a profile that means something.

use super::template::Template;
use super::written::{
    ApiVersion, InFrontOfName, KernelFeatureName, Kind, NotApplicableSpec, ProfileFile, ProxyModeName,
    RoleName, Spec, VerdictsName,
};
use super::{File, InFrontOf, Needs, NotApplicable, Profile, Role, Sentinel, Times, Unable};
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{Reading, Spanned, documents, empty, recover};
use netproof_api::{Diagnostic, Diagnostics, Source, names};
use netproof_model::interface::NotAPrefix;
use netproof_model::{DataPath, InterfacePrefix, KernelFeature, PolicyKind, ProxyMode, Wiring};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The oracle's profile where none is named: all that the API leaves open stays open.
const STRICT: &str = "strict";

/// Folders of the kernel, which are no place for files.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Reads the profile of a text. `oracles` are the names of the oracle's profiles.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn read(source: &Arc<Source>, oracles: &[&str]) -> Result<Profile, Diagnostics> {
    let mut reader = Reader { source, problems: Vec::new(), damaged: Vec::new() };
    let profile = reader.profile(oracles)?;
    reader.problems.sort_by_key(|problem| problem.span.map_or(0, |span| span.start));
    Diagnostics::check(reader.problems)?;
    // Where nothing is wrong there is one.
    profile.ok_or_else(|| empty(source).into())
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: Vec<Diagnostic>,
    /// Mappings and lists that something unreadable was left out of.
    damaged: Vec<Span>,
}

impl Reader<'_> {
    fn profile(&mut self, oracles: &[&str]) -> Result<Option<Profile>, Diagnostics> {
        let mut documents = documents(self.source, Reading::Strict)?.into_iter();
        let Some(document) = documents.next() else { return Err(empty(self.source).into()) };
        self.problems.extend(document.problems);
        if let Some(root) = documents.next().and_then(|second| second.root) {
            self.wrong(
                root.span,
                "a profile's file has one document",
                "put every profile in a file of its own",
            );
        }
        let Some(root) = document.root else { return Ok(None) };
        let recovered = recover::<ProfileFile>(&root, self.source);
        self.problems.extend(recovered.errors);
        self.damaged = recovered.damaged;
        let Some(file) = recovered.value else { return Ok(None) };
        let ProfileFile { api_version: ApiVersion::V1Alpha1, kind: Kind::AgentProfile, metadata, spec } =
            file;
        if let Err(message) = names::check_dns_label(&metadata.name) {
            let help = match names::likely(&metadata.name, names::check_dns_label) {
                Some(likely) => format!("did you mean `{likely}`?"),
                None => "choose another name".to_owned(),
            };
            self.wrong(metadata.name.span, format!("`{}` {message}", metadata.name.value), help);
        }
        Ok(Some(self.spec(metadata.name.value, spec, oracles)))
    }

    fn spec(&mut self, name: String, spec: Spec, oracles: &[&str]) -> Profile {
        if spec.title.trim().is_empty() || spec.title.trim().contains('\n') {
            self.wrong(spec.title.span, "the title is not one line", "say in a line what the agent is");
        }
        self.program(&spec.program);
        let files = self.files(&spec);
        let private = spec.private.iter().filter_map(|path| self.path(path, "a private folder"));
        let private: Vec<PathBuf> = private.collect();
        let objects = spec.objects.iter().map(|object| self.object(object)).collect();
        for program in &spec.needs.programs {
            self.program(program);
        }
        let environment = spec.environment.iter().map(|(variable, value)| {
            if variable.is_empty() || variable.contains(['=', '\0']) {
                let message = format!("`{}` is no name of a variable", variable.value);
                self.wrong(variable.span, message, "write a name without `=`, as in `NODE_NAME`");
            }
            (variable.value.clone(), self.template(value))
        });
        let environment = environment.collect();
        Profile {
            title: spec.title.trim().to_owned(),
            role: match spec.role {
                RoleName::Enforcer => Role::Enforcer,
                RoleName::Proxy => Role::Proxy,
            },
            arguments: spec.arguments.iter().map(|argument| self.template(argument)).collect(),
            setup: spec.setup.as_ref().map(|script| self.template(script)),
            environment,
            files,
            private,
            objects,
            needs: Needs {
                programs: spec.needs.programs.iter().map(|program| program.value.clone()).collect(),
                kernel: spec.needs.kernel.iter().map(|feature| feature.value.into()).collect(),
            },
            not_applicable: self.not_applicable(&spec.not_applicable),
            policies: self.policies(spec.policies.as_deref()),
            interface_prefix: self.prefix(spec.interfaces.prefix),
            verdicts: match spec.verdicts {
                VerdictsName::Kernel => DataPath::Kernel,
                VerdictsName::UserSpace => DataPath::UserSpace,
            },
            sentinel: Sentinel {
                times: self.times(spec.sentinel.times),
                in_front_of: match spec.sentinel.in_front_of {
                    InFrontOfName::None => InFrontOf::Nothing,
                    InFrontOfName::CalicoTier => InFrontOf::CalicoTier,
                    InFrontOfName::ClusterNetworkPolicy => InFrontOf::ClusterNetworkPolicy,
                },
            },
            oracle: self.oracle(spec.oracle, oracles),
            proxy_mode: self.proxy_mode(spec.role, spec.proxy_mode),
            name,
            program: spec.program.value,
        }
    }

    /// The kinds of policy objects that are named; NetworkPolicy where none is.
    fn policies(&mut self, named: Option<&[Spanned<String>]>) -> BTreeSet<PolicyKind> {
        let Some(named) = named else { return BTreeSet::from([PolicyKind::NetworkPolicy]) };
        let words: Vec<&str> = PolicyKind::supported().map(PolicyKind::word).collect();
        let mut kinds = BTreeSet::new();
        for word in named {
            match PolicyKind::of_word(word) {
                Some(kind) => drop(kinds.insert(kind)),
                None => {
                    let message = format!("there is no kind of policy `{}`", word.value);
                    self.wrong(word.span, message, suggestion(word, &words));
                }
            }
        }
        kinds
    }

    fn files(&mut self, spec: &Spec) -> Vec<File> {
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
        for file in &spec.files {
            let content = self.template(&file.content);
            let Some(path) = self.path(&file.path, "a file") else { continue };
            if !seen.insert(path.clone()) {
                let message = format!("the file {} stands here twice", path.display());
                self.wrong(file.path.span, message, "keep one of the two");
            }
            files.push(File { path, content });
        }
        files
    }

    fn wrong(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        // What could not be read may be what is missed here.
        if !self.damaged.contains(&span) {
            self.problems.push(Diagnostic::error(message).at(self.source, span).help(help));
        }
    }

    fn program(&mut self, name: &Spanned<String>) {
        if name.is_empty() || name.contains(['/', '\0']) {
            let message = format!("`{}` is no name of a program", name.value);
            let help =
                "write its name alone, which is looked for in PATH; agent:NAME=PATH names another file";
            self.wrong(name.span, message, help);
        }
    }

    /// A template; what is wrong with it is reported where it stands.
    fn template(&mut self, text: &Spanned<String>) -> Template {
        if text.contains('\0') {
            self.wrong(text.span, "a NUL cannot be given to a program", "leave it out");
        }
        match Template::parse(text) {
            Ok(template) => template,
            Err(unknown) => {
                let raw = self.source.slice(text.span);
                let mut from = 0;
                for unknown in unknown {
                    // Escapes aside it stands in the file as in the text.
                    let found = raw.get(from..).and_then(|rest| rest.find(unknown.written));
                    let span = found.map_or(text.span, |at| {
                        let start = text.span.start + from + at;
                        from += at + unknown.written.len();
                        Span::new(start, start + unknown.written.len())
                    });
                    self.wrong(span, format!("there is no placeholder {}", unknown.written), unknown.help);
                }
                Template::default()
            }
        }
    }

    /// The path of a private folder or a file.
    fn path(&mut self, written: &Spanned<String>, what: &str) -> Option<PathBuf> {
        let path = Path::new(&written.value);
        let plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
        let help = if !path.is_absolute() {
            "write an absolute path, as in /var/lib/agent"
        } else if !path.components().all(plain) || written.contains('\0') {
            "write the path without `..`"
        } else if path.parent().is_none() || KERNELS.iter().any(|folder| path.starts_with(folder)) {
            "write a path that is not the root, and not below /dev, /proc or /sys: an agent finds those as they are on a node"
        } else {
            return Some(path.to_owned());
        };
        self.wrong(written.span, format!("`{}` is no path of {what}", written.value), help);
        None
    }

    fn object(&mut self, object: &Spanned<Value>) -> Value {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).is_some_and(|it| !it.is_empty());
        let missing: Vec<&str> =
            [("apiVersion", "/apiVersion"), ("kind", "/kind"), ("metadata.name", "/metadata/name")]
                .into_iter()
                .filter(|(_, pointer)| !text(pointer))
                .map(|(field, _)| field)
                .collect();
        if !missing.is_empty() {
            let message = format!("the object lacks {}", missing.join(" and "));
            self.wrong(object.span, message, "write it as for kubectl apply");
        }
        object.value.clone()
    }

    fn not_applicable(&mut self, specs: &[Spanned<NotApplicableSpec>]) -> Vec<NotApplicable> {
        let mut all = Vec::new();
        for spec in specs {
            if spec.because.trim().is_empty() {
                self.wrong(spec.because.span, "the reason is empty", "say why, as a report shall show it");
            }
            let to = match (spec.wiring, spec.family) {
                (Some(wiring), None) => Unable::Wiring(wiring.into()),
                (None, Some(families)) => Unable::Families(families.into()),
                _ => {
                    let message = "one kind of cluster is wanted here, a wiring or a family";
                    self.wrong(
                        spec.span,
                        message,
                        "write either `wiring` or `family`, and another entry for the other",
                    );
                    continue;
                }
            };
            all.push(NotApplicable { to, because: spec.because.trim().to_owned() });
        }
        let out = |wiring: &Wiring| all.iter().any(|it| it.to == Unable::Wiring(*wiring));
        if let Some(last) = specs.last().filter(|_| Wiring::ALL.iter().all(out)) {
            self.wrong(last.span, "no wiring is left", "leave out those that the agent can do");
        }
        all
    }

    fn prefix(&mut self, prefix: Option<Spanned<String>>) -> InterfacePrefix {
        let Some(prefix) = prefix else { return InterfacePrefix::default() };
        prefix.parse().unwrap_or_else(|error: NotAPrefix| {
            let message = format!("`{}` cannot be the prefix of interfaces' names", prefix.value);
            self.wrong(prefix.span, message, error.to_string());
            InterfacePrefix::default()
        })
    }

    fn times(&mut self, times: Option<Spanned<u64>>) -> Times {
        match times.as_ref().map(|times| times.value) {
            None | Some(1) => Times::Once,
            Some(2) => Times::Twice,
            Some(number) => {
                let span = times.map_or_else(Span::default, |times| times.span);
                self.wrong(span, format!("{number} is not 1 or 2"), "write 1, or 2 to be strict");
                Times::Twice
            }
        }
    }

    fn proxy_mode(&mut self, role: RoleName, mode: Option<Spanned<ProxyModeName>>) -> ProxyMode {
        if let (RoleName::Enforcer, Some(mode)) = (role, &mode) {
            self.wrong(
                mode.span,
                "an enforcer has no mode of kube-proxy",
                "leave it out, or write `role: proxy`",
            );
        }
        match mode.map(|mode| mode.value) {
            Some(ProxyModeName::Iptables) => ProxyMode::Iptables,
            Some(ProxyModeName::Nftables) | None => ProxyMode::Nftables,
        }
    }

    fn oracle(&mut self, oracle: Option<Spanned<String>>, known: &[&str]) -> String {
        let Some(oracle) = oracle else { return STRICT.to_owned() };
        if !known.contains(&oracle.value.as_str()) {
            let message = format!("the oracle has no profile `{}`", oracle.value);
            self.wrong(oracle.span, message, suggestion(&oracle.value, known));
        }
        oracle.value
    }
}

impl From<KernelFeatureName> for KernelFeature {
    fn from(name: KernelFeatureName) -> KernelFeature {
        match name {
            KernelFeatureName::NftQueue => KernelFeature::NftQueue,
            KernelFeatureName::NfnetlinkQueue => KernelFeature::NfnetlinkQueue,
            KernelFeatureName::XtNfqueue => KernelFeature::XtNfqueue,
            KernelFeatureName::IpSet => KernelFeature::IpSet,
            KernelFeatureName::XtSet => KernelFeature::XtSet,
        }
    }
}
