//! What a table promises.

use std::collections::BTreeMap;

use bytes::Bytes;
use concord::store::{
    Call, Entity, Error, Etag, MAX_TRANSACTION, Operation, Page, Property, Stored, Stores, Table,
    weight,
};
use futures::future::join_all;

super::everywhere! {
    a_row_comes_back_as_it_was_put,
    what_is_merged_leaves_the_rest_alone,
    odd_keys_stay_themselves,
    a_hundred_operations_are_one_transaction,
    a_taken_key_is_a_conflict_at_its_index,
    a_stale_version_is_a_conflict_at_its_index,
    a_missing_row_is_a_conflict_at_its_index,
    a_version_never_comes_back,
    a_refused_transaction_changes_nothing,
    many_rows_are_read_in_the_order_asked,
    partitions_and_tables_are_apart,
    a_stretch_is_read_page_by_page,
    discarding_needs_no_row,
    what_is_too_large_is_named,
    a_transaction_as_large_as_can_be_passes,
    what_cannot_be_stored_is_invalid,
    one_of_many_writers_wins,
    requests_are_counted,
}

fn entity(row: &str, value: impl Into<String>) -> Entity {
    let properties = BTreeMap::from([("value".into(), Property::Text(value.into()))]);
    Entity { row: row.to_owned(), properties }
}

fn insert(row: &str) -> Operation {
    Operation::Insert(entity(row, "inserted"))
}

async fn one(table: &dyn Table, partition: &str, row: &str) -> Option<Stored> {
    table.get_many(partition, &[row.to_owned()]).await.unwrap().remove(0)
}

async fn write(table: &dyn Table, operations: Vec<Operation>) -> Vec<Etag> {
    table.transact("p", operations).await.unwrap()
}

fn conflict_at(answer: Result<Vec<Etag>, Error>) -> usize {
    match answer {
        Err(Error::Conflict { index }) => index,
        other => panic!("no conflict: {other:?}"),
    }
}

async fn a_row_comes_back_as_it_was_put(stores: &Stores) {
    let table = &*stores.ledger;
    let properties = BTreeMap::from([
        ("text".into(), Property::Text("ærø \"quoted\" \\ \r\n\t 🜚 2026-01-01".into())),
        ("empty".into(), Property::Text(String::new())),
        ("least".into(), Property::Integer(i64::MIN)),
        ("most".into(), Property::Integer(i64::MAX)),
        ("small".into(), Property::Integer(7)),
        ("bytes".into(), Property::Bytes(Bytes::from_static(&[0, 1, 13, 10, 255]))),
        ("none".into(), Property::Bytes(Bytes::new())),
    ]);
    let first = Entity { row: "r".into(), properties };
    let etags = write(table, vec![Operation::Insert(first.clone())]).await;
    let stored = one(table, "p", "r").await.unwrap();
    assert_eq!((&stored.entity, &stored.etag), (&first, &etags[0]));

    let second = entity("r", "replaced");
    let etags = write(table, vec![Operation::Replace(second.clone(), stored.etag)]).await;
    let stored = one(table, "p", "r").await.unwrap();
    assert_eq!((stored.entity, &stored.etag), (second, &etags[0]), "old properties are gone");

    let etags = write(table, vec![Operation::Delete("r".into(), stored.etag)]).await;
    assert_eq!(etags, [Etag::default()]);
    assert_eq!(one(table, "p", "r").await, None);
}

