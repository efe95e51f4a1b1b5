//! Operations to the text of a `$batch`.
//!
//! Line ends are CRLF, addresses absolute, and every part carries the headers it needs itself:
//! parts do not inherit those of the batch (Dataverse Web API, `$batch`).

use reqwest::Method;

/// One operation of a batch.
#[derive(Clone, Debug)]
pub(in crate::system::dataverse) struct Operation {
    /// The verb.
    pub(in crate::system::dataverse) method: Method,
    /// Path and query below the root of the Web API, encoded.
    pub(in crate::system::dataverse) path: String,
    /// The header that lets it through only if the row is there, or only if it is not.
    pub(in crate::system::dataverse) condition: Option<&'static str>,
    /// JSON content.
    pub(in crate::system::dataverse) body: Option<Vec<u8>>,
}

impl Operation {
    /// A read.
    pub(in crate::system::dataverse) fn get(path: String) -> Self {
        Self { method: Method::GET, path, condition: None, body: None }
    }

    /// A deletion.
    pub(in crate::system::dataverse) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, condition: None, body: None }
    }

    /// A post to a collection.
    pub(in crate::system::dataverse) fn post(path: String, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path, condition: None, body: Some(body) }
    }

    /// An upsert.
    pub(in crate::system::dataverse) fn upsert(path: String, body: Vec<u8>) -> Self {
        Self { method: Method::PATCH, path, condition: None, body: Some(body) }
    }

    /// An update of a row that must be there.
    pub(in crate::system::dataverse) fn update(path: String, body: Vec<u8>) -> Self {
        let condition = Some("If-Match: *");
        Self { method: Method::PATCH, path, condition, body: Some(body) }
    }

    /// A row that must not be there yet.
    pub(in crate::system::dataverse) fn insert(path: String, body: Vec<u8>) -> Self {
        let condition = Some("If-None-Match: *");
        Self { method: Method::PATCH, path, condition, body: Some(body) }
    }
}

/// The body of the batch.
pub(super) fn encode(root: &str, operations: &[&Operation], boundary: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(operations.len() * 512);
    for operation in operations {
        let Operation { method, path, condition, body } = operation;
        let mut line = |line: &str| {
            text.extend_from_slice(line.as_bytes());
            text.extend_from_slice(b"\r\n");
        };
        line(&format!("--{boundary}"));
        line("Content-Type: application/http");
        line("Content-Transfer-Encoding: binary");
        line("");
        line(&format!("{method} {root}/{path} HTTP/1.1"));
        line("Accept: application/json");
        if let Some(condition) = condition {
            line(condition);
        }
        if body.is_some() {
            line("Content-Type: application/json");
        }
        line("");
        if let Some(body) = body {
            text.extend_from_slice(body);
        }
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_stands_on_its_own_and_ends_its_lines_with_crlf() {
        let delete = Operation::delete("accounts(accountnumber='1')".into());
        let update = Operation::update("accounts(accountnumber='2')".into(), b"{}".to_vec());
        let text = encode("http://h/api/data/v9.2", &[&delete, &update], "b1");
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "--b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             DELETE http://h/api/data/v9.2/accounts(accountnumber='1') HTTP/1.1\r\n\
             Accept: application/json\r\n\r\n\r\n\
             --b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             PATCH http://h/api/data/v9.2/accounts(accountnumber='2') HTTP/1.1\r\n\
             Accept: application/json\r\nIf-Match: *\r\n\
             Content-Type: application/json\r\n\r\n{}\r\n--b1--\r\n"
        );
    }
}
