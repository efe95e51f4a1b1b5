//! Turns one map file, as written, into a [`Map`], and complains of everything that cannot work.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::Surroundings;
use super::config::Defaults;
use super::contract;
use super::document::Document;
use super::file::{self, MapFile, Rule, Unread, Validate};
use super::map::{Filter, Map};
use super::owner::{self, OwnerPlan};
use super::pairs;
use super::problem::{Problem, Problems};
use super::reads::Reads;
use super::removal;
use super::rule::compile::Bench;
use super::rule::condition::Test;
use super::rule::{Act, Plan};
use super::schema::Versions;
use super::state::StatePlan;
use super::vocabulary::Vocabularies;
use crate::row::{Destination, HandOff, State};

/// Compiles a map. The map is of use only when no problem is an error.
pub(super) fn compile(
    document: Document<MapFile>,
    text: &str,
    around: &Surroundings<'_>,
    vocabularies: &mut Vocabularies,
) -> (Map, Vec<Problem>) {
    let Document { value: file, places, problems: read } = document;
    let mut problems = Problems::new(Arc::clone(&places));
    problems.extend(read);
    required(&file, &mut problems);
    systems(&file, around, &mut problems);
    let removed = removal::removed(&file, around.defaults, &mut problems);
    let removal_stated = removal::is_stated(&file, around.defaults);
    let defaults = around.defaults;
    let reads = Reads::default();
    let mut bench = Bench { problems: &mut problems, vocabularies, defaults, reads };
    let key = columns("key", &file.key, &mut bench);
    let fields = columns("fields", &file.fields, &mut bench);
    let filter = filter(&file, &mut bench);
    let state = file.state.as_ref().and_then(|rule| StatePlan::compile(rule, &mut bench));
    let owner = file.owner.as_ref().and_then(|owner| OwnerPlan::compile(owner, &mut bench));
    let validate = validations(&file.validate, &mut bench);
    let properties = bench.reads;
    let reads = (file.drift.source == Unread::Warn).then(|| properties.clone());
    let versions = versions(&file, &mut problems);
    if let (Some(rule), Some(plan)) = (&file.state, &state) {
        let leaves = filter.as_ref().and_then(|filter| filter.leaves.state());
        let others = [("removed", removed.state()), ("filter/leaves", leaves)];
        let others = others.into_iter().filter_map(|(path, pair)| Some((path.to_owned(), pair?)));
        plan.handed(rule, others, &mut problems);
    }
    pairs::complain((&file, defaults), removed, (&key, &fields), &mut problems);
    let contract = contract::hash(text, around.defaults, &tables(&key, &fields));
    let destination =
        Arc::new(destination(&file, contract, &key, &fields, defaults, &mut problems));
    let map = Map {
        name: file.map.as_str().into(),
        destination,
        system: file.from.system,
        entity: file.from.entity,
        pairs: file.from.pairs,
        versions,
        key,
        fields,
        filter,
        removed,
        removal_stated,
        state,
        owner,
        validate,
        properties,
        read: file.from.read,
        reads,
        decisions: file.decision,
        places,
    };
    (map, problems.into_vec())
}

fn required(file: &MapFile, problems: &mut Problems) {
    for (path, text) in [
        ("map", &file.map),
        ("from/system", &file.from.system),
        ("from/entity", &file.from.entity),
        ("to/system", &file.to.system),
        ("to/table", &file.to.table),
    ] {
        if text.trim().is_empty() {
            let name = path.replace('/', ".");
            problems.error(path, "key-missing-in-file", format!("`{name}` is missing or empty"));
        }
    }
    if file.version == 0 {
        let message = "`version` is missing; start with 1";
        problems.error("version", "key-missing-in-file", message);
    }
    if file.key.is_empty() {
        let message = "`[key]` names no column, so no row could be told from another";
        problems.error("key", "key-missing-in-file", message);
    }
    let odd = |char: char| !(char.is_ascii_alphanumeric() || "-_.".contains(char));
    let begins = file.map.chars().next().is_none_or(|first| first.is_ascii_alphanumeric());
    if !begins || file.map.contains(odd) || file.map.len() > 100 {
        let message = "a map's name has letters, digits, `-`, `_` and `.` only, begins with one of \
                       the first two, and is no longer than 100";
        problems.error("map", "map-name", message);
    }
    for column in file.key.keys().filter(|column| file.fields.contains_key(*column)) {
        let message = format!("`{column}` is a key column; take it out of `[fields]`");
        problems.error(&format!("fields/{column}"), "column-twice", message);
    }
    for column in ["statecode", "statuscode", owner::OWNER, owner::UNIT] {
        if file.fields.contains_key(column) {
            let message = format!("`{column}` is set by `[state]` or `[owner]`, not by a field");
            problems.error(&format!("fields/{column}"), "column-section", message);
        }
    }
}

fn systems(file: &MapFile, around: &Surroundings<'_>, problems: &mut Problems) {
    let (from, to) = (&file.from.system, &file.to.system);
    for (path, name) in [("from/system", from), ("to/system", to)] {
        if !around.systems.is_empty() && !name.is_empty() && !around.systems.contains(name) {
            let message = format!("`{name}` is no system of concord.toml");
            let known = around.systems.iter().map(String::as_str);
            problems.unknown(path, ("system-unknown", name), known, message);
        }
    }
    if around.systems.contains(to) && !around.targets.contains(to) {
        let message = format!("`{to}` is a source of events; rows cannot be written to it");
        problems.error("to/system", "system-kind", message);
    }
}

