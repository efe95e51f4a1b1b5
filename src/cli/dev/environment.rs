//! The emulated environments, one for each target system, and the country table that goes with them.

use std::path::Path;

use super::Error;
use super::expected::Countries;
use crate::emulator::dataverse::counters::Counters;
use crate::emulator::dataverse::faults::Faults;
use crate::emulator::dataverse::server::{Server, serve};
use crate::emulator::dataverse::state::Options;
use crate::emulator::dataverse::steps::trouble::{Shares, Told};

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
    server: Server,
}

impl Environment {
    /// Starts an empty environment on a free port.
    pub(super) async fn start(system: String, options: Options) -> Result<Self, Error> {
        let server = serve(options).await.map_err(|source| {
            let system = system.clone();
            Error::Environment { system, source }
        })?;
        Ok(Self { system, server })
    }

    /// `http://127.0.0.1:7101`
    pub(super) fn address(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// How many requests it served; a batch counts once.
    pub(super) fn calls(&self) -> u64 {
        self.server.state.counters().requests.values().sum()
    }

    /// Forgets the requests so far and has these faults from now on.
    pub(super) fn begin(&self, faults: &Faults) {
        *self.server.state.counters() = Counters::default();
        *self.server.state.faults() = faults.clone();
    }

    /// Spoils so many webhooks from now on.
    pub(super) fn spoil(&self, shares: Shares) {
        self.server.state.trouble().shares = shares;
    }

    /// What became of its webhooks so far.
    pub(super) fn webhooks(&self) -> Told {
        self.server.state.trouble().told
    }

    /// Has no faults any more.
    pub(super) fn end(&self) {
        *self.server.state.faults() = Faults::default();
    }
}
