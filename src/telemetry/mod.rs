//! What Concord says about its own doing: tracing events come in, one line each goes out. For the
//! Functions host a line is one JSON object on stdout ([`lines`]); for a person at a terminal it is plain
//! text on stderr. Payloads have no place in either: callers log ids and counts. Traces and metrics leave
//! by [`trace`] and [`otlp`], when a collector is set.

pub mod lines;
pub mod otlp;
pub mod trace;

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::lines::Lines;

/// Who reads the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A machine: one JSON object a line, on stdout.
    Json,
    /// A person: text, on stderr, coloured when it is a terminal.
    Human {
        /// Whether colours may be used.
        colour: bool,
    },
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error(
        "the log filter is not understood; write a level, as in `info` or `info,concord=debug`"
    )]
    Filter(#[source] ParseError),
    /// Set up before, in the same process.
    #[error("telemetry is set up already")]
    Taken(#[source] TryInitError),
}

/// Sets up telemetry for the whole process, panics included. The filter is a level, or levels by
/// module: `info,concord::ledger=debug`.
pub fn init(format: Format, filter: &str) -> Result<(), Error> {
    let filter = EnvFilter::builder().parse(filter).map_err(Error::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Json => registry.with(Lines::to(io::stdout)).try_init(),
        Format::Human { colour } => {
            let human = tracing_subscriber::fmt::layer().compact().with_target(false);
            registry.with(human.with_ansi(colour).with_writer(io::stderr)).try_init()
        }
    }
    .map_err(Error::Taken)?;
    std::panic::set_hook(Box::new(|panic| fatal(&told(panic))));
    Ok(())
}

/// Says the last words of a process in one line on stderr, which the host logs as an error and shows as
/// the reason of a crash.
pub fn fatal(error: &dyn fmt::Display) {
    let line = error.to_string().replace(['\r', '\n'], " ");
    // Nobody is left to tell if stderr itself is gone.
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// An error and all its causes in one line.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// Where a panic was. Its text is shown when it is written in the code; one put together may quote a
/// value.
fn told(panic: &PanicHookInfo<'_>) -> String {
    let text = panic.payload().downcast_ref::<&'static str>().copied();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    format!("panicked at {place}: {}", text.unwrap_or("text not shown, it may quote values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let refused = init(Format::Json, "concord=loud").unwrap_err();
        assert!(matches!(refused, Error::Filter(_)));
        assert!(chain(&refused).contains("the log filter"));
    }
}
