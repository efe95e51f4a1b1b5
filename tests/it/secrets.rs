//! Secrets planted wherever one can come from, and everything that the program says: none may show.

use std::path::Path;
use std::process::Stdio;

use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use futures::future::join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::support::serving::Serving;
use crate::support::{MAP, SYSTEMS, thing};

/// What no output may hold.
const PLANTED: [&str; 6] =
    ["hunter-key", "aHVudGVyLWtleQ==", "hunter-sig", "hunter-head", "hunter-client", "hunter-call"];

const DIGEST: &str = "
[digest]
url = '${DIGEST_URL}'
hour = 0
";

const GUARDED: &str = "
[systems.finance]
kind = 'dataverse'
url = 'https://127.0.0.1:1'
auth = 'secret'
tenant = '00000000-0000-0000-0000-000000000001'
client_id = '00000000-0000-0000-0000-000000000002'
client_secret = '${FINANCE_SECRET}'
";

fn settings(storage: String, url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("CONCORD_STORAGE", storage),
        ("SALES_URL", url.to_owned()),
        ("DIGEST_URL", "http://127.0.0.1:1/run?sig=hunter-sig".to_owned()),
        ("FINANCE_SECRET", "hunter-client".to_owned()),
        ("AZURE_CLIENT_SECRET", "hunter-client".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/hunter-sig".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter-head".to_owned()),
    ]
}

/// What a command says until it ends, or until it waits for storage.
async fn said(arguments: &[&str], maps: &Path, settings: &[(&'static str, String)]) -> String {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(arguments)
        .env_clear()
        .env("CONCORD_MAPS", maps)
        .env("CONCORD_LOG", "trace")
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", "0")
        .envs(settings.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut said, mut lamented) = (String::new(), String::new());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            said.push_str(&line);
            if line.contains("storage_away") {
                child.kill().await.unwrap();
            }
        }
    };
    let ((), lament) = tokio::join!(listening, stderr.read_to_string(&mut lamented));
    lament.unwrap();
    said + &lamented
}

fn clean(what: &str, said: &str) {
    assert!(!said.is_empty(), "{what} said nothing");
    for secret in PLANTED {
        assert!(!said.contains(secret), "{what} shows {secret}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_shows_a_secret_whatever_goes_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("concord.toml"), format!("{SYSTEMS}{DIGEST}{GUARDED}"))
        .unwrap();
    std::fs::write(folder.path().join("thing.toml"), MAP).unwrap();
    let away = "AccountName=acme;AccountKey=aHVudGVyLWtleQ==;BlobEndpoint=http://127.0.0.1:1/acme;\
                QueueEndpoint=http://127.0.0.1:1/acme;TableEndpoint=http://127.0.0.1:1/acme";
    let broken = "AccountName=acme;AccountKey=hunter-key not base64";
    let local = format!("local:{}", folder.path().join("storage").display());
    for storage in [away, broken, local.as_str()] {
        let settings = settings(storage.to_owned(), "http://127.0.0.1:1");
        let commands = [
            &["doctor"][..],
            &["check"],
            &["digest", "--post"],
            &["poison", "list"],
            &["pause", "thing", "--why", "x"],
            &["audit", "list"],
            &["serve"],
        ];
        // The one would stay; the others wait for a store that is away several times.
        let too_long = [(local.as_str(), "serve"), (away, "pause"), (away, "audit")];
        let commands = commands.into_iter().filter(|it| !too_long.contains(&(storage, it[0])));
        let said = commands.map(async |command| {
            clean(&command.join(" "), &said(command, folder.path(), &settings).await);
        });
        // A store that is away is waited for: by all at once.
        join_all(said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handler_logs_no_header_no_address_and_no_value() {
    let target = serve(Options::default()).await.unwrap();
    let url = format!("http://{}", target.address);
    let settings = settings(String::new(), &url);
    let mut settings: Vec<(&str, &str)> =
        settings.iter().skip(1).map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("CONCORD_LOG", "trace"));
    let systems = format!("{SYSTEMS}{DIGEST}");
    let files = [("concord.toml", systems.as_str()), ("thing.toml", MAP)];
    let handler = Serving::start(&files, &settings).await;
    let headers = [
        ("x-functions-key", "hunter-call"),
        ("authorization", "Bearer hunter-call"),
        ("cookie", "hunter-call"),
        ("traceparent", "hunter-call"),
    ];
    let events =
        [thing("1", "hunter-call"), thing("1", &"hunter-call".repeat(9)), "hunter-call".to_owned()];
    assert_eq!(handler.call("events", &events, &headers).await.0, 200);
    assert_eq!(handler.call("events?code=hunter-call", &events, &headers).await.0, 200);
    assert_eq!(handler.call("hunter", &events, &headers).await.0, 404);
    // Tries to post the digest, in vain.
    assert_eq!(handler.call("sweep", &[], &headers).await.0, 200);
    let said = handler.lines().join("\n");
    assert!(said.contains("digest_failed"), "{said}");
    clean("the handler", &said);
}
