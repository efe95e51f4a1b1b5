//! The digest as an Adaptive Card inside the message that a Teams workflow takes ("when a Teams webhook
//! request is received").
//!
//! Version 1.4 and its plainest elements, which Teams shows everywhere. A card stays below 28 KB (Teams,
//! message size): at most 20 maps and 8 codes are told, and how many more there are.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::gather::{Digest, MapDay, Waiting, Week};
use crate::canary::History;
use crate::clock;

/// How many maps are told.
const MAPS: usize = 20;
/// How many codes are told.
const CODES: usize = 8;
/// The longest name that is told, in characters.
const NAME: usize = 60;

/// The message of a digest.
pub(super) fn message(digest: &Digest, link: Option<&str>, now: Timestamp) -> Value {
    let mut body = vec![heading(digest)];
    body.push(maps(&digest.maps));
    body.extend(waiting(&digest.waiting, now));
    body.extend(canaries(&digest.canaries));
    body.extend(digest.week.as_ref().map(week).into_iter().flatten());
    let open = |link| json!({ "type": "Action.OpenUrl", "title": "Open", "url": link });
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": format!("Concord, {}", digest.day),
        "body": body,
        "actions": link.map(open).into_iter().collect::<Vec<_>>(),
    });
    let content_type = "application/vnd.microsoft.card.adaptive";
    json!({ "type": "message", "attachments": [{ "contentType": content_type, "content": card }] })
}

fn heading(digest: &Digest) -> Value {
    let poisoned: u64 = digest.maps.iter().map(|map| map.counts.of_word("poisoned")).sum();
    let applied: u64 = digest.maps.iter().map(|map| map.counts.of_word("applied")).sum();
    let state = if poisoned > 0 { "warning" } else { "good" };
    json!({ "type": "Container", "style": state, "bleed": true, "items": [
        text(&format!("Concord on {}", digest.day), json!({ "size": "large", "weight": "bolder" })),
        text(&format!("{applied} rows applied, {poisoned} set aside"), json!({ "spacing": "none" })),
    ] })
}

fn maps(maps: &[MapDay]) -> Value {
    let bold = || json!({ "weight": "bolder" });
    let mut rows = vec![columns(
        ["Map", "Applied", "Unchanged", "Set aside", "Waits", "A week ago"]
            .map(|name| text(name, bold())),
    )];
    for map in maps.iter().take(MAPS) {
        let of = |word| map.counts.of_word(word);
        let (now, then) = (of("poisoned"), map.before.of_word("poisoned"));
        let colour = if now > then { "attention" } else { "default" };
        rows.push(columns([
            text(&short(&map.map), json!({})),
            text(&of("applied").to_string(), json!({})),
            text(&of("unchanged").to_string(), json!({})),
            text(&now.to_string(), json!({ "color": colour })),
            text(&(of("parked") + of("deferred")).to_string(), json!({})),
            text(&format!("{then} set aside"), json!({ "isSubtle": true })),
        ]));
    }
    if maps.is_empty() {
        rows = vec![text("Nothing happened.", json!({}))];
    }
    if maps.len() > MAPS {
        rows.push(text(
            &format!("and {} more maps", maps.len() - MAPS),
            json!({ "isSubtle": true }),
        ));
    }
    json!({ "type": "Container", "spacing": "medium", "items": rows })
}

fn waiting(waiting: &Waiting, now: Timestamp) -> Vec<Value> {
    let oldest = waiting.oldest.map_or_else(|| "-".to_owned(), |oldest| age(oldest, now));
    let work = waiting.work.map_or_else(|| "not known".to_owned(), |work| work.to_string());
    let mut facts = vec![
        json!({ "title": "Open records", "value": waiting.records.to_string() }),
        json!({ "title": "Oldest", "value": oldest }),
        json!({ "title": "In the work queue", "value": work }),
    ];
    if waiting.overdue > 0 {
        facts.push(json!({ "title": "Past their day", "value": waiting.overdue.to_string() }));
    }
    let mut parts = vec![json!({ "type": "FactSet", "facts": facts })];
    for (code, records) in waiting.codes.iter().take(CODES) {
        let command = format!("concord poison list --code {code}");
        parts.push(text(&format!("{records} × {code}"), json!({ "spacing": "small" })));
        parts.push(text(
            &command,
            json!({ "fontType": "monospace", "spacing": "none", "isSubtle": true }),
        ));
    }
    parts
}

/// How long changes took from end to end; what never arrived stands out.
fn canaries(canaries: &[History]) -> Option<Value> {
    let fact = |history: &History| {
        let History { flights, lost, failed, .. } = history;
        let lag = |lag: Option<u64>| lag.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms"));
        let mut value =
            format!("half within {}, 95 % within {}", lag(history.p50_ms), lag(history.p95_ms));
        if lost + failed > 0 {
            value = format!("**{} of {flights} did not arrive**; {value}", lost + failed);
        }
        json!({ "title": short(&history.map), "value": value })
    };
    let facts: Vec<Value> = canaries.iter().take(MAPS).map(fact).collect();
    let title = text("From end to end", json!({ "weight": "bolder" }));
    let facts = (!facts.is_empty()).then(|| json!({ "type": "FactSet", "facts": facts }))?;
    Some(json!({ "type": "Container", "spacing": "medium", "items": [title, facts] }))
}

fn week(week: &Week) -> Vec<Value> {
    let (now, then) = week.applied;
    let title = json!({ "weight": "bolder", "separator": true, "spacing": "medium" });
    let mut facts = vec![json!({ "title": "Applied", "value": change(now, then) })];
    facts.extend(
        week.codes
            .iter()
            .take(CODES)
            .map(|(code, now, then)| json!({ "title": code, "value": change(*now, *then) })),
    );
    vec![
        text("Seven days, against the seven before", title),
        json!({ "type": "FactSet", "facts": facts }),
    ]
}

/// `12, was 7 (+71 %)`.
fn change(now: u64, then: u64) -> String {
    match (now, then) {
        (now, 0) => format!("{now}, was 0"),
        (now, then) => {
            let percent = (i128::from(now) - i128::from(then)) * 100 / i128::from(then);
            format!("{now}, was {then} ({percent:+} %)")
        }
    }
}

fn age(since: Timestamp, now: Timestamp) -> String {
    let hours = clock::between(since, now).as_secs() / 3_600;
    match hours {
        0 => "less than an hour".to_owned(),
        1..48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

fn short(name: &str) -> String {
    let mut short: String = name.chars().take(NAME).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

fn text(text: &str, more: Value) -> Value {
    let mut block = json!({ "type": "TextBlock", "text": text, "wrap": true });
    if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
        block.extend(more);
    }
    block
}

fn columns(cells: [Value; 6]) -> Value {
    let column = |(index, cell): (usize, Value)| {
        let width = if index == 0 { 3 } else { 1 };
        json!({ "type": "Column", "width": width, "items": [cell] })
    };
    let columns: Vec<Value> = cells.into_iter().enumerate().map(column).collect();
    json!({ "type": "ColumnSet", "spacing": "small", "columns": columns })
}
