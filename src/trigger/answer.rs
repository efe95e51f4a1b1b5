//! What the host is told. Always a JSON object with its content type: an empty 2xx hangs the host, and
//! any other content type fails the call. 200 moves on; 503 asks for redelivery; nothing else is said
//! to a call that came through.
//!
//! Source: Functions custom handler, response.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::outcome::{Report, Verdict};

/// The answer to one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    status: StatusCode,
    body: Map<String, Value>,
}

impl Answer {
    /// Everything is durable: the host moves on. The lines go to the function's own log; they carry
    /// ids and counts, no payload.
    pub fn done(logs: impl IntoIterator<Item = String>) -> Self {
        let logs = logs.into_iter().map(Value::String).collect();
        let members = [
            ("Outputs", Value::Object(Map::new())),
            ("Logs", Value::Array(logs)),
            ("ReturnValue", Value::Null),
        ];
        let body = members.map(|(name, value)| (name.to_owned(), value));
        Self { status: StatusCode::OK, body: body.into_iter().collect() }
    }

    /// Not everything is durable: the host brings the call again, if it may. The reason is for the log.
    pub fn again(reason: &str) -> Self {
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    /// The call was not carried out.
    pub fn refused(status: StatusCode, reason: &str) -> Self {
        let body = [("error".to_owned(), json!({ "message": reason }))];
        Self { status, body: body.into_iter().collect() }
    }

    /// Adds what an output binding is to send. Queues and hubs take an array of strings, one a message;
    /// `http` takes an object with `statusCode`, `headers` and `body`. A refusal has no outputs.
    #[must_use]
    pub fn output(mut self, binding: &str, value: Value) -> Self {
        if let Some(Value::Object(outputs)) = self.body.get_mut("Outputs") {
            outputs.insert(binding.to_owned(), value);
        }
        self
    }

    /// The status that the host sees.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<&Report> for Answer {
    fn from(report: &Report) -> Self {
        match &report.verdict {
            Verdict::Acknowledge => Self::done(serde_json::to_string(&report.counts())),
            Verdict::Redeliver(reason) => Self::again(reason),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = Value::Object(self.body).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::outcome::Outcome;

    async fn sent(answer: Answer) -> (u16, String, String) {
        let response = answer.into_response();
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_acknowledged_report_is_told_with_its_counts() {
        let mut report = Report { events: 2, ..Report::default() };
        report.count(&"a".into(), Outcome::Applied);
        assert_eq!(
            sent(Answer::from(&report).output("dlq", json!(["x"]))).await,
            (
                200,
                "application/json".into(),
                r#"{"Outputs":{"dlq":["x"]},"Logs":["{\"events\":2,\"applied\":1}"],"ReturnValue":null}"#.into()
            )
        );
    }

    #[tokio::test]
    async fn a_report_that_is_not_durable_asks_for_redelivery() {
        let verdict = Verdict::Redeliver("3 rows unsettled".into());
        let report = Report { verdict, ..Report::default() };
        let expected = r#"{"error":{"message":"3 rows unsettled"}}"#;
        let answer = Answer::from(&report).output("dlq", json!(["x"]));
        assert_eq!(sent(answer).await, (503, "application/json".into(), expected.into()));
    }
}
