//! What Concord says about its own doing: tracing events come in, one line each goes out. For the
//! Functions host a line is one JSON object on stdout with its true level inside, for the host logs
//! every line of stdout at one level and ties none to its call; for a person at a terminal it is plain
//! text on stderr. Payloads have no place in either: callers log ids and counts.
//!
//! Source: Functions custom handler, logs.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The version of the line format, its `v`.
const VERSION: u8 = 1;

/// The most characters of one field: a record of Application Insights holds 32 768 in all.
const LONGEST: usize = 8_192;

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
        Format::Json => registry.with(Lines { out: io::stdout }).try_init(),
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

/// Writes events as lines of JSON.
struct Lines<W> {
    out: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let mut line = Value::Object(line(event, fields)).to_string();
        line.push('\n');
        // A closed pipe must not stop the work that is being told about.
        drop(self.out.make_writer_for(event.metadata()).write_all(line.as_bytes()));
    }
}

/// The members of a line: our own first, then the fields; a field cannot take the place of our own.
fn line(event: &Event<'_>, mut fields: Fields) -> Map<String, Value> {
    let level = event.metadata().level().as_str().to_ascii_lowercase();
    let message = fields.0.shift_remove("message").unwrap_or_default();
    let own = [
        ("v", Value::from(VERSION)),
        ("ts", Value::from(now())),
        ("level", Value::from(level)),
        ("message", message),
        ("target", Value::from(event.metadata().target())),
    ];
    let mut members: Map<_, _> =
        own.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    for (name, value) in fields.0 {
        members.entry(name).or_insert(value);
    }
    members
}

fn now() -> Option<String> {
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text)).ok()?;
    Some(text)
}

/// The fields of a span or an event, by name, in the order they were given.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, cut(&format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, cut(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        self.put(field, cut(&chain(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

/// At most [`LONGEST`] characters, with a sign that some are missing.
fn cut(text: &str) -> String {
    let cut = text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end));
    cut.map_or(Cow::Borrowed(text), |start| Cow::Owned(format!("{start}…"))).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(work: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let out = sink.clone();
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new("info"))
            .with(Lines { out: move || out.clone() });
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_line_carries_the_invocation_of_its_call() {
        let lines = lines(|| {
            let span = info_span!("call", invocation = "call-1", attempt = tracing::field::Empty);
            let _inside = span.enter();
            info!("started");
            span.record("attempt", 2);
            info_span!("batch", map = "a").in_scope(|| warn!(rows = 3, invocation2 = true, "late"));
        });
        assert_eq!(
            (&lines[0]["invocation"], &lines[0]["message"]),
            (&"call-1".into(), &"started".into())
        );
        assert_eq!(lines[0].get("attempt"), None);
        let expected = r#""level":"warn","message":"late","target":"concord::telemetry::tests","invocation":"call-1","attempt":2,"map":"a","rows":3,"invocation2":true}"#;
        assert!(lines[1].to_string().ends_with(expected), "{}", lines[1]);
    }

    #[test]
    fn a_line_is_one_line_with_its_own_members_first() {
        let lines = lines(|| {
            debug!("not at this level");
            error!(level = "mine", text = "a\nb\u{2028}\"c\"", "two\nlines");
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["v", "ts", "level", "message", "target", "text"]);
        assert_eq!(
            (&line["v"], &line["level"], &line["message"]),
            (&1.into(), &"error".into(), &"two\nlines".into())
        );
        assert!(line["ts"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_a_long_text_is_cut() {
        let error = Error::Filter(EnvFilter::builder().parse("concord=loud").unwrap_err());
        let cause = error.source().unwrap().to_string();
        let lines = lines(|| {
            let long = "é".repeat(LONGEST + 1);
            info!(error = &error as &(dyn StdError + 'static), long, "failed");
        });
        let told = lines[0]["error"].as_str().unwrap();
        assert!(told.starts_with("the log filter") && told.contains(&cause), "{told}");
        assert_eq!(lines[0]["long"].as_str().unwrap().chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let refused = init(Format::Json, "concord=loud").unwrap_err();
        assert!(matches!(refused, Error::Filter(_)));
        assert!(chain(&refused).contains("the log filter"));
    }
}
