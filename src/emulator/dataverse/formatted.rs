//! Formatted values: what a person with English settings, in UTC, would read in a form.

use rust_decimal::Decimal;

use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Environment, Kind, Record};

/// The label of a cell, or nothing for kinds that have none (text, ids, files).
pub fn text(
    env: &Environment,
    column: &ColumnDefinition,
    record: &Record,
    cell: &Cell,
) -> Option<String> {
    match cell {
        Cell::Integer(number) if column.kind.is_choice() => label(env, column, *number),
        Cell::Integer(number) => Some(grouped(&number.to_string())),
        Cell::Decimal(number) if column.kind == Kind::Money => {
            Some(money(env, column, record, *number))
        }
        Cell::Decimal(number) => Some(grouped(&fixed(*number, column.precision.unwrap_or(2)))),
        Cell::Double(number) => {
            let digits = column.precision.unwrap_or(2) as usize;
            Some(grouped(&format!("{number:.digits$}")))
        }
        Cell::Boolean(value) => {
            let shown = label(env, column, i64::from(*value));
            Some(shown.unwrap_or_else(|| if *value { "Yes" } else { "No" }.to_owned()))
        }
        Cell::Time(moment) => Some(moment.strftime("%-m/%-d/%Y %-I:%M %p").to_string()),
        Cell::Date(date) => Some(date.strftime("%-m/%-d/%Y").to_string()),
        Cell::Choices(values) => {
            let labels = values.iter().filter_map(|value| label(env, column, i64::from(*value)));
            Some(labels.collect::<Vec<_>>().join("; "))
        }
        Cell::Lookup { table, id } => name_of(env, table, *id),
        Cell::Text(_) | Cell::Guid(_) | Cell::Bytes { .. } => None,
    }
}

/// The primary name of a row, when it has one.
pub fn name_of(env: &Environment, table: &str, id: uuid::Uuid) -> Option<String> {
    let table = env.tables.get(table)?;
    let Cell::Text(name) = table.rows.get(&id)?.cells.get(&table.definition.primary_name)? else {
        return None;
    };
    Some(name.clone())
}

/// A number with commas between thousands: `-1234.5` becomes `-1,234.5`.
pub fn grouped(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b)));
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

fn label(env: &Environment, column: &ColumnDefinition, value: i64) -> Option<String> {
    let options = env.options(column).iter();
    let mut matching = options.filter(|option| i64::from(option.value) == value);
    matching.next().map(|option| option.label.clone())
}

fn money(env: &Environment, column: &ColumnDefinition, record: &Record, amount: Decimal) -> String {
    let symbol = currency_symbol(env, record).unwrap_or_else(|| "$".to_owned());
    let digits = grouped(&fixed(amount.abs(), column.precision.unwrap_or(2)));
    let sign = if amount.is_sign_negative() && !amount.is_zero() { "-" } else { "" };
    format!("{sign}{symbol}{digits}")
}

fn currency_symbol(env: &Environment, record: &Record) -> Option<String> {
    let Cell::Lookup { table, id } = record.cells.get("transactioncurrencyid")? else {
        return None;
    };
    let currency = env.tables.get(table)?.rows.get(id)?;
    let Cell::Text(symbol) = currency.cells.get("currencysymbol")? else { return None };
    Some(symbol.clone())
}

fn fixed(number: Decimal, digits: u32) -> String {
    let mut shown = number.round_dp(digits);
    shown.rescale(digits);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_whatever_the_sign() {
        assert_eq!(grouped("-1234567.25"), "-1,234,567.25");
        assert_eq!(grouped("123"), "123");
        assert_eq!(grouped("1000"), "1,000");
    }

    #[test]
    fn fixed_digits_are_padded_or_rounded() {
        assert_eq!(fixed("2.5".parse().unwrap(), 2), "2.50");
        assert_eq!(fixed("2.999".parse().unwrap(), 2), "3.00");
    }
}
