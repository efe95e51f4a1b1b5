//! What the emulated service says no with: a status, a code and a text, and the error envelope made
//! of them (Dataverse Web API, errors).

use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::render::Object;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `0x80040217`, `0x0` or empty.
    pub code: &'static str,
    /// The text people read.
    pub message: String,
    /// Annotations shown only to callers that ask for them, such as
    /// `Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes`.
    pub details: Vec<(&'static str, String)>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with any status.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// 400 with a code.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// 400 `0x80048d19`: the body or the query cannot be understood.
    pub fn payload(message: impl Into<String>) -> Self {
        Self::bad("0x80048d19", message)
    }

    /// 404 `0x80040217`: no row with this id. `shown` is the table's schema name.
    pub fn no_row(shown: &str, id: uuid::Uuid) -> Self {
        Self::new(404, "0x80040217", format!("Entity '{shown}' With Id = {id} Does Not Exist"))
    }

    /// 404 `0x8006088a`: no such entity set, property or function.
    pub fn no_segment(segment: &str) -> Self {
        let message = format!("Resource not found for the segment '{segment}'.");
        Self::new(404, "0x8006088a", message)
    }

    /// 400 `0x0`: a property that the table does not have, in `$select` and the like. `type_name` is
    /// the logical name of the table.
    pub fn no_property(property: &str, type_name: &str) -> Self {
        let message = format!(
            "Could not find a property named '{property}' on type 'Microsoft.Dynamics.CRM.{type_name}'."
        );
        Self::bad("0x0", message)
    }

    /// Adds an annotation for callers that ask for it.
    #[must_use]
    pub fn with_detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The JSON body: `{"error":{"code","message",…}}`.
    pub fn body(&self, prefer: &Prefer) -> String {
        let mut error = Object::new();
        error.text("code", self.code);
        error.text("message", &self.message);
        let standard = [
            ("Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus", "0"),
            ("Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode", "0"),
            ("Microsoft.PowerApps.CDS.HelpLink", "http://go.microsoft.com/fwlink/?LinkID=398563"),
            ("Microsoft.PowerApps.CDS.TraceText", ""),
            ("Microsoft.PowerApps.CDS.InnerError.Message", &self.message),
        ];
        let details = self.details.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in details.chain(standard) {
            if prefer.wants(name) {
                error.text(&format!("@{name}"), value);
            }
        }
        let mut envelope = Object::new();
        envelope.raw("error", &error.finish());
        envelope.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_shown_only_to_those_who_ask() {
        let refusal = Refusal::new(412, "0x80060892", "taken")
            .with_detail("Microsoft.PowerApps.CDS.ErrorDetails.DuplicateEntity", "{\"a\"}");
        let plain = refusal.body(&Prefer::default());
        assert_eq!(plain, r#"{"error":{"code":"0x80060892","message":"taken"}}"#);
        let full = refusal.body(&Prefer::parse(["odata.include-annotations=\"*\""]));
        assert!(
            full.contains(r#""@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateEntity":"{\"a\"}""#)
        );
    }
}
