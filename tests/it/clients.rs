//! The public clients of the Web API, unchanged, against the emulated Dataverse: each script in
//! `tests/clients` drives one of them through what it offers and exits with an error at the first thing
//! that is not as it should be.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use tokio::process::Command;

use crate::support::twins::{GUESTS, Twins};

/// How long a client may take.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works_unchanged() {
    run(&python().await, "dataverse_client.py").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn edits_with_the_python_client_arrive_by_webhook() {
    edits(&python().await, "edits.py", ("Åse", &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_with_dynamics_web_api_arrive_by_webhook() {
    installed("dynamics-web-api");
    edits(Path::new("node"), "edits-dynamics-web-api.mjs", ("Åse", &["H1"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_with_dataverse_webapi_arrive_by_webhook() {
    installed("dataverse-webapi");
    edits(Path::new("node"), "edits-dataverse-webapi.mjs", ("Aase", &["H1"])).await;
}

/// Lets a script edit the first of two environments; the second one has it all afterwards, the pairs of the
/// customer among it.
async fn edits(program: &Path, script: &str, (name, stays): (&str, &[&str])) {
    let twins = Twins::start("read = 'fetch'", &GUESTS.map(str::to_owned)).await;
    twins.register().await;
    drive(program, script, &format!("http://{}", twins.one.address)).await;
    twins.rest().await;
    twins.work().await;
    let regions = ["EU Europe", "R1 Row 1", "R2 Row 2", "R3 Row three", "US The Americas"];
    assert_eq!(twins.regions(&twins.two).await, regions);
    let path = "acme_customers?$expand=acme_RegionId,acme_customer_acme_hotel";
    let (_, page) = twins.call(&twins.two, "GET", path, serde_json::Value::Null).await;
    let customer = &page["value"][0];
    assert_eq!(
        (&customer["acme_name"], &customer["acme_RegionId"]["acme_code"]),
        (&name.into(), &"EU".into())
    );
    let hotels = customer["acme_customer_acme_hotel"].as_array().unwrap().iter();
    let hotels: Vec<_> = hotels.map(|hotel| hotel["acme_code"].as_str().unwrap()).collect();
    assert_eq!(hotels, stays, "{customer}");
    let told = twins.one.state.trouble().told;
    assert_eq!((told.failed, told.posted), (0, told.caused), "{told:?}");
    assert_eq!(twins.app.stores.poisoned.depth().await.unwrap(), 0);
}

async fn python() -> PathBuf {
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
    python
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
    drive(program, script, &format!("http://{}", server.address)).await;
    server.stop().await;
}

/// Runs a script against this address.
async fn drive(program: &Path, script: &str, address: &str) {
    let work = Command::new(program)
        .arg(folder().join(script))
        .arg(address)
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
}
