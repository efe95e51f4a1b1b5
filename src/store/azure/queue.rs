//! A queue of the Queue service. Bodies travel in base64, as the Functions host expects them; a message
//! that somebody else put as plain text is handed out as it is.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Method;
use serde::Deserialize;

use super::address::encode;
use super::client::{Client, Request};
use crate::store::{Call, Error, MAX_MESSAGE, Message, Queue};

const LONGEST: Duration = Duration::from_hours(7 * 24);

/// One queue.
#[derive(Debug)]
pub(super) struct AzureQueue {
    client: Client,
    name: String,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Taken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    message_id: String,
    insertion_time: String,
    pop_receipt: String,
    dequeue_count: u32,
    #[serde(default)]
    message_text: String,
}

#[async_trait]
impl Queue for AzureQueue {
    async fn put(&self, body: &[u8], delay: Duration) -> Result<(), Error> {
        if body.len() > MAX_MESSAGE {
            return Err(Error::TooLarge { index: None });
        }
        let text = STANDARD.encode(body);
        let xml = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let request = self
            .request(Call::Put, Method::POST, "/messages")
            .query("messagettl", "-1")
            .query("visibilitytimeout", whole_seconds(delay).to_string())
            .body("application/xml", xml);
        self.done(&request).await
    }

    async fn take(&self, most: usize, hidden: Duration) -> Result<Vec<Message>, Error> {
        let request = self
            .request(Call::Take, Method::GET, "/messages")
            .query("numofmessages", most.clamp(1, 32).to_string())
            .query("visibilitytimeout", whole_seconds(hidden).max(1).to_string());
        let answer = self.client.send(&request).await?;
        if let Some(refusal) = answer.refusal() {
            return Err(refusal.error(0));
        }
        let text = String::from_utf8_lossy(&answer.body);
        let list: Messages =
            quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| strange())?;
        list.messages.into_iter().map(message).collect()
    }

    async fn remove(&self, message: &Message) -> Result<(), Error> {
        let path = format!("/messages/{}", encode(&message.id));
        let request = self
            .request(Call::Remove, Method::DELETE, &path)
            .query("popreceipt", message.receipt.as_str());
        let answer = self.client.read(&request).await?;
        match answer.refusal() {
            Some(refusal)
                if matches!(refusal.code.as_str(), "MessageNotFound" | "PopReceiptMismatch") =>
            {
                Ok(())
            }
            Some(refusal) => Err(refusal.error(0)),
            None => Ok(()),
        }
    }

    async fn depth(&self) -> Result<u64, Error> {
        let request = self.request(Call::Depth, Method::GET, "").query("comp", "metadata");
        let answer = self.client.read(&request).await?;
        if let Some(refusal) = answer.refusal() {
            return Err(refusal.error(0));
        }
        let count = answer.header("x-ms-approximate-messages-count");
        count.and_then(|count| count.parse().ok()).ok_or_else(strange)
    }
}

impl AzureQueue {
    pub(super) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn request(&self, call: Call, method: Method, path: &str) -> Request {
        Request::new(call, method, format!("{}{path}", encode(&self.name)))
    }

    async fn done(&self, request: &Request) -> Result<(), Error> {
        let answer = self.client.send(request).await?;
        answer.refusal().map_or(Ok(()), |refusal| Err(refusal.error(0)))
    }
}

/// The service counts in seconds; a pause is never shortened.
fn whole_seconds(span: Duration) -> u64 {
    let span = span.min(LONGEST);
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

fn message(taken: Taken) -> Result<Message, Error> {
    let inserted = DateTimeParser::new().parse_timestamp(&taken.insertion_time);
    let inserted: Timestamp = inserted.map_err(|_| strange())?;
    let body = match STANDARD.decode(&taken.message_text) {
        Ok(body) => Bytes::from(body),
        Err(_) => Bytes::from(taken.message_text),
    };
    let (id, receipt) = (taken.message_id, taken.pop_receipt);
    Ok(Message { id, receipt, body, taken: taken.dequeue_count, inserted })
}

fn strange() -> Error {
    let reason = "the answer is not what the Queue service sends".to_owned();
    Error::Unavailable { reason, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_counts_whole_and_a_week_is_the_longest() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2_001)), 3);
        assert_eq!(whole_seconds(Duration::from_hours(1_000)), 604_800);
    }

    #[test]
    fn a_list_of_messages_is_read_and_plain_text_is_left_alone() {
        let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>\
            <QueueMessage><MessageId>1</MessageId>\
            <InsertionTime>Fri, 09 Oct 2009 21:04:30 GMT</InsertionTime>\
            <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
            <PopReceipt>YzQ4Yg==</PopReceipt><TimeNextVisible>x</TimeNextVisible>\
            <DequeueCount>2</DequeueCount><MessageText>{&quot;a&quot;: 1}</MessageText>\
            </QueueMessage></QueueMessagesList>";
        let list: Messages = quick_xml::de::from_str(xml).unwrap();
        let read: Vec<_> = list.messages.into_iter().map(|taken| message(taken).unwrap()).collect();
        let expected = Message {
            id: "1".into(),
            receipt: "YzQ4Yg==".into(),
            body: Bytes::from_static(b"{\"a\": 1}"),
            taken: 2,
            inserted: "2009-10-09T21:04:30Z".parse().unwrap(),
        };
        assert_eq!(read, [expected]);
        let empty: Messages = quick_xml::de::from_str("<QueueMessagesList />").unwrap();
        assert!(empty.messages.is_empty());
    }
}
