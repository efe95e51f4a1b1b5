//! `concord doctor` as a person runs it, against the emulated Dataverse.

use std::collections::BTreeMap;
use std::path::Path;

use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use serde_json::Value;
use tempfile::TempDir;

const SYSTEMS: &str = "
[systems.mdm]
kind = 'cluedin'
[systems.sales]
kind = 'dataverse'
url = '${SALES_URL}'
auth = 'none'
";

const MAP: &str = "
map = 'customer'
version = 1
from = { system = 'mdm', entity = '/Customer' }
to = { system = 'sales', table = 'account' }
key = { accountnumber = { code = 'SAP' } }
removed = { action = 'delete' }
";

struct Patient {
    folder: TempDir,
    settings: BTreeMap<String, String>,
    server: Option<Server>,
}

impl Patient {
    async fn new(options: Options) -> Self {
        let server = serve(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(folder.path().join("maps")).unwrap();
        std::fs::create_dir(folder.path().join("storage")).unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("local.settings.example.json");
        let example: Value =
            serde_json::from_str(&std::fs::read_to_string(example).unwrap()).unwrap();
        let values = example["Values"].as_object().unwrap().iter();
        let mut settings: BTreeMap<String, String> = values
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        settings.insert("CONCORD_MAPS".into(), path("maps"));
        settings.insert("CONCORD_STORAGE".into(), format!("local:{}", path("storage")));
        settings.insert("SALES_URL".into(), format!("http://{}", server.address));
        let patient = Self { folder, settings, server: Some(server) };
        patient.write("concord.toml", SYSTEMS);
        patient.write("customer.toml", MAP);
        patient
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("maps").join(name), text).unwrap();
    }

    /// The exit code, and area, check and state of everything that is not as it should be.
    async fn examined(&self) -> (i32, Vec<(String, String, String)>, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(["doctor", "--json", "--short", "--root", env!("CARGO_MANIFEST_DIR")])
            .env_clear()
            .envs(&self.settings)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr))
        });
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let told =
            found.iter().map(|one| (word(one, "area"), word(one, "check"), word(one, "state")));
        (output.status.code().unwrap(), told.collect(), text)
    }
}

fn seen(found: &[(String, String, String)], area: &str, check: &str, state: &str) -> bool {
    let expected = (area.to_owned(), check.to_owned(), state.to_owned());
    found.contains(&expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_lacks_nothing_is_told_so() {
    let patient = Patient::new(Options::default()).await;
    let (code, found, text) = patient.examined().await;
    assert_eq!(code, 0, "{text}");
    assert!(found.iter().all(|(_, _, state)| state != "missing"), "{text}");
    let all = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(["doctor", "--root", env!("CARGO_MANIFEST_DIR")])
        .env_clear()
        .envs(&patient.settings)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(all.stdout).unwrap();
    for check in [
        "reachable",
        "clock",
        "limits",
        "application user # Integration",
        "roles",
        "account: all that maps need",
        "key",
        "bulk",
        "functionTimeout",
        "retry",
    ] {
        assert!(told.contains(check), "{check}: {told}");
    }
    assert!(
        told.lines().all(|line| line.chars().count() <= 100 || line.contains("az rest")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_its_command() {
    let mut patient = Patient::new(Options::default()).await;
    patient.write("customer.toml", &MAP.replace("accountnumber", "telephone1"));
    let (code, found, text) = patient.examined().await;
    assert!(code == 1 && seen(&found, "sales", "key", "missing"), "{text}");
    assert!(text.contains("EntityDefinitions(LogicalName='account')/Keys"), "{text}");

    patient.write("customer.toml", &MAP.replace("'account'", "'acme_nothere'"));
    let (code, found, text) = patient.examined().await;
    assert!(code == 1 && seen(&found, "sales", "table", "missing"), "{text}");

    patient.write("customer.toml", &MAP.replace("version = 1", "versions = 1"));
    let (code, found, text) = patient.examined().await;
    assert!(code == 1 && seen(&found, "settings", "maps", "missing"), "{text}");

    patient.write("customer.toml", MAP);
    patient.settings.remove("SWEEP_CRON");
    let gone = patient.folder.path().join("storage");
    std::fs::remove_dir_all(gone).unwrap();
    let (code, found, text) = patient.examined().await;
    assert!(code == 1 && seen(&found, "storage", "there", "missing"), "{text}");
    assert!(seen(&found, "function sweep", "setting", "missing"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_the_environment_does_not_give_is_named_by_table() {
    let lookup =
        "\n[fields]\nprimarycontactid = { from = 'contact', lookup = 'contact.emailaddress1' }\n";
    let map = format!("{MAP}{lookup}");
    let cases = [
        ("prvDeleteAccount", "account: the user may not Delete"),
        ("prvCreateAccount,prvWriteAccount", "account: the user may not Create, Write"),
        ("prvAppendAccount", "account: the user may not Append"),
        ("prvAppendToContact", "contact: the user may not AppendTo"),
        ("prvReadContact", "contact: the user may not Read"),
    ];
    for (denied, told) in cases {
        let denied = denied.split(',').map(str::to_owned).collect();
        let patient = Patient::new(Options { denied, ..Options::default() }).await;
        patient.write("customer.toml", &map);
        let (code, found, text) = patient.examined().await;
        assert!(code == 1 && seen(&found, "sales", "privileges", "missing"), "{text}");
        assert!(text.contains(told), "{told}: {text}");
        assert_eq!(found.iter().filter(|(_, check, _)| check == "privileges").count(), 1, "{text}");
    }
    // What nobody needs is not asked for.
    let denied = vec!["prvDeleteContact".to_owned(), "prvShareAccount".to_owned()];
    let patient = Patient::new(Options { denied, ..Options::default() }).await;
    patient.write("customer.toml", &map);
    let (code, _, text) = patient.examined().await;
    assert_eq!(code, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_away_or_refuses_is_told_apart() {
    let mut patient = Patient::new(Options::default()).await;
    patient.server.take().unwrap().stop().await;
    let (code, found, text) = patient.examined().await;
    assert!(code == 2 && seen(&found, "sales", "reachable", "unknown"), "{text}");

    let refusing = Patient::new(Options { secret: true, ..Options::default() }).await;
    let (code, found, text) = refusing.examined().await;
    assert!(code == 1 && seen(&found, "sales", "token", "missing"), "{text}");
    assert!(text.contains("pac admin assign-user"), "{text}");

    let limits = concord::emulator::dataverse::limits::Settings::parse("requests=300").unwrap();
    let tired = Patient::new(Options { limits: Some(limits), ..Options::default() }).await;
    let (code, found, text) = tired.examined().await;
    assert!(code == 0 && seen(&found, "sales", "limits", "warning"), "{text}");
}
