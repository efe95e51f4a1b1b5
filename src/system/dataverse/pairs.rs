//! Rows of many-to-many relationships: two rows are associated or parted.
//!
//! In go rows whose key names both ends; out comes an answer for each. Both ends are found by their
//! business keys, then `$ref` ties or unties them (Dataverse Web API, associate and disassociate). Rows
//! that are associated already, or not associated any more, are as they should be. An end that is not
//! there parks an association and settles a parting.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Dataverse;
use super::batch::{Operation, Part};
use super::classify::{Cause, Failure, Fate};
use super::client::Errand;
use super::lookups::Resolved;
use super::names::Tables;
use super::plan::{as_lookup, parts};
use super::state::gone;
use crate::fault::{Fault, Kind};
use crate::row::{Action, Lookup, Row, Value};
use crate::system::{Answer, Reference, TableSchema, Write};

/// A relationship: its two ends, and the names of their tables.
struct Relationship {
    ends: [Reference; 2],
    tables: Tables,
}

impl Dataverse {
    /// Associates and parts the pairs of one relationship.
    pub(super) async fn tie(
        &self,
        writes: &[(usize, &Write)],
        errand: Errand,
    ) -> Vec<(usize, Answer)> {
        let name = writes.first().map_or("", |(_, write)| write.row.to.table.as_str());
        let relationship = match self.relationship(name, &errand).await {
            Ok(relationship) => relationship,
            Err(failure) => {
                let answer = |(index, _): &(usize, _)| (*index, answer(Err(failure.clone())));
                return writes.iter().map(answer).collect();
            }
        };
        let lookups: Vec<&Lookup> =
            writes.iter().flat_map(|(_, write)| &write.row.key.0).filter_map(as_lookup).collect();
        let resolved = self.resolve(&lookups, &errand).await;
        let (mut operations, mut sent, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for (index, write) in writes {
            match self.reference(&write.row, &relationship, &resolved, &errand) {
                Ok(operation) => {
                    operations.push(operation);
                    sent.push((*index, &*write.row));
                }
                Err(failure) => answers.push((*index, answer(settled(&write.row, Err(failure))))),
            }
        }
        let parts = self.spread(&operations, name, &errand).await;
        for ((index, row), part) in sent.into_iter().zip(parts) {
            answers.push((index, answer(self.told(row, part))));
        }
        answers
    }

    async fn relationship(&self, name: &str, errand: &Errand) -> Result<Relationship, Failure> {
        let schema = self.schema(name, errand).await?;
        let ends = schema.as_deref().and_then(ends).ok_or_else(|| no_relationship(name))?;
        let wanted: BTreeSet<&str> = ends.iter().map(|end| end.table.as_str()).collect();
        let tables = self.tables(&wanted, false, errand).await?;
        Ok(Relationship { ends, tables })
    }

    /// The operation on `$ref` that ties or unties a row's two ends.
    fn reference(
        &self,
        row: &Row,
        relationship: &Relationship,
        resolved: &Resolved<'_>,
        errand: &Errand,
    ) -> Result<Operation, Failure> {
        let parts = parts(&row.key, resolved)?;
        let [one, two] = &relationship.ends;
        let place = |end: &Reference| -> Option<(String, Uuid)> {
            let (_, value) = parts.iter().find(|(column, _)| *column == end.column)?;
            let Value::Guid(id) = value else { return None };
            Some((relationship.tables.get(&end.table)?.set.clone(), *id))
        };
        let (Some((set, id)), Some((other_set, other))) = (place(one), place(two)) else {
            return Err(no_end(row));
        };
        let (navigation, tag) = (&one.navigation, self.tag(errand));
        Ok(match *row.action {
            Action::Remove(_) => {
                Operation::delete(format!("{set}({id})/{navigation}({other})/$ref{tag}"))
            }
            Action::Upsert(_) | Action::Hold { .. } => {
                let other = format!("{}/{other_set}({other})", self.client.root());
                let body = serde_json::json!({ "@odata.id": other }).to_string();
                Operation::post(format!("{set}({id})/{navigation}/$ref{tag}"), body.into_bytes())
            }
        })
    }

    /// What the service said of a pair. An end that was there a while ago and is not any more is looked
    /// up anew the next time.
    fn told(&self, row: &Row, part: Part) -> Result<(), Failure> {
        if matches!(*row.action, Action::Remove(_)) {
            return gone(part);
        }
        match part {
            Ok(_) => Ok(()),
            Err(failure) if failure.cause == Cause::Taken => Ok(()),
            Err(failure) if failure.cause == Cause::NoRow => {
                row.key.0.iter().filter_map(as_lookup).for_each(|end| self.memory.forget(end));
                let message =
                    "one row of the pair is not there any more; it waits until there is one";
                let mut fault = Fault::new(Kind::ParentMissing, message);
                fault.detail = failure.fault.detail;
                Err(Failure { fault, ..failure })
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A pair of which an end is not there needs no parting.
fn settled(row: &Row, result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.cause == Cause::NoRow => {
            if matches!(*row.action, Action::Remove(_)) { Ok(()) } else { Err(failure) }
        }
        other => other,
    }
}

fn answer(result: Result<(), Failure>) -> Answer {
    match result {
        Ok(()) => Answer::Written { target_id: None },
        Err(Failure { fate: Fate::Not, fault, .. }) => Answer::Not(fault),
        Err(Failure { fate: Fate::Unknown, fault, .. }) => Answer::Unknown(fault),
    }
}

fn ends(schema: &TableSchema) -> Option<[Reference; 2]> {
    let [one, two] = schema.lookups.as_slice() else { return None };
    Some([one.clone(), two.clone()])
}

fn no_relationship(name: &str) -> Failure {
    let message = format!(
        "the target has no many-to-many relationship {name}; check the map's table (concord check)"
    );
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(Kind::SchemaGone, message))
}

fn no_end(row: &Row) -> Failure {
    let message = format!(
        "the key does not name both ends of {}; name the columns that the relationship has (concord \
         check)",
        row.to.table
    );
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(Kind::SchemaGone, message))
}
