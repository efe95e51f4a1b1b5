//! Azurite, really running: one process for the test binary, ended with it, and an account for each
//! installation.
//!
//! Found in `tests/clients/node_modules`, or at the `azurite.js` that `CONCORD_AZURITE` names. A test
//! that needs it and does not find it fails and says which command to run.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the script it is given and ends when this process does, because its standard input ends then.
const LEASH: &str = "
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
    process.argv.splice(1, 0, process.argv[1]);
    require(process.argv[1]);
";

/// How many installations there can be.
const ACCOUNTS: usize = 64;
/// The key of every account: sixty-four zeros, in base64.
const KEY: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// The services of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Blob, Self::Queue, Self::Table];
}

struct Azurite {
    /// Scheme, host and port of each service.
    roots: [String; 3],
    next: AtomicUsize,
    /// Held, so that both pipes stay open.
    _process: Child,
    _output: BufReader<ChildStdout>,
}

/// An account that nobody else uses.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    name: String,
    /// Scheme, host and port of each service.
    pub(crate) roots: [String; 3],
}

impl Account {
    pub(crate) fn new() -> Self {
        static AZURITE: OnceLock<Azurite> = OnceLock::new();
        let azurite = AZURITE.get_or_init(start);
        let number = azurite.next.fetch_add(1, Ordering::Relaxed);
        assert!(number < ACCOUNTS, "there are no more accounts");
        Self { name: name(number), roots: azurite.roots.clone() }
    }

    /// The connection string, by way of these roots.
    pub(crate) fn connection(&self, roots: &[String; 3]) -> String {
        let name = &self.name;
        let endpoints = Service::ALL.into_iter().zip(roots);
        let endpoints =
            endpoints.map(|(service, root)| format!("{service:?}Endpoint={root}/{name}"));
        let endpoints = endpoints.collect::<Vec<_>>().join(";");
        format!("DefaultEndpointsProtocol=http;AccountName={name};AccountKey={KEY};{endpoints}")
    }
}

fn name(number: usize) -> String {
    format!("account{number}")
}

fn script() -> PathBuf {
    let installed = "tests/clients/node_modules/azurite/dist/src/azurite.js";
    let script = std::env::var("CONCORD_AZURITE")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
    assert!(
        script.is_file(),
        "Azurite is not at {}: run `npm ci --prefix tests/clients`, or name its azurite.js by \
         CONCORD_AZURITE",
        script.display()
    );
    script
}

fn start() -> Azurite {
    let accounts: Vec<_> = (0..ACCOUNTS).map(|number| format!("{}:{KEY}", name(number))).collect();
    let mut process = Command::new("node")
        .args(["-e", LEASH])
        .arg(script())
        .args(["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"])
        .args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"])
        .env("AZURITE_ACCOUNTS", accounts.join(";"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is not installed: Azurite needs it");
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut roots = [const { String::new() }; 3];
    while roots.iter().any(String::is_empty) {
        let mut line = String::new();
        let length = output.read_line(&mut line).unwrap();
        assert!(length > 0, "Azurite ended before it listened: {:?}", process.wait());
        let Some((said, address)) = line.split_once(" service is successfully listening at ")
        else {
            continue;
        };
        let place = Service::ALL.iter().position(|one| said.ends_with(&format!("{one:?}")));
        roots[place.expect("a service of storage")] = address.trim().to_owned();
    }
    Azurite { roots, next: AtomicUsize::new(0), _process: process, _output: output }
}
