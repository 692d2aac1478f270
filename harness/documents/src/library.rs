//! Where topologies come from: the `topologies` folders near a scenario, and those that are built in.

use crate::document::{Document, Problems, documents};
use crate::topology::{self, TopologyFile};
use crate::words::{ApiVersion, TopologyKind};
use netproof_api::suggest::suggestion;
use netproof_api::yaml::{LeftOut, Segment, recover};
use netproof_api::{Diagnostic, Diagnostics, Source};
use netproof_model::Topology;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The topologies that are compiled in, by name.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("one-node", include_str!("../../../topologies/one-node.yaml")),
    ("two-nodes", include_str!("../../../topologies/two-nodes.yaml")),
    ("three-nodes", include_str!("../../../topologies/three-nodes.yaml")),
    ("three-nodes-bgp", include_str!("../../../topologies/three-nodes-bgp.yaml")),
    ("three-nodes-lb", include_str!("../../../topologies/three-nodes-lb.yaml")),
    ("three-nodes-lb-one", include_str!("../../../topologies/three-nodes-lb-one.yaml")),
];

/// The topology of a scenario that names none.
pub const DEFAULT: &str = "two-nodes";

/// Finds topologies by name, and keeps what was read.
#[derive(Default)]
pub struct Library {
    known: HashMap<PathBuf, Option<Arc<Topology>>>,
}

impl Library {
    /// The topology of a name: from the nearest `topologies` folder at or above `folder` and not above
    /// `root`, or built in. `None` if it was found and something is wrong with it, which is reported once.
    ///
    /// # Errors
    /// The names that exist, if this is none of them.
    pub fn find(
        &mut self,
        name: &str,
        folder: &Path,
        root: &Path,
        problems: &mut Problems,
    ) -> Result<Option<Arc<Topology>>, Vec<String>> {
        let folders = || topology_folders(folder, root);
        let plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
        if plain {
            for folder in folders() {
                for ending in ["yaml", "yml"] {
                    let path = folder.join(format!("{name}.{ending}"));
                    if path.is_file() {
                        return Ok(self.file(Some(name), &path, problems));
                    }
                }
            }
            if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
                let key = PathBuf::from(format!("built-in/{name}"));
                if let Some(known) = self.known.get(&key) {
                    return Ok(known.clone());
                }
                let source = Source::new(format!("the built-in topology {name}"), *text);
                let topology = read(Some(name), &source, problems).map(Arc::new);
                self.known.insert(key, topology.clone());
                return Ok(topology);
            }
        }
        let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
        for folder in folders() {
            names.extend(names_in(&folder));
        }
        names.sort();
        names.dedup();
        Err(names)
    }

    /// Any topology, where the one that is meant cannot be read: for what does not depend on it.
    pub fn stand_in(&mut self) -> Option<Arc<Topology>> {
        let nowhere = Path::new("");
        self.find(DEFAULT, nowhere, nowhere, &mut Problems::default()).ok().flatten()
    }

    /// The topology that the command line names, by its name or by the path of its file. `None` if there is none or
    /// something is wrong with it, which is reported.
    pub fn asked_for(
        &mut self,
        name: &str,
        folder: &Path,
        root: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Topology>> {
        let path = Path::new(name);
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml || name.contains('/') {
            if path.is_file() {
                // Whatever the file is called.
                return self.file(None, path, problems);
            }
            let error = Diagnostic::error(format!("there is no file `{name}`, which --topology names"));
            problems.push(
                error.help("give the path of a topology's file, or a name of `netproof list topologies`"),
            );
            return None;
        }
        self.find(name, folder, root, problems).unwrap_or_else(|known| {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let error = Diagnostic::error(format!("there is no topology `{name}`, which --topology names"));
            problems.push(error.help(suggestion(name, &known)));
            None
        })
    }

    fn file(&mut self, name: Option<&str>, path: &Path, problems: &mut Problems) -> Option<Arc<Topology>> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let topology = match Source::read(path) {
            Ok(source) => read(name, &source, problems).map(Arc::new),
            Err(errors) => {
                problems.extend(errors);
                None
            }
        };
        self.known.insert(path.to_owned(), topology.clone());
        topology
    }
}

/// The `topologies` folders from a folder up to the root, the nearest first.
fn topology_folders(folder: &Path, root: &Path) -> Vec<PathBuf> {
    let inside = folder.starts_with(root);
    folder
        .ancestors()
        .take_while(|ancestor| !inside || ancestor.starts_with(root))
        .take(if inside { usize::MAX } else { 1 })
        .map(|ancestor| ancestor.join("topologies"))
        .filter(|candidate| candidate.is_dir())
        .collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

/// Reads the one topology of a text, which must have this name if one is given.
fn read(name: Option<&str>, source: &Arc<Source>, problems: &mut Problems) -> Option<Topology> {
    let mut roots = documents(source, problems)?.into_iter();
    let document = Document { source: Arc::clone(source), root: roots.next()? };
    if let Some(second) = roots.next() {
        let error = document.error(second.span, "a topology file has one document");
        problems.push(error.help("put every topology in a file of its own"));
    }
    let is_syntax_wrong = problems.is_broken(source, document.root.span);
    let read = recover::<TopologyFile>(&document.root, source);
    let is_needed = |lost: &LeftOut| match lost.way.split_first() {
        Some((Segment::Field(spec), way)) if spec == "spec" => topology::is_needed(way),
        first => first.is_none(),
    };
    let is_sound = !is_syntax_wrong && !read.lost.iter().any(is_needed);
    let file = problems.recovered(source, read)?;
    let TopologyFile { api_version: ApiVersion::V1Alpha1, kind: TopologyKind::Topology, metadata, spec } =
        file;
    if let Some(name) = name.filter(|name| metadata.name.value != *name) {
        let message = format!("the topology in this file is named `{}`", metadata.name.value);
        let error = document.error(metadata.name.span, message);
        problems.push(error.help(format!("name it `{name}`, as the file, or rename the file")));
    }
    let topology = is_sound.then(|| spec.resolve(&metadata.name.value, &document, problems)).flatten();
    topology.filter(|_| !problems.is_broken(source, document.root.span))
}

/// The topologies that a scenario in a folder may name: those that are built in, and those of the folder
/// `topologies` in it, where one with the name of a built-in one takes its place.
///
/// # Errors
/// What is wrong with those of the folder. (The built-in ones are checked by a test.)
pub fn topologies(folder: &Path) -> Result<Vec<Arc<Topology>>, Diagnostics> {
    let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut own = names_in(&folder.join("topologies"));
    own.sort();
    own.retain(|name| !names.contains(name));
    names.extend(own);
    let (mut library, mut problems) = (Library::default(), Problems::default());
    let find = |name: &String| library.find(name, folder, folder, &mut problems).ok().flatten();
    let topologies = names.iter().filter_map(find).collect();
    Diagnostics::check(problems.into_vec())?;
    Ok(topologies)
}
