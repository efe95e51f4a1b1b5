//! What rules see of one change: properties under any of their spellings, facts, own codes, and the
//! same as input of jq programs.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use serde_json::value::RawValue;

use super::datum::Datum;
use super::file::Fact;
use super::rule::expr::Input;
use crate::change::{Change, Kind};
use crate::fault::Fault;
use crate::row::Value;

/// A property as it was sent.
type Property<'c> = (Cow<'c, str>, Cow<'c, RawValue>);

/// One change while it is mapped.
#[derive(Debug)]
pub struct Scene<'c> {
    change: &'c Change<'c>,
    /// Behind the property that was asked for last: a source sends its properties in one order, and a map
    /// mostly asks for them in that order.
    next: Cell<usize>,
    input: OnceCell<Result<Input, Fault>>,
}

impl<'c> Scene<'c> {
    /// Of this change.
    pub fn of(change: &'c Change<'c>) -> Self {
        Self { change, next: Cell::new(0), input: OnceCell::new() }
    }

    /// The change.
    pub fn change(&self) -> &'c Change<'c> {
        self.change
    }

    /// The input of jq programs, made once for all of them.
    pub fn input(&self) -> Result<&Input, Fault> {
        self.input.get_or_init(|| Input::of(self.change)).as_ref().map_err(Fault::clone)
    }

    /// A property: by its exact name, else without punctuation, else also without case, else as a path
    /// into a nested object (CluedIn connectors strip or replace the dots of names; see
    /// CluedIn, Event Hub message).
    pub fn property(&self, name: &str) -> Datum<'c> {
        let change = self.change;
        let properties = &change.properties;
        let found = self
            .exactly(name)
            .or_else(|| properties.iter().find(|(known, _)| alike(bare(known), bare(name))))
            .or_else(|| properties.iter().find(|(known, _)| alike(lower(known), lower(name))));
        match found {
            Some((_, value)) => Datum::read(value),
            None => self.nested(name).unwrap_or(Datum::Missing),
        }
    }

    /// The property of exactly this name; there is one at most.
    fn exactly(&self, name: &str) -> Option<&'c Property<'c>> {
        let properties = &self.change.properties;
        let (before, from) = properties.split_at_checked(self.next.get()).unwrap_or_default();
        let at = from.iter().chain(before).position(|(known, _)| known == name)?;
        let at = (before.len() + at) % properties.len().max(1);
        self.next.set(at + 1);
        properties.get(at)
    }

    fn nested(&self, name: &str) -> Option<Datum<'c>> {
        let (first, rest) = name.split_once('.')?;
        let change = self.change;
        let (_, value) = change.properties.iter().find(|(known, _)| known == first)?;
        rest.split('.')
            .try_fold(&**value, |object: &'c RawValue, part| member(object, part))
            .map(Datum::read)
    }

    /// A fact of the change.
    pub fn fact(&self, fact: Fact) -> Datum<'c> {
        let change = self.change;
        match fact {
            Fact::Key | Fact::Id => Datum::Text(Cow::Borrowed(&change.id)),
            Fact::Version => match change.order.version {
                Some(version) => Datum::Number(version.to_string().into()),
                None => Datum::Missing,
            },
            Fact::Emitted => Datum::Typed(Value::Time(change.order.emitted)),
            Fact::Correlation => Datum::Typed(Value::Guid(change.correlation.0)),
            Fact::EventId => match &change.event_id {
                Some(id) => Datum::Text(Cow::Borrowed(id)),
                None => Datum::Missing,
            },
            Fact::Operation => Datum::Text(operation(change.kind).into()),
            Fact::Entity => Datum::Text(Cow::Borrowed(&change.entity)),
        }
    }
}

/// The word for what happened to the thing.
pub fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Upsert => "upsert",
        Kind::Remove => "remove",
    }
}

fn member<'c>(object: &'c RawValue, name: &str) -> Option<&'c RawValue> {
    let members: std::collections::HashMap<Cow<'c, str>, &'c RawValue> =
        serde_json::from_str(object.get()).ok()?;
    members.get(name).copied()
}

/// Whether two names are the same but for punctuation and case.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    alike(lower(one), lower(other))
}

/// Whether two spellings are the same; nothing is like nothing.
fn alike(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> bool {
    let mut one = one.peekable();
    one.peek().is_some() && one.eq(other)
}

fn bare(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(char::is_ascii_alphanumeric)
}

fn lower(name: &str) -> impl Iterator<Item = char> {
    bare(name).map(|char| char.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::sample::change;
    use super::*;

    #[test]
    fn a_property_is_found_under_each_spelling_of_its_name() {
        for sent in ["erpCustomer.countryIso3", "erpCustomer_countryIso3", "erpcustomercountryiso3"]
        {
            let json = format!(r#"{{"{sent}":"DNK"}}"#);
            let change = change(&json);
            let found = Scene::of(&change).property("erpCustomer.countryIso3");
            assert_eq!(found, Datum::Text("DNK".into()), "{sent}");
        }
    }

    #[test]
    fn properties_are_found_in_any_order() {
        let change = change(r#"{"a":1,"b":2,"c":3}"#);
        let scene = Scene::of(&change);
        for name in ["b", "c", "a", "c", "c", "a", "x", "b"] {
            let expected = match name {
                "a" => Datum::Number("1".into()),
                "b" => Datum::Number("2".into()),
                "c" => Datum::Number("3".into()),
                _ => Datum::Missing,
            };
            assert_eq!(scene.property(name), expected, "{name}");
        }
    }

    #[test]
    fn the_exact_name_wins_and_nested_objects_are_entered() {
        let change = change(r#"{"ab":1,"a.b":2,"+":0,"c":{"d":{"e":3}}}"#);
        let scene = Scene::of(&change);
        assert_eq!(scene.property("a.b"), Datum::Number("2".into()));
        assert_eq!(scene.property("c.d.e"), Datum::Number("3".into()));
        assert_eq!(scene.property("c.d.x"), Datum::Missing);
        assert_eq!(scene.property("x"), Datum::Missing);
        assert_eq!(scene.property("-"), Datum::Missing);
    }
}
