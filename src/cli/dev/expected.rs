//! An independent model of what each consumer must hold in the end: it knows the shipped input and what
//! the three consumers want, and nothing of maps, ledgers or handlers.
//!
//! The newest good state of each organisation counts. Where the newest word is a removal that leaves a
//! row behind, any earlier state of it is right, and so is none: which of them was ever written depends
//! on the order of arrival over partitions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::organisation::{Organisation, State, money};
use super::stream::{Fact, What};

/// A consumer of the shipped maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consumer {
    Sales,
    Finance,
    Logistics,
}

/// The columns of a row by name.
pub(super) type Columns = BTreeMap<String, Value>;

/// The number that Logistics gave each country, by alpha-3 code.
pub(super) type Countries = BTreeMap<String, i64>;

/// What may be found under one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    /// This row.
    Exactly(Columns),
    /// One of these rows, or none.
    Leftover(Vec<Columns>),
}

/// Everything that one consumer should hold.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// By key.
    pub(super) rows: BTreeMap<String, Expected>,
    /// How many events are refused, by code.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// What a consumer makes of one state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Made {
    /// This row.
    Row(Columns),
    /// Nothing: a fault with this code.
    Refused(&'static str),
    /// Nothing: it is of no interest.
    Unwanted,
}

impl Consumer {
    /// All three.
    pub(super) const ALL: [Self; 3] = [Self::Sales, Self::Finance, Self::Logistics];

    /// The system of `concord.toml`.
    pub(super) fn system(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Finance => "finance",
            Self::Logistics => "logistics",
        }
    }

    /// The table's entity set.
    pub(super) fn set(self) -> &'static str {
        match self {
            Self::Sales => "accounts",
            Self::Finance => "acme_debtors",
            Self::Logistics => "acme_deliverypoints",
        }
    }

    /// The key column.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Sales => "accountnumber",
            Self::Finance => "acme_number",
            Self::Logistics => "acme_code",
        }
    }

    /// The columns that are compared.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Sales => &[
                "name",
                "address1_country",
                "address1_stateorprovince",
                "accountcategorycode",
                "creditlimit",
                "websiteurl",
                "description",
                "statecode",
            ],
            Self::Finance => &[
                "acme_name",
                "acme_country",
                "acme_openedon",
                "acme_creditlimit",
                "statecode",
                "statuscode",
            ],
            Self::Logistics => {
                &["acme_name", "acme_countrynumber", "_acme_countryid_value", "statecode"]
            }
        }
    }

    /// Under which key it knows an organisation.
    pub(super) fn key_of(self, organisation: &Organisation) -> String {
        match self {
            Self::Sales => organisation.number.trim_start_matches('0').to_owned(),
            Self::Finance => organisation.number.clone(),
            Self::Logistics => organisation.code.to_owned(),
        }
    }

    /// What it makes of a state.
    pub(super) fn make(
        self,
        organisation: &Organisation,
        state: &State,
        countries: &Countries,
    ) -> Made {
        let length = state.name.trim().chars().count();
        let longest = match self {
            Self::Sales => 160,
            Self::Finance => 200,
            Self::Logistics => usize::MAX,
        };
        if self == Self::Logistics && state.kind == "Outlying area" {
            return Made::Unwanted;
        }
        let Some(country) = countries.get(&state.country) else {
            // Logistics looks the country up in its own table, the others in ISO 3166.
            return Made::Refused(if self == Self::Logistics {
                "value-unknown"
            } else {
                "inconvertible"
            });
        };
        match self {
            Self::Sales | Self::Finance if !state.numbered => Made::Refused("key-missing"),
            Self::Sales | Self::Finance if length > longest => Made::Refused("too-long"),
            Self::Sales => Made::Row(account(organisation, state)),
            Self::Finance => Made::Row(debtor(state)),
            Self::Logistics => Made::Row(delivery_point(state, *country)),
        }
    }

    /// What a removal makes of a row that was there: its state afterwards, or none when it is gone.
    fn after_removal(self, mut row: Columns) -> Option<Columns> {
        match self {
            // Sales holds it for a day first; that day is over when the sweep comes.
            Self::Sales => {
                row.extend(columns(json!({ "statecode": 1 })));
                Some(row)
            }
            Self::Finance => {
                row.extend(columns(json!({ "statecode": 1, "statuscode": 2 })));
                Some(row)
            }
            Self::Logistics => None,
        }
    }
}

/// What `consumer` must hold after everything was handled.
pub(super) fn model(
    consumer: Consumer,
    organisations: &[Organisation],
    facts: &[Fact],
    countries: &Countries,
) -> Model {
    let mut model = Model::default();
    let mut history: BTreeMap<usize, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        history.entry(fact.who).or_default().push(fact);
    }
    for (who, mut facts) in history {
        let Some(organisation) = organisations.get(who) else { continue };
        facts.sort_by_key(|fact| fact.at);
        let mut expected = Expected::Leftover(Vec::new());
        let mut past = Vec::new();
        for fact in facts {
            match &fact.what {
                What::Now(state) => match consumer.make(organisation, state, countries) {
                    Made::Row(row) => {
                        past.push(row.clone());
                        expected = Expected::Exactly(row);
                    }
                    Made::Unwanted => expected = Expected::Leftover(Vec::new()),
                    Made::Refused(code) => *model.refused.entry(code).or_default() += 1,
                },
                What::Removed(_) => {
                    let left = past.iter().cloned();
                    let left = left.filter_map(|row| consumer.after_removal(row)).collect();
                    expected = Expected::Leftover(left);
                }
                What::Truncated(_) | What::Nameless(_) => {}
            }
        }
        model.rows.insert(consumer.key_of(organisation), expected);
    }
    model
}

/// How many events no consumer can read at all.
pub(super) fn unreadable(facts: &[Fact]) -> u64 {
    let unreadable = |fact: &&Fact| matches!(fact.what, What::Truncated(_) | What::Nameless(_));
    facts.iter().filter(unreadable).count() as u64
}

fn account(organisation: &Organisation, state: &State) -> Columns {
    columns(json!({
        "name": state.name.trim(),
        // The code of a place starts with the two letters of its country.
        "address1_country": organisation.code.split('-').next(),
        "address1_stateorprovince": state.kind.chars().take(20).collect::<String>(),
        "accountcategorycode": if state.segment == "Key" { 1 } else { 2 },
        "creditlimit": number(&money(state.credit)),
        "websiteurl": state.web_page,
        "description": state.note,
        "statecode": 0,
    }))
}

fn debtor(state: &State) -> Columns {
    let (code, status) = match state.status {
        "Closed" => (1, 2),
        "Blocked" => (0, 100_000_001),
        _ => (0, 1),
    };
    columns(json!({
        "acme_name": state.name.trim(),
        "acme_country": state.country,
        "acme_openedon": state.opened.to_string(),
        "acme_creditlimit": number(&money(state.credit)),
        "statecode": code,
        "statuscode": status,
    }))
}

fn delivery_point(state: &State, country: i64) -> Columns {
    columns(json!({
        "acme_name": state.name.trim().chars().take(100).collect::<String>(),
        "acme_countrynumber": country,
        "_acme_countryid_value": country,
        "statecode": 0,
    }))
}

fn columns(value: Value) -> Columns {
    if let Value::Object(columns) = value { columns.into_iter().collect() } else { Columns::new() }
}

fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
