//! The objects of a Kubernetes API, by watches over plain HTTP: what `netproof run --enforcer agent:PROFILE` gives an
//! agent to live on.
//!
//! Each kind is one request that never ends: the objects that there are, a bookmark that says so, and then whatever
//! changes, one JSON document in a line. Client libraries do more (they come back after an error); this one ends.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Error, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::thread;

/// The annotation of the bookmark after the objects that there are.
const THAT_IS_ALL: &str = "k8s.io/initial-events-end";

/// What the watches have to say.
pub struct Watches {
    events: Receiver<io::Result<Value>>,
    /// How many kinds have not told yet all that there is.
    incomplete: usize,
}

impl Watches {
    /// Begins to watch the API at a URL, as in `http://127.0.0.1:8001`: objects of these kinds, each the path of its list.
    pub fn begin(url: &str, kinds: &'static [&'static str]) -> Watches {
        let server = url.strip_prefix("http://").unwrap_or(url);
        let (sender, events) = channel();
        for kind in kinds {
            let (server, sender) = (server.to_owned(), sender.clone());
            thread::spawn(move || {
                let ended = watch(&server, kind, &sender);
                // Nobody listens any more where the other thread has ended.
                drop(sender.send(Err(ended.err().unwrap_or_else(|| Error::other(format!("{kind} ended"))))));
            });
        }
        Watches { events, incomplete: kinds.len() }
    }

    /// Waits for events, and returns all that have come; the first time, not before everything is known.
    pub fn news(&mut self) -> io::Result<Vec<Value>> {
        let mut come = Vec::new();
        loop {
            let event = match self.events.try_recv() {
                Ok(event) => event?,
                Err(_) if !come.is_empty() && self.incomplete == 0 => return Ok(come),
                Err(_) => self.events.recv().map_err(|RecvError| Error::other("the watches ended"))??,
            };
            match event["type"].as_str() {
                Some("BOOKMARK") if event["object"]["metadata"]["annotations"][THAT_IS_ALL] == "true" => {
                    self.incomplete = self.incomplete.saturating_sub(1);
                }
                Some("BOOKMARK") => {}
                Some("ERROR") => return Err(Error::other(event["object"].to_string())),
                _ => come.push(event),
            }
        }
    }
}

/// Sends the events of one kind, as long as the server tells any.
fn watch(server: &str, kind: &str, events: &Sender<io::Result<Value>>) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    write!(stream, "GET {kind}?{query} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(Error::other(format!("{kind}: {}", status.trim_end())));
    }
    let mut header = String::new();
    while answer.read_line(&mut header)? > 2 {
        header.clear();
    }
    let lines = BufReader::new(Chunks { answer, left: 0, begun: false }).lines();
    for line in lines {
        let event = serde_json::from_str(&line?).map_err(Error::other);
        if events.send(event).is_err() {
            break;
        }
    }
    Ok(())
}

/// A body in chunks, each after a line with its length in hexadecimal digits; the last is empty.
struct Chunks<R> {
    answer: R,
    /// What is still to come of the current chunk.
    left: usize,
    /// There was a chunk before: a line end closes it.
    begun: bool,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            if self.begun {
                self.answer.read_line(&mut line)?;
                line.clear();
            }
            self.answer.read_line(&mut line)?;
            self.left = usize::from_str_radix(line.trim_end(), 16).map_err(Error::other)?;
            self.begun = true;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = into.len().min(self.left);
        let read = self.answer.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}
