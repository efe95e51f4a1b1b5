//! The values that conditions compare and sort by: cells, literals and metadata facts alike.
//!
//! Text is compared as the service's collation does, without regard to case. Null is below every
//! value when sorting; in a condition it is equal to null alone.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use uuid::Uuid;

use crate::emulator::dataverse::model::{Cell, Definition, Kind, Record};
use crate::emulator::dataverse::render;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A whole or decimal number.
    Number(Decimal),
    /// A floating-point number.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// A moment.
    Time(Timestamp),
    /// A date alone.
    Date(Date),
    /// An id, or the id a lookup refers to.
    Guid(Uuid),
    /// Chosen numbers.
    Choices(Vec<i32>),
}

/// Values that may be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `Edm.String`
    Text,
    /// `Edm.Int32`, `Edm.Decimal` and the like.
    Number,
    /// `Edm.Boolean`
    Boolean,
    /// `Edm.DateTimeOffset` and `Edm.Date`
    Time,
    /// `Edm.Guid`
    Guid,
    /// Null, and what has no type of its own.
    Any,
}

impl Family {
    /// The family of a column's values.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Memo | Kind::MultiSelectPicklist => Self::Text,
            Kind::Integer
            | Kind::BigInt
            | Kind::Decimal
            | Kind::Double
            | Kind::Money
            | Kind::Picklist
            | Kind::State
            | Kind::Status => Self::Number,
            Kind::Boolean => Self::Boolean,
            Kind::DateTime => Self::Time,
            Kind::Uniqueidentifier | Kind::Lookup | Kind::Customer | Kind::Owner => Self::Guid,
            Kind::Image | Kind::File => Self::Any,
        }
    }

    /// The name that messages use.
    pub fn edm(self) -> &'static str {
        match self {
            Self::Text | Self::Any => "Edm.String",
            Self::Number => "Edm.Int32",
            Self::Boolean => "Edm.Boolean",
            Self::Time => "Edm.DateTimeOffset",
            Self::Guid => "Edm.Guid",
        }
    }
}

impl Operand {
    /// The value of a column of a row. The primary id and the version are read from the row itself.
    pub fn of_column(definition: &Definition, record: &Record, column: &str) -> Self {
        if column == definition.primary_id {
            return Self::Guid(record.id);
        }
        if column == "versionnumber" {
            return Self::Number(record.version.into());
        }
        record.cells.get(column).map_or(Self::Null, Self::of_cell)
    }

    fn of_cell(cell: &Cell) -> Self {
        match cell {
            Cell::Text(text) => Self::Text(text.clone()),
            Cell::Integer(number) => Self::Number((*number).into()),
            Cell::Decimal(number) => Self::Number(*number),
            Cell::Double(number) => Self::Double(*number),
            Cell::Boolean(truth) => Self::Boolean(*truth),
            Cell::Time(time) => Self::Time(*time),
            Cell::Date(date) => Self::Date(*date),
            Cell::Guid(id) | Cell::Lookup { id, .. } | Cell::Bytes { id, .. } => Self::Guid(*id),
            Cell::Choices(numbers) => Self::Choices(numbers.clone()),
        }
    }

