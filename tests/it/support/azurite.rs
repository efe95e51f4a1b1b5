//! Azurite, really running: started once for the test binary, ended with it.
//!
//! Found in `tests/clients/node_modules`, or at the `azurite.js` that `CONCORD_AZURITE` names. A test
//! that needs it and does not find it fails and says which command to run.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use concord::store::{Config, Names};

/// Runs the script it is given and ends when this process does, because its standard input ends then.
const LEASH: &str = "
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
    process.argv.splice(1, 0, process.argv[1]);
    require(process.argv[1]);
";

struct Azurite {
    connection: String,
    /// Held, so that both pipes stay open.
    _process: Child,
    _output: BufReader<ChildStdout>,
}

/// Storage in Azurite under names that no other test uses.
pub(crate) fn config() -> Config {
    static AZURITE: OnceLock<Azurite> = OnceLock::new();
    let mut config = Config::parse(&AZURITE.get_or_init(start).connection).unwrap();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    config.names = Names {
        ledger: format!("Ledger{unique}"),
        poison: format!("Poison{unique}"),
        work: format!("work-{unique}"),
        poisoned: format!("poison-{unique}"),
        container: format!("c{unique}"),
    };
    config
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
    let mut process = Command::new("node")
        .args(["-e", LEASH])
        .arg(script())
        .args(["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"])
        .args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is not installed: Azurite needs it");
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut parts = vec!["UseDevelopmentStorage=true".to_owned()];
    while parts.len() < 4 {
        let mut line = String::new();
        let length = output.read_line(&mut line).unwrap();
        assert!(length > 0, "Azurite ended before it listened: {:?}", process.wait());
        if let Some((service, address)) = line.split_once(" service is successfully listening at ")
        {
            let service = service.rsplit(' ').next().unwrap();
            parts.push(format!("{service}Endpoint={}/devstoreaccount1", address.trim()));
        }
    }
    Azurite { connection: parts.join(";"), _process: process, _output: output }
}
