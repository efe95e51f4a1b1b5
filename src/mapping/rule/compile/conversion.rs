//! The second half of compiling a rule: standard codes, value tables, conversions and lookups.

use indexmap::IndexMap;
use jiff::tz::TimeZone;

use super::Bench;
use super::shape::{constant, shape_of};
use crate::mapping::file::{
    Boolean, Country, CountryForm, Date, Decimal, Lookup, Number, Parts, Phone, PhonePart,
};
use crate::mapping::rule::convert::{Act, Part};
use crate::mapping::rule::country::{Countries, OVERLAY};
use crate::mapping::rule::date::{Calendar, is_format};
use crate::mapping::rule::lookup::{self, Reference};
use crate::mapping::rule::number::Notation;
use crate::mapping::rule::phone::Phones;
use crate::mapping::rule::values::{Choices, Table, YesNo};
use crate::mapping::rule::{Plan, Shape, Source};
use crate::row::Value;
use crate::system::ColumnKind;

impl Plan {
    fn push(&mut self, shown: impl Into<String>, act: Act) {
        self.parts.push(Part { shown: shown.into(), act });
    }

    fn yields(&mut self, kind: ColumnKind) {
        self.shape = Shape { kind: Some(kind), ..Shape::default() };
    }
}

impl Bench<'_> {
    pub(super) fn standards(&mut self, path: &str, parts: &Parts, plan: &mut Plan) {
        let before = plan.parts.len();
        let country = parts.country.as_ref();
        if let Some(countries) = country.and_then(|country| self.countries(path, country)) {
            plan.push("country", Act::Country(countries));
        }
        if let Some(currency) = parts.currency {
            plan.push("currency", Act::Currency(currency));
        }
        if let Some(language) = parts.language {
            plan.push("language", Act::Language(language));
        }
        if let Some(phone) = &parts.phone {
            let (region, part) = match phone {
                Phone::Region(region) => (region, PhonePart::default()),
                Phone::Part { region, part } => (region, *part),
            };
            if let Ok(region) = region.to_ascii_uppercase().parse() {
                plan.push("phone", Act::Phone(Phones::new(region, part)));
            } else {
                let message = format!("`{region}` is no region; write two letters, such as DK");
                self.problems.error(&format!("{path}/phone"), "region-unknown", message);
            }
        }
        if plan.parts.len() > before {
            plan.yields(ColumnKind::Text);
            plan.shape.longest = longest(parts);
        }
        if plan.parts.len() > before + 1 {
            let message = "at most one of country, currency, language and phone";
            self.problems.error(path, "several-conversions", message);
        }
    }

    fn countries(&mut self, path: &str, country: &Country) -> Option<Countries> {
        let (to, overlay) = match country {
            Country::Form(to) => return Some(Countries { to: *to, overlay: None }),
            Country::With { to, overlay } => (*to, overlay),
        };
        let path = format!("{path}/country/overlay");
        let read = match self.vocabularies.get(overlay) {
            Ok(read) => read,
            Err(why) => {
                self.problems.error(&path, "vocabulary", format!("{overlay}: {why}"));
                return None;
            }
        };
        for column in
            OVERLAY.iter().filter(|column| !read.columns.iter().any(|known| known == *column))
        {
            self.problems.error(&path, "vocabulary", format!("{overlay} has no column `{column}`"));
        }
        Some(Countries { to, overlay: Some(read) })
    }

    pub(super) fn table(&mut self, path: &str, parts: &Parts, plan: &mut Plan) {
        let entries: IndexMap<String, Value> = match (&parts.values, &parts.vocabulary) {
            (None, None) => return,
            (Some(_), Some(_)) => {
                let message = "a rule has `values` or `vocabulary`, not both";
                return self.problems.error(path, "several-conversions", message);
            }
            (Some(values), None) => {
                values.iter().map(|(key, value)| (key.clone(), constant(value))).collect()
            }
            (None, Some(file)) => match self.vocabulary(path, file, parts) {
                Some(entries) => entries,
                None => return,
            },
        };
        if entries.is_empty() {
            let message = "the value table is empty, so every value would be refused";
            self.problems.error(path, "values-empty", message);
        }
        plan.shape = shape_of(entries.values());
        plan.push("values", Act::Table(Table(entries)));
    }

    fn vocabulary(
        &mut self,
        path: &str,
        file: &str,
        parts: &Parts,
    ) -> Option<IndexMap<String, Value>> {
        let here = format!("{path}/vocabulary");
        let read = match self.vocabularies.get(file) {
            Ok(read) => read,
            Err(why) => {
                self.problems.error(&here, "vocabulary", format!("{file}: {why}"));
                return None;
            }
        };
        let first = read.columns.first().map_or("", String::as_str);
        let from = parts.column.as_deref().unwrap_or(first);
        let Some(to) = parts.to.as_deref() else {
            self.problems.error(&here, "key-alone", "`vocabulary` means nothing without `to`");
            return None;
        };
        for (key, name) in [("column", from), ("to", to)] {
            if !read.columns.iter().any(|known| known == name) {
                let known = read.columns.iter().map(String::as_str);
                let message = format!("{file} has no column `{name}`");
                self.problems.unknown(
                    &format!("{path}/{key}"),
                    ("vocabulary", name),
                    known,
                    message,
                );
                return None;
            }
        }
        match read.table(from, to) {
            Ok(table) => {
                Some(table.into_iter().map(|(key, value)| (key, Value::Text(value))).collect())
            }
            Err(twice) => {
                let message =
                    format!("{file}: `{twice}` of `{from}` stands for two values of `{to}`");
                self.problems.error(&here, "vocabulary", message);
                None
            }
        }
    }

    pub(super) fn conversion(&mut self, path: &str, parts: &Parts, plan: &mut Plan) {
        let (date, datetime) = (parts.date.as_ref(), parts.datetime.as_ref());
        if let Some(calendar) = self.calendar(&format!("{path}/date"), date, parts) {
            plan.push("date", Act::Date(calendar));
            plan.yields(ColumnKind::Date);
        }
        if let Some(calendar) = self.calendar(&format!("{path}/datetime"), datetime, parts) {
            plan.push("datetime", Act::Time(calendar));
            plan.yields(ColumnKind::Time);
        }
        if let Some(notation) = self.notation(path, parts.decimal.as_ref()) {
            plan.push("decimal", Act::Decimal(notation));
            plan.yields(ColumnKind::Decimal);
        }
        if parts.integer == Some(true) {
            plan.push("integer", Act::Integer);
            let numbers = std::mem::take(&mut plan.shape.numbers);
            plan.shape = Shape { kind: Some(ColumnKind::Integer), numbers, ..Shape::default() };
        }
        match &parts.boolean {
            None | Some(Boolean::Plain(false)) => {}
            Some(Boolean::Plain(true)) => plan.push("boolean", Act::Boolean(YesNo::usual())),
            Some(Boolean::Words(words)) => {
                let both = words.r#true.iter().any(|word| words.r#false.contains(word));
                if both || words.r#true.is_empty() || words.r#false.is_empty() {
                    let message = "both lists have words, and none is in both";
                    self.problems.error(&format!("{path}/boolean"), "words", message);
                }
                plan.push("boolean", Act::Boolean(YesNo::of(&words.r#true, &words.r#false)));
            }
        }
        if matches!(plan.parts.last(), Some(Part { act: Act::Boolean(_), .. })) {
            plan.yields(ColumnKind::Boolean);
        }
        choices(parts, plan);
        if parts.guid == Some(true) {
            plan.push("guid", Act::Guid);
            plan.yields(ColumnKind::Guid);
        }
        if several(parts) {
            let message = "at most one of date, datetime, decimal, integer, boolean, choice, choices \
                           and guid";
            self.problems.error(path, "several-conversions", message);
        }
    }

    /// The calendar that reads dates; none when the part is not there, or is wrong.
    fn calendar(&mut self, path: &str, date: Option<&Date>, parts: &Parts) -> Option<Calendar> {
        let date = date?;
        let formats = parts.formats.clone().unwrap_or_default();
        let rule = path.rsplit_once('/').map_or(path, |(rule, _)| rule);
        for (index, format) in formats.iter().enumerate().filter(|(_, format)| !is_format(format)) {
            let message = format!("`{format}` is no format of dates; write such as \"%d.%m.%Y\"");
            self.problems.error(&format!("{rule}/formats/{index}"), "date-format", message);
        }
        let name = match date {
            Date::Plain(is) => return is.then_some(Calendar { zone: None, formats }),
            Date::Zone(name) => name,
        };
        if let Ok(zone) = TimeZone::get(name) {
            return Some(Calendar { zone: Some(zone), formats });
        }
        let zones = jiff::tz::db().available();
        let names: Vec<String> = zones.map(|zone| zone.to_string()).collect();
        let known = names.iter().map(String::as_str);
        let message = format!("`{name}` is no time zone of the IANA database");
        self.problems.unknown(path, ("zone-unknown", name), known, message);
        None
    }

    fn notation(&mut self, path: &str, decimal: Option<&Decimal>) -> Option<Notation> {
        match decimal? {
            Decimal::Plain(is) => is.then(Notation::default),
            Decimal::Written { point, group, digits, round } => {
                let path = format!("{path}/decimal");
                if point.unwrap_or('.') == group.unwrap_or('\0') {
                    let message = "`point` and `group` are the same character";
                    self.problems.error(&path, "notation", message);
                }
                if digits.is_some_and(|digits| digits > 28) || (*round && digits.is_none()) {
                    let message = "`digits` is at most 28, and `round` needs it";
                    self.problems.error(&path, "notation", message);
                }
                Some(Notation { point: *point, group: *group, digits: *digits, round: *round })
            }
        }
    }

    pub(super) fn reference(&mut self, path: &str, parts: &Parts, plan: &mut Plan) {
        if let Source::Composite { table, by, .. } = &plan.source {
            let paths = by.iter().map(|(path, _)| path.iter().map(ToString::to_string).collect());
            let lookup = Some((table.clone(), paths.collect()));
            plan.shape = Shape { kind: Some(ColumnKind::Lookup), lookup, ..Shape::default() };
            return;
        }
        let Some(Lookup::Path(written)) = &parts.lookup else { return };
        let Some((table, key)) = lookup::path(written) else {
            let message = format!("`{written}` is not table.key_column");
            return self.problems.error(&format!("{path}/lookup"), "lookup-path", message);
        };
        let hops = vec![key.iter().map(ToString::to_string).collect()];
        let lookup = Some((table.to_string(), hops));
        plan.shape = Shape { kind: Some(ColumnKind::Lookup), lookup, ..Shape::default() };
        let missing = parts.missing.unwrap_or_default();
        let reference = Reference { table, path: key, missing };
        plan.push(format!("lookup {written}"), Act::Lookup(reference));
    }
}

/// The longest that a standard code can be.
fn longest(parts: &Parts) -> Option<u32> {
    let country = parts.country.as_ref().map(|country| match country {
        Country::Form(to) | Country::With { to, .. } => *to,
    });
    match country {
        Some(CountryForm::Alpha2) => Some(2),
        Some(CountryForm::Name) => None,
        // E.164 has fifteen digits and a plus sign
        None if parts.phone.is_some() => Some(16),
        Some(CountryForm::Alpha3 | CountryForm::Numeric) | None => Some(3),
    }
}

/// Whether more than one conversion is named.
fn several(parts: &Parts) -> bool {
    let named = [
        parts.date.is_some(),
        parts.datetime.is_some(),
        parts.decimal.is_some(),
        parts.integer == Some(true),
        parts.boolean.is_some(),
        parts.choice.is_some(),
        parts.choices.is_some(),
        parts.guid == Some(true),
    ];
    named.into_iter().filter(|named| *named).count() > 1
}

fn choices(parts: &Parts, plan: &mut Plan) {
    let listed = |number: &Number| match number {
        Number::Plain(is) => is.then(Choices::default),
        Number::Labels(labels) => Some(Choices(Some(labels.clone()))),
    };
    for (several, number) in [(false, &parts.choice), (true, &parts.choices)] {
        let Some(choices) = number.as_ref().and_then(listed) else { continue };
        let numbers = choices.0.iter().flat_map(|labels| labels.values().copied()).collect();
        let kind = if several { ColumnKind::Choices } else { ColumnKind::Choice };
        plan.shape = Shape { kind: Some(kind), numbers, ..Shape::default() };
        if several {
            plan.push("choices", Act::Choices(choices));
        } else {
            plan.push("choice", Act::Choice(choices));
        }
    }
}
