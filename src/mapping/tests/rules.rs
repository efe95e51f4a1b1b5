//! Each rule and what it makes of its input.

use super::*;

#[test]
fn missing_null_and_empty_are_three_different_things() {
    for (written, missing, null, empty) in [
        (r#""p""#, "-", "null", "null"),
        (r#"{ from = "p", empty = "keep" }"#, "-", "null", ""),
        (r#"{ from = "p", null = "omit" }"#, "-", "-", "-"),
        (r#"{ from = "p", null = "reject" }"#, "value-missing", "value-missing", "value-missing"),
        (
            r#"{ from = "p", null = "reject", absent = "omit" }"#,
            "-",
            "value-missing",
            "value-missing",
        ),
        (r#"{ from = "p", absent = "clear" }"#, "null", "null", "null"),
        (r#"{ from = "p", default = "d" }"#, "d", "d", "d"),
        (r#"{ from = "p", default = "d", empty = "keep" }"#, "d", "d", ""),
        (r#"{ from = "p", integer = true }"#, "-", "null", "null"),
        (r#"{ from = "p", integer = true, empty = "keep" }"#, "-", "null", "null"),
        (r#"{ from = "p", integer = true, default = 7 }"#, "7", "7", "7"),
        (r#"{ from = "p", country = "alpha2" }"#, "-", "null", "null"),
        (r#"{ from = "p", values = { A = 1 }, default = 0 }"#, "0", "0", "0"),
        (r#"{ from = "p", lookup = "contact.number" }"#, "-", "null", "null"),
        (
            r#"{ from = "p", guid = true, null = "reject" }"#,
            "value-missing",
            "value-missing",
            "value-missing",
        ),
    ] {
        assert_eq!(rule(written, "{}"), missing, "missing, {written}");
        assert_eq!(rule(written, r#"{"p":null}"#), null, "null, {written}");
        assert_eq!(rule(written, r#"{"p":""}"#), empty, "empty, {written}");
    }
}

#[test]
fn every_source_yields_what_it_says() {
    let properties = r#"{"a":"","b":"B","n":12,"t":true,"l":[1],"o":{"k":"v"}}"#;
    for (written, expected) in [
        (r#"{ from = ["x", "a", "b"] }"#, "B"),
        (r#"{ from = ["x", "a"] }"#, "null"),
        (r#"{ from = "n" }"#, "12"),
        (r#"{ from = "t" }"#, "true"),
        (r#"{ from = "l" }"#, "inconvertible"),
        (r#"{ from = "o.k" }"#, "v"),
        (r#"{ fact = "key" }"#, "id-1"),
        (r#"{ fact = "version" }"#, "-"),
        (r#"{ fact = "emitted" }"#, "2026-03-14T09:15:02Z"),
        (r#"{ fact = "operation" }"#, "upsert"),
        (r#"{ fact = "entity" }"#, "/Customer"),
        (r#"{ fact = "correlation" }"#, "00000000-0000-0000-0000-000000000000"),
        (r#"{ fact = "event_id" }"#, "-"),
        ("{ value = 3 }", "3"),
        (r#"{ value = " x " }"#, " x "),
        (r#"{ code = "SAP" }"#, "00:104711"),
        (r#"{ code = "Nobody" }"#, "null"),
        (r#"{ code = { origin = "SAP", pick = "first" }, trim_start = "0:" }"#, "104711"),
        (r#"{ edge = { type = "/WorksFor", origin = "SAP" } }"#, "US01"),
        (r#"{ edge = { type = "/WorksFor", origin = "SAP", direction = "in" } }"#, "null"),
        (r#"{ join = { from = ["b", "a", "x", "n"], with = "-" } }"#, "B-12"),
        (r#"{ join = { from = ["x", "y"], with = "-" } }"#, "-"),
        (r#"{ expr = ".n + 1" }"#, "13"),
        (r#"{ expr = ".b + \"!\"", case = "lower" }"#, "b!"),
        (r#"{ expr = ".l" }"#, "inconvertible"),
        (r#"{ expr = ".b + 1", on_error = "null" }"#, "null"),
    ] {
        assert_eq!(rule(written, properties), expected, "{written}");
    }
}

/// Rule, JSON value of the property `p`, and what becomes of it.
const CONVERSIONS: &[(&str, &str, &str)] = &[
    (r#"{ from = "p", trim = true, max = 3 }"#, r#"" abc ""#, "abc"),
    (r#"{ from = "p", max = 3 }"#, r#""abcd""#, "too-long"),
    (r#"{ from = "p", max = 3, over = "cut" }"#, r#""æøåæ""#, "æøå"),
    (r#"{ from = "p", max = 3, on_error = "null" }"#, r#""abcd""#, "null"),
    (r#"{ from = "p", split = { on = " ", at = -1 } }"#, r#""a b c""#, "c"),
    (r#"{ from = "p", split = { on = " ", at = 5 } }"#, r#""a b c""#, "null"),
    (r#"{ from = "p", replace = [{ pattern = "[^0-9]", with = "" }] }"#, r#""a1b2""#, "12"),
    (r#"{ from = "p", nfc = true, case = "upper", collapse = true }"#, r#""e\u0301  a""#, "É A"),
    (r#"{ from = "p", country = "alpha2" }"#, r#""DNK""#, "DK"),
    (r#"{ from = "p", country = "numeric", integer = true }"#, r#""ALB""#, "8"),
    (r#"{ from = "p", country = "alpha2" }"#, r#""Atlantis""#, "inconvertible"),
    (
        r#"{ from = "p", country = { to = "alpha3", overlay = "territories.csv" } }"#,
        r#""home""#,
        "DNK",
    ),
    (r#"{ from = "p", country = "alpha2" }"#, r#"["DK"]"#, "inconvertible"),
    (r#"{ from = "p", currency = "numeric" }"#, r#""dkk""#, "208"),
    (r#"{ from = "p", language = "639-3" }"#, r#""da-DK""#, "dan"),
    (r#"{ from = "p", phone = "DK" }"#, r#""33 12 34 56""#, "+4533123456"),
    (r#"{ from = "p", phone = "DK", on_error = "passthrough" }"#, r#""ask Bo""#, "ask Bo"),
    (r#"{ from = "p", phone = { region = "DK", part = "extension" } }"#, r#""33123456""#, "null"),
    (r#"{ from = "p", values = { Retail = 3 } }"#, r#""Retail""#, "3"),
    (r#"{ from = "p", values = { Retail = 3 } }"#, r#""retail""#, "value-unknown"),
    (r#"{ from = "p", values = { Retail = 3 }, on_error = "null" }"#, r#""x""#, "null"),
    (r#"{ from = "p", values = { 1 = "one" } }"#, "1", "one"),
    (r#"{ from = "p", vocabulary = "segments.csv", to = "sap" }"#, r#""Retail""#, "R1"),
    (
        r#"{ from = "p", vocabulary = "segments.csv", column = "sap", to = "crm", integer = true }"#,
        r#""W1""#,
        "9",
    ),
    (r#"{ from = "p", date = true }"#, r#""2024-05-01T23:30:00Z""#, "2024-05-01"),
    (r#"{ from = "p", date = "Europe/Copenhagen" }"#, r#""2024-05-01T23:30:00Z""#, "2024-05-02"),
    (
        r#"{ from = "p", datetime = "Europe/Copenhagen" }"#,
        r#""2024-05-01 10:00""#,
        "2024-05-01T08:00:00Z",
    ),
    (r#"{ from = "p", datetime = true }"#, r#""2024-05-01 10:00""#, "inconvertible"),
    (r#"{ from = "p", date = true, formats = ["%d.%m.%Y"] }"#, r#""31.12.2024""#, "2024-12-31"),
    (r#"{ from = "p", decimal = true }"#, "20000.0000", "20000.0000"),
    (
        r#"{ from = "p", decimal = true }"#,
        "0.1000000000000000055511151231",
        "0.1000000000000000055511151231",
    ),
    (
        r#"{ from = "p", decimal = { point = ",", group = ".", digits = 2 } }"#,
        r#""1.234,50""#,
        "1234.50",
    ),
    (r#"{ from = "p", decimal = { point = "," } }"#, "1.5", "1.5"),
    (r#"{ from = "p", decimal = true }"#, r#""1,5""#, "inconvertible"),
    (r#"{ from = "p", integer = true }"#, "9007199254740993", "9007199254740993"),
    (r#"{ from = "p", integer = true }"#, "1.5", "inconvertible"),
    (r#"{ from = "p", boolean = true }"#, r#""Yes""#, "true"),
    (r#"{ from = "p", boolean = { true = ["ja"], false = ["nej"] } }"#, r#""Nej""#, "false"),
    (r#"{ from = "p", boolean = true }"#, r#""perhaps""#, "inconvertible"),
    (r#"{ from = "p", choice = true }"#, r#""100000001""#, "100000001"),
    (r#"{ from = "p", choice = { A = 1, B = 2 } }"#, r#""B""#, "2"),
    (r#"{ from = "p", choice = { A = 1, B = 2 } }"#, "3", "value-unknown"),
    (r#"{ from = "p", choices = { A = 3, B = 1 } }"#, r#""A; B;""#, "1,3"),
    (r#"{ from = "p", choices = true }"#, "[3,1,3]", "1,3"),
    (r#"{ from = "p", choices = true }"#, "[[3]]", "inconvertible"),
    (
        r#"{ from = "p", guid = true }"#,
        r#""{4B0C8C1E-6D0C-5F0A-9A53-0F3F8A7C2F11}""#,
        "4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11",
    ),
    (r#"{ from = "p", guid = true }"#, r#""4b0c""#, "inconvertible"),
    (r#"{ from = "p", lookup = "contact.number" }"#, r#""C-1""#, "contact(number=C-1)"),
    (
        r#"{ from = "p", integer = true, lookup = "contact.parentid.number" }"#,
        r#""7""#,
        "contact(parentid.number=7)",
    ),
    (
        r#"{ lookup = { table = "t", by = { a = "p", "b.c" = { value = 2 } } } }"#,
        r#""x""#,
        "t(a=x,b.c=2)",
    ),
    (r#"{ lookup = { table = "t", by = { a = "p", b = "q" } } }"#, r#""x""#, "value-missing"),
    (r#"{ lookup = { table = "t", by = { a = "q", b = "r" } } }"#, r#""x""#, "null"),
    (r#"{ from = "p" }"#, r#""\ud800""#, "inconvertible"),
];

#[test]
fn every_conversion_takes_what_it_says_and_refuses_the_rest() {
    for (written, value, expected) in CONVERSIONS {
        let properties = format!(r#"{{"p":{value}}}"#);
        assert_eq!(rule(written, &properties), *expected, "{written} of {value}");
    }
}

#[test]
fn the_first_branch_that_holds_is_taken() {
    let written = r#"{ when = [
        { if = "p", is = 1, then = { value = "one" } },
        { if = "p", in = ["2", "3"], then = { value = "few" } },
        { if = "p", null = true, then = { value = "none" } },
        { if = "p", matches = "^[0-9]+$", expr = ".q == true", then = { from = "p", lookup = "t.c" } },
        { any = [{ if = "p", is = "x" }, { if = "q", is = false }], then = { value = "any" } },
        { else = { value = "else" } },
    ], max = 9 }"#;
    for (properties, expected) in [
        (r#"{"p":1}"#, "one"),
        (r#"{"p":"3"}"#, "few"),
        (r#"{"p":""}"#, "none"),
        ("{}", "none"),
        (r#"{"p":"77","q":true}"#, "t(c=77)"),
        (r#"{"p":"77","q":false}"#, "any"),
        (r#"{"p":"y","q":1}"#, "else"),
    ] {
        assert_eq!(rule(written, properties), expected, "{properties}");
    }
    let none = r#"{ when = [{ if = "p", is = 1, then = { value = "one" } }] }"#;
    assert_eq!(rule(none, r#"{"p":2}"#), "-");
}
