//! `concord serve`: the custom handler, as the Functions host starts it.
//!
//! In come the settings of the process; out goes an exit code. A configuration that cannot work ends
//! it at once, non-zero, with every problem in one go, so that the host says so instead of restarting
//! a handler that never answers. Storage is opened while the host is answered already.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Outcome;
use crate::app::{App, Error};
use crate::config::{self, Settings};
use crate::trigger;

/// Serves until the process is asked to end.
pub async fn run(settings: &Settings) -> Outcome {
    let (loaded, port) = match (config::load_to_run(settings), settings.port()) {
        (Ok(loaded), Ok(port)) => (loaded, port),
        (Ok(_), Err(problem)) => return Err(Error::Configuration(vec![problem]).into()),
        (Err(mut problems), port) => {
            problems.extend(port.err());
            return Err(Error::Configuration(problems).into());
        }
    };
    let (opened, coming) = watch::channel(None);
    let mut served = pin!(trigger::listen(trigger::shielded(trigger::early(coming)), port));
    let app = tokio::select! {
        app = Box::pin(App::build(settings, loaded)) => app?,
        ended = &mut served => return Ok(ended.map(|()| ExitCode::SUCCESS)?),
    };
    opened.send_replace(Some(router(&app)));
    match &app.exporter {
        Some(exporter) => exporter.beside(served).await?,
        None => served.await?,
    }
    app.figures.keep().await;
    Ok(ExitCode::SUCCESS)
}

/// Everything that the host may ask.
fn router(app: &App) -> Router {
    for warning in &app.maps.warnings {
        warn!(problem = %warning, "map");
    }
    let functions = app.functions();
    let names: Vec<&str> = functions.keys().map(String::as_str).collect();
    info!(functions = names.join(" "), maps = app.maps.iter().count(), "ready");
    let sink = app.exporter.as_ref().map(|exporter| Arc::clone(exporter.sink()));
    let called = app.called().into_iter().map(|(_, router)| router);
    called.fold(trigger::traced(functions, app.config.limits, sink), Router::merge)
}
