//! Signatures with the account key (Microsoft Learn, "Authorize with Shared Key"): pure functions from
//! a request's parts to its `Authorization` header.
//!
//! Tables take the short form over date and path. Queues and blobs take the full form, which covers
//! method, length, type, every `x-ms-` header and the query.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// What the full form covers.
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    /// Headers by lower-case name.
    pub(super) headers: &'a BTreeMap<&'static str, String>,
    pub(super) length: usize,
}

/// The header for the Table service; `None` when the key is not base64.
pub(super) fn table(account: &str, key: &SecretString, date: &str, url: &Url) -> Option<String> {
    let signature = hmac(key, &format!("{date}\n/{account}{}", url.path()))?;
    Some(format!("SharedKeyLite {account}:{signature}"))
}

/// The header for the Queue and Blob services; `None` when the key is not base64.
pub(super) fn full(account: &str, key: &SecretString, signed: &Signed<'_>) -> Option<String> {
    let signature = hmac(key, &text(account, signed))?;
    Some(format!("SharedKey {account}:{signature}"))
}

fn text(account: &str, signed: &Signed<'_>) -> String {
    let length = if signed.length == 0 { String::new() } else { signed.length.to_string() };
    let kind = signed.headers.get("content-type").map_or("", String::as_str);
    // Encoding, language, length, MD5, type, date, the four conditions, range.
    let own = signed.headers.iter().filter(|(name, _)| name.starts_with("x-ms-"));
    let own: Vec<_> = own.map(|(name, value)| format!("{name}:{value}\n")).collect();
    let query: BTreeMap<_, _> = signed.url.query_pairs().collect();
    let query: Vec<_> = query.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    // Encoding, language, length, MD5, type, date, the four conditions, range.
    format!(
        "{}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{}/{account}{}{}",
        signed.method,
        own.concat(),
        signed.url.path(),
        query.concat()
    )
}

fn hmac(key: &SecretString, text: &str) -> Option<String> {
    let key = STANDARD.decode(key.expose_secret()).ok()?;
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    hmac.update(text.as_bytes());
    Some(STANDARD.encode(hmac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_form_lists_headers_and_query_in_order() {
        let headers = BTreeMap::from([
            ("content-type", "application/xml".to_owned()),
            ("x-ms-version", "2020-12-06".to_owned()),
            ("x-ms-date", "Mon, 27 Jul 2009 12:28:53 GMT".to_owned()),
            ("accept", "*/*".to_owned()),
        ]);
        let url = "https://acme.queue.core.windows.net/work/messages?visibilitytimeout=5&\
                   popreceipt=a%2Bb%3D";
        let signed = Signed {
            method: &Method::POST,
            url: &Url::parse(url).unwrap(),
            headers: &headers,
            length: 12,
        };
        assert_eq!(
            text("acme", &signed),
            "POST\n\n\n12\n\napplication/xml\n\n\n\n\n\n\nx-ms-date:Mon, 27 Jul 2009 12:28:53 GMT\n\
             x-ms-version:2020-12-06\n/acme/work/messages\npopreceipt:a+b=\nvisibilitytimeout:5"
        );
    }

    #[test]
    fn the_key_is_used_as_bytes() {
        let key = SecretString::from(STANDARD.encode("key"));
        // HMAC-SHA-256 of this sentence under "key", a published example.
        let signature = hmac(&key, "The quick brown fox jumps over the lazy dog").unwrap();
        assert_eq!(signature, "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=");
        assert!(hmac(&"***".into(), "").is_none());
    }
}
