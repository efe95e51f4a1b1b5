//! The refusal of a row whose alternate key another row has (Dataverse error `0x80060892`).

use crate::emulator::dataverse::model::{Cell, Definition, KeyDefinition, Record};
use crate::emulator::dataverse::refusal::Refusal;

const DUPLICATE_ATTRIBUTES: &str = "Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes";
const DUPLICATE_ENTITY: &str = "Microsoft.PowerApps.CDS.ErrorDetails.DuplicateEntity";

/// 412: the key's columns by their display names, and the values that stand twice as details.
pub fn refusal(definition: &Definition, key: &KeyDefinition, record: &Record) -> Refusal {
    let shown = |name: &String| definition.column(name).map_or(name, |c| &c.display_name).clone();
    let columns: Vec<String> = key.columns.iter().map(shown).collect();
    let message = format!(
        "Entity Key {} violated. A record with the same value for {} already exists. A duplicate \
         record cannot be created. Select one or more unique values and try again.",
        key.schema_name,
        columns.join(", ")
    );
    Refusal::new(412, "0x80060892", message)
        .with_detail(DUPLICATE_ATTRIBUTES, attributes(&key.columns, record))
        .with_detail(DUPLICATE_ENTITY, format!("{}({})", definition.logical_name, record.id))
}

fn attributes(columns: &[String], record: &Record) -> String {
    let shown: Vec<String> = columns
        .iter()
        .map(|column| {
            let value = match record.cells.get(column) {
                Some(Cell::Text(text)) => quick_xml::escape::escape(text.as_str()).into_owned(),
                Some(Cell::Integer(number)) => number.to_string(),
                Some(Cell::Decimal(number)) => number.to_string(),
                Some(Cell::Lookup { id, .. } | Cell::Guid(id)) => id.to_string(),
                Some(Cell::Time(moment)) => moment.to_string(),
                Some(Cell::Date(date)) => date.to_string(),
                Some(
                    Cell::Double(_) | Cell::Boolean(_) | Cell::Choices(_) | Cell::Bytes { .. },
                )
                | None => String::new(),
            };
            format!("<{column}>{value}</{column}>")
        })
        .collect();
    format!("<DuplicateAttributes>{}</DuplicateAttributes>", shown.concat())
}
