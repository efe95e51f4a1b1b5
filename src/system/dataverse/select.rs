//! What is read of a table, as the query options `$select` and `$expand`.
//!
//! In go logical names; out come the options, lookups by their `_value` properties and rows referred to
//! by their navigation properties (Dataverse Web API, queries). Names that the table's description does
//! not have are left out, so that one column that is gone does not stop a comparison.

use super::Dataverse;
use super::classify::Failure;
use super::client::Errand;
use crate::system::source::{Parent, Selection};
use crate::system::{ColumnKind, TableSchema};

/// Read of every row, where the table has it.
const ALWAYS: &[&str] = &["modifiedon", "modifiedby", "versionnumber", "statecode", "statuscode"];

impl Dataverse {
    /// The options of a query, each after an `&`.
    pub(super) async fn selected(
        &self,
        table: &str,
        selection: &Selection,
        errand: &Errand,
    ) -> Result<String, Failure> {
        let schema = self.schema(table, errand).await?;
        let names = self.table(table, !selection.parents.is_empty(), errand).await?;
        let mut options = String::new();
        if !selection.all {
            let mut columns = vec![names.id.clone()];
            let named = selection.columns.iter().map(String::as_str);
            let always = ALWAYS.iter().copied().filter(|_| schema.is_some());
            for column in named.chain(always) {
                columns.extend(property(column, schema.as_deref()));
            }
            let mut seen = std::collections::HashSet::new();
            columns.retain(|column| seen.insert(column.clone()));
            options.push_str("&$select=");
            options.push_str(&columns.join(","));
        }
        let mut expands = Vec::new();
        for parent in &selection.parents {
            expands.extend(self.expand(table, parent, errand).await?);
        }
        if !expands.is_empty() {
            options.push_str("&$expand=");
            options.push_str(&expands.join(","));
        }
        Ok(options)
    }

    /// One item of `$expand` for every table that the lookup is to be followed to.
    async fn expand(
        &self,
        table: &str,
        parent: &Parent,
        errand: &Errand,
    ) -> Result<Vec<String>, Failure> {
        let names = self.table(table, true, errand).await?;
        let mut items = Vec::new();
        for reference in names.references(&parent.column) {
            if parent.table.as_ref().is_some_and(|table| *table != reference.table) {
                continue;
            }
            let referred = self.schema(&reference.table, errand).await?;
            let columns = parent.columns.columns.iter();
            let columns = columns.filter_map(|column| property(column, referred.as_deref()));
            let columns: Vec<String> = columns.collect();
            let mut inner = Vec::new();
            if !columns.is_empty() {
                inner.push(format!("$select={}", columns.join(",")));
            }
            let mut further = Vec::new();
            for parent in &parent.columns.parents {
                further.extend(Box::pin(self.expand(&reference.table, parent, errand)).await?);
            }
            if !further.is_empty() {
                inner.push(format!("$expand={}", further.join(",")));
            }
            if !inner.is_empty() {
                items.push(format!("{}({})", reference.navigation, inner.join(";")));
            }
        }
        Ok(items)
    }
}

/// The name under which a column is read; none when the table does not have it, or no query reads it.
pub(super) fn property(column: &str, schema: Option<&TableSchema>) -> Option<String> {
    let Some(schema) = schema else { return Some(column.to_owned()) };
    match schema.columns.get(column)?.kind {
        ColumnKind::Lookup | ColumnKind::Owner => Some(format!("_{column}_value")),
        ColumnKind::File | ColumnKind::Image => None,
        ColumnKind::Text
        | ColumnKind::Integer
        | ColumnKind::Decimal
        | ColumnKind::Double
        | ColumnKind::Money
        | ColumnKind::Boolean
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::Guid
        | ColumnKind::Choice
        | ColumnKind::Choices
        | ColumnKind::State
        | ColumnKind::Status
        | ColumnKind::Other => Some(column.to_owned()),
    }
}
