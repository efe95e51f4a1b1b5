//! The public clients of the Web API, unchanged, against the emulated Dataverse: each script in
//! `tests/clients` drives one of them through what it offers and exits with an error at the first thing
//! that is not as it should be.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use tokio::process::Command;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works_unchanged() {
    let python = match std::env::var_os("CONCORD_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => folder().join(".venv/bin/python"),
    };
    let install = "python3 -m venv tests/clients/.venv && \
                   tests/clients/.venv/bin/pip install -r tests/clients/requirements.txt";
    assert!(python.is_file(), "{} is missing; install it with: {install}", python.display());
    let check = Command::new(&python)
        .args(["-c", "import PowerPlatform.Dataverse"])
        .output()
        .await
        .unwrap();
    assert!(check.status.success(), "the Python client is not installed; run: {install}");
    run(&python, "dataverse_client.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_npm_client_dynamics_web_api_works_unchanged() {
    installed("dynamics-web-api");
    run(Path::new("node"), "dynamics-web-api.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_npm_client_dataverse_webapi_works_unchanged() {
    installed("dataverse-webapi");
    run(Path::new("node"), "dataverse-webapi.mjs").await;
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn installed(package: &str) {
    let path = folder().join("node_modules").join(package);
    assert!(path.is_dir(), "{package} is not installed; run: npm ci --prefix tests/clients");
}

/// Starts an emulator and runs a script against it.
async fn run(program: &Path, script: &str) {
    let server = serve(Options { secret: true, ..Options::default() }).await.unwrap();
    let work = Command::new(program)
        .arg(folder().join(script))
        .arg(format!("http://{}", server.address))
        .current_dir(folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, work).await.expect("the client took too long");
    let output =
        output.unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed:\n{shown}\n{errors}");
    println!("{shown}");
    server.stop().await;
}
