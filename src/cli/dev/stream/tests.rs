use std::collections::HashMap;

use super::*;
use crate::cli::dev::organisation::all;

fn made(most: usize) -> (Vec<Organisation>, Stream) {
    let chance = Chance::seeded(7);
    let organisations = all(most, &chance);
    let made = stream(&organisations, &chance);
    (organisations, made)
}

fn bodies(stream: &Stream) -> Vec<&Bytes> {
    stream.sends.iter().flat_map(|(_, bodies)| bodies).collect()
}

#[test]
fn a_body_is_what_the_connector_sends() {
    let chance = Chance::seeded(7);
    let organisation = all(usize::MAX, &chance).into_iter().find(|o| o.code == "DK-84").unwrap();
    let at = "2026-03-14T09:15:02.1183Z".parse().unwrap();
    let body = body(&organisation, &What::Now(organisation.first.clone()), at);
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["TimeStamp"], "2026-03-14T09:15:02.1183+00:00");
    assert_eq!(event["Epoch"], 1_773_479_702);
    assert_eq!(event["VersionChangeType"], "Changed");
    let data = &event["Data"];
    assert_eq!(data["Name"], "Hovedstaden");
    assert_eq!(data["organization.countryIso3"], "DNK");
    assert_eq!(data["OriginEntityCode"], "/Organization#ISO3166-2:DK-84");
    assert_eq!(data["Codes"][1], format!("/Organization#SAP:{}", organisation.number));
    assert_eq!(data["PersistHash"].as_str().unwrap().len(), 24);
    assert!(body.starts_with(b"{\n  \"TimeStamp\""));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(made(500).1.sends, made(500).1.sends);
}

#[test]
fn all_partitions_are_used_in_sends_of_fifty() {
    let (_, stream) = made(1_000);
    let used: std::collections::BTreeSet<_> = stream.sends.iter().map(|(p, _)| *p).collect();
    assert_eq!(used.len(), PARTITIONS);
    assert!(stream.sends.iter().rev().skip(1).all(|(_, bodies)| bodies.len() == SEND));
}

#[test]
fn there_are_duplicates_late_arrivals_updates_removals_and_bad_records_in_their_shares() {
    let (organisations, stream) = made(usize::MAX);
    let of = organisations.len();
    let share = |count: usize| count * 1000 / of;
    let bodies = bodies(&stream);
    assert!((40..60).contains(&share(bodies.len() - stream.facts.len())), "duplicates");
    let count = |wanted: fn(&What) -> bool| stream.facts.iter().filter(|f| wanted(&f.what)).count();
    assert!((20..40).contains(&share(count(|what| matches!(what, What::Removed(_))))), "removals");
    assert_eq!(count(|what| matches!(what, What::Truncated(_))), 5);
    assert!(stream.facts.len() > of + of / 5, "updates");

    let mut newest: HashMap<String, String> = HashMap::new();
    let mut late = 0;
    for body in bodies {
        let Ok(event) = serde_json::from_slice::<Value>(body) else { continue };
        let Some(id) = event["Data"]["Id"].as_str() else { continue };
        let at = event["TimeStamp"].as_str().unwrap().to_owned();
        let seen = newest.entry(id.to_owned()).or_default();
        late += usize::from(at < *seen);
        *seen = at.max(seen.clone());
    }
    assert!((40..80).contains(&share(late)), "late: {late} of {of}");
}

#[test]
fn no_two_events_of_one_organisation_have_the_same_emit_time() {
    let (_, stream) = made(2_000);
    let mut times: Vec<_> = stream.facts.iter().map(|fact| fact.at).collect();
    times.dedup();
    assert_eq!(times.len(), stream.facts.len());
}
