//! File and image columns: upload in one request or in chunks, download whole or by range, as bytes or
//! as JSON (Dataverse, file column data). Images are not scaled down.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use indexmap::IndexMap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::emulator::dataverse::answer::{Answer, JSON};
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::derive;
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Kind, Record};
use crate::emulator::dataverse::range::{self, Span};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::write;

/// The largest block of a chunked upload, in bytes.
pub const CHUNK: usize = 4 * 1024 * 1024;
/// The largest file the emulator keeps in memory, in bytes.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// The most uploads under way; the oldest gives way.
const MOST_UPLOADS: usize = 64;

/// Chunked uploads by session token, oldest first.
pub type Uploads = IndexMap<Uuid, Upload>;

/// A chunked upload.
#[derive(Debug)]
pub struct Upload {
    table: String,
    row: Uuid,
    column: String,
    name: String,
    content: Vec<u8>,
    done: bool,
}

/// Whether a request uploads to a file or image column.
pub fn is_upload(session: &Session<'_>, call: &Call, column: &str) -> bool {
    call.method == Method::PATCH && file_column(session, call, column).is_some()
}

fn file_column<'s>(
    session: &'s Session<'_>,
    call: &Call,
    name: &str,
) -> Option<&'s ColumnDefinition> {
    let column = session.env.by_set(&call.path.first()?.name)?.definition.column(name)?;
    matches!(column.kind, Kind::File | Kind::Image).then_some(column)
}

/// `PATCH /set(key)/column`: the whole content, the beginning of a chunked upload, or a chunk.
pub fn upload(session: &mut Session<'_>, call: &Call, column: &str) -> Result<Answer, Refusal> {
    if let Some(token) = call.option("sessiontoken") {
        let token = Uuid::try_parse(token).map_err(|_| no_session())?;
        return chunk(session, call, token);
    }
    let located = write::locate(session, call)?;
    let row = located.existing(session.env)?;
    let table = session.table(&located.table)?;
    Condition::of(call).check(table, session.row(&located.table, row)?)?;
    let name = file_name(call);
    if call.header("x-ms-transfer-mode") == Some("chunked") {
        let (table, column) = (located.table.clone(), column.to_owned());
        let upload = Upload { table, row, column, name, content: Vec::new(), done: false };
        return begin(session, call, upload);
    }
    store(session, (&located.table, row, column), name, call.body.clone())?;
    Ok(Answer::empty(204))
}

fn begin(session: &mut Session<'_>, call: &Call, upload: Upload) -> Result<Answer, Refusal> {
    let token = session.chance.uuid();
    let set = &session.table(&upload.table)?.definition.entity_set;
    let url = format!("{}{set}({})/{}?sessiontoken={token}", call.base, upload.row, upload.column);
    while session.uploads.len() >= MOST_UPLOADS {
        session.uploads.shift_remove_index(0);
    }
    session.uploads.insert(token, upload);
    Ok(Answer::empty(200)
        .with("Location", url)
        .with("x-ms-chunk-size", CHUNK.to_string())
        .with("Accept-Ranges", "bytes")
        .with("Access-Control-Expose-Headers", "x-ms-chunk-size, Location"))
}

fn chunk(session: &mut Session<'_>, call: &Call, token: Uuid) -> Result<Answer, Refusal> {
    let upload = session.uploads.get_mut(&token).ok_or_else(no_session)?;
    if upload.done && call.body.is_empty() {
        // A public client sends one more, empty chunk when the last one filled its block.
        return Ok(Answer::empty(204));
    }
    let given = call.header("content-range").and_then(range::content).filter(|_| !upload.done);
    let Some(Span { start, end, total }) = given else { return Err(bad_chunk("unreadable")) };
    if total > LARGEST || call.body.len() > CHUNK {
        return Err(Refusal::new(413, "0x80040203", "The chunk or the file is too large."));
    }
    if end.checked_sub(start).is_none_or(|span| span + 1 != call.body.len() as u64) || end >= total
    {
        return Err(bad_chunk("not the length of the body"));
    }
    // A repeated chunk replaces what it brought before.
    let have = usize::try_from(start).ok().filter(|start| *start <= upload.content.len());
    let Some(have) = have else { return Err(bad_chunk("not where the last chunk ended")) };
    upload.content.truncate(have);
    upload.content.extend_from_slice(&call.body);
    if end + 1 < total {
        return Ok(Answer::empty(206));
    }
    upload.done = true;
    let content = Bytes::from(std::mem::take(&mut upload.content));
    let place = (upload.table.clone(), upload.row, upload.column.clone());
    let name = Some(file_name(call)).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| upload.name.clone());
    store(session, (&place.0, place.1, &place.2), name, content)?;
    Ok(Answer::empty(204))
}

