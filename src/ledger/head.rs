//! A version without its row, and where that stands, as JSON: written by hand, because every change has two.

use super::entry::{Applied, Claim, Intent, Version};
use super::place::Place;
use crate::order::Order;
use crate::quote;

/// The usual length.
const USUAL: usize = 384;

/// The head of what is applied.
pub(super) fn applied(
    Applied { version, target_id, at }: &Applied,
    place: Option<Place>,
) -> String {
    let mut json = begun(version, place);
    if let Some(id) = target_id {
        json.extend_from_slice(br#","id":"#);
        quote::push_id(*id, &mut json);
    }
    json.extend_from_slice(br#","settled":"#);
    quote::push_time(*at, &mut json);
    ended(json)
}

/// The head of what is intended.
pub(super) fn intent(Intent { version, claim, lease }: &Intent, place: Option<Place>) -> String {
    let Claim(id) = claim;
    let mut json = begun(version, place);
    json.extend_from_slice(br#","claim":"#);
    quote::push_id(*id, &mut json);
    json.extend_from_slice(br#","lease":"#);
    quote::push_time(*lease, &mut json);
    ended(json)
}

fn begun(version: &Version, place: Option<Place>) -> Vec<u8> {
    let Version { order, hash, map_version, correlation, thing, action: _ } = version;
    let mut json = Vec::with_capacity(USUAL);
    json.extend_from_slice(br#"{"order":"#);
    push_order(order, &mut json);
    json.extend_from_slice(br#","hash":""#);
    json.extend_from_slice(&hash.digits());
    json.extend_from_slice(br#"","map":"#);
    quote::push_number(*map_version, &mut json);
    json.extend_from_slice(br#","correlation":"#);
    quote::push_id(correlation.0, &mut json);
    if let Some(thing) = thing {
        json.extend_from_slice(br#","of":"#);
        quote::push_id(*thing, &mut json);
    }
    if let Some(place) = place {
        json.extend_from_slice(br#","at":"#);
        quote::push(place.name(), &mut json);
    }
    json
}

fn push_order(Order { version, emitted, tie }: &Order, json: &mut Vec<u8>) {
    json.push(b'{');
    if let Some(version) = version {
        json.extend_from_slice(br#""v":"#);
        quote::push_number(*version, json);
        json.push(b',');
    }
    json.extend_from_slice(br#""at":"#);
    quote::push_time(*emitted, json);
    let mut mark: &[u8] = br#","in":{"#;
    let mut member = |name: &[u8], json: &mut Vec<u8>| {
        json.extend_from_slice(std::mem::replace(&mut mark, b","));
        json.extend_from_slice(name);
    };
    if let Some(enqueued) = tie.enqueued {
        member(br#""q":"#, json);
        quote::push_time(enqueued, json);
    }
    if let Some(partition) = &tie.partition {
        member(br#""p":"#, json);
        quote::push(partition, json);
    }
    if let Some((number, index)) = tie.sequence {
        member(br#""n":["#, json);
        quote::push_number(number, json);
        json.push(b',');
        quote::push_number(index, json);
        json.push(b']');
    }
    json.extend_from_slice(if tie.is_empty() { b"}" } else { b"}}" });
}

fn ended(mut json: Vec<u8>) -> String {
    json.push(b'}');
    String::from_utf8(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::change::Correlation;
    use crate::order::Tie;
    use crate::row::RowHash;

    fn moment() -> impl Strategy<Value = Timestamp> {
        (0..3_000_000_000_i64, 0..1_000_000_000).prop_map(|(s, n)| Timestamp::new(s, n).unwrap())
    }

    fn version() -> impl Strategy<Value = Version> {
        let tie = (
            prop::option::of(moment()),
            prop::option::of("[a-z0-9\"]{0,3}"),
            prop::option::of((any::<i64>(), any::<u32>())),
        );
        let order = (prop::option::of(any::<u64>()), moment(), tie);
        (order, any::<u32>(), any::<u128>(), prop::option::of(any::<u128>())).prop_map(
            |((version, emitted, (enqueued, partition, sequence)), map_version, id, thing)| {
                Version {
                    order: Order {
                        version,
                        emitted,
                        tie: Tie { enqueued, partition: partition.map(Arc::from), sequence },
                    },
                    hash: RowHash::DOUBTED,
                    action: None,
                    map_version,
                    correlation: Correlation(Uuid::from_u128(id)),
                    thing: thing.map(Uuid::from_u128),
                }
            },
        )
    }

    /// What serde makes of it, with the place where the row stands.
    fn expected(part: &impl Serialize, place: Option<Place>) -> Value {
        let mut value = serde_json::to_value(part).unwrap();
        if let Some(place) = place {
            value["at"] = place.name().into();
        }
        value
    }

    proptest! {
        #[test]
        fn heads_are_what_serde_makes_of_them(
            version in version(), id in prop::option::of(any::<u128>()), at in moment(), here in any::<bool>(),
        ) {
            let place = here.then_some(Place::BDeflated);
            let part = Applied { version: version.clone(), target_id: id.map(Uuid::from_u128), at };
            let read: Value = serde_json::from_str(&applied(&part, place)).unwrap();
            prop_assert_eq!(read, expected(&part, place));
            let claim = Claim(Uuid::from_u128(id.unwrap_or_default()));
            let part = Intent { version, claim, lease: at };
            let read: Value = serde_json::from_str(&intent(&part, place)).unwrap();
            prop_assert_eq!(read, expected(&part, place));
        }
    }
}
