//! Choices: local ones of a column, and global ones.

use serde_json::Value;
use uuid::Uuid;

use super::{invalid, labelled, logical, required, taken};
use crate::emulator::dataverse::metadata::element::Choice;
use crate::emulator::dataverse::model::{Environment, OptionValue};
use crate::emulator::dataverse::refusal::Refusal;

/// The first number given to choices that bring none.
const FIRST: i32 = 100_000_000;

/// The most choices of one set that are taken.
const MOST: usize = 5_000;

/// The `Options` of an option set; numbers that are missing are given out.
pub fn options(set: &Value) -> Result<Vec<OptionValue>, Refusal> {
    let Some(list) = set.get("Options").and_then(Value::as_array) else { return boolean(set) };
    if list.len() > MOST {
        return Err(invalid("There are too many options"));
    }
    let mut found: Vec<OptionValue> = Vec::new();
    for one in list {
        let next = found.iter().map(|option| option.value.saturating_add(1)).max();
        let value = match one.get("Value").filter(|value| !value.is_null()) {
            Some(value) => number(value)?,
            None => next.unwrap_or(FIRST).max(FIRST),
        };
        if found.iter().any(|option| option.value == value) {
            return Err(invalid(&format!("The option value {value} stands twice")));
        }
        let label = labelled(one, "Label").unwrap_or_default();
        let state = one.get("State").map(number).transpose()?;
        found.push(OptionValue { value, label, state });
    }
    Ok(found)
}

/// `TrueOption` and `FalseOption`, when they are there.
fn boolean(set: &Value) -> Result<Vec<OptionValue>, Refusal> {
    let mut found = Vec::new();
    for (name, value) in [("FalseOption", 0), ("TrueOption", 1)] {
        if let Some(option) = set.get(name) {
            let label =
                labelled(option, "Label").ok_or_else(|| invalid("An option has no label"))?;
            found.push(OptionValue { value, label, state: None });
        }
    }
    Ok(found)
}

fn number(value: &Value) -> Result<i32, Refusal> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| invalid("An option value is no whole number"))
}

/// `POST GlobalOptionSetDefinitions`: its id.
pub fn create(env: &mut Environment, body: &Value) -> Result<Uuid, Refusal> {
    let name = logical(required(body, "Name")?)?;
    if env.choices.contains_key(&name) {
        return Err(taken("A global option set", &name));
    }
    let options = options(body)?;
    let id = Choice { name: &name, owner: None, options: &options }.id();
    env.choices.insert(name, options);
    Ok(id)
}

/// `PUT GlobalOptionSetDefinitions(…)`
pub fn update(env: &mut Environment, name: &str, body: &Value) -> Result<(), Refusal> {
    if body.get("Options").is_some() {
        let options = options(body)?;
        env.choices.insert(name.to_owned(), options);
    }
    Ok(())
}

/// `DELETE GlobalOptionSetDefinitions(…)`; refused while a column uses it.
pub fn delete(env: &mut Environment, name: &str) -> Result<(), Refusal> {
    let mut columns = env.tables.values().flat_map(|table| &table.definition.columns);
    if let Some(user) = columns.find(|column| column.global_choice.as_deref() == Some(name)) {
        let message = format!(
            "The GlobalOptionSet({name}) component cannot be deleted because it is referenced by \
             the column {}.",
            user.logical_name
        );
        return Err(Refusal::bad("0x8004F01F", message));
    }
    env.choices.shift_remove(name);
    Ok(())
}
