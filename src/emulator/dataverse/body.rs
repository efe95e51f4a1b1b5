//! JSON bodies: members in their order, values as they were written, so that no digit is lost.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::emulator::dataverse::refusal::Refusal;

/// The members of a JSON object, values unread.
pub type Members<'a> = IndexMap<String, &'a RawValue>;

/// The members of a body. An empty body has none.
pub fn members<'a>(body: &'a [u8], set: &str) -> Result<Members<'a>, Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(Members::new());
    }
    read(body, set)
}

/// The rows of a bulk message.
#[derive(Deserialize)]
pub struct Targets<'a> {
    /// One object a row.
    #[serde(rename = "Targets", borrow)]
    pub targets: Vec<Members<'a>>,
}

/// Reads a JSON text of any shape. `set` names the resource in the refusal.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8], set: &str) -> Result<T, Refusal> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| malformed(set, &error.to_string()))
}

/// The refusal for a body that cannot be understood, in the service's words.
pub fn malformed(set: &str, reason: &str) -> Refusal {
    Refusal::payload(format!(
        "Error identified in Payload provided by the user for Entity :'{set}', For more information \
         on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  \
         ---->  InnerException : Microsoft.OData.ODataException: {reason}"
    ))
}

/// A JSON string, when the value is one.
pub fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Whether the value is `null`.
pub fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}
