//! Connections: who is let in, over which transport, and how a request comes to its answer.

use super::journal::Journal;
use super::reply::{Body, Refusal, Reply};
use super::route::{Route, route};
use super::{Scheme, Shared, about, discovery, read, write};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

/// What one head of a request may hold, and how much of an answer is collected before it is sent.
const BUFFER: usize = 64 << 10;

/// How long nobody is accepted after the system has refused to accept (no descriptors, no memory).
const REFUSED_BY_THE_SYSTEM: Duration = Duration::from_millis(100);

/// Accepts a node's clients for as long as the runtime lives.
pub(super) async fn accept(
    listener: TcpListener,
    scheme: Scheme,
    shared: Arc<Shared>,
    journal: Arc<Journal>,
) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "the Kubernetes API cannot accept a connection");
                tokio::time::sleep(REFUSED_BY_THE_SYSTEM).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            journal.lacks("", "(connections beyond the limit)", 503);
            continue;
        };
        let (shared, journal) = (Arc::clone(&shared), Arc::clone(&journal));
        tokio::spawn(async move {
            serve(stream, scheme, &shared, &journal).await;
            drop(place);
        });
    }
}

/// The client went before it was accepted.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn serve(stream: TcpStream, scheme: Scheme, shared: &Arc<Shared>, journal: &Arc<Journal>) {
    // An event waits for nothing.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    match scheme {
        Scheme::Http => converse(stream, shared, journal).await,
        Scheme::Https => {
            match tokio::time::timeout(shared.limits.handshake, shared.tls.accept(stream)).await {
                Ok(Ok(stream)) => converse(stream, shared, journal).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake"),
                Err(_) => tracing::debug!("TLS handshake: it takes too long"),
            }
        }
    }
}

async fn converse<S>(stream: S, shared: &Arc<Shared>, journal: &Arc<Journal>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // A client that does not read cannot be told so: its connection is dropped.
    let unread = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let asking = Asking { shared: Arc::clone(shared), unread: Arc::clone(&unread) };
        answered(request, asking, Arc::clone(journal))
    });
    let connection =
        http1::Builder::new().max_buf_size(BUFFER).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, "connection");
        },
        () = unread.notified() => tracing::debug!("connection: the client does not read what it watches"),
    }
}

/// Where a request came from.
pub(super) struct Asking {
    pub shared: Arc<Shared>,
    /// Told when the client does not read.
    pub unread: Arc<Notify>,
}

async fn answered(
    request: Request<Incoming>,
    asking: Asking,
    journal: Arc<Journal>,
) -> Result<Response<Body>, Infallible> {
    journal.ask();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or("").to_owned();
    let response = match answer(request, asking).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => {
            if refusal.lacking {
                journal.lacks(method.as_str(), &path, refusal.code());
            }
            refusal.into_response()
        }
    };
    let status = response.status().as_u16();
    tracing::debug!(node = journal.node, %method, path, query, status, "Kubernetes API");
    Ok(response)
}

async fn answer(request: Request<Incoming>, asking: Asking) -> Result<Reply, Refusal> {
    let route = route(request.uri().path())?;
    if let Route::Objects(target) = route {
        return match *request.method() {
            Method::GET => read::answer(&request, target, asking),
            Method::POST => write::create(request, target, &asking.shared).await,
            Method::PUT => write::replace(request, target, &asking.shared).await,
            Method::PATCH => write::patch(request, target, &asking.shared).await,
            _ => Err(Refusal::method_not_allowed()),
        };
    }
    if request.method() != Method::GET {
        return Err(Refusal::method_not_allowed());
    }
    match route {
        Route::Version => Ok(about::version()),
        Route::Health => Ok(about::health()),
        route => discovery::answer(&request, &route),
    }
}
