//! POST, PUT and PATCH of what agents write: events, leases, the status of nodes and pods, their own configuration.
//!
//! It is taken, answered as if it were kept, and forgotten: the store's objects are those of the scenario, whatever an
//! agent thinks of them.

use super::Shared;
use super::patch::{self, PatchForm};
use super::reply::{Refusal, Reply};
use super::route::Target;
use crate::kinds::Writes;
use crate::store::{Stored, complete, now};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use serde_json::{Map, Value};
use std::sync::Arc;

const JSON: [&str; 1] = ["application/json"];

/// POST: a new object.
pub(super) async fn create(
    request: Request<Incoming>,
    target: Target,
    shared: &Shared,
) -> Result<Reply, Refusal> {
    let is_collection = target.name.is_none() && target.kind.namespaced == target.namespace.is_some();
    if !is_collection || target.kind.writes != Writes::CreateAndUpdate {
        return Err(Refusal::method_not_allowed());
    }
    let mut object = object(request, &target, shared).await?;
    let metadata = metadata(&mut object)?;
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let name = match (text("name"), text("generateName")) {
        (name, prefix) if name.is_empty() && prefix.is_empty() => {
            let message = "Required value: name or generateName is required";
            return Err(Refusal::invalid(target.kind, &name, "metadata.name", message));
        }
        (name, prefix) if name.is_empty() => format!("{prefix}00000"),
        (name, _) => name,
    };
    if shared.store.get(target.id, target.namespace.as_deref(), &name).is_some() {
        return Err(Refusal::already_exists(target.kind, &name));
    }
    metadata.insert("name".into(), name.into());
    Ok(Reply::json(StatusCode::CREATED, &written(object, &target, None, shared)))
}

/// PUT: an object, or the status of one, as it is to be.
pub(super) async fn replace(
    request: Request<Incoming>,
    target: Target,
    shared: &Shared,
) -> Result<Reply, Refusal> {
    let name = may_be_updated(&target)?.to_owned();
    let stored = stored(&target, &name, shared);
    if stored.is_none() && target.kind.writes != Writes::CreateAndUpdate {
        return Err(Refusal::not_found(target.kind, &name));
    }
    let mut object = object(request, &target, shared).await?;
    let metadata = metadata(&mut object)?;
    match metadata.get("name").and_then(Value::as_str) {
        Some(own) if own == name => (),
        own => {
            let own = own.unwrap_or("");
            let message =
                format!("the name of the object ({own}) does not match the name on the URL ({name})");
            return Err(Refusal::bad_request(message));
        }
    }
    Ok(Reply::json(StatusCode::OK, &written(object, &target, stored.as_deref(), shared)))
}

/// PATCH: what is to change of an object that is there.
pub(super) async fn patch(
    request: Request<Incoming>,
    target: Target,
    shared: &Shared,
) -> Result<Reply, Refusal> {
    let name = may_be_updated(&target)?.to_owned();
    let form = PatchForm::of(&media_type(&request))
        .ok_or_else(|| Refusal::unsupported_media_type(&PatchForm::NAMES))?;
    let stored = stored(&target, &name, shared).ok_or_else(|| Refusal::not_found(target.kind, &name))?;
    let change = json(&body(request, shared).await?)?;
    let mut object = stored.value.clone();
    patch::apply(form, &mut object, &change)
        .map_err(|message| Refusal::invalid(target.kind, &name, "patch", &message))?;
    Ok(Reply::json(StatusCode::OK, &written(object, &target, Some(&stored), shared)))
}

/// The name of the one object that a request updates.
fn may_be_updated(target: &Target) -> Result<&str, Refusal> {
    let may = match target.kind.writes {
        Writes::Nothing => false,
        Writes::Subresources => target.subresource.is_some(),
        Writes::Update | Writes::CreateAndUpdate => true,
    };
    target.name.as_deref().filter(|_| may).ok_or_else(Refusal::method_not_allowed)
}

fn stored(target: &Target, name: &str, shared: &Shared) -> Option<Arc<Stored>> {
    shared.store.get(target.id, target.namespace.as_deref(), name)
}

/// The object that a request writes: of the kind and in the namespace that its path says.
async fn object(request: Request<Incoming>, target: &Target, shared: &Shared) -> Result<Value, Refusal> {
    if !matches!(media_type(&request).as_str(), "" | "application/json") {
        return Err(Refusal::unsupported_media_type(&JSON));
    }
    let mut object = json(&body(request, shared).await?)?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("");
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if !target.kind.is(api_version, kind) {
        let message = format!(
            "{kind} in version {api_version:?} cannot be handled as a {}: the path says {} {}",
            target.kind.kind,
            target.kind.api_version(),
            target.kind.kind
        );
        return Err(Refusal::bad_request(message));
    }
    if let Some(namespace) = &target.namespace {
        let metadata = metadata(&mut object)?;
        let own = metadata.entry("namespace").or_insert_with(|| namespace.as_str().into());
        if own != namespace {
            let message =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
    }
    Ok(object)
}

/// An object as it would be if it were kept. What a request to a subresource says of the rest does not count.
fn written(mut object: Value, target: &Target, stored: Option<&Stored>, shared: &Shared) -> Value {
    if let (Some(subresource), Some(stored)) = (&target.subresource, stored) {
        let part = object.get(subresource).cloned();
        object = stored.value.clone();
        if let (Some(part), Some(fields)) = (part, object.as_object_mut()) {
            fields.insert(subresource.clone(), part);
        }
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let own = stored.and_then(|stored| stored.value.get("metadata"));
        for key in ["uid", "creationTimestamp", "resourceVersion"] {
            match own.and_then(|own| own.get(key)) {
                Some(value) => drop(metadata.insert(key.into(), value.clone())),
                None => drop(metadata.remove(key)),
            }
        }
        let version = shared.store.version().to_string();
        metadata.entry("resourceVersion").or_insert(version.into());
        metadata.entry("creationTimestamp").or_insert_with(now);
    }
    complete(&mut object, target.kind);
    object
}

fn metadata(object: &mut Value) -> Result<&mut Map<String, Value>, Refusal> {
    let fields = object.as_object_mut().ok_or_else(|| Refusal::bad_request("the body is no object"))?;
    let metadata = fields.entry("metadata").or_insert_with(|| Map::new().into());
    metadata.as_object_mut().ok_or_else(|| Refusal::bad_request("metadata is no object"))
}

/// The type of the body, without its parameters; empty where none is written.
fn media_type(request: &Request<Incoming>) -> String {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

async fn body(request: Request<Incoming>, shared: &Shared) -> Result<Bytes, Refusal> {
    let limit = shared.limits.body;
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_much(limit)),
        Err(error) => Err(Refusal::bad_request(format!("the body cannot be read: {error}"))),
    }
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
}
