//! `$batch`, in the spellings of public clients.

use serde_json::json;

use super::{Reply, Service};

async fn send(service: &Service, prefer: &str, body: &str) -> Reply {
    let kind = "multipart/mixed; boundary=\"batch_1\"";
    service.raw("POST $batch", &[("content-type", kind), ("prefer", prefer)], body.to_owned()).await
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

const ONE: &str = "--batch_1
Content-Type: application/http
Content-Transfer-Encoding: binary

POST /api/data/v9.2/accounts HTTP/1.1
Content-Type: application/json

{\"name\":\"A\"}
--batch_1
Content-Type: application/http
Content-Transfer-Encoding: binary

GET http://here/api/data/v9.2/accounts?$filter=name eq 'A'&$select=name HTTP/1.1
Accept: application/json


--batch_1--
";

#[tokio::test]
async fn the_answer_is_the_same_bytes_a_live_service_sends() {
    let service = Service::new();
    let reply = send(&service, "", &crlf(ONE)).await;
    assert_eq!(reply.status, 200);
    let boundary = reply.header("content-type").split("boundary=").nth(1).unwrap().to_owned();
    assert!(boundary.starts_with("batchresponse_"));
    let text = &reply.text;
    let start = format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         HTTP/1.1 204 No Content\r\n"
    );
    assert!(text.starts_with(&start), "{text}");
    assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")), "{text}");
    assert!(text.contains("\r\nOData-EntityId: http://here/api/data/v9.2/accounts("), "{text}");
    assert!(text.contains("HTTP/1.1 200 OK\r\n") && text.contains("\"name\":\"A\""), "{text}");
    assert!(!text.replace("\r\n", "").contains('\n'), "no bare line feeds");
}

#[tokio::test]
async fn bare_line_feeds_and_a_missing_end_are_read_too() {
    let service = Service::new();
    let body = format!("\n{}", ONE.trim_end());
    assert_eq!(send(&service, "", &body).await.status, 200);
    let unclosed = ONE.trim_end().strip_suffix("--batch_1--").unwrap();
    assert_eq!(send(&service, "", unclosed).await.status, 200);
    assert_eq!(service.get("accounts/$count").await.text, "2");
}

const FAILING: &str = "--batch_1
Content-Type: application/http

POST /api/data/v9.2/accounts HTTP/1.1

{\"name\":\"A\"}
--batch_1
Content-Type: application/http

POST /api/data/v9.2/accounts HTTP/1.1

{\"nosuch\":1}
--batch_1
Content-Type: application/http

POST /api/data/v9.2/accounts HTTP/1.1

{\"name\":\"B\"}
--batch_1--
";

#[tokio::test]
async fn a_batch_stops_at_the_first_failure_unless_asked_to_go_on() {
    let service = Service::new();
    let reply = send(&service, "", FAILING).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.text.matches("HTTP/1.1 204").count(), 1);
    assert!(reply.text.contains("HTTP/1.1 400 Bad Request"));
    assert_eq!(service.get("accounts/$count").await.text, "1");

    let reply = send(&service, "odata.continue-on-error", FAILING).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text.matches("HTTP/1.1 204").count(), 2);
    assert_eq!(service.get("accounts/$count").await.text, "3");
    let counters = service.counters().await;
    assert_eq!(counters["requests"]["POST $batch"], 2);
    assert_eq!(counters["operations"]["POST collection"], 5);
}

const CHANGESET: &str = "--batch_1
Content-Type: multipart/mixed; boundary=changeset_1

--changeset_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 100001

POST /api/data/v9.2/acme_regions HTTP/1.1
Content-Type: application/json

{\"acme_name\":\"Europe\",\"acme_code\":\"EU\"}
--changeset_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 2

POST /api/data/v9.2/acme_customers HTTP/1.1
Prefer: return=representation

{\"acme_name\":\"N\",\"acme_RegionId@odata.bind\":\"$100001\"}
--changeset_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 3

PATCH $2 HTTP/1.1

{\"acme_name\":\"LAST\"}
--changeset_1--
--batch_1--
";

#[tokio::test]
async fn a_changeset_refers_to_what_it_created() {
    let service = Service::new();
    let reply = send(&service, "", &crlf(CHANGESET)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.text.contains("--changesetresponse_"));
    assert!(reply.text.contains("Content-ID: 100001\r\n\r\nHTTP/1.1 204 No Content"));
    assert!(reply.text.contains("Content-ID: 2\r\n\r\nHTTP/1.1 201 Created"));
    let rows = service.get("acme_customers?$expand=acme_RegionId($select=acme_code)").await.json();
    assert_eq!(rows["value"][0]["acme_name"], "LAST");
    assert_eq!(rows["value"][0]["acme_RegionId"]["acme_code"], "EU");
}

#[tokio::test]
async fn a_failed_changeset_leaves_nothing_and_answers_with_one_part() {
    let service = Service::new();
    let body = CHANGESET.replace("LAST", &"x".repeat(201));
    let reply = send(&service, "odata.continue-on-error", &body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text.matches("HTTP/1.1 ").count(), 1, "{}", reply.text);
    assert!(reply.text.contains("0x80044331"));
    assert_eq!(service.get("acme_regions/$count").await.text, "0");
    assert_eq!(service.get("acme_customers/$count").await.text, "0");
}

#[tokio::test]
async fn a_reference_to_what_comes_later_is_refused() {
    let service = Service::new();
    let reply = send(&service, "", &CHANGESET.replace("$100001", "$9")).await;
    assert_eq!(reply.status, 400);
    let text = "Content-ID Reference: '$9' does not exist in the batch context.";
    assert!(reply.text.contains(text), "{}", reply.text);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_plain_json() {
    let service = Service::new();
    let nested = FAILING.replace("/accounts HTTP", "/$batch HTTP");
    for (kind, body) in [
        ("application/json", "{}".to_owned()),
        ("multipart/mixed", ONE.to_owned()),
        ("multipart/mixed; boundary=other", ONE.to_owned()),
    ] {
        let reply = service.raw("POST $batch", &[("content-type", kind)], body).await;
        assert_eq!(reply.refusal(), (400, "0x80048d19".to_owned()), "{kind}");
    }
    let reply = send(&service, "", &nested).await;
    assert!(reply.text.contains("A batch may not hold a batch."));
    let part =
        "--batch_1\nContent-Type: application/http\n\nGET /api/data/v9.2/WhoAmI HTTP/1.1\n\n";
    let many = format!("{}--batch_1--\n", part.repeat(1001));
    assert_eq!(send(&service, "", &many).await.code(), "0x80048d19");
    assert_eq!(service.get("accounts/$count").await.text, json!(0).to_string());
}
