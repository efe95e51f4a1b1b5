//! The emulator as a server on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::emulator::dataverse::connection::{Acceptor, Connection};
use crate::emulator::dataverse::router::router;
use crate::emulator::dataverse::schema;
use crate::emulator::dataverse::state::{Options, State};
use crate::emulator::dataverse::steps;

/// A running emulator. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it holds, for tests.
    pub state: Arc<State>,
    task: JoinSet<io::Result<()>>,
}

/// An emulator that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its schema cannot be used.
    #[error("the emulator has no usable schema")]
    Schema(#[from] schema::Error),
    /// The port is not free.
    #[error("the emulator cannot listen on port {port}; choose another with --port")]
    Port {
        /// The port asked for.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It stopped by itself.
    #[error("the emulator stopped serving")]
    Stopped(#[source] io::Error),
}

/// Starts an emulator.
pub async fn serve(options: Options) -> Result<Server, Error> {
    let port = options.port;
    let state = Arc::new(State::new(options)?);
    let refused = |source| Error::Port { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let service = router(Arc::clone(&state)).into_make_service_with_connect_info::<Connection>();
    let mut task = JoinSet::new();
    if let Some(jobs) = state.jobs() {
        let state = Arc::clone(&state);
        task.spawn(async move {
            steps::run(state, jobs).await;
            Ok(())
        });
    }
    task.spawn(async move { axum::serve(Acceptor(listener), service).await });
    Ok(Server { address, state, task })
}

impl Server {
    /// The service root: `http://127.0.0.1:8080/api/data/v9.2/`.
    pub fn url(&self) -> String {
        format!("http://{}/api/data/v9.2/", self.address)
    }

    /// Waits until it stops, which it does only on an error.
    pub async fn run(mut self) -> Result<(), Error> {
        match self.task.join_next().await {
            Some(Ok(ended)) => ended.map_err(Error::Stopped),
            Some(Err(panic)) => Err(Error::Stopped(io::Error::other(panic))),
            None => Ok(()),
        }
    }

    /// Ends it and waits until its port is free.
    pub async fn stop(mut self) {
        self.task.shutdown().await;
    }
}