fn columns(
    section: &str,
    rules: &IndexMap<String, Rule>,
    bench: &mut Bench<'_>,
) -> Vec<(Arc<str>, Plan)> {
    let compile = |(column, rule): (&String, &Rule)| {
        let plan = bench.rule(&format!("{section}/{column}"), rule);
        (Arc::from(column.as_str()), plan)
    };
    rules.iter().map(compile).collect()
}

fn filter(file: &MapFile, bench: &mut Bench<'_>) -> Option<Filter> {
    let filter = file.filter.as_ref()?;
    let when = Test::All(bench.group("filter/when", &filter.when));
    if filter.when.is_empty() {
        bench.problems.error("filter", "condition-empty", "the filter has no conditions");
    }
    let Some(leaves) = filter.leaves else {
        let message = "say with `leaves` what becomes of a row that no longer passes: keep, delete, \
                       deactivate or hold";
        bench.problems.error("filter", "leaves-missing", message);
        return None;
    };
    Some(Filter { when, leaves: removal::left(leaves, file, bench.defaults) })
}

fn validations(rules: &[Validate], bench: &mut Bench<'_>) -> Vec<(Test, String)> {
    let mut tests = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("validate/{index}");
        if rule.message.trim().is_empty() {
            let message = "`message` says what an operator should do when the rule is broken";
            bench.problems.error(&path, "key-missing-in-file", message);
        }
        let mut all = bench.group(&format!("{path}/when"), &rule.when);
        if let Some(code) = &rule.expr {
            all.extend(bench.program(&format!("{path}/expr"), code).map(Test::Expr));
        } else if rule.when.is_empty() {
            bench.problems.error(
                &path,
                "condition-empty",
                "the rule has neither `expr` nor `when`",
            );
        }
        tests.push((Test::All(all), rule.message.clone()));
    }
    tests
}

fn versions(file: &MapFile, problems: &mut Problems) -> Versions {
    let Some(text) = &file.from.schema else { return Versions::default() };
    let read = Versions::parse(text);
    if read.is_none() {
        let message = format!("`{text}` is no range of payload versions; write such as \">=1 <3\"");
        problems.error("from/schema", "schema-range", message);
    }
    read.unwrap_or_default()
}

/// The value tables as compiled, so that the contract covers vocabularies.
fn tables(key: &[(Arc<str>, Plan)], fields: &[(Arc<str>, Plan)]) -> Vec<String> {
    let mut tables = BTreeSet::new();
    for (column, plan) in key.iter().chain(fields) {
        plan.visit(&mut |plan| {
            for part in &plan.parts {
                match &part.act {
                    Act::Table(table) => drop(tables.insert(format!("{column}: {:?}", table.0))),
                    Act::Country(countries) => {
                        let overlay = countries.overlay.as_ref();
                        tables.extend(overlay.map(|overlay| format!("{column}: {overlay:?}")));
                    }
                    Act::Text(_)
                    | Act::Blank
                    | Act::Default(_)
                    | Act::Currency(_)
                    | Act::Language(_)
                    | Act::Phone(_)
                    | Act::Date(_)
                    | Act::Time(_)
                    | Act::Decimal(_)
                    | Act::Integer
                    | Act::Boolean(_)
                    | Act::Choice(_)
                    | Act::Choices(_)
                    | Act::Guid
                    | Act::Lookup(_) => {}
                }
            }
        });
    }
    tables.into_iter().collect()
}

fn destination(
    file: &MapFile,
    contract: String,
    key: &[(Arc<str>, Plan)],
    fields: &[(Arc<str>, Plan)],
    defaults: &Defaults,
    problems: &mut Problems,
) -> Destination {
    let all = || key.iter().chain(fields);
    let ask = removal::ask(file, defaults);
    let mut secured: BTreeSet<String> = file.secured.iter().cloned().collect();
    for (index, column) in file.secured.iter().enumerate() {
        if !all().any(|(known, _)| **known == **column) {
            let message = format!("`{column}` is no column of this map");
            let known: Vec<&str> = all().map(|(known, _)| &**known).collect();
            problems.unknown(
                &format!("secured/{index}"),
                ("column-unknown", column),
                known,
                message,
            );
        }
    }
    secured.extend(all().filter(|(_, plan)| secures(plan)).map(|(column, _)| column.to_string()));
    Destination {
        map: file.map.as_str().into(),
        version: file.version,
        contract,
        system: file.to.system.clone(),
        table: file.to.table.clone(),
        key: key.iter().map(|(column, _)| column.to_string()).collect(),
        secured: secured.into_iter().collect(),
        keep: file.ledger.as_ref().map(|ledger| ledger.keep).unwrap_or_default(),
        mode: file.to.mode,
        pairs: file.to.pairs,
        gone: file.drift.target,
        ask,
        hand_off: file.state.as_ref().and_then(|state| hand_off(state.hand_off.as_ref()?)),
    }
}

fn hand_off(written: &file::HandOff) -> Option<HandOff> {
    let pair = |one: &file::Handed| (State { state: one.state, status: one.status }, one.value);
    let (column, values) = (written.column.clone(), written.values.iter().map(pair).collect());
    (!column.is_empty()).then_some(HandOff { column, values })
}

fn secures(plan: &Plan) -> bool {
    let mut secured = false;
    plan.visit(&mut |plan| secured = secured || plan.secured);
    secured
}
