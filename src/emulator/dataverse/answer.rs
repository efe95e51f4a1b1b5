//! One answer, before it is known whether it goes out alone or inside a batch.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;

/// The content type of JSON answers and errors.
pub const JSON: &str = "application/json; odata.metadata=minimal";

/// A status, headers and a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers in their order, without those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The body, possibly empty.
    pub body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: String) -> Self {
        Self { body: body.into(), ..Self::empty(status) }.with("Content-Type", JSON)
    }

    /// A text answer, such as a count.
    pub fn text(body: String) -> Self {
        Self { body: body.into(), ..Self::empty(200) }.with("Content-Type", "text/plain")
    }

    /// The answer for a refused request.
    pub fn refused(refusal: &Refusal, prefer: &Prefer) -> Self {
        let answer = Self::json(refusal.status, refusal.body(prefer));
        match refusal.retry_after {
            Some(seconds) => answer.with("Retry-After", seconds.to_string()),
            None => answer,
        }
    }

    /// 204 with the address of the row, in both headers.
    pub fn written(url: &str) -> Self {
        Self::empty(204).with("Location", url.to_owned()).with("OData-EntityId", url.to_owned())
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The answer as it goes out alone. Values that cannot stand in a header are left out.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let version = ("OData-Version", "4.0".to_owned());
        for (name, value) in self.headers.into_iter().chain([version]) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_maybe_shared(Bytes::from(value)))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
