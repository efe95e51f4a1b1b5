//! `concord serve`: the custom handler, as the Functions host starts it.
//!
//! In come the settings of the process; out goes an exit code. A configuration that cannot work ends
//! it at once, non-zero, with every problem in one go, so that the host says so instead of restarting
//! a handler that never answers.

use std::process::ExitCode;

use tracing::{info, warn};

use super::Outcome;
use crate::app::{App, Error};
use crate::config::Settings;
use crate::trigger;

/// Serves until the process is asked to end.
pub async fn run(settings: &Settings) -> Outcome {
    let (app, port) = match (App::open(settings).await, settings.port()) {
        (Ok(app), Ok(port)) => (app, port),
        (Ok(_), Err(problem)) => return Err(Error::Configuration(vec![problem]).into()),
        (Err(Error::Configuration(mut problems)), Err(problem)) => {
            problems.push(problem);
            return Err(Error::Configuration(problems).into());
        }
        (Err(error), _) => return Err(error.into()),
    };
    for warning in &app.maps.warnings {
        warn!(problem = %warning, "map");
    }
    let functions = app.functions();
    let names: Vec<&str> = functions.keys().map(String::as_str).collect();
    info!(functions = names.join(" "), maps = app.maps.iter().count(), "ready");
    trigger::listen(trigger::router(functions, app.config.limits), port).await?;
    Ok(ExitCode::SUCCESS)
}
