//! The emulated environments, one for each target system, and the country table they share.

use std::path::Path;

use super::Error;
use super::expected::Countries;
use super::settings::read_text;
use crate::emulator::dataverse::{self, model::Definition};

/// The tables beyond those that every Dataverse has.
#[derive(Clone, Debug)]
pub(super) struct Tables(Vec<Definition>);

impl Tables {
    /// Reads a schema file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path)?;
        let tables = serde_json::from_str(&text);
        tables.map(Self).map_err(|source| Error::Json { path: path.to_owned(), source })
    }
}

/// The number of each country in Logistics, from the vocabulary of the shipped maps; none without it.
pub(super) fn countries(maps: &Path) -> Result<Countries, Error> {
    let path = maps.join("vocabularies").join("countries.csv");
    if !path.is_file() {
        return Ok(Countries::new());
    }
    let wrong = |source| Error::Vocabulary { path: path.clone(), source };
    let mut rows = csv::Reader::from_path(&path).map_err(wrong)?;
    let rows = rows.deserialize::<Country>();
    rows.map(|row| row.map(|row| (row.iso3, row.number)).map_err(wrong)).collect()
}

#[derive(serde::Deserialize)]
struct Country {
    iso3: String,
    number: i64,
}

/// One emulated environment; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Environment {
    /// The system of `concord.toml` that it stands for.
    pub(super) system: String,
    server: dataverse::Server,
}

impl Environment {
    /// Starts an empty environment with these tables on a free port.
    pub(super) async fn start(system: String, tables: &Tables) -> Result<Self, Error> {
        let server = dataverse::serve(tables.0.clone()).await?;
        Ok(Self { system, server })
    }

    /// `http://127.0.0.1:7101`
    pub(super) fn address(&self) -> String {
        self.server.address()
    }

    /// How many requests it served.
    pub(super) fn calls(&self) -> u64 {
        self.server.served()
    }
}
