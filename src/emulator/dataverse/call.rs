//! One request as the service sees it, whether it came alone or inside a batch. Takes URLs that are
//! absolute, rooted (`/api/data/v9.2/…`) or relative, encoded or not; refuses bad UTF-8.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::emulator::dataverse::address::{self, Segment};
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Call {
    /// `PATCH`
    pub method: Method,
    /// The resource below the service root, segment by segment.
    pub path: Vec<Segment>,
    /// The query options in their order, decoded.
    pub options: Vec<(String, String)>,
    /// The headers, those of the part inside a batch.
    pub headers: HeaderMap,
    /// What the `Prefer` headers say.
    pub prefer: Prefer,
    /// The body, possibly empty.
    pub body: Bytes,
    /// The service root of answers, with a slash at its end: `http://host/api/data/v9.2/`.
    pub base: String,
    /// Where the request was sent, for texts.
    pub url: String,
}

impl Call {
    /// Takes a request apart. `origin` is scheme and host of the server, such as
    /// `http://localhost:8080`; an absolute URL brings its own.
    pub fn new(
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        origin: &str,
    ) -> Result<Self, Refusal> {
        let (origin, rest) = split_origin(url, origin);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (version, resource) = split_version(path);
        let base = format!("{origin}/api/data/{version}/");
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let prefer = Prefer::parse(values);
        let path = address::segments(&decoded(resource)?)?;
        let options = options(query)?;
        Ok(Self { method, path, options, headers, prefer, body, base, url: url.to_owned() })
    }

    /// The value of a header, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a query option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The refusal for a path or verb that nothing answers to.
    pub fn unknown(&self) -> Refusal {
        let message = format!(
            "No HTTP resource was found that matches the request URI '{}'.",
            self.url.split('?').next().unwrap_or_default()
        );
        Refusal::new(404, "", message)
    }
}

/// The longest URL of a GET request, in characters.
pub const LONGEST: usize = 32_768;
/// The longest URL inside a batch, in characters.
pub const LONGEST_IN_BATCH: usize = 65_536;

/// Refuses a URL that is too long with 414.
pub fn check_length(url: &str, longest: usize) -> Result<(), Refusal> {
    if url.len() <= longest {
        return Ok(());
    }
    let message = format!("The URL is longer than {longest} characters.");
    Err(Refusal::new(414, "0x80060888", message))
}

/// The segments of a URL in any spelling, without its query.
pub fn resource(url: &str) -> Result<Vec<Segment>, Refusal> {
    let (_, rest) = split_origin(url, "");
    let path = rest.split('?').next().unwrap_or_default();
    address::segments(&decoded(split_version(path).1)?)
}

/// Scheme and host of a URL (or the given ones), and the rest of it with its leading slash.
fn split_origin<'a>(url: &'a str, origin: &'a str) -> (&'a str, &'a str) {
    let Some(scheme) = url.find("://").filter(|at| !url[..*at].contains(['/', '?', '(', '\'']))
    else {
        return (origin, url);
    };
    let host = scheme + 3;
    let end = url[host..].find(['/', '?']).map_or(url.len(), |at| host + at);
    url.split_at(end)
}

/// The API version and what follows it: both prefix and version may be missing.
fn split_version(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("api/data/").unwrap_or(path);
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let number = first.strip_prefix('v').unwrap_or_default();
    if !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        (first, rest)
    } else {
        ("v9.2", path)
    }
}

/// The options of a query string. One slash at the very end is not part of it: a public client
/// appends it to the links of next pages.
fn options(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let query = query.strip_suffix('/').unwrap_or(query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into)
        .map_err(|_| Refusal::bad("0x80060888", "Bad Request - Error in query syntax."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(url: &str) -> Call {
        Call::new(Method::GET, url, HeaderMap::new(), Bytes::new(), "http://here:1").unwrap()
    }

    #[test]
    fn every_spelling_of_the_root_leads_to_the_same_resource() {
        for url in [
            "/api/data/v9.1/accounts",
            "https://org.example/api/data/v9.1/accounts",
            "/v9.1/accounts",
        ] {
            let call = call(url);
            assert_eq!(call.path[0].name, "accounts", "{url}");
            assert!(call.base.ends_with("/api/data/v9.1/"), "{url}: {}", call.base);
        }
        assert_eq!(call("accounts").base, "http://here:1/api/data/v9.2/");
        assert_eq!(
            call("https://org.example/api/data/v9.2/").base,
            "https://org.example/api/data/v9.2/"
        );
    }

    #[test]
    fn options_may_be_encoded_in_every_way_clients_do_it() {
        let spaces = call("/accounts?%24filter=name+eq+%27a%2Bb%27&$top=1");
        assert_eq!(spaces.option("$filter"), Some("name eq 'a+b'"));
        let raw = call("/accounts?$filter=LogicalName eq 'x'");
        assert_eq!(raw.option("$filter"), Some("LogicalName eq 'x'"));
        assert_eq!(
            call("/accounts?$skiptoken=%3Ccookie%20/").option("$skiptoken"),
            Some("<cookie ")
        );
    }
}
