//! A table in the SQLite file: an entity is a row whose version is the number of the transaction that
//! wrote it, so that no version of a row ever comes back.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::database::{Database, Failure};
use crate::store::azure::ROWS_IN_A_FILTER;
use crate::store::{
    Call, Counters, Entity, Error, Etag, Operation, Page, Stored, Table, entity, limits,
};

const GET: &str =
    "select row, version, properties from entity where kind = ?1 and part = ?2 and row = ?3";
const SCAN: &str = "select row, version, properties from entity
    where kind = ?1 and part = ?2 and row >= ?3 and row < ?4 order by row limit ?5";
const NEXT_VERSION: &str = "update latest set version = version + 1 returning version";
const INSERT: &str = "insert into entity values (?1, ?2, ?3, ?4, ?5) on conflict do nothing";
const PUT: &str = "insert or replace into entity values (?1, ?2, ?3, ?4, ?5)";
const REPLACE: &str = "update entity set version = ?4, properties = ?5
    where kind = ?1 and part = ?2 and row = ?3 and version = ?6";
const MERGE: &str = "update entity set version = ?4, properties = json_patch(properties, ?5)
    where kind = ?1 and part = ?2 and row = ?3 and version = ?6";
const DELETE: &str =
    "delete from entity where kind = ?1 and part = ?2 and row = ?3 and version = ?4";
const DISCARD: &str = "delete from entity where kind = ?1 and part = ?2 and row = ?3";

/// One table.
#[derive(Debug)]
pub(super) struct LocalTable {
    database: Database,
    name: Arc<str>,
    counters: Arc<Counters>,
}

impl LocalTable {
    pub(super) fn new(database: Database, name: &str, counters: Arc<Counters>) -> Self {
        Self { database, name: name.into(), counters }
    }
}

#[async_trait]
impl Table for LocalTable {
    async fn get_many(
        &self,
        partition: &str,
        rows: &[String],
    ) -> Result<Vec<Option<Stored>>, Error> {
        rows.iter().try_for_each(|row| limits::check_key("row", row))?;
        let queries = rows.len().div_ceil(ROWS_IN_A_FILTER);
        self.counters.add(Call::Query, u64::try_from(queries).unwrap_or(u64::MAX));
        let (name, partition, rows) = (self.name.clone(), partition.to_owned(), rows.to_vec());
        self.database
            .read(move |connection| {
                let mut get = connection.prepare_cached(GET)?;
                rows.iter()
                    .map(|row| {
                        Ok(get.query_row(params![name, partition, row], stored).optional()?)
                    })
                    .collect()
            })
            .await
    }

    async fn transact(
        &self,
        partition: &str,
        operations: Vec<Operation>,
    ) -> Result<Vec<Etag>, Error> {
        limits::check(partition, &operations)?;
        self.counters.count(Call::Transact);
        let (name, partition) = (self.name.clone(), partition.to_owned());
        self.database
            .write(move |connection| {
                let version =
                    connection.prepare_cached(NEXT_VERSION)?.query_row([], |r| r.get(0))?;
                let place = Place { connection, name: &name, partition: &partition, version };
                operations
                    .iter()
                    .enumerate()
                    .map(|(index, operation)| {
                        let conflict = Failure::Store(Error::Conflict { index });
                        place.apply(operation)?.ok_or(conflict)
                    })
                    .collect()
            })
            .await
    }

    async fn scan(
        &self,
        partition: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Page, Error> {
        self.counters.count(Call::Query);
        let limit = limit.clamp(1, 1_000);
        let (name, partition) = (self.name.clone(), partition.to_owned());
        let (from, to) = (from.to_owned(), to.to_owned());
        self.database
            .read(move |connection| {
                let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
                let mut rows = connection
                    .prepare_cached(SCAN)?
                    .query_map(params![name, partition, from, to, one_more], stored)?
                    .collect::<Result<Vec<_>, _>>()?;
                let next = rows.drain(limit.min(rows.len())..).next();
                Ok(Page { rows, next: next.map(|stored| stored.entity.row) })
            })
            .await
    }
}

/// Where the operations of one transaction go, and the version they give.
struct Place<'a> {
    connection: &'a Connection,
    name: &'a str,
    partition: &'a str,
    version: i64,
}

impl Place<'_> {
    /// Applies one operation; `None` when its condition does not hold.
    fn apply(&self, operation: &Operation) -> rusqlite::Result<Option<Etag>> {
        let Self { name, partition, version, .. } = self;
        let prepare = |sql| self.connection.prepare_cached(sql);
        let changed = match operation {
            Operation::Insert(entity) => {
                let values = params![name, partition, entity.row, version, text(entity)?];
                prepare(INSERT)?.execute(values)?
            }
            Operation::Put(entity) => {
                let values = params![name, partition, entity.row, version, text(entity)?];
                prepare(PUT)?.execute(values)?
            }
            Operation::Replace(entity, expected) => {
                let expected = number(expected);
                let values = params![name, partition, entity.row, version, text(entity)?, expected];
                prepare(REPLACE)?.execute(values)?
            }
            Operation::Merge(entity, expected) => {
                let expected = number(expected);
                let values = params![name, partition, entity.row, version, text(entity)?, expected];
                prepare(MERGE)?.execute(values)?
            }
            Operation::Delete(row, expected) => {
                let deleted =
                    prepare(DELETE)?.execute(params![name, partition, row, number(expected)])?;
                return Ok((deleted == 1).then(Etag::default));
            }
            Operation::Discard(row) => {
                prepare(DISCARD)?.execute(params![name, partition, row])?;
                return Ok(Some(Etag::default()));
            }
        };
        Ok((changed == 1).then(|| Etag(version.to_string())))
    }
}

fn text(entity: &Entity) -> rusqlite::Result<String> {
    let mut json = Vec::new();
    entity::push(None, &entity.properties, &mut json);
    String::from_utf8(json)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A version that is no number was not given by this table and fits no row.
fn number(etag: &Etag) -> Option<i64> {
    etag.0.parse().ok()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let read: entity::Read = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
    let entity = Entity { row: row.get(0)?, properties: read.properties };
    Ok(Stored { entity, etag: Etag(row.get::<_, i64>(1)?.to_string()) })
}
