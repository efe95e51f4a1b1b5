use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::clock::SystemClock;
use crate::store::{Call, Entity, Etag, Operation, Property, Queue, Table};

/// What the stand-in service does with the next request.
enum Reply {
    /// Closes the connection after it has read the request: the answer is lost.
    Cut,
    /// Answers with a status, headers (`Name: value` lines) and a body.
    Answer(u16, &'static str, String),
}

/// A service that does as planned, one request after the other, and remembers what it was sent.
struct Stub {
    account: Account,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Stub {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn client(&self, access: Access) -> (Client, Arc<Counters>) {
        let (clock, chance) = (Arc::new(SystemClock), Chance::seeded(7));
        let counters = Arc::new(Counters::default());
        let client = Client::new(&self.account, access, clock, chance, counters.clone());
        (client.unwrap(), counters)
    }

    fn table(&self) -> (AzureTable, Arc<Counters>) {
        let (client, counters) = self.client(Access::Key("a2V5".into()));
        (AzureTable::new(client, "T"), counters)
    }
}

async fn stub(replies: impl IntoIterator<Item = Reply>) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (blobs, queues, tables) = (url.clone(), url.clone(), url);
    let account = Account { name: "acme".into(), key: None, blobs, queues, tables };
    let mut replies: VecDeque<_> = replies.into_iter().collect();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Some(reply) = replies.pop_front() {
            let (mut connection, _) = listener.accept().await.unwrap();
            let request = read(&mut connection).await;
            seen.lock().unwrap().push(request);
            if let Reply::Answer(status, headers, body) = reply {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\
                     {headers}\r\n{body}"
                );
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    Stub { account, requests, _serving: serving }
}

async fn read(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = connection.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        if length == 0 || body.len() >= expected.unwrap_or_default() {
            return text;
        }
    }
}

fn found(rows: &[&str]) -> Value {
    let rows = rows.iter().map(
        |row| json!({ "odata.etag": "W/\"1\"", "PartitionKey": "p", "RowKey": row, "value": "x" }),
    );
    json!({ "value": rows.collect::<Vec<_>>() })
}

fn ok(body: &Value) -> Reply {
    Reply::Answer(200, "", body.to_string())
}

fn missing() -> Reply {
    let body = json!({ "odata.error": { "code": "ResourceNotFound", "message": { "value": "" } } });
    Reply::Answer(404, "", body.to_string())
}

fn refused(status: u16, headers: &'static str, code: &str) -> Reply {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>.</Message></Error>");
    Reply::Answer(status, headers, body)
}

fn put(row: &str) -> Operation {
    let properties = BTreeMap::from([("value".into(), Property::Integer(1))]);
    Operation::Put(Entity { row: row.to_owned(), properties })
}

fn keys(rows: &[&str]) -> Vec<String> {
    rows.iter().map(ToString::to_string).collect()
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, Error>) -> (String, Option<Duration>) {
    match answer {
        Err(Error::Unavailable { reason, retry_after }) => (reason, retry_after),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_not_sent_again() {
    let stub = stub([Reply::Cut]).await;
    let (table, counters) = stub.table();
    let (reason, _) = unavailable(table.transact("p", vec![put("a")]).await);
    assert!(!reason.contains("127.0.0.1"), "{reason}");
    assert_eq!((stub.requests().len(), counters.of(Call::Transact)), (1, 1));
}

#[tokio::test]
async fn a_busy_service_is_left_to_the_caller_when_it_was_asked_to_write() {
    let stub = stub([refused(503, "Retry-After: 7\r\n", "ServerBusy")]).await;
    let (table, _) = stub.table();
    let answer = unavailable(table.transact("p", vec![put("a")]).await);
    assert_eq!(answer, ("503 ServerBusy".to_owned(), Some(Duration::from_secs(7))));
    assert_eq!(stub.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_with_too_few_parts_leaves_the_fate_unknown() {
    let part = "--changesetresponse_1\r\n\r\nHTTP/1.1 204 No Content\r\nETag: W/\"1\"\r\n\r\n\r\n";
    let stub = stub([Reply::Answer(202, "", part.to_owned())]).await;
    unavailable(stub.table().0.transact("p", vec![put("a"), put("b")]).await);
}

#[tokio::test]
async fn a_read_is_tried_again_after_a_cut_and_a_busy_answer() {
    let replies = [Reply::Cut, refused(500, "", "InternalError"), ok(&found(&["b", "a"]))];
    let stub = stub(replies).await;
    let (table, counters) = stub.table();
    let rows = table.get_many("p", &keys(&["a", "b", "c"])).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|row| row.entity.row)).collect();
    assert_eq!(rows, [Some("a".to_owned()), Some("b".to_owned()), None]);
    assert_eq!(counters.of(Call::Query), 3, "every attempt counts");
}

#[tokio::test]
async fn the_pause_that_is_asked_for_is_kept_if_it_is_short() {
    let short = stub([refused(503, "Retry-After: 1\r\n", "ServerBusy"), ok(&found(&[]))]).await;
    let before = Instant::now();
    short.table().0.scan("p", "a", "b", 5).await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
    let long = stub([refused(429, "Retry-After: 60\r\n", "TooManyRequests")]).await;
    let before = Instant::now();
    let (_, pause) = unavailable(long.table().0.scan("p", "a", "b", 5).await);
    assert_eq!(pause, Some(Duration::from_mins(1)));
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_read_is_given_up_after_four_attempts() {
    let stub = stub((0..5).map(|_| Reply::Cut)).await;
    unavailable(stub.table().0.scan("p", "a", "b", 5).await);
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn a_filter_that_was_cut_short_is_finished_row_by_row_and_so_are_later_ones() {
    let cut = "x-ms-continuation-NextPartitionKey: 1!4!cA--\r\n\
               x-ms-continuation-NextRowKey: 1!4!Yg--\r\n";
    let single = |row| ok(&found(&[row])["value"][0]);
    let replies = [
        Reply::Answer(200, cut, found(&["a"]).to_string()),
        single("b"),
        missing(),
        single("a"),
        missing(),
    ];
    let stub = stub(replies).await;
    let (table, counters) = stub.table();
    let rows = table.get_many("p", &keys(&["a", "b", "c"])).await.unwrap();
    assert_eq!(rows.iter().flatten().count(), 2);
    assert_eq!((counters.of(Call::Query), counters.of(Call::Get)), (1, 2));
    let rows = table.get_many("p", &keys(&["a", "c"])).await.unwrap();
    assert!(rows[0].is_some() && rows[1].is_none());
    assert_eq!((counters.of(Call::Query), counters.of(Call::Get)), (1, 4));
}

#[tokio::test]
async fn a_scan_follows_empty_pages() {
    let on = "x-ms-continuation-NextPartitionKey: 1!4!cA--\r\nx-ms-continuation-NextRowKey: 1+\r\n";
    let empty = || Reply::Answer(200, on, found(&[]).to_string());
    let stub = stub([empty(), empty(), Reply::Answer(200, on, found(&["a1"]).to_string())]).await;
    let page = stub.table().0.scan("p", "a", "b", 5).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("a1 "));
    let requests = stub.requests();
    assert!(!requests[0].contains("NextRowKey"));
    for request in &requests[1..] {
        let line = request.lines().next().unwrap();
        assert!(line.contains("NextPartitionKey=1%214%21cA--&NextRowKey=1%2B "), "{line}");
        assert_eq!(line.matches("NextRowKey").count(), 1);
    }
}

#[tokio::test]
async fn a_missing_table_is_not_a_missing_row() {
    let gone = json!({ "odata.error": { "code": "TableNotFound", "message": { "value": "" } } });
    let stub = stub([Reply::Answer(404, "", gone.to_string())]).await;
    let answer = stub.table().0.get_many("p", &keys(&["a"])).await;
    assert!(matches!(answer, Err(Error::Invalid { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_discarded_row_that_is_gone_is_left_out_and_nothing_else() {
    let body =
        json!({ "odata.error": { "code": "ResourceNotFound", "message": { "value": "1:." } } });
    let part = format!("--changesetresponse_1\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n{body}\r\n");
    let done = "--changesetresponse_1\r\n\r\nHTTP/1.1 204 No Content\r\nETag: W/\"9\"\r\n\r\n\r\n";
    let replies = [Reply::Answer(202, "", part), Reply::Answer(202, "", done.to_owned())];
    let stub = stub(replies).await;
    let operations = vec![put("a"), Operation::Discard("index".into())];
    let etags = stub.table().0.transact("p", operations).await.unwrap();
    assert_eq!(etags, [Etag("W/\"9\"".into()), Etag::default()]);
    let requests = stub.requests();
    assert!(requests[0].contains("DELETE ") && !requests[1].contains("DELETE "));
}

/// Issues numbered tokens.
#[derive(Debug, Default)]
struct Provider(Mutex<u32>);

#[async_trait]
impl TokenCredential for Provider {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut number = self.0.lock().unwrap();
        *number += 1;
        let expires = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken::new(format!("token-{number}"), expires))
    }
}

fn identity() -> Access {
    let clock = Arc::new(SystemClock);
    Access::Identity(Arc::new(Tokens::over(Arc::<Provider>::default(), STORAGE_SCOPE, clock)))
}

#[tokio::test]
async fn an_identity_sends_a_token_and_fetches_another_when_it_is_refused() {
    let stub = stub([
        refused(401, "", "InvalidAuthenticationInfo"),
        Reply::Answer(200, "x-ms-approximate-messages-count: 3\r\n", String::new()),
    ])
    .await;
    let queue = AzureQueue::new(stub.client(identity()).0.to(Service::Queues), "work");
    let answer = queue.depth().await;
    assert!(matches!(answer, Err(Error::Unauthorised { .. })), "{answer:?}");
    assert_eq!(queue.depth().await.unwrap(), 3);
    let requests = stub.requests();
    assert!(requests[0].contains("authorization: Bearer token-1\r\n"));
    assert!(requests[1].contains("authorization: Bearer token-2\r\n"));
}

#[tokio::test]
async fn blobs_are_asked_for_with_the_same_tokens() {
    let stub = stub([Reply::Answer(403, "", String::new())]).await;
    let counters = Arc::new(Counters::default());
    let client = stub.client(identity()).0;
    let blobs = blobs::open(&stub.account, &client, "c", counters).unwrap();
    let answer = blobs.get_opts(&"a/b".into(), object_store::GetOptions::default()).await;
    assert!(matches!(answer, Err(object_store::Error::PermissionDenied { .. })), "{answer:?}");
    let request = stub.requests().remove(0);
    assert!(request.starts_with("GET /c/a/b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer token-1\r\n"), "{request}");
}

#[tokio::test]
async fn what_is_missing_and_may_not_be_created_is_named() {
    let lacking = || refused(403, "", "AuthorizationPermissionMismatch");
    let stub =
        stub([missing(), lacking(), lacking(), refused(403, "", "AuthenticationFailed")]).await;
    let client = stub.client(identity()).0;
    let error = prepare::table(&client, "ConcordLedger").await.unwrap_err().to_string();
    assert!(error.contains("table ConcordLedger is missing in account acme"), "{error}");
    prepare::table(&client, "T").await.expect("a role that may not look may still write");
    let error = prepare::table(&client, "T").await;
    assert!(matches!(error, Err(Error::Unauthorised { .. })), "{error:?}");
}

#[tokio::test]
async fn what_another_instance_creates_meanwhile_is_there() {
    let stub = stub([
        refused(404, "", "ContainerNotFound"),
        refused(409, "", "ContainerAlreadyExists"),
        refused(404, "", "QueueNotFound"),
        Reply::Answer(201, "", String::new()),
    ])
    .await;
    let client = stub.client(Access::Key("a2V5".into())).0;
    prepare::container(&client.to(Service::Blobs), "c").await.unwrap();
    prepare::queue(&client.to(Service::Queues), "q").await.unwrap();
    let lines: Vec<_> =
        stub.requests().iter().map(|request| request.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "GET /c?restype=container HTTP/1.1",
            "PUT /c?restype=container HTTP/1.1",
            "GET /q?comp=metadata HTTP/1.1",
            "PUT /q HTTP/1.1",
        ]
    );
}
