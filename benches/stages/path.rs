//! A batch as it stands before each stage, and what each stage does with it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path as Folder;
use std::sync::Arc;

use bytes::Bytes;
use concord::coalesce::{Mapped, coalesce};
use concord::config::{self, Config, Settings};
use concord::decode::Decoder;
use concord::delivery::Event;
use concord::mapping::Maps;
use concord::row::Row;
use concord::system::TableSchema;
use concord::system::dataverse::upsert_multiple;
use concord::trigger::Envelope;
use jiff::Timestamp;

use crate::floor;
use crate::work::{Size, Work};

/// Events in the batch.
pub(crate) const BATCH: usize = 256;

/// A stage by its name. What it answers says how much it did, so that nothing is optimised away.
pub(crate) type Stage = (&'static str, fn(&Path) -> usize);

/// The stages, in the order in which a batch passes them.
pub(crate) const STAGES: [Stage; 7] = [
    ("floor", |path| floor::once(&path.body)),
    ("envelope", |path| events(&path.body).len()),
    ("decode", |path| path.events.iter().map(|event| path.decoder.decode(event).len()).sum()),
    ("decode_and_map", |path| rows(&path.decoder, &path.maps, &path.events).len()),
    ("coalesce", |path| coalesce(path.rows.clone()).len()),
    ("hash", |path| {
        path.rows.iter().map(|mapped| black_box(mapped.row.hash()).to_string().len()).sum()
    }),
    ("serialise", |path| upsert_multiple(&path.upserts, &path.table).unwrap().len()),
];

/// A batch as it stands before each stage.
pub(crate) struct Path {
    body: Bytes,
    events: Vec<Event>,
    rows: Vec<Mapped>,
    upserts: Vec<Arc<Row>>,
    decoder: Decoder,
    maps: Maps,
    table: TableSchema,
}

impl Path {
    pub(crate) fn new() -> Self {
        let size = Size { events: BATCH, partitions: 1, batch: BATCH, ..Size::default() };
        let body = Work::new(&size).batches[0][0].clone();
        let folder = Folder::new(env!("CARGO_MANIFEST_DIR")).join("benches/maps");
        let settings = Settings::of([("SALES_URL", "http://localhost")]).with_maps(&folder);
        let (Config { mut sources, .. }, maps) = config::load(&settings).unwrap();
        let decoder = sources.remove("mdm").unwrap();
        let events = events(&body);
        let rows = rows(&decoder, &maps, &events);
        let is_upsert = |row: &Arc<Row>| matches!(*row.action, concord::row::Action::Upsert(_));
        let upserts = rows.iter().map(|mapped| Arc::clone(&mapped.row)).filter(is_upsert).collect();
        let table = TableSchema {
            name: "acme_partner".into(),
            set: "acme_partners".into(),
            id: "acme_partnerid".into(),
            bulk: true,
            columns: BTreeMap::new(),
            ..TableSchema::default()
        };
        Self { body, events, rows, upserts, decoder, maps, table }
    }
}

fn events(body: &Bytes) -> Vec<Event> {
    Envelope::parse(body.clone()).unwrap().events(None, Timestamp::UNIX_EPOCH)
}

fn rows(decoder: &Decoder, maps: &Maps, events: &[Event]) -> Vec<Mapped> {
    let mut rows = Vec::new();
    for (index, event) in events.iter().enumerate() {
        for change in decoder.decode(event).into_iter().filter_map(|decoded| decoded.change.ok()) {
            let mapped = maps.rows("mdm", &change).into_iter();
            let made = mapped.filter_map(|(_, row)| row.ok().flatten());
            rows.extend(made.map(|row| Mapped { row: Arc::new(row), event: index }));
        }
    }
    rows
}
