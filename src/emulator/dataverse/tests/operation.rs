//! Running it: faults, limits, tokens, counters, dump and reset, and real connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::super::limits::Settings;
use super::super::server::serve;
use super::super::state::Options;
use super::Service;

async fn plan(service: &Service, fault: serde_json::Value) {
    assert_eq!(service.send("POST /_emulator/faults", fault).await.status, 204);
}

#[tokio::test]
async fn planned_faults_hit_before_or_after_the_work() {
    let service = Service::new();
    for (fault, status, code, rows) in [
        ("429", 429, "0x80072322", "0"),
        ("503-before", 503, "0x80040216", "0"),
        ("deadlock", 500, "0x80044150", "0"),
        ("timeout", 500, "0x80044151", "0"),
        ("aborted", 500, "0x80040255", "0"),
        ("500-after", 500, "0x80040216", "1"),
    ] {
        plan(&service, json!({"fault": fault, "method": "POST", "seconds": 3})).await;
        let reply = service.send("POST accounts", json!({"name": "A"})).await;
        assert_eq!(reply.refusal(), (status, code.to_owned()), "{fault}");
        assert_eq!(service.get("accounts/$count").await.text, rows, "{fault}");
        if fault == "429" {
            assert_eq!(reply.header("retry-after"), "3");
        }
        assert!(fault != "deadlock" || reply.text.contains("Sql Number: 1205"));
    }
    assert_eq!(service.counters().await["faults"]["deadlock"], 1);
    let reply = service.send("POST /_emulator/faults", json!({"fault": "boom"})).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_takes_its_time_and_is_done() {
    let service = Service::new();
    plan(&service, json!([{"fault": "slow", "seconds": 30}])).await;
    let start = tokio::time::Instant::now();
    assert_eq!(service.send("POST accounts", json!({"name": "A"})).await.status, 204);
    assert!(start.elapsed() >= Duration::from_secs(30));
}

#[tokio::test]
async fn limits_refuse_with_429_and_tell_what_is_left() {
    let settings = Settings::parse("requests=2,servers=2").unwrap();
    let service = Service::with(Options { limits: Some(settings), ..Options::default() });
    let cookie = [("cookie", "a=b; ARRAffinity=1")];
    let reply = service.raw("GET WhoAmI", &cookie, "").await;
    assert_eq!(reply.header("x-ms-ratelimit-burst-remaining-xrm-requests"), "1");
    assert_eq!(reply.header("x-ms-ratelimit-time-remaining-xrm-requests"), "1200.00");
    assert!(reply.header("set-cookie").starts_with("ARRAffinity=1;"));
    service.raw("GET WhoAmI", &cookie, "").await;
    let reply = service.raw("GET WhoAmI", &cookie, "").await;
    assert_eq!(reply.refusal(), (429, "0x80072322".to_owned()));
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(service.raw("GET WhoAmI", &[("cookie", "ARRAffinity=0")], "").await.status, 200);
    assert_eq!(service.counters().await["throttled"], 1);
}

#[tokio::test]
async fn with_a_secret_only_requests_with_a_token_are_answered() {
    let service = Service::with(Options { secret: true, ..Options::default() });
    let reply = service.get("WhoAmI").await;
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").starts_with("Bearer authorization_uri="));
    assert_eq!(service.raw("GET WhoAmI", &[("authorization", "Bearer x")], "").await.status, 200);
}

#[tokio::test]
async fn the_dump_is_the_same_for_the_same_rows_and_reset_starts_afresh() {
    let service = Service::new();
    let empty = service.get("/_emulator/dump").await.text;
    let body = json!({"accountid": "00000000-0000-0000-0000-000000000001", "name": "A"});
    service.send("POST accounts", body).await;
    let dump = service.get("/_emulator/dump").await;
    let row = &dump.json()["account"]["00000000-0000-0000-0000-000000000001"];
    assert_eq!(row["name"], "A");
    assert_eq!(row["ownerid"], format!("systemuser({})", super::super::seed::user()));
    assert_eq!(service.send("POST /_emulator/reset", json!({})).await.status, 204);
    assert_eq!(service.get("/_emulator/dump").await.text, empty);
    assert_eq!(service.counters().await["requests"], json!({}));
}

#[tokio::test]
async fn requests_are_counted_by_verb_and_kind() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    service.get(&format!("accounts({id})")).await;
    service.get("accounts").await;
    service.get("WhoAmI").await;
    service.get("accounts(x)").await;
    let counters = service.counters().await;
    assert_eq!(
        counters["requests"],
        json!({"GET WhoAmI": 1, "GET collection": 1, "GET row": 1, "POST collection": 1})
    );
    assert_eq!(counters["statuses"], json!({"200": 3, "204": 1, "400": 1}));
    assert_eq!(counters["tables"]["account"]["created"], 1);
}

