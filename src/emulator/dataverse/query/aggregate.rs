//! Groups and the numbers computed of them, the same for `$apply`, FetchXML and SQL. A query over more
//! than [`CEILING`] rows is refused (`0x8004E023`).

use indexmap::IndexMap;
use rust_decimal::Decimal;

use super::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// The most rows that may be aggregated.
pub const CEILING: usize = 50_000;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many rows.
    Count,
    /// How many rows have a value.
    CountColumn,
    /// How many different values.
    CountDistinct,
    /// Their sum; null of nothing.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// The mean; null of nothing.
    Average,
}

impl Function {
    /// The result for the values of one group, one for each of its rows.
    pub fn of(self, values: &[Operand]) -> Operand {
        let present: Vec<&Operand> =
            values.iter().filter(|value| **value != Operand::Null).collect();
        match self {
            Self::Count => number(values.len()),
            Self::CountColumn => number(present.len()),
            Self::CountDistinct => number(group(present, |value| vec![(*value).clone()]).len()),
            Self::Sum => sum(&present),
            Self::Min => extreme(&present, |left, right| left.sort(right).is_le()),
            Self::Max => extreme(&present, |left, right| left.sort(right).is_ge()),
            Self::Average => average(&present),
        }
    }
}

fn number(count: usize) -> Operand {
    Operand::Number(Decimal::from(count))
}

fn extreme(values: &[&Operand], better: fn(&Operand, &Operand) -> bool) -> Operand {
    let best =
        values.iter().copied().reduce(|best, one| if better(best, one) { best } else { one });
    best.cloned().unwrap_or(Operand::Null)
}

/// Exact while all are exact and in range, floating otherwise.
fn sum(values: &[&Operand]) -> Operand {
    if values.is_empty() {
        return Operand::Null;
    }
    let exact = values.iter().try_fold(Decimal::ZERO, |sum, value| {
        let Operand::Number(number) = value else { return None };
        sum.checked_add(*number)
    });
    let floating = || values.iter().filter_map(|value| value.double()).sum();
    exact.map_or_else(|| Operand::Double(floating()), Operand::Number)
}

#[allow(clippy::cast_precision_loss, reason = "at most 50,000 values")]
fn average(values: &[&Operand]) -> Operand {
    let total = sum(values);
    if let Operand::Number(exact) = total {
        let mean = exact.checked_div(Decimal::from(values.len()));
        return mean.map_or(Operand::Null, |mean| Operand::Number(mean.round_dp(10).normalize()));
    }
    total.double().map_or(Operand::Null, |total| Operand::Double(total / values.len() as f64))
}

/// The key of a group, and what is in it.
pub type Group<T> = (Vec<Operand>, Vec<T>);

/// Items with the same key, texts without regard to case, in order of first appearance.
pub fn group<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> Vec<Operand>,
) -> Vec<Group<T>> {
    let mut groups: IndexMap<Vec<Option<String>>, Group<T>> = IndexMap::new();
    for item in items {
        let values = key(&item);
        let folded = values
            .iter()
            .map(|value| (*value != Operand::Null).then(|| value.text().to_lowercase()))
            .collect();
        groups.entry(folded).or_insert_with(|| (values, Vec::new())).1.push(item);
    }
    groups.into_values().collect()
}

/// Refuses what is too many rows to aggregate.
pub fn bounded(rows: usize) -> Result<(), Refusal> {
    if rows <= CEILING {
        return Ok(());
    }
    let message = "The maximum record limit is exceeded. Reduce the number of records.";
    Err(Refusal::bad("0x8004E023", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Vec<Operand> {
        let read = |text: &&str| match *text {
            "" => Operand::Null,
            text => Operand::Number(text.parse().unwrap()),
        };
        texts.iter().map(read).collect()
    }

    #[test]
    fn nulls_are_counted_as_rows_only() {
        let values = numbers(&["1.10", "", "1.1", "2"]);
        assert_eq!(Function::Count.of(&values).text(), "4");
        assert_eq!(Function::CountColumn.of(&values).text(), "3");
        assert_eq!(Function::Sum.of(&values).text(), "4.20");
        assert_eq!(Function::Average.of(&values).text(), "1.4");
        assert_eq!(Function::Max.of(&values).text(), "2");
        assert_eq!(Function::Min.of(&values).text(), "1.10");
    }

    #[test]
    fn nothing_sums_to_null() {
        assert_eq!(Function::Sum.of(&[]), Operand::Null);
        assert_eq!(Function::Average.of(&[Operand::Null]), Operand::Null);
    }

    #[test]
    fn too_many_rows_are_refused() {
        assert!(bounded(CEILING).is_ok());
        assert_eq!(bounded(CEILING + 1).unwrap_err().code, "0x8004E023");
    }
}
