//! The handler as the host sees it: a port, whether somebody answers there, and invocations.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use tokio::net::TcpSocket;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::answer::{Failure, judge};
use super::settings::HostFile;
use super::{Error, Surroundings};

/// The version that the stand-in says it is.
pub(super) const HOST_VERSION: &str = "4.1052.200";

/// The handler's port and state.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) port: u16,
    pub(super) client: reqwest::Client,
    /// Whether it answers.
    pub(super) ready: watch::Sender<bool>,
    /// Asks the supervisor to kill it.
    pub(super) kill: Notify,
    pub(super) around: Surroundings,
    timeout: Duration,
    patience: Duration,
    _reserved: Option<TcpSocket>,
}

impl Handler {
    /// Chooses a free port, which stays the same over restarts of the handler.
    pub(super) fn new(host: &HostFile, around: &Surroundings) -> Result<Self, Error> {
        let (port, reserved) = free_port().map_err(Error::Port)?;
        Ok(Self {
            port,
            _reserved: reserved,
            client: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
            ready: watch::Sender::new(false),
            kill: Notify::new(),
            around: around.clone(),
            timeout: host.function_timeout,
            patience: host.start_within * 4,
        })
    }

    /// The address of a path of the handler.
    pub(super) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Posts an envelope and judges the answer; waits for the handler when it is not ready.
    pub(super) async fn invoke(
        &self,
        function: &str,
        invocation: Uuid,
        envelope: Vec<u8>,
    ) -> Result<Vec<String>, Failure> {
        let mut ready = self.ready.subscribe();
        let waited = tokio::time::timeout(self.patience, ready.wait_for(|ready| *ready)).await;
        waited.map(drop).map_err(|_| Failure::NotReady(self.patience.as_secs()))?;
        let call = self.post(function, invocation, envelope);
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                self.kill.notify_one();
                Err(Failure::TimedOut)
            }
        }
    }

    async fn post(
        &self,
        function: &str,
        invocation: Uuid,
        envelope: Vec<u8>,
    ) -> Result<Vec<String>, Failure> {
        // A stream has no known length: the body goes out chunked, as it does on Azure.
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(envelope))]);
        let answer = self
            .client
            .post(self.address(function))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"))
            .header("X-Azure-Functions-InvocationId", invocation.to_string())
            .header("X-Azure-Functions-HostVersion", HOST_VERSION)
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await
            .map_err(Failure::Broken)?;
        let status = answer.status().as_u16();
        let media_type = answer.headers().get(CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
        let media_type = String::from_utf8_lossy(&media_type.unwrap_or_default()).into_owned();
        let body = answer.bytes().await.map_err(Failure::Broken)?;
        judge(status, &media_type, &body)
    }
}

/// A free port, and on Unix a socket that keeps it from everybody who asks for any port: it is bound
/// but does not listen, so that the handler, whose listener sets `SO_REUSEADDR`, can have it.
fn free_port() -> std::io::Result<(u16, Option<TcpSocket>)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = socket.local_addr()?.port();
    Ok((port, cfg!(unix).then_some(socket)))
}