async fn what_is_merged_leaves_the_rest_alone(stores: &Stores) {
    let table = &*stores.ledger;
    let of = |properties: [(&str, Property); 2]| Entity {
        row: "o'r".into(),
        properties: properties.map(|(name, value)| (name.to_owned().into(), value)).into(),
    };
    let text = |text: &str| Property::Text(text.into());
    let bytes = Property::Bytes(Bytes::from_static(&[0, 255]));
    let first = of([("kept", text("1")), ("changed", bytes)]);
    let etags = write(table, vec![Operation::Insert(first)]).await;
    let empty = Property::Bytes(Bytes::new());
    let second = of([("changed", empty.clone()), ("new", text(""))]);
    let merge = Operation::Merge(second.clone(), etags[0].clone());
    let etags = write(table, vec![merge, insert("beside it")]).await;
    let stored = one(table, "p", "o'r").await.unwrap();
    assert_eq!(stored.etag, etags[0]);
    assert_eq!(stored.entity.properties["kept"], text("1"));
    assert_eq!(stored.entity.properties["changed"], empty);
    assert_eq!(stored.entity.properties["new"], text(""));
    let stale = Operation::Merge(second.clone(), Etag("W/\"datetime'2020-01-01'\"".into()));
    assert_eq!(conflict_at(table.transact("p", vec![stale]).await), 0);
    let nobody = Operation::Merge(Entity { row: "nobody".into(), ..second }, etags[0].clone());
    assert_eq!(conflict_at(table.transact("p", vec![insert("c"), nobody]).await), 1);
}

async fn odd_keys_stay_themselves(stores: &Stores) {
    let table = &*stores.ledger;
    // None starts with a comma: Azurite then mistakes where the partition key ends.
    let keys = [
        "o'brien",
        "''",
        "50%",
        "%27",
        "a b",
        " ",
        "+",
        "é✓",
        "🜚",
        "a&b=c",
        "(x)",
        "x,;:@$!*\"<>{}[]|^`~",
        "PartitionKey eq 'x'",
        "x' or RowKey ne 'x",
        "-",
        ".",
        "..",
        "_",
        "Å",
        "A\u{30a}",
        "|",
    ];
    for partition in ["plain", "o'hare & 100% (x)"] {
        let inserts = keys.iter().map(|key| insert(key)).collect();
        let etags = table.transact(partition, inserts).await.unwrap();
        let rows: Vec<_> = keys.iter().map(ToString::to_string).collect();
        let found = table.get_many(partition, &rows).await.unwrap();
        for ((row, found), etag) in rows.iter().zip(found).zip(&etags) {
            let found = found.unwrap_or_else(|| panic!("{row} is lost"));
            assert_eq!((&found.entity.row, &found.etag), (row, etag));
            assert_eq!(one(table, partition, row).await.as_ref(), Some(&found));
        }
        let replaces = rows.iter().zip(etags);
        let replaces = replaces.map(|(row, etag)| Operation::Replace(entity(row, "2"), etag));
        let etags = table.transact(partition, replaces.collect()).await.unwrap();
        let deletes =
            rows.iter().zip(etags).map(|(row, etag)| Operation::Delete(row.clone(), etag));
        table.transact(partition, deletes.collect()).await.unwrap();
        assert!(table.get_many(partition, &rows).await.unwrap().iter().all(Option::is_none));
    }
}

async fn a_hundred_operations_are_one_transaction(stores: &Stores) {
    let table = &*stores.ledger;
    let etags = write(table, (0..100).map(|i| insert(&format!("{i:03}"))).collect()).await;
    assert_eq!(etags.len(), 100);
    let mixed = etags.into_iter().enumerate().map(|(i, etag)| match i % 4 {
        0 => Operation::Replace(entity(&format!("{i:03}"), "replaced"), etag),
        1 => Operation::Put(entity(&format!("{i:03}"), "put")),
        2 => Operation::Delete(format!("{i:03}"), etag),
        _ => Operation::Insert(entity(&format!("{:03}", i + 500), "inserted")),
    });
    let etags = write(table, mixed.collect()).await;
    let deleted: Vec<_> = (0..100).filter(|i| etags[*i] == Etag::default()).collect();
    assert_eq!(deleted, (2..100).step_by(4).collect::<Vec<_>>());
    let page = table.scan("p", "", "~", 1_000).await.unwrap();
    assert_eq!(page.rows.len(), 100);
    assert_eq!(page.rows[0].entity, entity("000", "replaced"));
    assert_eq!(page.rows[1].entity, entity("001", "put"));
    assert_eq!(page.rows[1].etag, etags[1]);
}

