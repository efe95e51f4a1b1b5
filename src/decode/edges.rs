//! References between entities in every shape that CluedIn gives them: objects in either casing, a
//! string that holds an array of them, and display strings. Refused: one whose ends are not named.
//!
//! Source: streams and lake, data lake connectors, edge object and array columns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::change::Edge;
use crate::decode::json::{self, Object, Type};
use crate::fault::{Fault, Kind};

/// The most references of one entity and direction.
const EDGES: usize = 10_000;

/// Reads all references of one property, which may be absent.
pub(super) fn read<'a>(raw: Option<&'a RawValue>, place: &str) -> Result<Vec<Edge<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    match json::type_of(raw) {
        Type::Null => Ok(Vec::new()),
        Type::Array => all(raw.get(), place),
        Type::Text => match json::text(raw) {
            Some(Cow::Borrowed(text)) => column(text, place),
            Some(Cow::Owned(text)) => {
                Ok(column(&text, place)?.into_iter().map(Edge::into_owned).collect())
            }
            None => Err(refused(place)),
        },
        Type::Object | Type::Plain => Err(refused(place)),
    }
}

/// A column of a CSV or Parquet file: an array as text, or nothing.
fn column<'a>(text: &'a str, place: &str) -> Result<Vec<Edge<'a>>, Fault> {
    if text.trim().is_empty() { Ok(Vec::new()) } else { all(text, place) }
}

fn all<'a>(text: &'a str, place: &str) -> Result<Vec<Edge<'a>>, Fault> {
    let elements = json::array(text, place, EDGES)?;
    elements.into_iter().map(|raw| one(raw).ok_or_else(|| refused(place))).collect()
}

fn one(raw: &RawValue) -> Option<Edge<'_>> {
    match json::type_of(raw) {
        Type::Object => from_object(&json::object(raw.get(), "").ok()?),
        Type::Text => match json::text(raw)? {
            Cow::Borrowed(text) => from_display(text),
            Cow::Owned(text) => from_display(&text).map(Edge::into_owned),
        },
        Type::Array | Type::Null | Type::Plain => None,
    }
}

/// `{"EdgeType":{"Code":…},"FromReference":{"Code":{"Key":…}},"ToReference":{…}}`, or our own
/// canonical `{"type":…,"from":…,"to":…}`.
fn from_object<'a>(edge: &Object<'a>) -> Option<Edge<'a>> {
    let member =
        |long: &str, short: &str| edge.get_any_case(long).or_else(|| edge.get_any_case(short));
    Some(Edge {
        kind: named(member("EdgeType", "type")?)?,
        from: code(member("FromReference", "from")?)?,
        to: code(member("ToReference", "to")?)?,
    })
}

/// A code: text, a reference that holds one, or its parts.
pub(super) fn code(raw: &RawValue) -> Option<Cow<'_, str>> {
    if json::type_of(raw) != Type::Object {
        return json::text(raw).filter(|text| !text.is_empty());
    }
    let object = json::object(raw.get(), "").ok()?;
    match object.get_any_case("Code") {
        Some(inner) if json::type_of(inner) == Type::Object => {
            from_parts(&json::object(inner.get(), "").ok()?)
        }
        Some(inner) => json::text(inner),
        None => from_parts(&object),
    }
}

/// `{"Key":…}`, or `{"Type":{"Code":…},"Origin":{"Code":…},"Value":…}`.
fn from_parts<'a>(object: &Object<'a>) -> Option<Cow<'a, str>> {
    if let Some(key) = object.get_any_case("Key").and_then(json::text) {
        return Some(key);
    }
    let origin = named(object.get_any_case("Origin")?)?;
    let value = json::scalar(object.get_any_case("Value")?)?;
    let domain = named(object.get_any_case("Type")?)?;
    Some(Cow::Owned(format!("{domain}#{origin}:{value}")))
}

/// A name: text, or an object that holds it as its `Code`.
pub(super) fn named(raw: &RawValue) -> Option<Cow<'_, str>> {
    match json::type_of(raw) {
        Type::Text => json::text(raw),
        Type::Object => json::text(json::object(raw.get(), "").ok()?.get_any_case("Code")?),
        Type::Array | Type::Null | Type::Plain => None,
    }
}

/// `EdgeType: /WorksFor; From: …§C:<code>; To: …§C:<code>; Properties: 0`.
fn from_display(text: &str) -> Option<Edge<'_>> {
    let (kind, rest) = text.strip_prefix("EdgeType: ")?.split_once("; From: ")?;
    let (from, rest) = rest.split_once("; To: ")?;
    let to = rest.rsplit_once("; Properties: ").map_or(rest, |(to, _)| to);
    let code = |text: &'_ str| text.find("§C:").map(|at| at + "§C:".len());
    Some(Edge {
        kind: kind.into(),
        from: from.get(code(from)?..)?.into(),
        to: to.get(code(to)?..)?.into(),
    })
}

fn refused(place: &str) -> Fault {
    let message = "an edge does not name its type and both of its codes in a known shape; \
                   `edges = false` on the system reads its events without edges";
    Fault::new(Kind::Malformed, message).field(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(json: &str) -> Result<Vec<Edge<'static>>, Fault> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(Some(raw), "OutgoingEdges").map(|all| all.into_iter().map(Edge::into_owned).collect())
    }

    #[test]
    fn every_shape_of_one_edge_reads_the_same() {
        let long = r#"[{"FromReference":{"Code":{"Origin":{"Code":"SAP"},"Value":"1","Key":"/Person#SAP:1"},"Name":"x"},
            "ToReference":{"Code":{"Origin":{"Code":"SAP"},"Value":"9","Type":{"Code":"/Org"}}},"EdgeType":{"Code":"/WorksFor"}}]"#;
        let camel = r#"[{"fromReference":{"code":{"key":"/Person#SAP:1"}},
            "toReference":{"code":{"key":"/Org#SAP:9"}},"edgeType":{"code":"/WorksFor"}}]"#;
        let short = r#"[{"type":"/WorksFor","from":"/Person#SAP:1","to":"/Org#SAP:9"}]"#;
        let display = r#"["EdgeType: /WorksFor; From: Ib§C:/Person#SAP:1; To: Org§C:/Org#SAP:9; Properties: 0"]"#;
        let in_text = serde_json::to_string(long).unwrap();
        for json in [long, camel, short, display, &in_text] {
            let expected = Edge {
                kind: "/WorksFor".into(),
                from: "/Person#SAP:1".into(),
                to: "/Org#SAP:9".into(),
            };
            assert_eq!(edges(json).unwrap(), [expected], "{json}");
        }
    }

    #[test]
    fn no_edges_are_none_and_half_an_edge_is_refused() {
        for json in ["null", "[]", r#""""#, r#""[]""#] {
            assert_eq!(edges(json).unwrap(), [], "{json}");
        }
        for json in ["7", "{}", "[null]", r#"[{"type":"/WorksFor","from":"a"}]"#, r#"["text"]"#] {
            assert_eq!(edges(json).unwrap_err().field.as_deref(), Some("OutgoingEdges"), "{json}");
        }
    }

    #[test]
    fn a_reference_nested_without_end_is_refused_and_not_followed() {
        let depth = 100_000;
        let (open, close) = (r#"{"Code":"#.repeat(depth), "}".repeat(depth));
        let deep = format!(r#"[{{"EdgeType":"/WorksFor","FromReference":{open}1{close}}}]"#);
        assert!(edges(&serde_json::to_string(&deep).unwrap()).is_err());
    }
}
