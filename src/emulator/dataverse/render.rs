//! Rows to JSON: typed cells come in, the service's own spelling of them goes out, digits of decimals
//! untouched, annotations before the values they annotate (Dataverse Web API, column values in JSON).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_decimal::Decimal;

use crate::emulator::dataverse::formatted;
use crate::emulator::dataverse::model::{
    Cell, ColumnDefinition, Environment, Kind, LookupTarget, Record, Table,
};
use crate::emulator::dataverse::prefer::{FORMATTED, Prefer};

/// A JSON object being written, member by member.
#[derive(Clone, Debug)]
pub struct Object {
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// `{`
    pub fn new() -> Self {
        Self { text: "{".to_owned() }
    }

    /// A member whose value is JSON already: a number, an array, another object.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.text.push_str(json);
    }

    /// A text member.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push_str(&quoted(value));
    }

    /// Whether it has no member yet.
    pub fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// `}`: the whole text.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&quoted(name));
        self.text.push(':');
    }
}

/// A JSON string literal.
pub fn quoted(value: &str) -> String {
    serde_json::Value::String(value.to_owned()).to_string()
}

/// A JSON array of JSON texts.
pub fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// The name a column reads under: `_parentaccountid_value` for lookups, its own otherwise.
pub fn property(column: &ColumnDefinition) -> String {
    if column.kind.is_lookup() {
        format!("_{}_value", column.logical_name)
    } else {
        column.logical_name.clone()
    }
}

/// How rows of one table are shown to one caller.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The environment, for labels and the names of referred rows.
    pub env: &'a Environment,
    /// The table of the rows.
    pub table: &'a Table,
    /// What the caller asked for.
    pub prefer: &'a Prefer,
}

impl<'a> View<'a> {
    /// All columns of the table, for a request without `$select`.
    pub fn all(&self) -> Vec<&'a ColumnDefinition> {
        self.table.definition.columns.iter().collect()
    }

    /// Adds a row's etag, the chosen columns and, when it is not among them, the primary id. Selected
    /// money brings the currency along.
    pub fn write(&self, object: &mut Object, record: &Record, columns: &[&'a ColumnDefinition]) {
        object.text("@odata.etag", &etag(record.version));
        for column in columns {
            self.column(object, record, column);
        }
        let chosen = |name: &str| columns.iter().any(|column| column.logical_name == name);
        let definition = &self.table.definition;
        if columns.iter().any(|column| column.kind == Kind::Money)
            && !chosen("transactioncurrencyid")
            && let Some(currency) = definition.column("transactioncurrencyid")
        {
            self.column(object, record, currency);
        }
        if !chosen(&definition.primary_id) {
            object.text(&definition.primary_id, &record.id.to_string());
        }
    }

    fn column(&self, object: &mut Object, record: &Record, column: &ColumnDefinition) {
        let name = property(column);
        if column.logical_name == self.table.definition.primary_id {
            object.text(&name, &record.id.to_string());
            return;
        }
        if column.logical_name == "versionnumber" {
            self.annotate(object, &name, FORMATTED, || {
                formatted::grouped(&record.version.to_string())
            });
            object.raw(&name, &record.version.to_string());
            return;
        }
        let hidden = column.write_only || column.secured && self.env.column_security;
        let cell = record.cells.get(&column.logical_name).filter(|_| !hidden);
        let Some(cell) = cell else {
            object.raw(&name, "null");
            return;
        };
        self.annotations(object, (&name, column), record, cell);
        object.raw(&name, &json(cell, column.kind));
    }

    fn annotations(
        &self,
        object: &mut Object,
        (name, column): (&str, &ColumnDefinition),
        record: &Record,
        cell: &Cell,
    ) {
        if self.prefer.wants(FORMATTED)
            && let Some(text) = formatted::text(self.env, column, record, cell)
        {
            object.text(&format!("{name}@{FORMATTED}"), &text);
        }
        if let Cell::Lookup { table, .. } = cell {
            let navigation = "Microsoft.Dynamics.CRM.associatednavigationproperty";
            if let Some(target) = target(column, table) {
                self.annotate(object, name, navigation, || target.navigation.clone());
            }
            let logical = "Microsoft.Dynamics.CRM.lookuplogicalname";
            self.annotate(object, name, logical, || table.clone());
        }
    }

    fn annotate(
        &self,
        object: &mut Object,
        name: &str,
        annotation: &str,
        value: impl FnOnce() -> String,
    ) {
        if self.prefer.wants(annotation) {
            object.text(&format!("{name}@{annotation}"), &value());
        }
    }
}

fn target<'a>(column: &'a ColumnDefinition, table: &str) -> Option<&'a LookupTarget> {
    column.targets.iter().find(|target| target.table == table)
}

/// `W/"1234"`
pub fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// The JSON of one cell. Money is shown with at least four digits after the point and decimals with
/// ten, as the service stores them.
pub fn json(cell: &Cell, kind: Kind) -> String {
    match cell {
        Cell::Text(text) => quoted(text),
        Cell::Integer(number) => number.to_string(),
        Cell::Decimal(number) => padded(*number, if kind == Kind::Money { 4 } else { 10 }),
        Cell::Double(number) => serde_json::Value::from(*number).to_string(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Time(moment) => format!("\"{}\"", moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
        Cell::Date(date) => format!("\"{date}\""),
        Cell::Guid(id) | Cell::Lookup { id, .. } => format!("\"{id}\""),
        Cell::Choices(values) => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("\"{}\"", values.join(","))
        }
        Cell::Bytes { id, .. } if kind == Kind::File => format!("\"{id}\""),
        Cell::Bytes { content, .. } => format!("\"{}\"", STANDARD.encode(content)),
    }
}

/// A number with at least `digits` digits after the point.
fn padded(number: Decimal, digits: u32) -> String {
    let mut shown = number;
    if shown.scale() < digits {
        shown.rescale(digits);
    }
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_digits_and_gain_only_zeros() {
        let exact: Decimal = "12345678901234567.8901".parse().unwrap();
        assert_eq!(json(&Cell::Decimal(exact), Kind::Money), "12345678901234567.8901");
        assert_eq!(json(&Cell::Decimal("0.1".parse().unwrap()), Kind::Decimal), "0.1000000000");
        assert_eq!(json(&Cell::Decimal("20000".parse().unwrap()), Kind::Money), "20000.0000");
    }

    #[test]
    fn moments_have_whole_seconds_and_end_in_z() {
        let moment = "2024-05-01T10:20:30.987Z".parse().unwrap();
        assert_eq!(json(&Cell::Time(moment), Kind::DateTime), "\"2024-05-01T10:20:30Z\"");
    }

    #[test]
    fn names_and_values_are_escaped() {
        let mut object = Object::new();
        object.text("a\"b", "line\nbreak");
        object.raw("n", "1");
        assert_eq!(object.finish(), r#"{"a\"b":"line\nbreak","n":1}"#);
    }
}
