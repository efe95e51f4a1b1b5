//! `concord serve`: the custom handler, as the Functions host starts it.
//!
//! In come the settings of the process; out goes an exit code. A configuration that cannot work ends
//! it at once, non-zero, with every problem in one go, so that the host says so instead of restarting
//! a handler that never answers. Storage is opened while the host is answered already; while it is out of
//! reach, it is waited for, because the host stops itself at the third handler that ends (Functions custom
//! handler, crash, restart, timeout).

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Outcome;
use crate::app::{App, Error};
use crate::config::{self, Config, Settings};
use crate::mapping::Maps;
use crate::{store, telemetry, trigger};

/// The pause before storage is tried again: doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

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
    let early = trigger::early(coming, loaded.0.limits.answer_within);
    let mut served = pin!(trigger::listen(trigger::shielded(early), port));
    let app = tokio::select! {
        app = Box::pin(built(settings, loaded)) => app?,
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

/// Everything that runs, once storage answers.
async fn built(settings: &Settings, loaded: (Config, Maps, store::Config)) -> Result<App, Error> {
    let (mut built, mut pause) = (App::build(settings, loaded).await, PAUSE);
    while let Err(error) = &built
        && error.is_passing()
    {
        let reason = telemetry::chain(error);
        warn!(ev = "storage_away", %reason, "storage is out of reach: it is tried again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        built = App::open(settings).await;
    }
    built
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
