//! Spans and metrics in the JSON of OTLP: ids as hex, 64-bit numbers as text, enumerations as numbers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::metric::{Labels, Metric, Shape};
use super::sink::{BOUNDS, Batch, Series};
use super::{Attribute, Span, SpanKind};

/// Sums and distributions are those since the last export (`AGGREGATION_TEMPORALITY_DELTA`).
const DELTA: u8 = 1;

/// The body of a post to `/v1/traces`.
pub(super) fn traces(service: &str, batch: &Batch) -> Value {
    let spans: Vec<Value> = batch.spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": resource(service),
        "scopeSpans": [{ "scope": scope(), "spans": spans }],
    }] })
}

/// The body of a post to `/v1/metrics`.
pub(super) fn metrics(service: &str, batch: &Batch) -> Value {
    let mut metrics: Vec<(Metric, Vec<Value>)> = Vec::new();
    for ((metric, labels), series) in &batch.series {
        let point = point(*metric, (labels, series), batch);
        match metrics.last_mut().filter(|(last, _)| last == metric) {
            Some((_, points)) => points.push(point),
            None => metrics.push((*metric, vec![point])),
        }
    }
    let metrics: Vec<Value> =
        metrics.iter().map(|(metric, points)| shaped(*metric, points)).collect();
    json!({ "resourceMetrics": [{
        "resource": resource(service),
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
}

fn resource(service: &str) -> Value {
    let version = json!(env!("CARGO_PKG_VERSION"));
    json!({ "attributes": attributes(&[("service.name", json!(service)), ("service.version", version)]) })
}

fn scope() -> Value {
    json!({ "name": "concord", "version": env!("CARGO_PKG_VERSION") })
}

fn span(span: &Span) -> Value {
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    };
    let parent = span.parent.map(|parent| format!("{parent:016x}")).unwrap_or_default();
    json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "parentSpanId": parent,
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.start),
        "endTimeUnixNano": nanos(span.end),
        "attributes": attributes(&span.attributes),
    })
}

fn shaped(metric: Metric, points: &[Value]) -> Value {
    let (name, unit) = (metric.name(), metric.unit());
    match metric.shape() {
        Shape::Sum => json!({ "name": name, "unit": unit, "sum": {
            "dataPoints": points, "aggregationTemporality": DELTA, "isMonotonic": true,
        } }),
        Shape::Histogram => json!({ "name": name, "unit": unit, "histogram": {
            "dataPoints": points, "aggregationTemporality": DELTA,
        } }),
        Shape::Gauge => json!({ "name": name, "unit": unit, "gauge": { "dataPoints": points } }),
    }
}

fn point(metric: Metric, (labels, series): (&Labels, &Series), batch: &Batch) -> Value {
    let labels: Vec<Attribute> =
        labels.iter().map(|(name, value)| (*name, Value::from(value.as_str()))).collect();
    let attributes = attributes(&labels);
    let (since, until) = (nanos(batch.since), nanos(batch.until));
    match metric.shape() {
        Shape::Sum | Shape::Gauge => json!({
            "attributes": attributes,
            "startTimeUnixNano": since,
            "timeUnixNano": until,
            "asDouble": series.value,
        }),
        Shape::Histogram => {
            let buckets: Vec<String> = series.buckets.iter().map(u64::to_string).collect();
            json!({
                "attributes": attributes,
                "startTimeUnixNano": since,
                "timeUnixNano": until,
                "count": series.count.to_string(),
                "sum": series.value,
                "bucketCounts": buckets,
                "explicitBounds": BOUNDS,
            })
        }
    }
}

fn attributes(of: &[Attribute]) -> Vec<Value> {
    let told = of.iter().map(|(name, value)| json!({ "key": name, "value": any(value) }));
    told.collect()
}

fn any(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            json!({ "stringValue": value.to_string() })
        }
    }
}

fn nanos(time: Timestamp) -> String {
    time.as_nanosecond().to_string()
}
