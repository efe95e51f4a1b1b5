//! `concord package`: the app as the Functions host wants it, in a folder, a zip and a bill of materials.
//!
//! In come `host.json`, `functions/`, `maps/` and the binary, which is built unless one is named. Out
//! come `dist/app` (functions flat beside `host.json`), `dist/app.zip` with its checksum, and
//! `dist/sbom.cdx.json`. The same input gives the same bytes, wherever and whenever it is packed.
//! Refused is what the host would only notice when it runs: a binary of another machine or with too new
//! a C library, a function that nobody serves, maps that do not load.

mod archive;
mod binary;
mod build;
mod check;
mod layout;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::binary::Glibc;
use self::layout::{Entry, Kind};
use super::{Outcome, output};
use crate::digest;

/// Stage the function app and zip it, the same bytes each time
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where `app/`, `app.zip`, `app.zip.sha256` and `sbom.cdx.json` are written
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    pub out: PathBuf,
    /// The project: host.json, functions/, maps/, Cargo.toml
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub root: PathBuf,
    /// A binary that is built already [default: build one, with cargo-zigbuild when it is there]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// The C library of the host: a binary that needs a newer one is refused
    #[arg(long, value_name = "VERSION", default_value = "2.31")]
    pub glibc: Glibc,
    /// The report as JSON
    #[arg(long)]
    pub json: bool,
}

/// What cannot be packed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{} cannot be {action}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// "read" or "written".
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A tool could not be started, or failed.
    #[error("{command} failed: {advice}")]
    Tool {
        /// What was run.
        command: String,
        /// What to do.
        advice: String,
    },
    /// The host would not run it.
    #[error("the package would not run: {0}")]
    Unusable(String),
}

impl Error {
    fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, action: "read", source }
    }

    fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, action: "written", source }
    }
}

/// What was packed.
#[derive(Debug, Serialize)]
struct Report {
    zip: PathBuf,
    bytes: usize,
    sha256: String,
    functions: Vec<String>,
    files: usize,
    /// The newest symbol version of the C library that the binary asks for; none when it asks for none.
    glibc: Option<Glibc>,
    components: usize,
}

/// Packs.
pub async fn run(args: Args) -> Outcome {
    let report = pack(&args).await?;
    if args.json {
        output::json(&report);
    } else {
        output::line(format!("{}  {}", report.sha256, report.zip.display()));
        output::note(report.summary());
    }
    Ok(ExitCode::SUCCESS)
}

async fn pack(args: &Args) -> Result<Report, Error> {
    let root = args.root.canonicalize().map_err(Error::reading(&args.root))?;
    let file = match &args.binary {
        Some(file) => file.clone(),
        None => build::binary(&root)?,
    };
    let program = fs::read(&file).map_err(Error::reading(&file))?;
    let glibc = binary::inspect(&program, args.glibc).map_err(Error::Unusable)?;
    let entries = layout::entries(&root, program)?;
    let functions = functions(&entries);
    let staged = args.out.join("app");
    layout::stage(&entries, &staged)?;
    check::runs(&root, &staged, &functions).await?;
    let zip = archive::zip(&entries);
    let bill = sbom::of(&root)?;
    let report = Report {
        zip: args.out.join("app.zip"),
        bytes: zip.len(),
        sha256: digest::hex(&Sha256::digest(&zip)),
        functions,
        files: entries.len(),
        glibc,
        components: bill.components(),
    };
    write(&report.zip, &zip)?;
    // As `sha256sum --check` reads it.
    write(&args.out.join("app.zip.sha256"), format!("{}  app.zip\n", report.sha256).as_bytes())?;
    write(&args.out.join("sbom.cdx.json"), bill.text().as_bytes())?;
    Ok(report)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::writing(path))
}

fn functions(entries: &[Entry]) -> Vec<String> {
    let functions = entries.iter().filter(|entry| entry.kind == Kind::Function);
    functions.filter_map(|entry| Some(entry.name.split_once('/')?.0.to_owned())).collect()
}

impl Report {
    fn summary(&self) -> String {
        let library = match self.glibc {
            Some(version) => format!("needs glibc {version}"),
            None => "is static".to_owned(),
        };
        format!(
            "{} functions ({}), {} files, {} kB; the binary {library}; {} components in the bill of materials",
            self.functions.len(),
            self.functions.join(", "),
            self.files,
            self.bytes / 1024,
            self.components,
        )
    }
}

#[cfg(test)]
mod tests;
