//! Old payloads become newer ones, as data says: a change of schema version 1 comes in and one of the
//! newest version that the chain reaches goes out. The event itself stays as it was sent.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::decode::config::Upcast;
use crate::decode::{Facts, Problem};
use crate::fault::{Fault, Kind};

/// Compiled upcasts of one system.
#[derive(Clone, Debug)]
pub(super) struct Upcasts(Vec<(Upcast, Defaults)>);

/// Values by name, as JSON.
type Defaults = Vec<(String, Box<RawValue>)>;

impl Upcasts {
    /// Compiles them; complains about steps that lead nowhere or twice from one version.
    pub(super) fn new(upcasts: &[Upcast], problems: &mut Vec<Problem>) -> Self {
        let mut seen = HashSet::new();
        for (index, upcast) in upcasts.iter().enumerate() {
            let mut complain = |what| problems.push(Problem::new(format!("upcasts.{index}"), what));
            if upcast.to <= upcast.from {
                complain("`to` must be a later version than `from`");
            }
            if !seen.insert((&upcast.entity, upcast.from)) {
                complain("another upcast starts from the same version; chain them 1 to 2 to 3");
            }
        }
        let compiled = upcasts.iter().map(|upcast| (upcast.clone(), defaults(upcast)));
        Self(compiled.collect())
    }

    /// Takes the change as far as the chain goes. A change without a schema version stays as it is.
    pub(super) fn apply(&self, facts: &mut Facts<'_>) -> Result<(), Fault> {
        while let Some((upcast, defaults)) = self.next(facts) {
            step(facts, upcast, defaults)?;
            facts.schema = Some(upcast.to);
        }
        Ok(())
    }

    /// The step from where the change stands; one for its own entity goes before one for all.
    fn next(&self, facts: &Facts<'_>) -> Option<&(Upcast, Defaults)> {
        let fits = |entity: Option<&str>| {
            self.0.iter().find(|(upcast, _)| {
                Some(upcast.from) == facts.schema
                    && upcast.to > upcast.from
                    && upcast.entity.as_deref() == entity
            })
        };
        fits(Some(&facts.entity)).or_else(|| fits(None))
    }
}

fn defaults(upcast: &Upcast) -> Defaults {
    let raw = |(name, value): (&String, &serde_json::Value)| {
        serde_json::value::to_raw_value(value).ok().map(|raw| (name.clone(), raw))
    };
    upcast.default.iter().filter_map(raw).collect()
}

fn step(
    facts: &mut Facts<'_>,
    upcast: &Upcast,
    defaults: &[(String, Box<RawValue>)],
) -> Result<(), Fault> {
    let properties = &mut facts.properties;
    properties.retain(|(name, _)| !upcast.remove.iter().any(|removed| removed == name));
    for (old, new) in &upcast.rename {
        let both = [old, new].map(|wanted| properties.iter().position(|(name, _)| name == wanted));
        match both {
            [Some(_), Some(_)] => {
                let (from, to) = (upcast.from, upcast.to);
                let message = format!(
                    "the upcast from schema {from} to {to} renames `{old}` to `{new}`, but the \
                     event holds both; correct its schema version or the upcast"
                );
                return Err(Fault::new(Kind::Malformed, message).field(old));
            }
            [Some(index), None] => {
                if let Some((name, _)) = properties.get_mut(index) {
                    *name = Cow::Owned(new.clone());
                }
            }
            [None, _] => {}
        }
    }
    for (name, value) in defaults {
        if !properties.iter().any(|(present, _)| present == name) {
            properties.push((Cow::Owned(name.clone()), Cow::Owned(value.clone())));
        }
    }
    Ok(())
}
