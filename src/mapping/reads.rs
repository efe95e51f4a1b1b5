//! Which properties of the source the rules of a map read, for maps that want to hear of others.
//!
//! Names are collected while a map is compiled. A jq program may read any property, so of a map with
//! one nothing is called unread.

use std::collections::BTreeSet;

use super::rule::Source;
use super::scene::same_name;
use crate::change::Change;

/// What the rules of a map read.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    names: BTreeSet<String>,
    /// Whether a program reads what nobody can tell.
    pub(super) any: bool,
}

impl Reads {
    /// Notes what a source reads.
    pub(super) fn note(&mut self, source: &Source) {
        match source {
            Source::Properties(names) | Source::Join { from: names, .. } => {
                self.names.extend(names.iter().cloned());
            }
            Source::Expr(_) => self.any = true,
            // what stands inside of the last two is compiled, and noted, on its own
            Source::Fact(_)
            | Source::Constant(_)
            | Source::Code(_)
            | Source::Edge(_)
            | Source::When(..)
            | Source::Composite { .. } => {}
        }
    }

    /// The properties by the names that rules give them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a program may read any property besides.
    pub fn any(&self) -> bool {
        self.any
    }

    /// The properties of a change that no rule reads.
    pub fn unread<'c>(&self, change: &'c Change<'_>) -> impl Iterator<Item = &'c str> {
        let names = change.properties.iter().map(|(name, _)| &**name);
        names.filter(|name| !self.any && !self.reads(name))
    }

    fn reads(&self, property: &str) -> bool {
        self.names.iter().any(|name| {
            let outer = name.split_once('.').is_some_and(|(outer, _)| outer == property);
            outer || name == property || same_name(name, property)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{change, map};

    const SECTIONS: &str = "
drift = { source = 'warn' }
filter = { when = [{ if = 'kind', is = 'x' }], leaves = 'keep' }
fields = { a = 'erp.name', b = { join = { from = ['j1', 'j2'] } }, c = { when = [
    { if = { from = 'w1' }, null = true, then = 'w2' }, { else = 'w3' }] }, d = 'outer.inner' }
state = { by = 's', values = { x = { state = 0 } } }
validate = [{ when = [{ if = 'v', null = false }], message = 'm' }]
";

    fn unread(sections: &str) -> Vec<String> {
        let change = change(
            r#"{"kind":1,"erp_name":1,"j1":1,"j2":1,"w1":1,"w2":1,"w3":1,"s":1,"v":1,"outer":{},
                "new":1,"inner":1}"#,
        );
        let map = map(sections);
        let names = map.reads.iter().flat_map(|reads| reads.unread(&change)).map(str::to_owned);
        names.collect()
    }

    #[test]
    fn what_no_rule_reads_under_any_spelling_is_unread() {
        assert_eq!(unread(SECTIONS), ["new", "inner"]);
    }

    #[test]
    fn nothing_is_told_unasked_or_beside_a_program() {
        assert_eq!(unread(&SECTIONS.replace("warn", "ignore")), [""; 0]);
        assert_eq!(unread(&SECTIONS.replace("a = 'erp.name'", "a = { expr = '.x' }")), [""; 0]);
    }
}
