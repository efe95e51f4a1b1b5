//! The contract of a map: one short hash over what it reads and what it writes.
//!
//! Comments, order and description do not change it, nor do the version and recorded decisions;
//! everything that could change a row does, vocabularies and defaults included. The order of the key's
//! columns counts, because it is part of how rows are remembered.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::Defaults;

/// Keys that describe a map and change no row.
const DESCRIBING: [&str; 4] = ["map", "version", "description", "decision"];

/// The hash of a map's text, 16 hexadecimal digits. `tables` are the vocabularies it uses, as compiled.
pub(super) fn hash(text: &str, defaults: &Defaults, tables: &[String]) -> String {
    let read: Result<toml::Value, _> = toml::from_str(text);
    let mut map = read.ok().and_then(|map| serde_json::to_value(map).ok()).unwrap_or(Value::Null);
    let mut key = Vec::new();
    if let Value::Object(sections) = &mut map {
        sections.retain(|name, _| !DESCRIBING.contains(&name.as_str()));
        if let Some(Value::Object(columns)) = sections.get("key") {
            key = columns.keys().cloned().collect();
        }
        for section in ["key", "fields"] {
            if let Some(Value::Object(columns)) = sections.get_mut(section) {
                columns.values_mut().for_each(spell_out);
            }
        }
    }
    let whole = json!({
        "map": map, "key": key, "tables": tables,
        "defaults": format!("{defaults:?}"),
    });
    let mut canonical = String::new();
    write(&whole, &mut canonical);
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // writing to a text cannot fail
        let _ok = write!(text, "{byte:02x}");
        text
    })
}

/// A bare property name is short for `{ from = "…" }`.
fn spell_out(rule: &mut Value) {
    if let Value::String(name) = rule {
        *rule = json!({ "from": name });
    }
}

/// JSON with the members of every object in the order of their names.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in sorted {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        hash(text, &Defaults::default(), &[])
    }

    const MAP: &str = "map = 'a'\nversion = 1\ndescription = 'x'\n[fields]\nb = 'B'\nc = { from = 'C', max = 3, trim = true }\n";

    #[test]
    fn comments_order_description_and_spelling_do_not_matter() {
        let same = "# hello\nversion = 2\nmap = 'a'\n[fields]\nc = { trim = true, max = 3, from = 'C' } # why\nb = { from = 'B' }\n";
        assert_eq!(of(MAP), of(same));
        assert_eq!(of(MAP).len(), 16);
    }

    #[test]
    fn everything_that_changes_a_row_matters() {
        assert_ne!(of(MAP), of(&MAP.replace("max = 3", "max = 4")));
        assert_ne!(of(MAP), hash(MAP, &Defaults { trim: true, ..Defaults::default() }, &[]));
        assert_ne!(of(MAP), hash(MAP, &Defaults::default(), &["DK=1".to_owned()]));
        assert_ne!(of("[key]\na = 'A'\nb = 'B'"), of("[key]\nb = 'B'\na = 'A'"));
    }
}
