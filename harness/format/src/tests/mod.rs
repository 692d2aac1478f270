//! The format from the outside: good files become plans, bad ones diagnostics.

mod bad;
mod cases;
mod contradictions;
mod cyclonus;
mod files;
mod flows;
mod good;
mod kubernetes_e2e;
mod meanwhile;
mod mutated;
mod short;
mod states;

use super::*;
use netproof_documents::{library, topologies};
use netproof_model::{Families, Wiring};
use netproof_oracle::Profile;
use netproof_plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The top of the work tree.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder of files that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netproof-format-{}-{count}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Loads a path, the folder itself if it is empty, with the folder as the root.
    fn load(&self, path: &str, options: &Options) -> Result<Loaded, String> {
        let path = if path.is_empty() { self.0.clone() } else { self.path(path) };
        let options = Options { root: Some(self.0.clone()), ..options.clone() };
        load(&[path], &options).map_err(|errors| self.without_path(&errors.to_string()))
    }

    /// A text without the folder's name, which differs in every run.
    fn without_path(&self, text: &str) -> String {
        let real = self.0.canonicalize().unwrap();
        text.replace(&real.display().to_string(), "FOLDER").replace(&self.0.display().to_string(), "FOLDER")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loads one scenario.
fn load_text(text: &str) -> Result<Loaded, String> {
    Folder::new(&[("scenario.yaml", text)]).load("scenario.yaml", &Options::default())
}

/// What a user reads about a scenario that is not as it should be.
fn complaints(text: &str) -> String {
    let folder = Folder::new(&[("scenario.yaml", text)]);
    let said = match folder.load("scenario.yaml", &Options::default()) {
        Err(errors) => errors,
        Ok(loaded) if loaded.warnings.is_empty() => panic!("nothing is wrong with {text}"),
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"),
    };
    folder.without_path(&said).replace("FOLDER/", "")
}

/// The completed objects of a scenario's `objects`, on two nodes.
pub(super) fn snapshot_of(objects: &str) -> netproof_controlplane::Snapshot {
    let from = GOOD.find("    - pod").unwrap();
    let to = GOOD.find("  steps:").unwrap();
    let text = format!("{}{objects}{}", &GOOD[..from], &GOOD[to..]);
    let text = text.replace("pod/web:80", "node/node1:icmp").replace("verdict: deny\n", "verdict: allow\n");
    let text = text.replace("          decidedBy: networkpolicy/deny\n", "");
    let loaded = load_text(&text).unwrap_or_else(|errors| panic!("{errors}"));
    (*loaded.plans[0].start.snapshot()).clone()
}

/// A scenario that is right, for cases to change one thing of.
const GOOD: &str = "\
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: case}
spec:
  description: A case.
  topology: two-nodes
  objects:
    - pod: {name: web, labels: {app: web}, ports: [80, 53/udp, \"metrics:9100\"]}
    - pod: {name: client}
    - service: {name: web, selector: {app: web}, ports: [80]}
  steps:
    - name: one
      apply:
        - apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: deny}
          spec: {podSelector: {matchLabels: {app: web}}, ingress: []}
      expect:
        - flow: pod/client -> pod/web:80
          verdict: deny
          decidedBy: networkpolicy/deny
";

/// [`GOOD`] with one text in the place of another.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must stand once in the scenario");
    GOOD.replace(from, to)
}
