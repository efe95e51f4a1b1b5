//! Tables, queues and the container are looked for and, when missing, created.
//!
//! Looked for first, so that a running account shows no failed requests. A role may be narrower than the
//! look needs (one that only sends messages cannot read a queue): then the thing is taken to be there,
//! and its first use will tell. Refused: something missing that this identity may not create.

use reqwest::{Method, StatusCode};

use super::address::encode;
use super::client::{Client, Request, Service};
use crate::store::{Call, Error, Thing};

const ROLE_IS_LACKING: &str = "AuthorizationPermissionMismatch";

/// A table of this name is there.
pub(super) async fn table(client: &Client, name: &str) -> Result<(), Error> {
    let look = look_for_table(name);
    let create = json(request(Method::POST, "Tables".to_owned()))
        .header("prefer", "return-no-content")
        .body("application/json", serde_json::json!({ "TableName": name }).to_string());
    ensure(client, &look, &create, &format!("table {name}")).await
}

/// A queue of this name is there.
pub(super) async fn queue(client: &Client, name: &str) -> Result<(), Error> {
    let look = look_for_queue(name);
    let create = request(Method::PUT, encode(name));
    ensure(client, &look, &create, &format!("queue {name}")).await
}

/// A container of this name is there.
pub(super) async fn container(client: &Client, name: &str) -> Result<(), Error> {
    let look = look_for_container(name);
    let create = request(Method::PUT, encode(name)).query("restype", "container");
    ensure(client, &look, &create, &format!("container {name}")).await
}

/// Whether a thing is there; none when the identity's role does not allow to look.
pub(super) async fn look(base: &Client, thing: &Thing) -> Result<Option<bool>, Error> {
    let (service, look) = match thing {
        Thing::Table(name) => (Service::Tables, look_for_table(name)),
        Thing::Queue(name) => (Service::Queues, look_for_queue(name)),
        Thing::Container(name) => (Service::Blobs, look_for_container(name)),
        Thing::Folder(_) => return Ok(None),
    };
    match base.to(service).send(&look).await?.refusal() {
        None => Ok(Some(true)),
        Some(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(Some(false)),
        Some(refusal) if refusal.code == ROLE_IS_LACKING => Ok(None),
        Some(refusal) => Err(refusal.error(0)),
    }
}

fn look_for_table(name: &str) -> Request {
    json(request(Method::GET, format!("{}()", encode(name)))).query("$top", "1")
}

fn look_for_queue(name: &str) -> Request {
    request(Method::GET, encode(name)).query("comp", "metadata")
}

fn look_for_container(name: &str) -> Request {
    request(Method::GET, encode(name)).query("restype", "container")
}

fn json(request: Request) -> Request {
    request
        .header("accept", "application/json;odata=nometadata")
        .header("dataserviceversion", "3.0")
}

fn request(method: Method, path: String) -> Request {
    Request::new(Call::Prepare, method, path)
}

async fn ensure(
    client: &Client,
    look: &Request,
    create: &Request,
    what: &str,
) -> Result<(), Error> {
    match client.read(look).await?.refusal() {
        None => return Ok(()),
        Some(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
        Some(refusal) if refusal.code == ROLE_IS_LACKING => {
            tracing::debug!(what, "not looked for: the identity's role does not allow it");
            return Ok(());
        }
        Some(refusal) => return Err(refusal.error(0)),
    }
    match client.read(create).await?.refusal() {
        None => Ok(()),
        Some(refusal) if refusal.code.ends_with("AlreadyExists") => Ok(()),
        Some(refusal) if refusal.code == ROLE_IS_LACKING => {
            let account = client.account();
            let reason = format!(
                "{what} is missing in account {account} and this identity may not create it: create \
                 it, or give the identity the Data Contributor role on the account"
            );
            Err(Error::Invalid { reason })
        }
        Some(refusal) => Err(refusal.error(0)),
    }
}
