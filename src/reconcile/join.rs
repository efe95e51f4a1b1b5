//! The two sides matched: segments of prints come in, sorted by key, and out come the rows in which the
//! sides do not agree, and a sample of those in which they seem to.
//!
//! All segments are merged at once, each through a small window, so that the memory needed does not grow
//! with the tables.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use serde::{Deserialize, Serialize};

use super::blobs::{self, Blobs};
use super::print::{self, Print, Stand};
use super::side::Side;
use crate::digest;
use crate::fault::{Fault, Kind};

/// How much of a segment is held at once.
const WINDOW: u64 = 128 * 1024;

/// A row that must be looked at again: how each side finds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Suspect {
    /// Of the source: its id, or the key of an entry of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Box<[u8]>>,
    /// Of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Box<[u8]>>,
    /// Whether further rows of the source have the same key.
    #[serde(default)]
    pub(super) twins: bool,
}

/// What the match came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Joined {
    pub(super) equal: u64,
    pub(super) suspects: u64,
    /// Rows of the target that the source does not give it.
    pub(super) extra: u64,
}

/// Rows that are looked at again in one piece.
const CHUNK: usize = 200;

/// Where suspects are kept, in chunks of what one piece looks at.
pub(super) struct Suspects {
    blobs: Blobs,
    folder: String,
    part: u32,
    chunk: Vec<Suspect>,
}

impl Suspects {
    /// Below a folder.
    pub(super) fn below(blobs: Blobs, folder: String) -> Self {
        Self { blobs, folder, part: 0, chunk: Vec::new() }
    }

    /// The name of a chunk.
    pub(super) fn path(folder: &str, part: u32) -> String {
        format!("{folder}/suspects-{part:05}.json")
    }

    async fn take(&mut self, suspect: Suspect) -> Result<(), Fault> {
        self.chunk.push(suspect);
        if self.chunk.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.blobs.put_json(&Self::path(&self.folder, self.part), &self.chunk).await?;
        self.part += 1;
        self.chunk.clear();
        Ok(())
    }
}

/// A sample of keys: those whose hash with the seed is smallest. Every row is as likely as any other,
/// and the same seed draws the same rows.
struct Sample {
    side: Side,
    seed: u64,
    most: usize,
    drawn: BinaryHeap<([u8; 16], Suspect)>,
}

impl Sample {
    /// Of the rows of one side: the other draws its own.
    fn of(side: Side, plan: Plan) -> Self {
        Self { side, seed: plan.seed, most: plan.sample, drawn: BinaryHeap::new() }
    }

    fn offer(&mut self, key: [u8; 16], suspect: impl FnOnce() -> Suspect) {
        let place = digest::of([self.side.word().as_bytes(), &self.seed.to_be_bytes(), &key]);
        let full = self.drawn.len() >= self.most;
        if self.most == 0 || (full && self.drawn.peek().is_some_and(|(last, _)| *last <= place)) {
            return;
        }
        self.drawn.push((place, suspect()));
        if full {
            self.drawn.pop();
        }
    }
}

/// How the match is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How many rows of each side are drawn to be looked at, though their prints agree.
    pub(super) sample: usize,
    pub(super) seed: u64,
    pub(super) width: usize,
    /// Whether only rows that changed were read, so that silence of the target says nothing.
    pub(super) partial: bool,
}

/// Matches the segments of both sides.
pub(super) async fn join(
    store: &Arc<dyn ObjectStore>,
    segments: &[(Side, String)],
    plan: Plan,
    mut out: Suspects,
) -> Result<Joined, Fault> {
    let mut merge = Merge::open(store, segments, plan.width).await?;
    let mut joined = Joined::default();
    let mut samples = [Side::Source, Side::Target].map(|side| Sample::of(side, plan));
    while let Some((key, ours, theirs)) = merge.next().await? {
        for suspect in suspects(&ours, &theirs, plan.partial) {
            joined.suspects += 1;
            joined.extra += u64::from(suspect.source.is_none());
            out.take(suspect).await?;
        }
        if let ([our], [their]) = (ours.as_slice(), theirs.as_slice())
            && our.stand == Stand::There
            && our.agrees(their)
        {
            joined.equal += 1;
            for sample in &mut samples {
                sample.offer(key, || both(our, their));
            }
        }
    }
    let drawn = samples.into_iter().flat_map(|sample| sample.drawn);
    let mut drawn: Vec<Suspect> = drawn.map(|(_, suspect)| suspect).collect();
    drawn.sort();
    drawn.dedup();
    for suspect in drawn {
        out.take(suspect).await?;
    }
    out.flush().await?;
    Ok(joined)
}

/// All segments at once, key by key.
struct Merge {
    readers: Vec<Reader>,
    heads: BinaryHeap<Reverse<([u8; 16], usize)>>,
}

/// A key, and its rows on either side.
type Met = ([u8; 16], Vec<Print>, Vec<Print>);