    /// The value that a metadata document holds.
    pub fn of_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Bool(truth) => Self::Boolean(*truth),
            serde_json::Value::Number(number) => number.as_i64().map_or_else(
                || number.as_f64().map_or(Self::Null, Self::Double),
                |whole| Self::Number(whole.into()),
            ),
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Self::Null,
        }
    }

    /// Reads an untyped literal, as FetchXML has them, as a value of the column's type. `None` when it
    /// cannot be one.
    pub fn read(kind: Kind, text: &str) -> Option<Self> {
        let bare = text.trim();
        match Family::of(kind) {
            Family::Text | Family::Any => Some(Self::Text(text.to_owned())),
            Family::Number if kind == Kind::Double => bare.parse().ok().map(Self::Double),
            Family::Number => bare.parse().ok().map(Self::Number),
            Family::Boolean => match bare.to_ascii_lowercase().as_str() {
                "1" | "true" => Some(Self::Boolean(true)),
                "0" | "false" => Some(Self::Boolean(false)),
                _ => None,
            },
            Family::Time => Self::read_time(bare),
            Family::Guid => Uuid::parse_str(bare).ok().map(Self::Guid),
        }
    }

    /// A date, or a moment; a moment without an offset is taken as UTC.
    pub fn read_time(text: &str) -> Option<Self> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Some(Self::Time(time));
        }
        if text.len() <= 10 {
            return text.parse::<Date>().ok().map(Self::Date);
        }
        let civil: civil::DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| Self::Time(zoned.timestamp()))
    }

    /// The family of a literal.
    pub fn family(&self) -> Family {
        match self {
            Self::Null => Family::Any,
            Self::Text(_) | Self::Choices(_) => Family::Text,
            Self::Number(_) | Self::Double(_) => Family::Number,
            Self::Boolean(_) => Family::Boolean,
            Self::Time(_) | Self::Date(_) => Family::Time,
            Self::Guid(_) => Family::Guid,
        }
    }

    /// How the two compare, `None` when one is null or they cannot be compared.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Text(left), Self::Text(right)) => Some(collate(left, right)),
            (Self::Number(left), Self::Number(right)) => Some(left.cmp(right)),
            (Self::Boolean(left), Self::Boolean(right)) => Some(left.cmp(right)),
            (Self::Guid(left), Self::Guid(right)) => Some(left.cmp(right)),
            (Self::Choices(_), _) | (_, Self::Choices(_)) => Some(self.text().cmp(&other.text())),
            (value, Self::Text(text)) => value.compare(&value.alike(text)?),
            (Self::Text(text), value) => value.alike(text)?.compare(value),
            _ => match (self.moment(), other.moment()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => self.double()?.partial_cmp(&other.double()?),
            },
        }
    }

    /// A text read as a value of this one's family: lists of values are texts whatever they hold.
    fn alike(&self, text: &str) -> Option<Self> {
        match self.family() {
            Family::Number => Self::read(Kind::Decimal, text),
            Family::Boolean => Self::read(Kind::Boolean, text),
            Family::Time => Self::read_time(text.trim()),
            Family::Guid => Self::read(Kind::Uniqueidentifier, text),
            Family::Text | Family::Any => None,
        }
    }

    /// Whether both are the same, nulls included.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// The order of a sort: null first.
    pub fn sort(&self, other: &Self) -> Ordering {
        let nulls = (other == &Self::Null).cmp(&(self == &Self::Null));
        nulls.then(self.compare(other).unwrap_or(Ordering::Equal))
    }

    fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Date(date) => date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()),
            Self::Null
            | Self::Text(_)
            | Self::Number(_)
            | Self::Double(_)
            | Self::Boolean(_)
            | Self::Guid(_)
            | Self::Choices(_) => None,
        }
    }

    /// The value as a floating-point number, when it is a number or a truth.
    pub fn double(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.to_f64(),
            Self::Double(number) => Some(*number),
            Self::Boolean(truth) => Some(f64::from(u8::from(*truth))),
            Self::Null
            | Self::Text(_)
            | Self::Time(_)
            | Self::Date(_)
            | Self::Guid(_)
            | Self::Choices(_) => None,
        }
    }

    /// The JSON of a computed value.
    pub fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Number(_) => self.text(),
            Self::Double(number) => serde_json::Value::from(*number).to_string(),
            Self::Boolean(truth) => truth.to_string(),
            Self::Time(time) => format!("\"{}\"", time.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Self::Text(_) | Self::Date(_) | Self::Guid(_) | Self::Choices(_) => {
                render::quoted(&self.text())
            }
        }
    }

    /// The value as text, the way paging cookies and text tests need it; empty for null.
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Boolean(truth) => u8::from(*truth).to_string(),
            Self::Time(time) => time.to_string(),
            Self::Date(date) => date.to_string(),
            Self::Guid(id) => id.to_string(),
            Self::Choices(numbers) => {
                numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// The order of two texts without regard to case.
fn collate(left: &str, right: &str) -> Ordering {
    left.to_lowercase().cmp(&right.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compared_without_regard_to_case() {
        let left = Operand::Text("NORTHWIND".into());
        assert!(left.same(&Operand::Text("Northwind".into())));
        assert!(!left.same(&Operand::Null));
    }

    #[test]
    fn a_date_and_a_moment_compare_as_midnight_utc() {
        let date = Operand::read_time("2024-05-01").unwrap();
        let time = Operand::read_time("2024-05-01T00:00:01").unwrap();
        assert_eq!(date.compare(&time), Some(Ordering::Less));
    }

    #[test]
    fn null_sorts_first_and_compares_with_nothing() {
        let one = Operand::Number(1.into());
        assert_eq!(Operand::Null.sort(&one), Ordering::Less);
        assert_eq!(Operand::Null.compare(&one), None);
    }

    #[test]
    fn an_untyped_literal_takes_the_type_of_its_column() {
        assert_eq!(Operand::read(Kind::Boolean, "1"), Some(Operand::Boolean(true)));
        assert_eq!(Operand::read(Kind::Integer, "x"), None);
        assert!(matches!(Operand::read(Kind::DateTime, "2024-05-01"), Some(Operand::Date(_))));
    }
}
