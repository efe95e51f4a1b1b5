use super::*;

fn envelope(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#)
}

fn of(status: u16, body: &str) -> (Cause, Fate, Kind) {
    let failure = classify(status, None, body.as_bytes());
    (failure.cause, failure.fate, failure.fault.kind)
}

/// Every row of "Dataverse Web API, errors" that a write or a read can meet.
#[test]
#[allow(clippy::too_many_lines, reason = "one table, read as one")]
fn every_code_of_the_service_has_its_meaning() {
    use Cause::{Deadlock, NoResource, NoRow, Refused, Slow, Taken, Throttled, Unreachable};
    use Fate::{Not, Unknown};
    let table = [
        (
            404,
            "0x80040217",
            "acme_customer With Id = 1 Does Not Exist",
            NoRow,
            Not,
            Kind::ParentMissing,
        ),
        (
            404,
            "0x80060891",
            "A record with the specified key values does not exist",
            NoRow,
            Not,
            Kind::ParentMissing,
        ),
        (400, "0x80060890", "", Refused, Not, Kind::SchemaGone),
        (400, "0x8006089D", "", Refused, Not, Kind::Ambiguous),
        (
            412,
            "0x80040237",
            "A record with matching key values already exists.",
            Taken,
            Not,
            Kind::KeyTaken,
        ),
        (412, "0x80060892", "", Taken, Not, Kind::KeyTaken),
        (412, "0x80040333", "", Refused, Not, Kind::Refused),
        (412, "0x80060882", "", Refused, Not, Kind::Conflict),
        (400, "0x80060883", "", Refused, Not, Kind::Misconfigured),
        (400, "0x8006088D", "", Refused, Not, Kind::Misconfigured),
        (403, "0x80040220", "Principal user is missing prvWrite", Refused, Not, Kind::Forbidden),
        (403, "0x80042F09", "", Refused, Not, Kind::Forbidden),
        (403, "0x8004F507", "", Refused, Not, Kind::Forbidden),
        (403, "0x8004F504", "", Refused, Not, Kind::Forbidden),
        (403, "0x80048405", "", Refused, Not, Kind::Forbidden),
        (403, "0x80040256", "", Refused, Not, Kind::Forbidden),
        (403, "0x8004A110", "", Refused, Not, Kind::Forbidden),
        (405, "0x80040227", "", Refused, Not, Kind::Refused),
        (400, "0x80040265", "The credit limit is exceeded", Refused, Not, Kind::Refused),
        (500, "0x80040224", "", Refused, Not, Kind::Refused),
        (400, "0x80040203", "", Refused, Not, Kind::Refused),
        (400, "0x80044331", "", Refused, Not, Kind::Refused),
        (400, "0x8004431A", "", Refused, Not, Kind::Refused),
        (400, "0x8004431C", "", Refused, Not, Kind::Refused),
        (400, "0x8004432F", "", Refused, Not, Kind::Refused),
        (400, "0x80044330", "", Refused, Not, Kind::Refused),
        (400, "0x80040239", "", Refused, Not, Kind::Refused),
        (400, "0x80040363", "", Refused, Not, Kind::Refused),
        (400, "0x80048408", "", Refused, Not, Kind::Refused),
        (400, "0x8004F00E", "", Refused, Not, Kind::Refused),
        (400, "0x80040230", "", Refused, Not, Kind::Refused),
        (
            400,
            "0x80048d19",
            "An undeclared property 'acme_RegionID' which only has property annotations",
            Refused,
            Not,
            Kind::SchemaGone,
        ),
        (
            400,
            "0x80048d19",
            "Cannot convert the literal 'x' to the expected type 'Edm.Int32'.",
            Refused,
            Not,
            Kind::Refused,
        ),
        (
            400,
            "0x0",
            "Invalid property 'acme_x' was found in entity 'acme_customer'.",
            Refused,
            Not,
            Kind::SchemaGone,
        ),
        (
            400,
            "0x0",
            "Could not find a property named 'acme_x' on type",
            Refused,
            Not,
            Kind::SchemaGone,
        ),
        (
            404,
            "0x8006088a",
            "Resource not found for the segment 'acme_custs'.",
            NoResource,
            Not,
            Kind::SchemaGone,
        ),
        (
            404,
            "",
            "No HTTP resource was found that matches the request URI",
            NoResource,
            Not,
            Kind::SchemaGone,
        ),
        (404, "", "acme_customer With Id = 1 Does Not Exist", NoRow, Not, Kind::ParentMissing),
        (429, "0x80072321", "", Throttled, Not, Kind::Throttled),
        (429, "0x80072322", "", Throttled, Not, Kind::Throttled),
        (429, "0x80072326", "", Throttled, Not, Kind::Throttled),
        (429, "-2147015902", "", Throttled, Not, Kind::Throttled),
        (400, "0x8005F103", "", Throttled, Not, Kind::Throttled),
        (
            500,
            "0x80044150",
            "Sql error: Generic SQL error. Sql Number: 1205",
            Deadlock,
            Not,
            Kind::Deadlock,
        ),
        (
            500,
            "0x80044150",
            "Sql error: Generic SQL error.",
            Unreachable,
            Unknown,
            Kind::Unreachable,
        ),
        (500, "0x80044151", "Sql Number: -2", Slow, Unknown, Kind::Timeout),
        (500, "0x80040255", "", Deadlock, Not, Kind::Deadlock),
        (500, "0x80040251", "", Refused, Not, Kind::Refused),
        (500, "0x80040216", "", Unreachable, Unknown, Kind::Unreachable),
    ];
    for (status, code, text, cause, fate, kind) in table {
        assert_eq!(
            of(status, &envelope(code, text)),
            (cause, fate, kind),
            "{status} {code} {text}"
        );
    }
}

