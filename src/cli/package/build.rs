//! The binary, built for the host: with `cargo-zigbuild` against an old C library when it is there, else
//! with plain `cargo` against the one of this machine, which [`super::binary`] then judges.
//!
//! Paths of this machine are taken out of the binary, so that where it was built cannot be read from it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, output};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Older than any image that the host has run on (Debian 11 has 2.31), and what the Rust standard
/// library and the C parts of the dependencies are content with.
const OLDEST: &str = "2.28";

/// Builds and answers where the binary lies.
pub(super) fn binary(root: &Path) -> Result<PathBuf, Error> {
    let zig = has_zigbuild();
    let (command, target) =
        if zig { ("zigbuild", format!("{TARGET}.{OLDEST}")) } else { ("build", TARGET.to_owned()) };
    if !zig {
        output::note("cargo-zigbuild is not installed: building against this machine's C library");
    }
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--release", "--locked", "--bin", "concord", "--target", &target]);
    cargo.current_dir(root).envs(flags(root)).stdin(Stdio::null()).stdout(Stdio::null());
    let shown = format!("cargo {command} --target {target}");
    let failed = |advice: String| Error::Tool { command: shown.clone(), advice };
    let status = cargo.status().map_err(|error| failed(format!("is Rust installed? {error}")))?;
    if !status.success() {
        return Err(failed("what it said stands above".to_owned()));
    }
    Ok(target_folder(root)?.join(TARGET).join("release/concord"))
}

fn has_zigbuild() -> bool {
    let mut asked = Command::new("cargo-zigbuild");
    let asked = asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    asked.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The flags that replace paths; others that are set stay.
fn flags(root: &Path) -> Vec<(&'static str, String)> {
    let settings = crate::config::Settings::from_environment();
    let home = settings
        .get("CARGO_HOME")
        .map(str::to_owned)
        .or_else(|| settings.get("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags: Vec<String> = settings.get("RUSTFLAGS").into_iter().map(str::to_owned).collect();
    flags.push(format!("--remap-path-prefix={}=/concord", root.display()));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
    vec![("RUSTFLAGS", flags.join(" "))]
}

/// Where cargo builds, as it says itself.
fn target_folder(root: &Path) -> Result<PathBuf, Error> {
    let metadata = metadata(root, &["--no-deps"])?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    folder.map(PathBuf::from).ok_or_else(|| Error::Tool {
        command: "cargo metadata".to_owned(),
        advice: "it did not say where it builds".to_owned(),
    })
}

/// What cargo knows of the project.
pub(super) fn metadata(root: &Path, more: &[&str]) -> Result<serde_json::Value, Error> {
    let failed = |advice: String| Error::Tool { command: "cargo metadata".to_owned(), advice };
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    cargo.args(["--filter-platform", TARGET]).args(more).current_dir(root).stdin(Stdio::null());
    let said = cargo.output().map_err(|error| failed(format!("is Rust installed? {error}")))?;
    if !said.status.success() {
        return Err(failed(String::from_utf8_lossy(&said.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&said.stdout).map_err(|error| failed(error.to_string()))
}
