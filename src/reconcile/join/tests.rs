use object_store::memory::InMemory;

use super::*;
use crate::reconcile::shape::{Cell, Face};

fn print(key: &str, value: &str, stand: Stand) -> Print {
    let face = Face { key: Some(key.to_owned()), cells: vec![Cell::Is(value.to_owned())] };
    Print::of(&face, stand, key.as_bytes())
}

async fn joined(
    sides: &[(Side, &[Vec<Print>])],
    sample: usize,
    seed: u64,
) -> (Joined, Vec<Suspect>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut segments = Vec::new();
    for (side, parts) in sides {
        for (part, prints) in parts.iter().enumerate() {
            let path = format!("{}-{part}", side.word());
            let bytes = print::segment(prints.clone(), 1);
            store.put(&Path::from(path.as_str()), bytes.into()).await.unwrap();
            segments.push((*side, path));
        }
    }
    let plan = Plan { sample, seed, width: 1, partial: false };
    let blobs = Blobs(Arc::clone(&store));
    let out = Suspects::below(blobs.clone(), "f".to_owned());
    let joined = join(&store, &segments, plan, out).await.unwrap();
    let mut all = Vec::new();
    for part in 0.. {
        let chunk = blobs.get_json::<Vec<Suspect>>(&Suspects::path("f", part)).await.unwrap();
        let Some(chunk) = chunk else { break };
        all.extend(chunk);
    }
    (joined, all)
}

fn there(key: &str, value: &str) -> Print {
    print(key, value, Stand::There)
}

fn ids(suspect: &Suspect) -> (Option<&str>, Option<&str>) {
    let text = |id: &Option<Box<[u8]>>| {
        id.as_deref().map(|id| std::str::from_utf8(id).unwrap().to_owned().leak() as &str)
    };
    (text(&suspect.source), text(&suspect.target))
}

#[tokio::test]
async fn segments_in_any_order_are_matched_by_key() {
    let ours = [
        vec![there("c", "1"), there("a", "1"), there("missing", "1")],
        vec![there("b", "1"), print("left", "1", Stand::LeftOut)],
    ];
    let theirs = [
        vec![there("b", "2"), there("a", "1")],
        vec![there("left", "1"), there("c", "1"), there("extra", "1")],
    ];
    let sides: [(Side, &[Vec<Print>]); 2] = [(Side::Source, &ours), (Side::Target, &theirs)];
    let (joined, suspects) = joined(&sides, 0, 0).await;
    assert_eq!((joined.equal, joined.suspects, joined.extra), (2, 4, 1));
    let mut found: Vec<_> = suspects.iter().map(ids).collect();
    found.sort_unstable();
    let wanted = [
        (None, Some("extra")),
        (Some("b"), Some("b")),
        (Some("left"), Some("left")),
        (Some("missing"), None),
    ];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn two_rows_of_one_key_and_a_row_that_no_map_reads_are_looked_at() {
    let ours = [vec![there("a", "1"), there("a", "2"), print("r", "", Stand::Refused)]];
    let theirs = [vec![there("a", "1"), there("r", "1")]];
    let sides: [(Side, &[Vec<Print>]); 2] = [(Side::Source, &ours), (Side::Target, &theirs)];
    let (joined, suspects) = joined(&sides, 0, 0).await;
    assert_eq!(joined.equal, 0);
    assert_eq!(suspects.iter().filter(|suspect| suspect.twins).count(), 1);
    assert!(suspects.iter().any(|suspect| ids(suspect) == (Some("r"), None)));
}

#[tokio::test]
async fn a_sample_is_drawn_alike_with_the_same_seed_and_from_all_rows() {
    let rows: Vec<Print> = (0..1_000).map(|n| there(&n.to_string(), "1")).collect();
    let all = [rows];
    let sides: [(Side, &[Vec<Print>]); 2] = [(Side::Source, &all), (Side::Target, &all)];
    let drawn = async |seed| {
        let (_, suspects) = joined(&sides, 20, seed).await;
        suspects
    };
    let (first, again, other) = (drawn(1).await, drawn(1).await, drawn(2).await);
    assert!((21..=40).contains(&first.len()), "each side draws its own: {}", first.len());
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test]
async fn segments_larger_than_the_window_are_read_to_their_end() {
    let rows: Vec<Print> = (0..20_000).map(|n| there(&format!("key {n}"), "1")).collect();
    let all = [rows];
    let sides: [(Side, &[Vec<Print>]); 2] = [(Side::Source, &all), (Side::Target, &[])];
    let (joined, suspects) = joined(&sides, 0, 0).await;
    assert_eq!((joined.equal, suspects.len()), (0, 20_000));
}