async fn a_taken_key_is_a_conflict_at_its_index(stores: &Stores) {
    let table = &*stores.ledger;
    write(table, vec![insert("b")]).await;
    let answer = table.transact("p", vec![insert("a"), insert("c"), insert("b")]).await;
    assert_eq!(conflict_at(answer), 2);
    assert_eq!(conflict_at(table.transact("p", vec![insert("b")]).await), 0);
}

async fn a_stale_version_is_a_conflict_at_its_index(stores: &Stores) {
    let table = &*stores.ledger;
    let stale = write(table, vec![insert("a"), insert("b")]).await.remove(1);
    write(table, vec![Operation::Put(entity("b", "newer"))]).await;
    for stale in [
        Operation::Replace(entity("b", "lost"), stale.clone()),
        Operation::Delete("b".into(), stale.clone()),
    ] {
        let answer =
            table.transact("p", vec![Operation::Put(entity("a", "2")), stale.clone()]).await;
        assert_eq!(conflict_at(answer), 1);
        assert_eq!(conflict_at(table.transact("p", vec![stale]).await), 0);
    }
    assert_eq!(one(table, "p", "b").await.unwrap().entity, entity("b", "newer"));
}

async fn a_missing_row_is_a_conflict_at_its_index(stores: &Stores) {
    let table = &*stores.ledger;
    let etag = write(table, vec![insert("a")]).await.remove(0);
    write(table, vec![Operation::Delete("a".into(), etag.clone())]).await;
    for gone in
        [Operation::Replace(entity("a", "lost"), etag.clone()), Operation::Delete("a".into(), etag)]
    {
        let answer = table.transact("p", vec![insert("x"), insert("y"), gone]).await;
        assert_eq!(conflict_at(answer), 2);
    }
}

async fn a_version_never_comes_back(stores: &Stores) {
    let table = &*stores.ledger;
    let first = write(table, vec![insert("a")]).await.remove(0);
    write(table, vec![Operation::Delete("a".into(), first.clone())]).await;
    let second = write(table, vec![insert("a")]).await.remove(0);
    assert_ne!(first, second);
    let answer = table.transact("p", vec![Operation::Delete("a".into(), first)]).await;
    assert_eq!(conflict_at(answer), 0);
}

async fn a_refused_transaction_changes_nothing(stores: &Stores) {
    let table = &*stores.ledger;
    let etags = write(table, vec![insert("a"), insert("b"), insert("c")]).await;
    let before = table.scan("p", "", "~", 100).await.unwrap();
    let answer = table
        .transact(
            "p",
            vec![
                Operation::Replace(entity("a", "2"), etags[0].clone()),
                Operation::Delete("b".into(), etags[1].clone()),
                Operation::Put(entity("d", "new")),
                Operation::Discard("c".into()),
                Operation::Replace(entity("e", "not there"), etags[2].clone()),
            ],
        )
        .await;
    assert_eq!(conflict_at(answer), 4);
    assert_eq!(table.scan("p", "", "~", 100).await.unwrap(), before);
}

async fn many_rows_are_read_in_the_order_asked(stores: &Stores) {
    let table = &*stores.ledger;
    let rows: Vec<_> = (0..210).map(|i| format!("key-{i:03}'s")).collect();
    for chunk in rows.iter().filter(|row| !row.contains("7'")).collect::<Vec<_>>().chunks(100) {
        write(table, chunk.iter().map(|row| insert(row)).collect()).await;
    }
    let mut asked: Vec<_> = rows.iter().rev().cloned().collect();
    asked.push(rows[0].clone());
    let found = table.get_many("p", &asked).await.unwrap();
    assert_eq!(found.len(), 211);
    for (row, found) in asked.iter().zip(found) {
        let expected = (!row.contains("7'")).then_some(row);
        assert_eq!(found.map(|found| found.entity.row).as_ref(), expected);
    }
    assert_eq!(table.get_many("p", &[]).await.unwrap(), []);
}