impl Merge {
    async fn open(
        store: &Arc<dyn ObjectStore>,
        segments: &[(Side, String)],
        width: usize,
    ) -> Result<Self, Fault> {
        let mut merge = Self { readers: Vec::new(), heads: BinaryHeap::new() };
        for (side, path) in segments {
            let reader = Reader::open(Arc::clone(store), *side, path, width).await?;
            merge.readers.push(reader);
            merge.advance(merge.readers.len() - 1).await?;
        }
        Ok(merge)
    }

    /// Takes the head of a reader and puts the next one in its place.
    async fn advance(&mut self, index: usize) -> Result<Option<(Side, Print)>, Fault> {
        let Some(reader) = self.readers.get_mut(index) else { return Ok(None) };
        let head = reader.head.take().map(|print| (reader.side, print));
        if let Some(print) = reader.next().await? {
            self.heads.push(Reverse((print.key, index)));
            reader.head = Some(print);
        }
        Ok(head)
    }

    async fn next(&mut self) -> Result<Option<Met>, Fault> {
        let Some(Reverse((key, _))) = self.heads.peek().copied() else { return Ok(None) };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        while let Some(Reverse((next, index))) = self.heads.peek().copied() {
            if next != key {
                break;
            }
            self.heads.pop();
            match self.advance(index).await? {
                Some((Side::Source, print)) => ours.push(print),
                Some((Side::Target, print)) => theirs.push(print),
                None => {}
            }
        }
        Ok(Some((key, ours, theirs)))
    }
}

/// The rows of one key that do not agree.
fn suspects(ours: &[Print], theirs: &[Print], partial: bool) -> Vec<Suspect> {
    let there: Vec<&Print> = ours.iter().filter(|print| print.stand == Stand::There).collect();
    let refused = ours.iter().filter(|print| print.stand == Stand::Refused);
    let mut suspects: Vec<Suspect> =
        refused.map(|print| Suspect { source: Some(print.id.clone()), ..none() }).collect();
    match (there.as_slice(), theirs) {
        ([our], [their]) if our.agrees(their) => {}
        ([our], [their]) => suspects.push(both(our, their)),
        ([our], []) => suspects.push(Suspect { source: Some(our.id.clone()), ..none() }),
        ([], []) => {
            // what the source removed may still be there
            let gone = ours.iter().find(|print| print.stand == Stand::Gone).filter(|_| partial);
            suspects.extend(gone.map(|print| Suspect { source: Some(print.id.clone()), ..none() }));
        }
        ([], theirs) => {
            // a row that the map leaves out, or refuses, is the reason for what the target has
            let reason = ours.first().map(|print| print.id.clone());
            if ours.iter().any(|print| print.stand == Stand::Refused) {
                return suspects;
            }
            let extra = theirs.iter().map(|their| Suspect {
                source: reason.clone(),
                target: Some(their.id.clone()),
                twins: false,
            });
            suspects.extend(extra);
        }
        ([first, ..], theirs) => {
            let target = theirs.first().map(|their| their.id.clone());
            let twins = there.len() > 1;
            suspects.push(Suspect { source: Some(first.id.clone()), target, twins });
            let others = theirs
                .iter()
                .skip(1)
                .map(|their| Suspect { target: Some(their.id.clone()), ..none() });
            suspects.extend(others);
        }
    }
    suspects
}

fn none() -> Suspect {
    Suspect { source: None, target: None, twins: false }
}

fn both(our: &Print, their: &Print) -> Suspect {
    Suspect { source: Some(our.id.clone()), target: Some(their.id.clone()), twins: false }
}

/// Reads the prints of one segment, a window at a time.
struct Reader {
    store: Arc<dyn ObjectStore>,
    side: Side,
    path: Path,
    size: u64,
    read: u64,
    window: Bytes,
    width: usize,
    head: Option<Print>,
}

impl Reader {
    async fn open(
        store: Arc<dyn ObjectStore>,
        side: Side,
        path: &str,
        width: usize,
    ) -> Result<Self, Fault> {
        let path = Path::from(path);
        let size = store.head(&path).await.map_err(blobs::unavailable)?.size;
        let (window, read, head) = (Bytes::new(), 0, None);
        let mut reader = Self { store, side, path, size, read, window, width, head };
        reader.fill().await?;
        if print::width(&reader.window) != Some(width) {
            let message = "the map or the table changed while they were compared; start again";
            return Err(Fault::new(Kind::Misconfigured, message));
        }
        reader.window.advance(2);
        Ok(reader)
    }

    async fn next(&mut self) -> Result<Option<Print>, Fault> {
        loop {
            let mut rest = &*self.window;
            if let Some(print) = print::take(&mut rest, self.width)? {
                let taken = self.window.len() - rest.len();
                self.window.advance(taken);
                return Ok(Some(print));
            }
            if self.read >= self.size {
                return Ok(None);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        let end = (self.read + WINDOW).min(self.size);
        let more = self.store.get_range(&self.path, self.read..end).await;
        let more = more.map_err(blobs::unavailable)?;
        self.read = end;
        let mut window = BytesMut::with_capacity(self.window.len() + more.len());
        window.extend_from_slice(&self.window);
        window.extend_from_slice(&more);
        self.window = window.freeze();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
