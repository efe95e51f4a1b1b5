//! Parked events in the table and the blobs of a store.

use std::sync::Arc;

use concord::delivery::{Event, Wait};
use concord::parking::{About, Config, Parked, Parking};
use concord::store::{Operation, Stored, Stores};
use jiff::Timestamp;

use super::everywhere;

everywhere! {
    what_is_parked_is_found_by_the_row_it_waits_for,
    a_pointer_whose_event_is_gone_points_at_nothing,
    a_large_event_is_kept_whole,
    a_page_at_a_time_shows_everything_once,
}

fn parking(stores: &Stores) -> Parking {
    Parking::new(Arc::clone(&stores.ledger), Arc::clone(&stores.blobs), Config::default())
}

/// An event of the row `child`, which waits for the row `parent`; both are ids.
fn parked(child: u32, parent: u32, body: String) -> Parked {
    let about = About {
        system: "mdm".into(),
        map: "m".into(),
        key: child.to_string(),
        child: format!("{child:032x}"),
        column: "parentid".into(),
        waits: format!("t(k={parent})"),
        parent: format!("{parent:032x}"),
        since: Timestamp::UNIX_EPOCH,
        tried: Timestamp::UNIX_EPOCH,
        tries: 1,
        ours: true,
    };
    let wait = Some(Wait { tries: 1, ..Wait::default() });
    let event = Event { body: body.into(), only: vec!["m".into()], wait, ..Event::default() };
    Parked { about, event }
}

async fn what_is_parked_is_found_by_the_row_it_waits_for(stores: &Stores) {
    let parking = parking(stores);
    let all: Vec<Parked> = (10..70).map(|n| parked(n, n % 3, format!("{{\"n\":{n}}}"))).collect();
    parking.put(&all).await.unwrap();
    parking.put(&all).await.unwrap();
    let parent = &all[2].about.parent;
    let mut found = parking.waiting_for(parent).await.unwrap();
    found.sort_by_key(|one| one.about.key.clone());
    let wanted: Vec<Parked> =
        all.iter().filter(|one| one.about.parent == *parent).cloned().collect();
    assert_eq!(found, wanted);
    let pointers = parking.pointers(&all[0].about.child).await.unwrap();
    assert_eq!(pointers, [all[0].about.clone()]);
    parking.remove(&found).await.unwrap();
    parking.remove(&found).await.unwrap();
    assert_eq!(parking.waiting_for(parent).await.unwrap(), []);
    assert_eq!(parking.pointers(&found[0].about.child).await.unwrap(), []);
    assert_eq!(parking.waiting_for(&all[0].about.parent).await.unwrap().len(), 20);
}

/// One parks an event while another, who brought it again, removes it: of the parking only the pointer
/// is left.
async fn a_pointer_whose_event_is_gone_points_at_nothing(stores: &Stores) {
    let parking = parking(stores);
    let one = parked(1, 2, "{}".to_owned());
    let child = &one.about.child;
    parking.put(std::slice::from_ref(&one)).await.unwrap();
    let pointer = rows(stores, "c~").await.remove(0);
    parking.remove(std::slice::from_ref(&one)).await.unwrap();
    let again = vec![Operation::Put(pointer.1.entity)];
    stores.ledger.transact(&pointer.0, again).await.unwrap();
    assert_eq!(parking.pointers(child).await.unwrap(), []);
    assert!(rows(stores, "c~").await.is_empty(), "it is taken away");
}

/// What is parked, by its partition, whose row keys begin so.
async fn rows(stores: &Stores, beginning: &str) -> Vec<(String, Stored)> {
    let mut rows = Vec::new();
    for bucket in 0..concord::parking::BUCKETS {
        let partition = format!("~parked-{bucket}");
        let page = stores.ledger.scan(&partition, beginning, &format!("{beginning}~"), 1_000).await;
        rows.extend(page.unwrap().rows.into_iter().map(|row| (partition.clone(), row)));
    }
    rows
}

async fn a_large_event_is_kept_whole(stores: &Stores) {
    let parking = parking(stores);
    let large = parked(1, 2, "æ".repeat(200_000));
    parking.put(std::slice::from_ref(&large)).await.unwrap();
    assert_eq!(parking.waiting_for(&large.about.parent).await.unwrap(), [large]);
}

async fn a_page_at_a_time_shows_everything_once(stores: &Stores) {
    let parking = parking(stores);
    let all: Vec<Parked> = (0..450).map(|n| parked(n, 7, n.to_string())).collect();
    parking.put(&all).await.unwrap();
    let mut keys = Vec::new();
    for bucket in 0..concord::parking::BUCKETS {
        let mut from = None;
        loop {
            let page = parking.page(bucket, from).await.unwrap();
            keys.extend(page.parked.into_iter().map(|one| one.about.key));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let once: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!((keys.len(), once.len()), (450, 450));
}
