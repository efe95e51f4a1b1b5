//! One JSON value to one typed cell, by the column's definition. Refuses wrong types, texts that are too
//! long, numbers out of range and choices that do not exist, each with its own code (Dataverse Web API,
//! column values in JSON and errors).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::chance::Chance;
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Definition, Environment, Kind};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::{address, body};

/// A column with what is needed to judge a value for it.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// For global choices.
    pub env: &'a Environment,
    /// The column's table.
    pub definition: &'a Definition,
    /// The column.
    pub column: &'a ColumnDefinition,
    /// For the ids of images.
    pub chance: &'a Chance,
}

/// The earliest moment a date column holds: 1753-01-01T00:00:00Z.
const EARLIEST: i64 = -6_847_804_800;
/// The most choices that may be selected.
const MOST_CHOICES: usize = 150;
/// The largest image, in bytes.
const LARGEST_IMAGE: usize = 30 * 1024 * 1024;

impl Judge<'_> {
    /// The cell for a value; nothing for `null` and for the empty text, which is stored as null.
    pub fn cell(&self, value: &RawValue) -> Result<Option<Cell>, Refusal> {
        if body::is_null(value) {
            return Ok(None);
        }
        match self.column.kind {
            Kind::String | Kind::Memo => self.text(value),
            Kind::Integer => {
                self.integer(value, i64::from(i32::MIN), i64::from(i32::MAX)).map(Some)
            }
            Kind::BigInt => self.integer(value, i64::MIN, i64::MAX).map(Some),
            Kind::Decimal | Kind::Money => self.decimal(value).map(Some),
            Kind::Double => self.double(value).map(Some),
            Kind::Boolean => self.boolean(value).map(Some),
            Kind::DateTime if self.column.behavior.as_deref() == Some("DateOnly") => {
                self.date(value).map(Some)
            }
            Kind::DateTime => self.moment(value).map(Some),
            Kind::Uniqueidentifier => self.guid(value).map(Some),
            Kind::Picklist | Kind::State | Kind::Status => self.choice(value).map(Some),
            Kind::MultiSelectPicklist => self.choices(value),
            Kind::Image => self.image(value).map(Some),
            Kind::File | Kind::Lookup | Kind::Customer | Kind::Owner => Err(self.not_direct()),
        }
    }

    fn text(&self, value: &RawValue) -> Result<Option<Cell>, Refusal> {
        let text = self.string(value, "Edm.String")?;
        let limit = self.column.max_length.unwrap_or(100) as usize;
        // The service counts as its database does: in UTF-16 units.
        if text.len() > limit && text.encode_utf16().count() > limit {
            let message = format!(
                "A validation error occurred. The length of the '{}' attribute of the '{}' entity \
                 exceeded the maximum allowed length of '{limit}'.",
                self.column.logical_name, self.definition.logical_name
            );
            return Err(Refusal::bad("0x80044331", message));
        }
        Ok((!text.is_empty()).then_some(Cell::Text(text)))
    }

    fn integer(&self, value: &RawValue, lowest: i64, highest: i64) -> Result<Cell, Refusal> {
        let edm = if highest > i64::from(i32::MAX) { "Edm.Int64" } else { "Edm.Int32" };
        let number: i64 = self.read(value, edm)?;
        let bound = |limit: Option<Decimal>, other: i64| {
            limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(other)
        };
        let (low, high) = (bound(self.column.min, lowest), bound(self.column.max, highest));
        if (low..=high).contains(&number) {
            return Ok(Cell::Integer(number));
        }
        Err(self.out_of_range("0x8004432F", value, &format!("{low} to {high}")))
    }

    fn decimal(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let text = value.get();
        if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(self.wrong_type(value, "Edm.Decimal"));
        }
        let (low, high) = self.decimal_range();
        let refused = || self.out_of_range("0x80044330", value, &format!("{low} to {high}"));
        let number = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
        let number = number.or_else(|_| text.parse::<Decimal>()).map_err(|_| refused())?;
        if number < low || number > high {
            return Err(refused());
        }
        let digits = self.column.precision.unwrap_or(if self.is_money() { 4 } else { 10 });
        let strategy = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
        Ok(Cell::Decimal(number.round_dp_with_strategy(digits, strategy)))
    }

    fn decimal_range(&self) -> (Decimal, Decimal) {
        let widest = if self.is_money() {
            Decimal::new(922_337_203_685_477, 0)
        } else {
            Decimal::new(100_000_000_000, 0)
        };
        (self.column.min.unwrap_or(-widest), self.column.max.unwrap_or(widest))
    }

    fn is_money(&self) -> bool {
        self.column.kind == Kind::Money
    }

    fn double(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let number: f64 = self.read(value, "Edm.Double")?;
        let exact = Decimal::from_f64_retain(number).unwrap_or(Decimal::MAX);
        let widest = Decimal::new(100_000_000_000, 0);
        let (low, high) = (self.column.min.unwrap_or(-widest), self.column.max.unwrap_or(widest));
        if exact < low || exact > high {
            return Err(self.out_of_range("0x80044330", value, &format!("{low} to {high}")));
        }
        Ok(Cell::Double(number))
    }

    fn boolean(&self, value: &RawValue) -> Result<Cell, Refusal> {
        if value.get().parse::<f64>().is_ok() {
            let message = "Boolean attribute options must have a value of either 0 or 1.";
            return Err(Refusal::bad("0x8004431C", message));
        }
        self.read(value, "Edm.Boolean").map(Cell::Boolean)
    }

    fn date(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let text = self.string(value, "Edm.Date")?;
        let date: Date = Some(text.as_str())
            .filter(|text| text.len() == 10)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.wrong_type(value, "Edm.Date"))?;
        if date < Date::constant(1753, 1, 1) {
            return Err(self.bad_moment());
        }
        Ok(Cell::Date(date))
    }

    fn moment(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let text = self.string(value, "Edm.DateTimeOffset")?;
        let moment = moment(&text).ok_or_else(|| self.bad_moment())?;
        if moment.as_second() < EARLIEST {
            return Err(self.bad_moment());
        }
        let whole = Timestamp::from_second(moment.as_second()).unwrap_or(moment);
        Ok(Cell::Time(whole))
    }

    fn guid(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let text = self.string(value, "Edm.Guid")?;
        let refused = || Refusal::bad("0x80040363", format!("'{text}' is not a valid unique id."));
        address::id(&text).map(Cell::Guid).ok_or_else(refused)
    }

    fn choice(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let number: i64 = self.read(value, "Edm.Int32")?;
        self.known_choice(number, value).map(|()| Cell::Integer(number))
    }

    fn known_choice(&self, number: i64, value: &RawValue) -> Result<(), Refusal> {
        let options = self.env.options(self.column);
        if options.iter().any(|option| i64::from(option.value) == number) {
            return Ok(());
        }
        let known: Vec<String> = options.iter().map(|option| option.value.to_string()).collect();
        Err(self.out_of_range("0x8004431A", value, &known.join(",")))
    }

    fn choices(&self, value: &RawValue) -> Result<Option<Cell>, Refusal> {
        let text = self.string(value, "Edm.String")?;
        let mut numbers = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let number: i32 = part.parse().map_err(|_| self.wrong_type(value, "Edm.String"))?;
            self.known_choice(i64::from(number), value)?;
            numbers.push(number);
        }
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() > MOST_CHOICES {
            let message = "Number of distinct picklist values exceed the limit.";
            return Err(Refusal::bad("0x80048492", message));
        }
        Ok((!numbers.is_empty()).then_some(Cell::Choices(numbers)))
    }

    fn image(&self, value: &RawValue) -> Result<Cell, Refusal> {
        let text = self.string(value, "Edm.Binary")?;
        let content = STANDARD.decode(text).map_err(|_| self.wrong_type(value, "Edm.Binary"))?;
        if content.len() > LARGEST_IMAGE {
            return Err(Refusal::bad("0x80040203", "The image is larger than 30 MB."));
        }
        Ok(Cell::Bytes { id: self.chance.uuid(), name: String::new(), content: content.into() })
    }

    fn string(&self, value: &RawValue, edm: &str) -> Result<String, Refusal> {
        self.read(value, edm)
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        value: &RawValue,
        edm: &str,
    ) -> Result<T, Refusal> {
        serde_json::from_str(value.get()).map_err(|_| self.wrong_type(value, edm))
    }

    fn wrong_type(&self, value: &RawValue, edm: &str) -> Refusal {
        let shown: String = value.get().chars().take(100).collect();
        let reason = format!(
            "Cannot convert the literal '{}' to the expected type '{edm}' (property '{}').",
            shown.trim_matches('"'),
            self.column.logical_name
        );
        body::malformed(&self.definition.entity_set, &reason)
    }

    fn out_of_range(&self, code: &'static str, value: &RawValue, accepted: &str) -> Refusal {
        let message = format!(
            "A validation error occurred. The value {} of '{}' on record of type '{}' is outside the \
             valid range. Accepted Values: {accepted}",
            value.get(),
            self.column.logical_name,
            self.definition.logical_name
        );
        Refusal::bad(code, message)
    }

    fn bad_moment(&self) -> Refusal {
        let message = format!(
            "The date-time format is invalid, or value is outside the supported range. (column '{}')",
            self.column.logical_name
        );
        Refusal::bad("0x80040239", message)
    }

    fn not_direct(&self) -> Refusal {
        let reason = if self.column.kind == Kind::File {
            format!("The file column '{}' cannot be set in a row.", self.column.logical_name)
        } else {
            "CRM do not support direct update of Entity Reference properties, Use Navigation \
             properties instead."
                .to_owned()
        };
        body::malformed(&self.definition.entity_set, &reason)
    }
}

/// A moment with an offset, without one (then it is UTC), or a date alone (then midnight UTC).
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let civil: DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