async fn partitions_and_tables_are_apart(stores: &Stores) {
    stores.ledger.transact("p", vec![insert("a")]).await.unwrap();
    stores.ledger.transact("q", vec![Operation::Insert(entity("a", "q"))]).await.unwrap();
    stores.poison.transact("p", vec![Operation::Insert(entity("a", "other"))]).await.unwrap();
    for (table, partition, value) in [
        (&stores.ledger, "p", "inserted"),
        (&stores.ledger, "q", "q"),
        (&stores.poison, "p", "other"),
    ] {
        let found = one(&**table, partition, "a").await.unwrap();
        assert_eq!(found.entity, entity("a", value));
    }
    assert_eq!(one(&*stores.ledger, "nowhere", "a").await, None);
}

async fn a_stretch_is_read_page_by_page(stores: &Stores) {
    let table = &*stores.ledger;
    let rows: Vec<_> = (0..50).map(|i| format!("k{i:02}")).collect();
    // Keys that differ by what may follow a key: a page boundary must not skip or repeat them.
    let tricky = ["k10 ", "k10  ", "k10!", "k10-a", "K10", "l"];
    let all = rows.iter().map(String::as_str).chain(tricky);
    write(table, all.clone().map(insert).collect()).await;
    let mut expected: Vec<_> = all.filter(|row| *row >= "k05" && *row < "k40").collect();
    expected.sort_unstable();
    let mut seen = Vec::new();
    let mut from = Some("k05".to_owned());
    while let Some(start) = from {
        let Page { rows, next } = table.scan("p", &start, "k40", 3).await.unwrap();
        assert!(rows.len() <= 3 && (next.is_none() || !rows.is_empty()));
        seen.extend(rows.into_iter().map(|stored| stored.entity.row));
        from = next;
    }
    assert_eq!(seen, expected);
    let nothing = table.scan("p", "z", "zz", 10).await.unwrap();
    assert_eq!(nothing, Page { rows: Vec::new(), next: None });
}

async fn discarding_needs_no_row(stores: &Stores) {
    let table = &*stores.ledger;
    write(table, vec![insert("index-1"), insert("index-3")]).await;
    let discard = |row: &str| Operation::Discard(row.to_owned());
    let etags = write(
        table,
        vec![
            discard("index-0"),
            insert("a"),
            discard("index-1"),
            discard("index-2"),
            Operation::Put(entity("b", "put")),
            discard("index-3"),
        ],
    )
    .await;
    let page = table.scan("p", "", "~", 100).await.unwrap();
    let left: Vec<_> = page.rows.iter().map(|stored| stored.entity.row.as_str()).collect();
    assert_eq!(left, ["a", "b"]);
    assert_eq!((&page.rows[0].etag, &page.rows[1].etag), (&etags[1], &etags[4]));
    assert_eq!(write(table, vec![discard("x"), discard("y")]).await, vec![Etag::default(); 2]);
    let answer = table.transact("p", vec![discard("x"), discard("y"), insert("a")]).await;
    assert_eq!(conflict_at(answer), 2, "the index is the caller's, whatever was left out");
}

