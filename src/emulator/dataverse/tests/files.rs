//! File and image columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::files::CHUNK;
use super::Service;

async fn customer(service: &Service) -> String {
    let id = service.create("acme_customers", json!({"acme_name": "N"})).await;
    format!("acme_customers({id})")
}

#[tokio::test]
async fn a_file_goes_up_in_one_request_and_comes_down_whole_or_in_parts() {
    let service = Service::new();
    let row = customer(&service).await;
    let column = format!("{row}/acme_contract");
    let headers = [
        ("content-type", "application/octet-stream"),
        ("x-ms-file-name", "a b.txt"),
        ("if-none-match", "null"),
    ];
    let reply = service.raw(&format!("PATCH {column}"), &headers, "0123456789").await;
    assert_eq!(reply.status, 204);
    let shown = service.get(&row).await.json();
    assert_eq!(shown["acme_contract"].as_str().unwrap().len(), 36);
    assert_eq!(shown["acme_contract_name"], "a b.txt");

    let reply = service.get(&format!("{column}/$value")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "0123456789"));
    let range = [("range", "bytes=2-4")];
    let reply = service.raw(&format!("GET {column}/$value"), &range, "").await;
    assert_eq!((reply.status, reply.text.as_str()), (206, "234"));
    assert_eq!(reply.header("content-range"), "bytes 2-4/10");
    let reply = service.raw(&format!("GET {column}?size=full"), &range, "").await;
    assert_eq!(STANDARD.decode(reply.json()["value"].as_str().unwrap()).unwrap(), b"234");
    assert_eq!(reply.header("x-ms-file-name"), "a%20b.txt");
    assert_eq!(reply.header("x-ms-file-size"), "10");
    assert!(reply.header("content-disposition").starts_with("attachment"));

    assert_eq!(service.raw(&format!("DELETE {column}"), &[], "").await.status, 204);
    let shown = service.get(&row).await.json();
    assert_eq!(
        (&shown["acme_contract"], &shown["acme_contract_name"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_file_goes_up_in_chunks_one_of_them_twice() {
    let service = Service::new();
    let column = format!("{}/acme_contract", customer(&service).await);
    let headers = [("x-ms-transfer-mode", "chunked")];
    let line = format!("PATCH {column}?x-ms-file-name=big.bin");
    let reply = service.raw(&line, &headers, "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ms-chunk-size"), CHUNK.to_string());
    let session =
        format!("PATCH {}", reply.header("location").strip_prefix("http://here").unwrap());
    for (range, part, status) in [
        ("bytes 0-3/10", "0123", 206),
        ("bytes 4-7/10", "4567", 206),
        ("bytes 4-7/10", "4567", 206),
        ("bytes 9-9/10", "9", 416),
        ("bytes 8-9/10", "8", 416),
        ("bytes 8-9/10", "89", 204),
    ] {
        let reply = service.raw(&session, &[("content-range", range)], part).await;
        assert_eq!(reply.status, status, "{range}");
    }
    assert_eq!(service.get(&format!("{column}/$value")).await.text, "0123456789");
    let unknown = session.replace("sessiontoken=", "sessiontoken=0");
    assert_eq!(service.raw(&unknown, &[("content-range", "bytes 0-0/1")], "0").await.status, 404);
}

#[tokio::test]
async fn an_image_is_set_in_the_row_and_brings_its_companions() {
    let service = Service::new();
    let body = json!({"acme_name": "N", "acme_photo": STANDARD.encode("pixels")});
    let id = service.create("acme_customers", body).await;
    let row = service.get(&format!("acme_customers({id})")).await.json();
    assert_eq!(row["acme_photo"], STANDARD.encode("pixels"));
    assert!(row["acme_photoid"].is_string() && row["acme_photo_timestamp"].is_i64());
    let value = service.get(&format!("acme_customers({id})/acme_photo/$value")).await;
    assert_eq!(value.text, "pixels");
    let clear = json!({"acme_photo": null});
    service.send(&format!("PATCH acme_customers({id})"), clear).await;
    let row = service.get(&format!("acme_customers({id})")).await.json();
    assert_eq!((&row["acme_photo"], &row["acme_photoid"]), (&Value::Null, &Value::Null));
}
