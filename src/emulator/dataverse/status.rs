//! The pair of `statecode` and `statuscode`. A status belongs to one state; the pair must fit.

use crate::emulator::dataverse::model::{Definition, OptionValue};
use crate::emulator::dataverse::refusal::Refusal;

/// A state with its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `statecode`
    pub state: i64,
    /// `statuscode`
    pub status: i64,
}

/// The pair of a new row: it starts in the first state, whatever state was asked for. Nothing when the
/// table has no state. Refuses a status of another state.
pub fn initial(definition: &Definition, status: Option<i64>) -> Result<Option<Pair>, Refusal> {
    let Some(state) = states(definition).first().map(|option| i64::from(option.value)) else {
        return Ok(None);
    };
    pair(definition, state, status).map(Some)
}

/// The pair after an update that names a state, a status or both. Refuses a status that belongs to
/// another state than the one the row has or gets.
pub fn next(
    definition: &Definition,
    current: Pair,
    (state, status): (Option<i64>, Option<i64>),
) -> Result<Pair, Refusal> {
    match state {
        Some(state) if state == current.state && status.is_none() => Ok(current),
        Some(state) => pair(definition, state, status),
        None => pair(definition, current.state, status),
    }
}

fn pair(definition: &Definition, state: i64, status: Option<i64>) -> Result<Pair, Refusal> {
    let belongs = |option: &&OptionValue| option.state.map(i64::from) == Some(state);
    let mut own = statuses(definition).iter().filter(belongs);
    let Some(wanted) = status else {
        let first = own.next().map_or(state + 1, |option| i64::from(option.value));
        return Ok(Pair { state, status: first });
    };
    if own.any(|option| i64::from(option.value) == wanted) {
        return Ok(Pair { state, status: wanted });
    }
    let label = states(definition).iter().find(|option| i64::from(option.value) == state);
    let message = format!(
        "{wanted} is not a valid status code for state code {}State.{} on {}.",
        definition.schema_name,
        label.map_or_else(|| state.to_string(), |option| option.label.clone()),
        definition.logical_name
    );
    Err(Refusal::bad("0x80048408", message))
}

fn states(definition: &Definition) -> &[OptionValue] {
    definition.column("statecode").map_or(&[], |column| &column.options)
}

fn statuses(definition: &Definition) -> &[OptionValue] {
    definition.column("statuscode").map_or(&[], |column| &column.options)
}
