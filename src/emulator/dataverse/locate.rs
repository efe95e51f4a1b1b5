//! From an address to a row: entity set names, primary ids and alternate keys. Refuses unknown sets,
//! keys that are not defined or not active, and key values that cannot stand in a URL.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use uuid::Uuid;

use crate::emulator::dataverse::address::{self, Arguments, Literal, Segment};
use crate::emulator::dataverse::index::{self, Index};
use crate::emulator::dataverse::literal;
use crate::emulator::dataverse::model::{
    Cell, ColumnDefinition, Definition, Environment, KeyDefinition, Table,
};
use crate::emulator::dataverse::refusal::Refusal;

/// What an address of one row says.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The logical name of the table.
    pub table: String,
    /// The row, when there is one.
    pub row: Option<Uuid>,
    /// The primary id in the address.
    pub id: Option<Uuid>,
    /// The key columns in the address with their values.
    pub key: Vec<(String, Cell)>,
    /// The address as answers repeat it, below the service root: `accounts(accountnumber='A-1')`.
    pub form: String,
}

impl Located {
    /// The row, or the refusal for its absence.
    pub fn existing(&self, env: &Environment) -> Result<Uuid, Refusal> {
        self.row.ok_or_else(|| self.absent(env))
    }

    /// 404, in the words for an id or for a key.
    pub fn absent(&self, env: &Environment) -> Refusal {
        if let Some(id) = self.id {
            let table = env.tables.get(&self.table);
            let shown = table.map_or(self.table.as_str(), |table| &table.definition.schema_name);
            return Refusal::no_row(shown, id);
        }
        let message = format!(
            "A record with the specified key values does not exist in {} entity",
            self.table
        );
        Refusal::new(404, "0x80060891", message)
    }
}

/// The table with this entity set name.
pub fn table<'e>(env: &'e Environment, set: &str) -> Result<&'e Table, Refusal> {
    env.by_set(set).ok_or_else(|| Refusal::no_segment(set))
}

/// Finds the row that a segment such as `accounts(…)` addresses.
pub fn row(env: &Environment, index: &Index, segment: &Segment) -> Result<Located, Refusal> {
    let table = table(env, &segment.name)?;
    let definition = &table.definition;
    let arguments = segment.arguments.as_ref();
    let named = match arguments.ok_or_else(|| address::syntax("A key is missing."))? {
        Arguments::Id(id) => return Ok(by_id(table, *id)),
        Arguments::Named(named) => named,
    };
    if let [(name, Literal::Bare(value))] = named.as_slice()
        && name == primary_key_name(definition)
    {
        let id = address::id(value).ok_or_else(|| invalid_id(value))?;
        return Ok(by_id(table, id));
    }
    by_key(env, index, definition, named)
}

fn by_id(table: &Table, id: Uuid) -> Located {
    let definition = &table.definition;
    Located {
        table: definition.logical_name.clone(),
        row: table.rows.contains_key(&id).then_some(id),
        id: Some(id),
        key: Vec::new(),
        form: format!("{}({id})", definition.entity_set),
    }
}

/// The name of the primary key in addresses: users and teams inherit theirs.
fn primary_key_name(definition: &Definition) -> &str {
    match definition.logical_name.as_str() {
        "systemuser" | "team" => "ownerid",
        _ => &definition.primary_id,
    }
}

fn by_key(
    env: &Environment,
    index: &Index,
    definition: &Definition,
    named: &[(String, Literal)],
) -> Result<Located, Refusal> {
    let key = key_of(definition, named)?;
    if !index::is_active(key) {
        let message = format!(
            "The specified key attributes are not a defined key for the {} entity",
            definition.logical_name
        );
        return Err(Refusal::bad("0x80060890", message));
    }
    let mut cells = Vec::new();
    for (name, literal) in named {
        if address::is_forbidden(literal.content()) {
            return Err(address::syntax(&format!(
                "The value of key '{name}' cannot stand in a URL."
            )));
        }
        let column = key_column(definition, name).ok_or_else(|| not_a_key(definition))?;
        cells.push((column.logical_name.clone(), literal::cell(env, definition, column, literal)?));
    }
    let find = |name: &str| cells.iter().find(|(column, _)| column == name).map(|(_, cell)| cell);
    let row = index.find(&definition.logical_name, key, find);
    let form = form(&definition.entity_set, named);
    Ok(Located { table: definition.logical_name.clone(), row, id: None, key: cells, form })
}

fn key_of<'d>(
    definition: &'d Definition,
    named: &[(String, Literal)],
) -> Result<&'d KeyDefinition, Refusal> {
    let given: Option<Vec<&str>> = named
        .iter()
        .map(|(name, _)| key_column(definition, name).map(|column| column.logical_name.as_str()))
        .collect();
    let given = given.ok_or_else(|| not_a_key(definition))?;
    let fits = |key: &&KeyDefinition| {
        key.columns.len() == given.len()
            && key.columns.iter().all(|column| given.contains(&column.as_str()))
    };
    definition.keys.iter().find(fits).ok_or_else(|| not_a_key(definition))
}

/// The column a key property names: lookups go by their lookup property.
fn key_column<'d>(definition: &'d Definition, name: &str) -> Option<&'d ColumnDefinition> {
    if let Some(plain) = definition.column(name) {
        return (!plain.kind.is_lookup()).then_some(plain);
    }
    let inner = name.strip_prefix('_')?.strip_suffix("_value")?;
    definition.column(inner).filter(|column| column.kind.is_lookup())
}

fn not_a_key(definition: &Definition) -> Refusal {
    let resource = format!("Microsoft.Dynamics.CRM.{}", definition.logical_name);
    let message = format!(
        "The key in the request URI is not valid for resource '{resource}'. Ensure that the names \
         and number of key properties match the declared or alternate key properties for the \
         resource '{resource}'."
    );
    Refusal::bad("0x80060888", message)
}

fn invalid_id(value: &str) -> Refusal {
    address::syntax(&format!("'{value}' is not an id."))
}

/// What must be encoded so that an address may stand in a header.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'{').add(b'}');

fn form(set: &str, named: &[(String, Literal)]) -> String {
    let parts: Vec<String> = named
        .iter()
        .map(|(name, value)| match value {
            Literal::Text(text) => {
                let doubled = text.replace('\'', "''");
                format!("{name}='{}'", utf8_percent_encode(&doubled, UNSAFE))
            }
            Literal::Bare(text) => format!("{name}={}", utf8_percent_encode(text, UNSAFE)),
        })
        .collect();
    format!("{set}({})", parts.join(","))
}
