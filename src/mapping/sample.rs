//! Changes and maps for the tests of this module.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::load::one;
use super::problem::Severity;
use super::vocabulary::Vocabularies;
use super::{Defaults, Map, Maps, Problem, Surroundings};
use crate::change::{Change, Correlation, Edge, Kind};
use crate::order::Order;

/// An upsert of `/Customer` `id-1` with these properties.
pub(crate) fn change(properties: &str) -> Change<'static> {
    let members: indexmap::IndexMap<String, Box<RawValue>> =
        serde_json::from_str(properties).unwrap();
    Change {
        entity: "/Customer".into(),
        id: "id-1".into(),
        kind: Kind::Upsert,
        order: Order::emitted_at("2026-03-14T09:15:02Z".parse().unwrap()),
        schema: None,
        event_id: None,
        correlation: Correlation::default(),
        codes: vec!["/Customer#Dynamics365:8f3c".into(), "/Customer#SAP:00:104711".into()],
        properties: members.into_iter().map(|(k, v)| (Cow::Owned(k), Cow::Owned(v))).collect(),
        edges: vec![Edge {
            kind: "/WorksFor".into(),
            from: "/Customer#SAP:00:104711".into(),
            to: "/Organization#SAP:US01".into(),
        }],
        author: None,
        partial: false,
    }
}

/// A CSV for vocabularies, read from the repository's test maps.
pub(crate) const FOLDER: &str = "tests/fixtures/maps";

/// Compiles one map, with what was found.
pub(crate) fn compiled(text: &str) -> (Map, Vec<Problem>) {
    let setting =
        |name: &str| (name == "TEAM").then(|| "4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11".to_owned());
    let defaults = Defaults::default();
    let around =
        Surroundings { defaults: &defaults, systems: &[], targets: &[], setting: &setting };
    one("m.toml", text, &around, &mut Vocabularies::beside(std::path::Path::new(FOLDER)))
}

/// A map that must be right: the usual head, and these sections.
pub(crate) fn map(sections: &str) -> Map {
    let (map, problems) = compiled(&format!("{HEAD}{sections}"));
    let errors: Vec<_> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    map
}

/// Several maps together.
pub(crate) fn maps(maps: Vec<Map>) -> Maps {
    Maps::of(maps, Vec::new())
}

/// What every map begins with.
pub(crate) const HEAD: &str = r#"
map = "customer"
version = 3
from = { system = "mdm", entity = "/Customer" }
to = { system = "sales", table = "account" }
key = { accountnumber = { code = "SAP" } }
"#;
