//! Changes and maps for the tests of this module.

use std::borrow::Cow;

use serde_json::value::RawValue;

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
    }
}
