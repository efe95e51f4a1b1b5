//! What the rest relies on in the blob store: names, creation once, listing.

use concord::store::{Call, Stores};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions};

super::everywhere! {
    a_blob_comes_back_as_it_was_put,
    a_blob_is_created_once,
    blobs_are_listed_by_prefix,
    a_large_blob_passes,
    blob_requests_are_counted,
    nothing_printed_shows_a_key,
}

async fn a_blob_comes_back_as_it_was_put(stores: &Stores) {
    for name in ["plain.json", "poison/2026/a b'é%41.json", "x/y/z"] {
        let path = Path::from(name);
        let body = name.as_bytes().to_vec();
        stores.blobs.put(&path, body.clone().into()).await.unwrap();
        assert_eq!(stores.blobs.get(&path).await.unwrap().bytes().await.unwrap(), body);
        stores.blobs.delete(&path).await.unwrap();
        let gone = stores.blobs.get(&path).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    }
}

async fn a_blob_is_created_once(stores: &Stores) {
    let path = Path::from("once");
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    stores.blobs.put_opts(&path, "first".into(), create()).await.unwrap();
    let again = stores.blobs.put_opts(&path, "second".into(), create()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(stores.blobs.get(&path).await.unwrap().bytes().await.unwrap(), "first");
    stores.blobs.put(&path, "third".into()).await.unwrap();
    assert_eq!(stores.blobs.get(&path).await.unwrap().bytes().await.unwrap(), "third");
}

async fn blobs_are_listed_by_prefix(stores: &Stores) {
    for name in ["a/1", "a/2", "a/b/3", "c/4"] {
        stores.blobs.put(&Path::from(name), name.into()).await.unwrap();
    }
    let listed: Vec<_> = stores.blobs.list(Some(&Path::from("a"))).try_collect().await.unwrap();
    let mut names: Vec<_> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a/1", "a/2", "a/b/3"]);
    let none: Vec<_> = stores.blobs.list(Some(&Path::from("z"))).try_collect().await.unwrap();
    assert!(none.is_empty());
}

async fn a_large_blob_passes(stores: &Stores) {
    let path = Path::from("large");
    let body: Vec<u8> = (0..5_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    stores.blobs.put(&path, body.clone().into()).await.unwrap();
    assert!(stores.blobs.get(&path).await.unwrap().bytes().await.unwrap() == body);
}

async fn blob_requests_are_counted(stores: &Stores) {
    let path = Path::from("counted");
    stores.blobs.put(&path, "x".into()).await.unwrap();
    stores.blobs.get(&path).await.unwrap();
    stores.blobs.delete(&path).await.unwrap();
    assert_eq!(stores.counters.of(Call::BlobWrite), 2);
    assert_eq!(stores.counters.of(Call::BlobRead), 1);
}

async fn nothing_printed_shows_a_key(stores: &Stores) {
    let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq";
    let printed = format!("{stores:?} {}", stores.blobs);
    assert!(!printed.contains(key) && !printed.contains("key: ["), "{printed}");
}
