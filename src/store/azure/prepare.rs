//! Tables, queues and the container are looked for and, when missing, created.
//!
//! Looked for first, so that a running account shows no failed requests. A role may be narrower than the
//! look needs (one that only sends messages cannot read a queue): then the thing is taken to be there,
//! and its first use will tell. Refused: something missing that this identity may not create.

use reqwest::{Method, StatusCode};

use super::address::encode;
use super::client::{Client, Request};
use crate::store::{Call, Error};

const ROLE_IS_LACKING: &str = "AuthorizationPermissionMismatch";

/// A table of this name is there.
pub(super) async fn table(client: &Client, name: &str) -> Result<(), Error> {
    let json = |request: Request| {
        request
            .header("accept", "application/json;odata=nometadata")
            .header("dataserviceversion", "3.0")
    };
    let look = json(request(Method::GET, format!("{}()", encode(name)))).query("$top", "1");
    let create = json(request(Method::POST, "Tables".to_owned()))
        .header("prefer", "return-no-content")
        .body("application/json", serde_json::json!({ "TableName": name }).to_string());
    ensure(client, &look, &create, &format!("table {name}")).await
}

/// A queue of this name is there.
pub(super) async fn queue(client: &Client, name: &str) -> Result<(), Error> {
    let look = request(Method::GET, encode(name)).query("comp", "metadata");
    let create = request(Method::PUT, encode(name));
    ensure(client, &look, &create, &format!("queue {name}")).await
}

/// A container of this name is there.
pub(super) async fn container(client: &Client, name: &str) -> Result<(), Error> {
    let look = request(Method::GET, encode(name)).query("restype", "container");
    let create = request(Method::PUT, encode(name)).query("restype", "container");
    ensure(client, &look, &create, &format!("container {name}")).await
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
