//! Changes of definitions: JSON bodies come in, the environment has new tables, columns, keys,
//! relationships or choices. Everything is checked before anything is changed; what clashes or cannot be
//! read is refused (Dataverse Web API, create and update table definitions).

pub mod choice;
pub mod column;
pub mod key;
pub mod relationship;
pub mod table;

use serde_json::Value;

use crate::emulator::dataverse::metadata::label;
use crate::emulator::dataverse::refusal::Refusal;

/// A text member that must be there.
fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    let found = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| invalid(&format!("Required member '{name}' is missing")))
}

/// The text of a label member, when there is one.
fn labelled(body: &Value, name: &str) -> Option<String> {
    body.get(name).and_then(label::read)
}

/// A schema name as a logical one: only letters, digits and underscores, beginning with a letter.
fn logical(schema_name: &str) -> Result<String, Refusal> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let fits = schema_name.chars().all(plain)
        && schema_name.starts_with(|first: char| first.is_ascii_alphabetic())
        && schema_name.len() <= 100;
    if fits {
        return Ok(schema_name.to_ascii_lowercase());
    }
    let message =
        format!("The name '{schema_name}' is not valid: letters, digits and underscores only.");
    Err(Refusal::bad("0x8004701F", message))
}

/// 400: the body is not what the service needs.
fn invalid(what: &str) -> Refusal {
    Refusal::bad("0x80048d19", format!("Error identified in Payload provided by the user. {what}."))
}

/// 400: the name is in use.
fn taken(what: &str, name: &str) -> Refusal {
    Refusal::bad("0x80044363", format!("{what} with the specified name {name} already exists."))
}

#[cfg(test)]
mod tests;
