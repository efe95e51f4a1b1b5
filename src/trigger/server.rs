//! Listens for the host on loopback: a router comes in and is served until the process is asked to
//! end. Refused: a port that is taken.
//!
//! Source: Functions custom handler, environment and start, shutdown. The host's port stays the same
//! over restarts, so it is taken over from a handler that has just died. The host itself kills without
//! a signal; containers and terminals do send one.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpSocket};
use tracing::{debug, info};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Takes a port of 127.0.0.1; port 0 takes any free one.
pub fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

/// Serves until `end`, then answers what is under way and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            debug!(%error, "connection keeps its delay");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(end).await
}

/// Serves on 127.0.0.1:`port` until SIGTERM or ctrl-c.
pub async fn listen(router: Router, port: u16) -> io::Result<()> {
    let (listener, end) = (bind(port)?, asked_to_end()?);
    info!(address = %listener.local_addr()?, "listening");
    serve(listener, router, end).await
}

#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("asked to end");
    })
}

#[cfg(windows)]
fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
        info!("asked to end");
    })
}