#[test]
fn what_has_no_code_is_judged_by_its_status() {
    use Cause::{NoResource, NoRow, Refused, Slow, Throttled, Token, TooLarge, Unreachable};
    use Fate::{Not, Unknown};
    let html = "<html><body>Bad gateway</body></html>";
    for (status, body, cause, fate, kind) in [
        (401, "", Token, Not, Kind::Credential),
        (403, html, Refused, Not, Kind::Forbidden),
        (404, html, NoResource, Not, Kind::SchemaGone),
        (404, "", NoRow, Not, Kind::ParentMissing),
        (405, "", Refused, Not, Kind::Refused),
        (408, "", Slow, Unknown, Kind::Timeout),
        (413, "The page was not displayed", TooLarge, Not, Kind::TooLarge),
        (429, "slow down", Throttled, Not, Kind::Throttled),
        (302, "", Refused, Not, Kind::Misconfigured),
        (400, "no JSON", Refused, Not, Kind::Refused),
        (500, html, Unreachable, Unknown, Kind::Unreachable),
        (502, html, Unreachable, Unknown, Kind::Unreachable),
        (503, "", Unreachable, Unknown, Kind::Unreachable),
        (504, html, Unreachable, Unknown, Kind::Unreachable),
        (999, "\u{0}", Unreachable, Unknown, Kind::Unreachable),
    ] {
        assert_eq!(of(status, body), (cause, fate, kind), "{status} {body}");
    }
}

#[test]
fn a_503_that_asks_for_a_pause_is_throttled_but_its_fate_stays_unknown() {
    let failure = classify(503, Some(Duration::from_secs(4)), b"");
    assert_eq!((failure.cause, failure.fate), (Cause::Throttled, Fate::Unknown));
    assert_eq!(failure.fault.retry_after, Some(Duration::from_secs(4)));
}

#[test]
fn both_envelopes_and_all_forms_of_a_code_are_read() {
    let shapes = [
        r#"{"error":{"code":"0x80040265","message":"no","innererror":{"message":"no"}}}"#,
        r#"{"Message":"no","ExceptionMessage":"x","StackTrace":"","ErrorCode":-2147220891}"#,
        r#"{"error":{"code":"-2147220891","message":"no"}}"#,
        r#"{"error":{"code":2147746405,"message":"no"}}"#,
    ];
    for shape in shapes {
        let failure = classify(400, None, shape.as_bytes());
        assert_eq!(failure.fault.detail.as_deref(), Some("HTTP 400 0x80040265: no"), "{shape}");
    }
    for broken in ["{}", "[]", "null", r#"{"error":null}"#, r#"{"error":{"code":{},"message":7}}"#]
    {
        assert_eq!(of(400, broken).2, Kind::Refused, "{broken}");
    }
}

#[test]
fn the_services_words_stay_out_of_the_message() {
    let text = envelope("0x80044331", "The length of the 'acme_name' attribute: Jane Doe");
    let fault = classify(400, None, text.as_bytes()).fault;
    assert!(!fault.to_string().contains("Jane") && fault.detail.unwrap().contains("Jane"));
}

#[test]
fn the_column_is_taken_from_the_text_where_it_is_named() {
    let length = "A validation error occurred. The length of the 'acme_name' attribute of the \
                  'acme_customer' entity exceeded the maximum allowed length of '100'.";
    for (text, wanted) in [
        (length, Some("acme_name")),
        (
            "The value 9 of 'acme_kind' on record of type 'acme_customer' is outside",
            Some("acme_kind"),
        ),
        (
            "Error converting attribute value to Property: Attribute [acme_seq], Expected",
            Some("acme_seq"),
        ),
        ("Invalid property 'acme_x' was found in entity 'acme_customer'.", Some("acme_x")),
        ("An undeclared property 'acme_RegionID' which only has", Some("acme_RegionID")),
        ("Could not find a property named 'acme_y' on type 'M.acme_customer'.", Some("acme_y")),
        ("Cannot convert the literal 'abc' to the expected type", None),
        ("it's 'broken", None),
        ("", None),
    ] {
        assert_eq!(column(text), wanted, "{text}");
    }
}