fn store(
    session: &mut Session<'_>,
    (table, row, column): (&str, Uuid, &str),
    name: String,
    content: Bytes,
) -> Result<(), Refusal> {
    let cell = Cell::Bytes { id: session.chance.uuid(), name, content };
    put(session, (table, row, column), Some(cell))
}

/// Removes the content of a file column.
pub fn clear(
    session: &mut Session<'_>,
    table: &str,
    row: Uuid,
    column: &str,
) -> Result<(), Refusal> {
    put(session, (table, row, column), None)
}

fn put(
    session: &mut Session<'_>,
    (table, row, column): (&str, Uuid, &str),
    cell: Option<Cell>,
) -> Result<(), Refusal> {
    let mut cells = session.row(table, row)?.cells.clone();
    let definition = &session.table(table)?.definition;
    let companion = format!("{column}_name");
    cells.remove(&companion);
    cells.remove(column);
    if let Some(cell) = cell {
        if let Cell::Bytes { name, .. } = &cell
            && definition.column(&companion).is_some()
        {
            cells.insert(companion, Cell::Text(name.clone()));
        }
        cells.insert(column.to_owned(), cell);
    }
    derive::modified(&session.caller, session.now, definition, &mut cells);
    derive::follow(session.env, session.now, definition, (&mut cells, &[]));
    session.replace(table, row, cells, vec![column.to_owned()])
}

/// `GET /set(key)/column/$value`: the bytes of a file or an image, or the text of another column.
pub fn value(session: &mut Session<'_>, call: &Call, column: &str) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let record = session.row(&located.table, located.existing(session.env)?)?;
    let definition = &session.table(&located.table)?.definition;
    let column = definition.column(column).ok_or_else(|| Refusal::no_segment(column))?;
    if call.method != Method::GET {
        return Err(call.unknown());
    }
    match record.cells.get(&column.logical_name) {
        None => Ok(Answer::empty(204)),
        Some(Cell::Bytes { name, content, .. }) => {
            let (part, answer) = ranged(call, content)?;
            let answer = Answer { body: part, ..answer };
            Ok(described(answer, name, content).with("Content-Type", "application/octet-stream"))
        }
        Some(Cell::Text(text)) => Ok(Answer::text(text.clone())),
        Some(cell) => {
            let shown = render::json(cell, column.kind);
            Ok(Answer::text(shown.trim_matches('"').to_owned()))
        }
    }
}

/// `GET /set(key)/column`: the content as `{"value": "base64"}`, by range when asked for.
pub fn download(
    call: &Call,
    record: &Record,
    column: &ColumnDefinition,
) -> Result<Answer, Refusal> {
    let Some(Cell::Bytes { name, content, .. }) = record.cells.get(&column.logical_name) else {
        return Ok(Answer::empty(204));
    };
    let (part, answer) = ranged(call, content)?;
    let mut body = render::Object::new();
    let set = call.path.first().map_or("", |segment| &segment.name);
    let context = format!("{}$metadata#{set}({})/{}", call.base, record.id, column.logical_name);
    body.text("@odata.context", &context);
    body.text("value", &STANDARD.encode(part));
    let answer = Answer { body: body.finish().into(), ..answer };
    Ok(described(answer, name, content).with("Content-Type", JSON))
}

fn described(answer: Answer, name: &str, content: &Bytes) -> Answer {
    let shown = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string().replace("%2E", ".");
    answer
        .with("Content-Disposition", format!("attachment; filename=\"{shown}\""))
        .with("x-ms-file-name", shown)
        .with("x-ms-file-size", content.len().to_string())
        .with("Accept-Ranges", "bytes")
}

/// The part that `Range` asks for, and an answer that says so.
fn ranged(call: &Call, content: &Bytes) -> Result<(Bytes, Answer), Refusal> {
    let total = content.len();
    let Some(asked) = call.header("range") else {
        return Ok((content.clone(), Answer::empty(200)));
    };
    let refused = || Refusal::new(416, "0x80040203", "The requested range is not satisfiable.");
    let part = range::asked(asked, total).ok_or_else(refused)?;
    let last = part.end.saturating_sub(1);
    let shown = format!("bytes {}-{last}/{total}", part.start);
    Ok((content.slice(part), Answer::empty(206).with("Content-Range", shown)))
}

fn file_name(call: &Call) -> String {
    let header = call.headers.get("x-ms-file-name").map(axum::http::HeaderValue::as_bytes);
    let option = call.option("x-ms-file-name").map(str::as_bytes);
    let name = header.or(option).unwrap_or_default();
    percent_encoding::percent_decode(name).decode_utf8_lossy().into_owned()
}

fn no_session() -> Refusal {
    Refusal::new(404, "0x80040217", "There is no upload with this session token.")
}

fn bad_chunk(what: &str) -> Refusal {
    Refusal::new(416, "0x80040203", format!("The Content-Range of the chunk is {what}."))
}