async fn what_is_too_large_is_named(stores: &Stores) {
    let table = &*stores.ledger;
    let large = |row: &str, units| Operation::Put(entity(row, "x".repeat(units)));
    let answer = table.transact("p", vec![insert("a"), large("b", 33_000)]).await;
    assert!(matches!(answer, Err(Error::TooLarge { index: Some(1) })), "{answer:?}");
    let many = (0..100).map(|i| large(&i.to_string(), 32_000 * 2 / 3 * 2)).collect();
    let answer = table.transact("p", many).await;
    assert!(matches!(answer, Err(Error::TooLarge { .. })), "{answer:?}");
    let heavy: Vec<_> = (0..100)
        .map(|i| {
            let halves = ["x", "y"].map(|name| (name.into(), Property::Text("x".repeat(25_000))));
            Operation::Put(Entity { row: i.to_string(), properties: halves.into() })
        })
        .collect();
    let answer = table.transact("p", heavy).await;
    assert!(matches!(answer, Err(Error::TooLarge { index: None })), "{answer:?}");
    assert!(table.scan("p", "", "~", 10).await.unwrap().rows.is_empty());
}

async fn a_transaction_as_large_as_can_be_passes(stores: &Stores) {
    let table = &*stores.ledger;
    let mut operations = Vec::new();
    let mut sum = 0;
    for i in 0..100 {
        let properties = ["x", "y"].map(|name| (name.into(), Property::Text("é".repeat(10_000))));
        let operation =
            Operation::Put(Entity { row: format!("{i}"), properties: properties.into() });
        sum += weight("p", &operation);
        if sum > MAX_TRANSACTION {
            break;
        }
        operations.push(operation);
    }
    assert!(operations.len() > 90, "{}", operations.len());
    write(table, operations).await;
    let full = Entity {
        row: "full".into(),
        properties: BTreeMap::from([
            ("text".into(), Property::Text("✓".repeat(32_000))),
            ("bytes".into(), Property::Bytes(vec![7; 64 * 1024].into())),
        ]),
    };
    write(table, vec![Operation::Put(full.clone())]).await;
    assert_eq!(one(table, "p", "full").await.unwrap().entity, full);
}

async fn what_cannot_be_stored_is_invalid(stores: &Stores) {
    let table = &*stores.ledger;
    for operations in [
        vec![],
        vec![insert("a/b")],
        vec![insert("a\nb")],
        vec![insert(&"k".repeat(513))],
        vec![insert("a"), Operation::Discard("a".into())],
        (0..101).map(|i| insert(&i.to_string())).collect(),
    ] {
        let answer = table.transact("p", operations).await;
        assert!(matches!(answer, Err(Error::Invalid { .. })), "{answer:?}");
    }
    let answer = table.get_many("p", &["a".to_owned(), "a/b".to_owned()]).await;
    assert!(matches!(answer, Err(Error::Invalid { .. })), "{answer:?}");
    write(table, vec![insert(&"✓".repeat(512))]).await;
    assert!(one(table, "p", &"✓".repeat(512)).await.is_some());
}

async fn one_of_many_writers_wins(stores: &Stores) {
    let table = &*stores.ledger;
    let etag = write(table, vec![insert("a")]).await.remove(0);
    let race = (0..12).map(|i| {
        let replace = Operation::Replace(entity("a", i.to_string()), etag.clone());
        table.transact("p", vec![replace])
    });
    let answers = join_all(race).await;
    let winners: Vec<_> = (0..12).filter(|i| answers[*i].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let conflicts =
        answers.iter().filter(|answer| matches!(answer, Err(Error::Conflict { index: 0 })));
    assert_eq!(conflicts.count(), 11);
    assert_eq!(one(table, "p", "a").await.unwrap().entity, entity("a", winners[0].to_string()));
}

async fn requests_are_counted(stores: &Stores) {
    let table = &*stores.ledger;
    let rows: Vec<_> = (0..28).map(|i| i.to_string()).collect();
    write(table, rows.iter().map(|row| insert(row)).collect()).await;
    table.get_many("p", &rows).await.unwrap();
    table.scan("p", "", "~", 10).await.unwrap();
    let counters = &stores.counters;
    assert_eq!((counters.of(Call::Transact), counters.of(Call::Query)), (1, 3));
}
