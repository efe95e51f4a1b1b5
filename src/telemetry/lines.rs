//! Log lines for the Functions host: tracing events come in, one JSON object a line goes out.
//!
//! The host logs every line of stdout at one level and ties none to its call, so the true level and the
//! invocation stand inside. Alerts read the members of a line, never its text: `ev` says what it is, and
//! only code sets it. A field `figures` that holds a JSON object is put into the line member by member.
//!
//! Source: Functions custom handler, logs; Azure deployment, monitoring.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::chain;

/// The version of the line format, its `v`.
const VERSION: u8 = 1;

/// The most characters of one field: a record of Application Insights holds 32 768 in all.
const LONGEST: usize = 8_192;

/// The field whose members belong to the line itself.
const FIGURES: &str = "figures";

/// Writes events as lines of JSON.
pub struct Lines<W> {
    out: W,
}

impl<W> Lines<W> {
    /// To wherever `out` leads.
    pub fn to(out: W) -> Self {
        Self { out }
    }
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
    let figures = fields.0.shift_remove(FIGURES).map(figures).unwrap_or_default();
    for (name, value) in fields.0.into_iter().chain(figures) {
        members.entry(name).or_insert(value);
    }
    members
}

/// The members of an object that came as text; a text that is none stands under its own name.
fn figures(text: Value) -> Map<String, Value> {
    match text.as_str().map(serde_json::from_str) {
        Some(Ok(Value::Object(figures))) => figures,
        _ => Map::from_iter([(FIGURES.to_owned(), text)]),
    }
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, info_span, warn};

    use tracing_subscriber::filter::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::Error;

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
            .with(Lines::to(move || out.clone()));
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
        let expected = r#""level":"warn","message":"late","target":"concord::telemetry::lines::tests","invocation":"call-1","attempt":2,"map":"a","rows":3,"invocation2":true}"#;
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
    fn figures_stand_in_the_line_itself_and_take_no_place_of_its_own() {
        let lines = lines(|| {
            let span = info_span!("call", function = "events");
            let _inside = span.enter();
            let figures = r#"{"ev":"done","level":"mine","function":"mine","maps":[{"rows":1}]}"#;
            info!(figures, "done");
            info!(figures = "no object", "done");
        });
        let expected = r#""function":"events","ev":"done","maps":[{"rows":1}]}"#;
        assert!(lines[0].to_string().ends_with(expected), "{}", lines[0]);
        assert_eq!(lines[0]["level"], "info");
        assert_eq!(lines[1]["figures"], "no object");
    }
}
