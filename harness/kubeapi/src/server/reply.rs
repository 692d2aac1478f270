//! Answers: objects, texts, streams of events; and refusals, in the form in which the Kubernetes API refuses.

use crate::kinds::Kind;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

const JSON: &str = "application/json";

/// What a request is answered with.
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Body,
}

impl Reply {
    pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
        Reply::bytes(status, JSON, value.to_string().into_bytes())
    }

    pub(super) fn bytes(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Reply {
        Reply { status, content_type, body: Body::Whole(Some(bytes.into())) }
    }

    /// Events as they come.
    pub(super) fn stream(events: mpsc::Receiver<Bytes>) -> Reply {
        Reply { status: StatusCode::OK, content_type: JSON, body: Body::Stream(events) }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// For programs; `None` answers in plain text.
    reason: Option<&'static str>,
    message: String,
    details: Value,
    /// Whether the server lacks something that an API server may have.
    pub lacking: bool,
}

impl Refusal {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>, details: Value) -> Refusal {
        Refusal { status, reason: Some(reason), message: message.into(), details, lacking: false }
    }

    fn lacking(self) -> Refusal {
        Refusal { lacking: true, ..self }
    }

    /// Nothing is served there.
    pub(super) fn no_such_path() -> Refusal {
        let message = "404 page not found\n".to_owned();
        Refusal { status: StatusCode::NOT_FOUND, reason: None, message, details: Value::Null, lacking: true }
    }

    /// The kind is served, the subresource is not.
    pub(super) fn no_such_subresource() -> Refusal {
        let message = "the server could not find the requested resource";
        Refusal::new(StatusCode::NOT_FOUND, "NotFound", message, json!({})).lacking()
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Refusal {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Refusal::new(StatusCode::NOT_FOUND, "NotFound", message, details(kind, name))
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Refusal {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Refusal::new(StatusCode::CONFLICT, "AlreadyExists", message, details(kind, name))
    }

    pub(super) fn method_not_allowed() -> Refusal {
        let message = "the server does not allow this method on the requested resource";
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message, json!({})).lacking()
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", message, Value::Null).lacking()
    }

    /// The parameters of a list or a watch contradict each other.
    pub(super) fn invalid_options(field: &str, message: &str) -> Refusal {
        let cause = json!({"reason": "FieldValueForbidden", "message": format!("Forbidden: {message}"), "field": field});
        let details = json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]});
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {message}");
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, details).lacking()
    }

    pub(super) fn invalid(kind: &Kind, name: &str, field: &str, message: &str) -> Refusal {
        let cause = json!({"reason": "FieldValueInvalid", "message": message, "field": field});
        let mut details = json!({"name": name, "kind": kind.kind, "causes": [cause]});
        let mut of = kind.kind.to_owned();
        if !kind.group.is_empty() {
            details = with(details, "group", kind.group);
            of = format!("{of}.{}", kind.group);
        }
        let message = format!("{of} \"{name}\" is invalid: {field}: {message}");
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, details).lacking()
    }

    /// A version that is not there yet.
    pub(super) fn too_large(asked: u64, current: u64) -> Refusal {
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        let details = json!({"causes": [cause], "retryAfterSeconds": 1});
        let message = format!("Too large resource version: {asked}, current: {current}");
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message, details)
    }

    /// A version whose successors are no longer all kept.
    pub(super) fn expired(asked: u64, oldest: u64) -> Refusal {
        let message = format!("too old resource version: {asked} ({oldest})");
        Refusal::new(StatusCode::GONE, "Expired", message, Value::Null)
    }

    pub(super) fn unsupported_media_type(accepted: &[&str]) -> Refusal {
        let accepted = accepted.join(", ");
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, json!({})).lacking()
    }

    pub(super) fn too_much(limit: usize) -> Refusal {
        let message = format!("Request entity too large: limit is {limit}");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message, json!({})).lacking()
    }

    pub(super) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The Status object.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code(),
        });
        if !self.details.is_null() {
            body = with(body, "details", self.details.clone());
        }
        body
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let reply = match self.reason {
            Some(_) => Reply::json(self.status, &self.body()),
            None => Reply::bytes(self.status, "text/plain; charset=utf-8", self.message.clone().into_bytes()),
        };
        let mut response = reply.into_response();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

/// `details` of a Status about one object.
fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind.plural});
    if !kind.group.is_empty() {
        details = with(details, "group", kind.group);
    }
    details
}

/// An object with a field.
pub(super) fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
    object
}

/// The body of an answer.
pub(super) enum Body {
    /// All of it; `None` once it is sent.
    Whole(Option<Bytes>),
    /// What comes, until the sender is dropped.
    Stream(mpsc::Receiver<Bytes>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Body::Whole(bytes) => bytes.take(),
            Body::Stream(bytes) => ready!(bytes.poll_recv(context)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}
