//! The person who is signed in: a token for Microsoft Graph says who asks, and Graph says which of the
//! named groups they belong to, nested membership included.
//!
//! The token comes straight from the identity provider and is read, not checked: whoever could forge it
//! here holds the rights on storage anyway. Refused: more groups than one question takes (20), and
//! whatever Graph refuses. Source: Microsoft Graph, `checkMemberGroups`; access token claims.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;

use super::{Error, Tokens};

/// The scope of tokens for Microsoft Graph.
pub const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
/// Where Microsoft Graph is.
pub const GRAPH: &str = "https://graph.microsoft.com";

/// How long Graph may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most groups of one question (Microsoft Graph, checkMemberGroups).
const GROUPS: usize = 20;
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Who is signed in, and what they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The Entra object id.
    pub id: String,
    /// The user principal name; the application's id for one.
    pub name: String,
    /// Those of the named groups that they belong to.
    pub groups: Vec<String>,
}

/// Why it is not known who is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// No token.
    #[error("nobody is signed in; run `az login`")]
    Token(#[from] Error),
    /// A token without an object id.
    #[error("the token does not say who is signed in")]
    Claims,
    /// More groups than one question takes.
    #[error("[roles] names more than 20 groups")]
    TooMany,
    /// Graph was not reached.
    #[error("Microsoft Graph did not answer, so nobody's groups are known")]
    Unreachable(#[source] reqwest::Error),
    /// Graph said no.
    #[error(
        "Microsoft Graph refused to tell the groups (status {0}); the sign-in needs the permission GroupMember.Read.All"
    )]
    Refused(u16),
}

#[derive(Deserialize)]
struct Claims {
    oid: String,
    #[serde(default)]
    idtyp: Option<String>,
    #[serde(default)]
    upn: Option<String>,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(default)]
    appid: Option<String>,
}

#[derive(Deserialize)]
struct Members {
    value: Vec<String>,
}

/// Asks who is signed in and which of `groups` they belong to; makes no call beyond the token when no
/// group is named. `graph` is [`GRAPH`], but in tests.
pub async fn signed_in(
    tokens: &Tokens,
    groups: &[String],
    graph: &str,
) -> Result<SignedIn, Unknown> {
    if groups.len() > GROUPS {
        return Err(Unknown::TooMany);
    }
    let token = tokens.bearer().await?;
    let claims = claims(token.expose_secret()).ok_or(Unknown::Claims)?;
    let groups = match groups {
        [] => Vec::new(),
        named => memberships(token.expose_secret(), &claims, named, graph).await?,
    };
    let Claims { oid, upn, preferred_username, appid, .. } = claims;
    let name = upn.or(preferred_username).or(appid).unwrap_or_else(|| oid.clone());
    Ok(SignedIn { id: oid, name, groups })
}

/// The middle of a JSON Web Token.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain(&claims.oid).then_some(claims)
}

async fn memberships(
    token: &str,
    claims: &Claims,
    groups: &[String],
    graph: &str,
) -> Result<Vec<String>, Unknown> {
    let who = match claims.idtyp.as_deref() {
        Some("app") => format!("servicePrincipals/{}", claims.oid),
        _ => "me".to_owned(),
    };
    let http = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE).build();
    let http = http.map_err(Unknown::Unreachable)?;
    let lost = |error: reqwest::Error| Unknown::Unreachable(error.without_url());
    let mut response = http
        .post(format!("{graph}/v1.0/{who}/checkMemberGroups"))
        .bearer_auth(token)
        .json(&json!({ "groupIds": groups }))
        .send()
        .await
        .map_err(lost)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(Unknown::Refused(status));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(lost)? {
        if body.len() + piece.len() > LONGEST {
            return Err(Unknown::Refused(status));
        }
        body.extend_from_slice(&piece);
    }
    let members: Members = serde_json::from_slice(&body).map_err(|_| Unknown::Refused(status))?;
    Ok(members.value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode, Uri};
    use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
    use azure_core::time::OffsetDateTime;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::clock::SystemClock;

    #[derive(Debug)]
    struct Issues(String);

    #[async_trait::async_trait]
    impl TokenCredential for Issues {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let expires = OffsetDateTime::from_unix_timestamp(9_000_000_000).unwrap();
            Ok(AccessToken::new(self.0.clone(), expires))
        }
    }

    fn tokens(claims: &serde_json::Value) -> Tokens {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        Tokens::over(Arc::new(Issues(token)), "scope", Arc::new(SystemClock))
    }

    /// Graph, where the signed-in person belongs to the group `o` alone.
    async fn graph(server: &mut JoinSet<()>) -> String {
        let answer = async |uri: Uri, headers: HeaderMap, body: String| {
            let known = uri.path() == "/v1.0/me/checkMemberGroups"
                || uri.path() == "/v1.0/servicePrincipals/1-a/checkMemberGroups";
            let asked = body == r#"{"groupIds":["o","v"]}"#;
            if !known || !headers.contains_key("authorization") {
                return (StatusCode::FORBIDDEN, String::new());
            }
            (StatusCode::OK, format!(r#"{{"value":[{}]}}"#, if asked { r#""o""# } else { "" }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer);
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    #[tokio::test]
    async fn a_person_and_an_application_are_known_by_their_token_and_groups() {
        let mut server = JoinSet::new();
        let graph = graph(&mut server).await;
        let groups = ["o".to_owned(), "v".to_owned()];
        let person = tokens(&json!({ "oid": "1-a", "upn": "ann@acme.example" }));
        let expected = SignedIn {
            id: "1-a".into(),
            name: "ann@acme.example".into(),
            groups: vec!["o".into()],
        };
        assert_eq!(signed_in(&person, &groups, &graph).await.unwrap(), expected);
        let app = tokens(&json!({ "oid": "1-a", "idtyp": "app", "appid": "7" }));
        let known = signed_in(&app, &groups, &graph).await.unwrap();
        assert_eq!((known.name.as_str(), known.groups.len()), ("7", 1));
        let alone = signed_in(&person, &[], "http://127.0.0.1:1").await.unwrap();
        assert!(alone.groups.is_empty(), "nobody is asked when no group is named");
    }

    #[tokio::test]
    async fn who_cannot_be_known_is_refused() {
        let groups = ["o".to_owned()];
        let nobody = tokens(&json!({ "upn": "ann" }));
        assert!(matches!(signed_in(&nobody, &groups, GRAPH).await, Err(Unknown::Claims)));
        let odd = tokens(&json!({ "oid": "../me" }));
        assert!(matches!(signed_in(&odd, &groups, GRAPH).await, Err(Unknown::Claims)));
        let person = tokens(&json!({ "oid": "1" }));
        let away = signed_in(&person, &groups, "http://127.0.0.1:1").await;
        assert!(matches!(away, Err(Unknown::Unreachable(_))));
        let many = vec!["g".to_owned(); 21];
        assert!(matches!(signed_in(&person, &many, GRAPH).await, Err(Unknown::TooMany)));
    }
}