/// Sends a request over a connection of its own and gives all that comes back.
async fn over_the_wire(address: std::net::SocketAddr, line: &'static str) -> Vec<u8> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let body = r#"{"name":"A"}"#;
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answer
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_cut_connection_sends_not_one_byte_whether_the_work_was_done_or_not() {
    let server = serve(Options::default()).await.unwrap();
    for (fault, rows) in [("cut", 0), ("lost", 1)] {
        let plan = serde_json::from_value(json!({"fault": fault})).unwrap();
        server.state.faults().plan(vec![plan]).unwrap();
        let answer = over_the_wire(server.address, "POST /api/data/v9.2/accounts").await;
        assert_eq!(answer, b"", "{fault}");
        assert_eq!(server.state.world().env.tables["account"].rows.len(), rows, "{fault}");
    }
    let answer = over_the_wire(server.address, "POST /api/data/v9.2/accounts").await;
    assert!(answer.starts_with(b"HTTP/1.1 204 No Content\r\n"));
    server.stop().await;
}

#[tokio::test]
async fn privileges_are_told_and_writes_without_them_refused() {
    let service = Service::with(Options {
        denied: ["prvWriteAccount", "prvDeleteAccount", "prvAssignContact"]
            .map(String::from)
            .into(),
        ..Options::default()
    });
    let user = service.get("WhoAmI").await.json()["UserId"].as_str().unwrap().to_owned();
    let path = format!("systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
    let held = service.get(&path).await.json();
    let of_user: Vec<&str> = held["RolePrivileges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["PrivilegeId"].as_str().unwrap())
        .collect();
    let path = "EntityDefinitions(LogicalName='account')?$select=LogicalName,Privileges";
    let table = service.get(path).await.json();
    let lacking = table["Privileges"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|privilege| !of_user.contains(&privilege["PrivilegeId"].as_str().unwrap()));
    let lacking: Vec<&str> = lacking.map(|one| one["PrivilegeType"].as_str().unwrap()).collect();
    assert_eq!(lacking, ["Write", "Delete"]);

    let id = "accounts(00000000-0000-0000-0000-000000000001)";
    let body = json!({ "name": "a" });
    assert_eq!(service.send(&format!("PATCH {id}"), body.clone()).await.status, 204);
    for (call, body) in [(format!("PATCH {id}"), body), (format!("DELETE {id}"), json!(null))] {
        let refused = service.send(&call, body).await;
        assert_eq!(refused.status, 403, "{call}");
        assert_eq!(refused.json()["error"]["code"], "0x80040220", "{call}");
    }
    let contact = "PATCH contacts(00000000-0000-0000-0000-000000000002)";
    let named = json!({ "lastname": "a" });
    assert_eq!(service.send(contact, named.clone()).await.status, 204);
    assert_eq!(service.send(contact, named).await.status, 204);
    let owner = json!({ "ownerid@odata.bind": format!("/systemusers({user})") });
    assert_eq!(service.send(contact, owner).await.refusal(), (403, "0x80040220".to_owned()));
    let path = format!("systemusers({user})/systemuserroles_association?$select=name");
    assert_eq!(service.get(&path).await.json()["value"][0]["name"], "Concord");
    let team = service.get("teams?$select=teamid").await.json();
    let team = team["value"][0]["teamid"].as_str().unwrap().to_owned();
    let path = format!("teams({team})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
    assert_eq!(service.get(&path).await.status, 404);
}
