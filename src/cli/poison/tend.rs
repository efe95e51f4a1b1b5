//! `concord poison assign | tag | due`: who deals with a record, how it is found, and until when.
//!
//! None of it changes what becomes of the event. Refused: a tag that is no single word.

use std::process::ExitCode;

use jiff::civil::Date;

use crate::audit::{Deed, Verb};
use crate::cli::desk::Desk;
use crate::cli::{Outcome, output};
use crate::operator::Role;
use crate::poison::Record;

/// Who deals with records.
#[derive(Clone, Debug, clap::Args)]
pub struct Assign {
    /// The records, by any beginning of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Who deals with them
    #[arg(long, value_name = "NAME", required_unless_present = "nobody")]
    to: Option<String>,
    /// Take them from whoever has them
    #[arg(long, conflicts_with = "to")]
    nobody: bool,
}

/// Words to find records by.
#[derive(Clone, Debug, clap::Args)]
pub struct Tag {
    /// The records, by any beginning of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Add this word
    #[arg(long, value_name = "WORD", value_parser = word, required_unless_present = "remove")]
    add: Vec<String>,
    /// Take this word away
    #[arg(long, value_name = "WORD", value_parser = word)]
    remove: Vec<String>,
}

/// Until when records must be dealt with.
#[derive(Clone, Debug, clap::Args)]
pub struct Due {
    /// The records, by any beginning of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// The last day: 2026-03-14
    #[arg(long, value_name = "DAY", required_unless_present = "never")]
    by: Option<Date>,
    /// Without a last day
    #[arg(long, conflicts_with = "by")]
    never: bool,
}

/// A change of a record that is not about its event.
pub(super) trait Tending {
    /// The records.
    fn ids(&self) -> &[String];
    /// What is done, for the audit record.
    fn told(&self) -> (Verb, String);
    /// Does it.
    fn change(&self, record: &mut Record);
}

pub(super) async fn run(tending: &impl Tending, desk: &Desk) -> Outcome {
    let (verb, told) = tending.told();
    let named = desk.named(tending.ids()).await?;
    let deeds: Vec<Deed> = named
        .iter()
        .map(|kept| Deed::new(verb, kept.record.id.to_string()).with(told.clone()))
        .collect();
    desk.record(Role::Operator, &deeds).await?;
    let mut code = ExitCode::SUCCESS;
    for kept in named {
        let id = kept.record.id.to_string();
        match desk.poison().change(kept, |record| tending.change(record)).await {
            Ok(()) => output::line(format!("{id}  {told}")),
            Err(fault) => {
                output::line(format!("{id}  not changed: {fault}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

impl Tending for Assign {
    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn told(&self) -> (Verb, String) {
        let told = self.to.as_ref().map(|name| format!("given to {name}"));
        (Verb::Assign, told.unwrap_or_else(|| "given to nobody".to_owned()))
    }

    fn change(&self, record: &mut Record) {
        record.assignee.clone_from(&self.to);
    }
}

impl Tending for Tag {
    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn told(&self) -> (Verb, String) {
        let added = self.add.iter().map(|tag| format!("+{tag}"));
        let removed = self.remove.iter().map(|tag| format!("-{tag}"));
        (Verb::Tag, added.chain(removed).collect::<Vec<_>>().join(" "))
    }

    fn change(&self, record: &mut Record) {
        record.tags.extend(self.add.iter().cloned());
        record.tags.retain(|tag| !self.remove.contains(tag));
    }
}

impl Tending for Due {
    fn ids(&self) -> &[String] {
        &self.ids
    }

    fn told(&self) -> (Verb, String) {
        let told = self.by.map(|day| format!("due {day}"));
        (Verb::Due, told.unwrap_or_else(|| "due on no day".to_owned()))
    }

    fn change(&self, record: &mut Record) {
        record.due = self.by;
    }
}

/// A tag: one word of at most 40 characters.
fn word(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_alphanumeric() || "-_.:".contains(letter);
    if (1..=40).contains(&text.chars().count()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a tag is one word of letters, digits, - _ . or :, of at most 40".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_word() {
        assert_eq!(word("source:erp").as_deref(), Ok("source:erp"));
        for wrong in ["", "two words", "a/b", &"x".repeat(41)] {
            assert!(word(wrong).is_err(), "{wrong}");
        }
    }
}
