//! What a server says of itself: its version, and that it is well.

use super::reply::Reply;
use crate::VERSION;
use hyper::StatusCode;
use serde_json::json;

/// `/version`.
pub(super) fn version() -> Reply {
    let mut numbers = VERSION.trim_start_matches('v').split('.');
    let mut number = || numbers.next().unwrap_or("");
    let platform = format!("linux/{}", std::env::consts::ARCH);
    let version = json!({
        "major": number(), "minor": number(), "gitVersion": VERSION, "gitCommit": "netproof", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": platform,
    });
    Reply::json(StatusCode::OK, &version)
}

/// `/healthz` and its like: whoever is answered can be served.
pub(super) fn health() -> Reply {
    Reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", b"ok".to_vec())
}
