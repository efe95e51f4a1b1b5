//! Columns: there, of the right type, long enough, writable, and none forgotten that must be there.

use super::Lint;
use crate::mapping::rule::Plan;
use crate::system::{Column, ColumnKind, TableSchema};

impl Lint<'_> {
    pub(super) fn columns(&mut self, table: &TableSchema) {
        let map = self.map;
        for (column, plan) in &map.fields {
            let path = format!("fields/{column}");
            let Some(described) = table.columns.get(&**column) else {
                self.unknown_column(&path, column, table);
                continue;
            };
            self.fits(&path, column, plan, described);
            self.writable(&path, column, described);
            self.secrecy(&path, column, described);
            self.references(&path, column, plan, table);
        }
        self.forgotten(table);
    }

    /// Whether what the rule yields fits the column.
    pub(super) fn fits(&mut self, path: &str, name: &str, plan: &Plan, column: &Column) {
        if let Some(kind) = plan.shape.kind.filter(|kind| !takes(column.kind, *kind)) {
            let message = format!(
                "the rule yields {}, and `{name}` holds {}{}",
                word(kind),
                word(column.kind),
                advice(column.kind)
            );
            self.problems.error(path, "wrong-column-type", message);
            return;
        }
        if column.kind == ColumnKind::Text {
            self.length(path, name, plan, column);
        }
        if !column.choices.is_empty() {
            self.choices(path, name, plan, column);
        }
    }

    fn length(&mut self, path: &str, name: &str, plan: &Plan, column: &Column) {
        let Some(room) = column.max else { return };
        match plan.max.map(|(max, _)| max).or(plan.shape.longest) {
            Some(longest) if longest > room => {
                let message = format!(
                    "up to {longest} characters are let through, and `{name}` holds {room}"
                );
                self.problems.error(&format!("{path}/max"), "too-long-for-column", message);
            }
            // a key cannot be cut, and one that is too long is refused with its row
            Some(_) | None if path.starts_with("key/") => {}
            Some(_) => {}
            None => {
                let message = format!("`{name}` holds {room} characters; add max = {room}");
                self.problems.warning(path, "max-missing", message);
            }
        }
    }

    fn choices(&mut self, path: &str, name: &str, plan: &Plan, column: &Column) {
        let listed = &plan.shape.numbers;
        for number in listed {
            if !column.choices.iter().any(|choice| choice.value == *number) {
                let known: Vec<String> = column
                    .choices
                    .iter()
                    .map(|choice| format!("{} = {}", choice.label, choice.value))
                    .collect();
                let message =
                    format!("`{name}` has no choice {number}; it has {}", known.join(", "));
                self.problems.error(path, "choice-unknown", message);
            }
        }
        let never = column.choices.iter().filter(|choice| !listed.contains(&choice.value));
        let never: Vec<&str> = never.map(|choice| choice.label.as_str()).collect();
        if !listed.is_empty() && !never.is_empty() {
            let message =
                format!("no entry leads to these choices of `{name}`: {}", never.join(", "));
            self.problems.warning(path, "choice-unused", message);
        }
    }

    fn secrecy(&mut self, path: &str, name: &str, column: &Column) {
        if column.secured && !self.map.destination.secured.iter().any(|known| known == name) {
            let message = format!(
                "`{name}` is secured in the target; add secured = true, so that its \
                                   values are shown nowhere here either"
            );
            self.problems.warning(path, "secured-unstated", message);
        }
    }

    fn writable(&mut self, path: &str, name: &str, column: &Column) {
        let when = match (column.creatable, column.updatable) {
            (true, true) => return,
            (false, false) => "written",
            (false, true) => "set when a row is created",
            (true, false) => "changed after a row was created",
        };
        let message = format!("`{name}` cannot be {when}");
        self.problems.error(path, "column-not-writable", message);
    }

    fn forgotten(&mut self, table: &TableSchema) {
        let map = self.map;
        for (name, column) in &table.columns {
            let mapped = map.key.iter().chain(&map.fields).any(|(known, _)| **known == **name);
            // the target has a default for these
            let defaulted = matches!(
                column.kind,
                ColumnKind::Boolean
                    | ColumnKind::Choice
                    | ColumnKind::State
                    | ColumnKind::Status
                    | ColumnKind::Owner
                    | ColumnKind::Guid
            );
            if column.required && column.creatable && !mapped && !defaulted && *name != table.id {
                let message =
                    format!("`{name}` of {} must be there, and no rule sets it", table.name);
                self.problems.error("fields", "column-required", message);
            }
        }
    }
}

/// Whether a column takes what a rule yields.
fn takes(column: ColumnKind, yields: ColumnKind) -> bool {
    use ColumnKind as K;
    match column {
        K::Text => yields == K::Text,
        K::Integer => matches!(yields, K::Integer | K::Choice),
        K::Decimal | K::Double | K::Money => matches!(yields, K::Decimal | K::Integer),
        K::Boolean => yields == K::Boolean,
        K::Date => yields == K::Date,
        K::Time => yields == K::Time,
        K::Guid => yields == K::Guid,
        K::Choice | K::State | K::Status => matches!(yields, K::Choice | K::Integer),
        K::Choices => yields == K::Choices,
        K::Lookup | K::Owner => yields == K::Lookup,
        K::File | K::Image => false,
        K::Other => true,
    }
}

fn word(kind: ColumnKind) -> &'static str {
    use ColumnKind as K;
    match kind {
        K::Text => "text",
        K::Integer => "a whole number",
        K::Decimal | K::Double | K::Money => "a decimal number",
        K::Boolean => "yes or no",
        K::Date => "a date",
        K::Time => "a moment",
        K::Guid => "an id",
        K::Choice => "a choice",
        K::Choices => "several choices",
        K::State => "a state",
        K::Status => "a status",
        K::Lookup => "a lookup",
        K::Owner => "an owner",
        K::File => "a file, which is not written with a row",
        K::Image => "an image, which is not written with a row",
        K::Other => "something else",
    }
}

fn advice(column: ColumnKind) -> &'static str {
    use ColumnKind as K;
    match column {
        K::Integer => "; add integer = true",
        K::Decimal | K::Double | K::Money => "; add decimal = true",
        K::Boolean => "; add boolean = true",
        K::Date => "; add date = true",
        K::Time => "; add datetime with the time zone of the values",
        K::Guid => "; add guid = true",
        K::Choice => "; add choice with its labels and numbers",
        K::Choices => "; add choices with its labels and numbers",
        K::Lookup => "; add lookup = \"table.key_column\"",
        K::State | K::Status => "; use [state]",
        K::Owner => "; use [owner]",
        K::Text | K::File | K::Image | K::Other => "",
    }
}
