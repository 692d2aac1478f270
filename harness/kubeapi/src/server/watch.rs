//! Watches: events of a kind as they happen, until the client goes, or its time is over.
//!
//! A watch holds nothing for a client that does not read: what it has not been sent stays in the store's log. It ends
//! between change sets, so that a client that goes on from the last version it saw misses nothing; only one that does not
//! read is cut off where it is.

use super::connection::Asking;
use super::query::{Match, Query};
use super::read::not_in_the_future;
use super::reply::{Refusal, Reply, with};
use super::route::Target;
use crate::events::EventType;
use crate::kinds::{Kind, KindId};
use crate::selector::Selector;
use crate::store::{Store, Stored};
use hyper::body::Bytes;
use serde_json::json;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

/// How much is collected before it is sent.
const CHUNK: usize = 64 << 10;

/// Which version a watch begins with.
enum Begin {
    /// What is there comes first, as if it were added now.
    Here {
        /// Whether a bookmark says where that ends.
        marked: bool,
    },
    /// What came after a version.
    After(u64),
}

/// Begins a watch.
pub(super) fn answer(
    query: &Query,
    target: &Target,
    selector: Selector,
    asking: Asking,
) -> Result<Reply, Refusal> {
    let store = &asking.shared.store;
    let version = not_in_the_future(query, store)?;
    let bookmarks = query.switch("allowWatchBookmarks") == Some(true);
    let begin = match (query.switch("sendInitialEvents"), query.version_match()?) {
        (None, None) => match version {
            None | Some(0) => Begin::Here { marked: false },
            Some(version) => Begin::After(version),
        },
        (None, Some(_)) => {
            let message = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Refusal::invalid_options("resourceVersionMatch", message));
        }
        (Some(_), None | Some(Match::Exact)) => {
            let message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Refusal::invalid_options("resourceVersionMatch", message));
        }
        (Some(true), Some(Match::NotOlderThan)) => Begin::Here { marked: bookmarks },
        (Some(false), Some(Match::NotOlderThan)) => Begin::After(match version {
            None | Some(0) => store.version(),
            Some(version) => version,
        }),
    };
    let (events, receiver) = mpsc::channel(1);
    let limits = asking.shared.limits;
    let watcher = Watcher {
        store: Arc::clone(store),
        id: target.id,
        kind: target.kind,
        selector,
        seen: 0,
        told: 0,
        out: Out { events, unread: asking.unread, patience: limits.unread, chunk: Vec::new() },
    };
    tokio::spawn(watcher.run(begin, query.timeout()?, bookmarks.then_some(limits.bookmark)));
    Ok(Reply::stream(receiver))
}

struct Watcher {
    store: Arc<Store>,
    id: KindId,
    kind: &'static Kind,
    selector: Selector,
    /// Everything up to this version has been sent.
    seen: u64,
    /// The newest version that the client knows.
    told: u64,
    out: Out,
}

/// The client is gone, or its watch is over.
struct Over;

impl Watcher {
    async fn run(mut self, begin: Begin, time: Option<Duration>, bookmarks: Option<Duration>) {
        // That it is over is all there is to know.
        let _ = self.watch(begin, time, bookmarks).await;
    }

    async fn watch(
        &mut self,
        begin: Begin,
        time: Option<Duration>,
        bookmarks: Option<Duration>,
    ) -> Result<(), Over> {
        let start = Instant::now();
        let mut versions = self.store.follow();
        self.begin(begin).await?;
        let over = async {
            match time {
                Some(time) => sleep(time.saturating_sub(start.elapsed())).await,
                None => pending().await,
            }
        };
        tokio::pin!(over);
        let mut ticks = bookmarks.map(|every| {
            let mut ticks = interval_at(start + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            self.catch_up().await?;
            let tick = async {
                match &mut ticks {
                    Some(ticks) => drop(ticks.tick().await),
                    None => pending().await,
                }
            };
            tokio::select! {
                changed = versions.changed() => changed.map_err(|_| Over)?,
                () = self.out.events.closed() => return Err(Over),
                () = tick => if self.seen > self.told {
                    self.bookmark(false);
                    self.out.send().await?;
                },
                () = &mut over => {
                    self.catch_up().await?;
                    if bookmarks.is_some() {
                        self.bookmark(false);
                    }
                    return self.out.send().await;
                }
            }
        }
    }

    async fn begin(&mut self, begin: Begin) -> Result<(), Over> {
        match begin {
            Begin::After(version) => (self.seen, self.told) = (version, version),
            Begin::Here { marked } => {
                let listed = self.store.list(self.id, &self.selector);
                for object in &listed.objects {
                    self.event(EventType::Added, object).await?;
                }
                self.seen = listed.version;
                if marked {
                    self.bookmark(true);
                }
            }
        }
        // Also if there is nothing to send: the head of the answer says that the watch has begun.
        self.out.send().await
    }

    /// Sends everything that has happened.
    async fn catch_up(&mut self) -> Result<(), Over> {
        let (seen, version) = match self.store.since(self.id, &self.selector, self.seen) {
            Ok(news) => news,
            Err(too_old) => {
                let status = Refusal::expired(self.seen, too_old.oldest).body();
                self.out.event("ERROR", status.to_string().as_bytes());
                self.out.send().await?;
                return Err(Over);
            }
        };
        for event in &seen {
            self.event(event.kind, &event.object).await?;
            self.told = version;
        }
        self.seen = version;
        self.out.send().await
    }

    async fn event(&mut self, kind: EventType, object: &Stored) -> Result<(), Over> {
        let kind = match kind {
            EventType::Added => "ADDED",
            EventType::Modified => "MODIFIED",
            EventType::Deleted => "DELETED",
        };
        self.out.event(kind, &object.json);
        if self.out.chunk.len() >= CHUNK { self.out.send().await } else { Ok(()) }
    }

    /// Tells the client which version it has.
    fn bookmark(&mut self, ends_what_was_there: bool) {
        let mut metadata = json!({"resourceVersion": self.seen.to_string(), "creationTimestamp": null});
        if ends_what_was_there {
            metadata = with(metadata, "annotations", json!({"k8s.io/initial-events-end": "true"}));
        }
        let object =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        self.out.event("BOOKMARK", object.to_string().as_bytes());
        self.told = self.seen;
    }
}

/// The way to the client.
struct Out {
    events: mpsc::Sender<Bytes>,
    unread: Arc<Notify>,
    patience: Duration,
    chunk: Vec<u8>,
}

impl Out {
    /// Collects an event.
    fn event(&mut self, kind: &str, object: &[u8]) {
        for part in [b"{\"type\":\"", kind.as_bytes(), b"\",\"object\":", object, b"}\n"] {
            self.chunk.extend_from_slice(part);
        }
    }

    /// Sends what is collected. If the client takes nothing for too long, its connection is closed.
    async fn send(&mut self) -> Result<(), Over> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        match timeout(self.patience, self.events.send(chunk)).await {
            Ok(sent) => sent.map_err(|_| Over),
            Err(_) => {
                self.unread.notify_one();
                Err(Over)
            }
        }
    }
}
