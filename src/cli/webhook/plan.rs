//! What is to be registered, what differs from what is there, and the calls that mend it.
//!
//! In come the tables that maps read and what is registered; out go changes, each a line for people.
//! Deciding is pure; [`apply`] carries the changes out, and may be repeated after a failure.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::registered::Registered;
use crate::chance::Chance;
use crate::decode::dataverse::Table;
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::system::TableSchema;
use crate::system::dataverse::Dataverse;
use crate::trigger::secret;

/// What an environment is to tell.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) endpoint: Endpoint,
    steps: Vec<Step>,
}

/// Where it tells it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) url: String,
    /// What callers show, as the environment takes it.
    secret: SecretString,
    /// Tells two secrets apart without telling either.
    description: String,
}

#[derive(Debug)]
struct Step {
    name: String,
    message: &'static str,
    /// The table; none for messages that are of no table.
    table: Option<String>,
    columns: String,
    image: Option<(String, String)>,
}

/// One difference, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) what: What,
    pub(super) name: String,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    CreateEndpoint,
    ChangeAddress,
    ChangeSecret,
    CreateStep,
    ChangeStep,
    RemoveStep,
    RemoveEndpoint,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.what {
            What::CreateEndpoint => "create the endpoint",
            What::ChangeAddress => "change the address of the endpoint",
            What::ChangeSecret => "give another secret to the endpoint",
            What::CreateStep => "create the step",
            What::ChangeStep => "change the step",
            What::RemoveStep => "remove the step",
            What::RemoveEndpoint => "remove the endpoint",
        };
        write!(f, "{words} `{}`", self.name)
    }
}

/// The tables whose rows can be merged, which changes more rows than the one it is called on.
const MERGING: [&str; 4] = ["account", "contact", "incident", "lead"];

/// The name of the endpoint of a system.
pub(super) fn name(system: &str) -> String {
    format!("concord-{system}")
}

/// The headers that show who calls, as `authvalue` takes them.
pub(super) fn headers(own: &SecretString, key: Option<&SecretString>) -> SecretString {
    let setting = |name: &str, value: &str| {
        format!("<setting name=\"{name}\" value=\"{}\"/>", quick_xml::escape::escape(value))
    };
    let own = setting(secret::HEADER, own.expose_secret());
    let key = key.map(|key| setting("x-functions-key", key.expose_secret())).unwrap_or_default();
    SecretString::from(format!("<settings>{own}{key}</settings>"))
}

impl Wanted {
    /// Of a system, at this address of the function app.
    pub(super) fn new(system: &str, url: &str, headers: &SecretString) -> Self {
        let digest = digest::hex(&digest::of([headers.expose_secret().as_bytes()]));
        let short = digest.get(..12).unwrap_or_default();
        let endpoint = Endpoint {
            name: name(system),
            url: format!("{}/api/webhook/{system}", url.trim_end_matches('/')),
            secret: headers.clone(),
            description: format!("Registered by concord; secret {short}"),
        };
        Self { endpoint, steps: Vec::new() }
    }

    /// Adds what is to be told of a table. Columns that the table does not have are left out. A
    /// many-to-many relationship has no steps of its own: Associate and Disassociate are told of all.
    pub(super) fn table(&mut self, name: &str, table: &Table, schema: Option<&TableSchema>) {
        if table.pairs {
            return self.pairs();
        }
        let has = |column: &&String| {
            schema.is_none_or(|schema| schema.columns.contains_key(column.as_str()))
        };
        let known: Vec<&str> = table.columns.iter().filter(has).map(String::as_str).collect();
        // A program may read any column: then all of them count, and all are shown.
        let columns = if table.all { String::new() } else { known.join(",") };
        let image = || Some((table.alias(), columns.clone()));
        let merges = MERGING.contains(&name).then_some("Merge");
        for message in ["Create", "Update", "Delete"].into_iter().chain(merges) {
            let update = message == "Update";
            let shown = match message {
                "Create" | "Merge" => None,
                "Update" if table.fetch => None,
                _ => image(),
            };
            self.steps.push(Step {
                name: format!("concord: {message} of {name}"),
                message,
                table: Some(name.to_owned()),
                columns: if update { columns.clone() } else { String::new() },
                image: shown,
            });
        }
    }

    fn pairs(&mut self) {
        for message in ["Associate", "Disassociate"] {
            let name = format!("concord: {message}");
            if !self.steps.iter().any(|step| step.name == name) {
                let columns = String::new();
                self.steps.push(Step { name, message, table: None, columns, image: None });
            }
        }
    }
}

/// What differs from what is there.
pub(super) fn changes(wanted: &Wanted, there: &Registered) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut change = |what, name: &str| changes.push(Change { what, name: name.to_owned() });
    let own = &wanted.endpoint;
    match &there.endpoint {
        None => change(What::CreateEndpoint, &own.name),
        Some(endpoint) => {
            if endpoint.url != own.url {
                change(What::ChangeAddress, &own.name);
            }
            if endpoint.description != own.description {
                change(What::ChangeSecret, &own.name);
            }
        }
    }
    for step in &wanted.steps {
        match there.steps.iter().find(|there| there.name == step.name) {
            None => change(What::CreateStep, &step.name),
            Some(there) => {
                let image = there.image.as_ref().map(|image| (&image.alias, &image.columns));
                let same = there.enabled
                    && there.columns == step.columns
                    && image == step.image.as_ref().map(|(alias, columns)| (alias, columns));
                if !same {
                    change(What::ChangeStep, &step.name);
                }
            }
        }
    }
    for step in &there.steps {
        if !wanted.steps.iter().any(|wanted| wanted.name == step.name) {
            change(What::RemoveStep, &step.name);
        }
    }
    changes
}

/// What removing everything comes to.
pub(super) fn removal(there: &Registered) -> Vec<Change> {
    let step = |name: &String| Change { what: What::RemoveStep, name: name.clone() };
    let endpoint = there
        .endpoint
        .as_ref()
        .map(|endpoint| Change { what: What::RemoveEndpoint, name: endpoint.url.clone() });
    there.steps.iter().map(|one| step(&one.name)).chain(endpoint).collect()
}

/// Carries changes out.
pub(super) async fn apply(
    environment: &Dataverse,
    wanted: &Wanted,
    there: &Registered,
    changes: &[Change],
) -> Result<(), Fault> {
    let chance = Chance::from_system();
    let own = &wanted.endpoint;
    let endpoint = there.endpoint.as_ref().map_or_else(|| chance.uuid(), |endpoint| endpoint.id);
    for change in changes {
        let step = wanted.steps.iter().find(|step| step.name == change.name);
        let known = there.steps.iter().find(|step| step.name == change.name);
        match (change.what, step) {
            (What::CreateEndpoint, _) => {
                let row = json!({
                    "name": own.name, "url": own.url, "contract": 8, "authtype": 5,
                    "authvalue": own.secret.expose_secret(), "description": own.description,
                });
                environment.put("serviceendpoints", endpoint, &row).await?;
            }
            (What::ChangeAddress, _) => {
                environment.put("serviceendpoints", endpoint, &json!({ "url": own.url })).await?;
            }
            (What::ChangeSecret, _) => {
                let row = json!({
                    "authtype": 5, "authvalue": own.secret.expose_secret(),
                    "description": own.description,
                });
                environment.put("serviceendpoints", endpoint, &row).await?;
            }
            (What::CreateStep | What::ChangeStep, Some(step)) => {
                let id = known.map_or_else(|| chance.uuid(), |known| known.id);
                let image = known.and_then(|known| known.image.as_ref()).map(|image| image.id);
                let ids = (id, known.is_none(), image, chance.uuid());
                write_step(environment, step, endpoint, ids).await?;
            }
            (What::RemoveStep, _) => {
                if let Some(known) = known {
                    environment.discard("sdkmessageprocessingsteps", known.id).await?;
                }
            }
            (What::CreateStep | What::ChangeStep, None) | (What::RemoveEndpoint, _) => {}
        }
    }
    Ok(())
}

/// Writes a step and its image. `ids`: the step's, whether it is new, its image's, and one for a new image.
async fn write_step(
    environment: &Dataverse,
    step: &Step,
    endpoint: Uuid,
    (id, new, image, fresh): (Uuid, bool, Option<Uuid>, Uuid),
) -> Result<(), Fault> {
    let mut row = json!({
        "name": step.name, "mode": 1, "stage": 40, "rank": 1, "supporteddeployment": 0,
        "asyncautodelete": true, "statecode": 0, "statuscode": 1,
    });
    if let (Value::Object(row), "Update") = (&mut row, step.message) {
        let all = step.columns.is_empty();
        let columns = if all { Value::Null } else { step.columns.as_str().into() };
        row.insert("filteringattributes".to_owned(), columns);
    }
    if let (Value::Object(row), true) = (&mut row, new) {
        row.remove("statecode");
        row.remove("statuscode");
        let (message, filter) = message(environment, step).await?;
        let mut bind = |name: &str, set: &str, id: &str| {
            row.insert(format!("{name}@odata.bind"), format!("/{set}({id})").into());
        };
        bind("sdkmessageid", "sdkmessages", &message);
        if let Some(filter) = &filter {
            bind("sdkmessagefilterid", "sdkmessagefilters", filter);
        }
        bind("eventhandler_serviceendpoint", "serviceendpoints", &endpoint.to_string());
    }
    environment.put("sdkmessageprocessingsteps", id, &row).await?;
    match (&step.image, image) {
        (None, None) => Ok(()),
        (None, Some(image)) => environment.discard("sdkmessageprocessingstepimages", image).await,
        (Some((alias, columns)), known) => {
            let columns = if columns.is_empty() { Value::Null } else { columns.as_str().into() };
            let row = json!({
                "name": "concord", "entityalias": alias, "imagetype": 0, "attributes": columns,
                "messagepropertyname": "Target",
                "sdkmessageprocessingstepid@odata.bind": format!("/sdkmessageprocessingsteps({id})"),
            });
            let set = "sdkmessageprocessingstepimages";
            environment.put(set, known.unwrap_or(fresh), &row).await
        }
    }
}

/// The ids of a message and of its filter for a table, when it is of one.
async fn message(environment: &Dataverse, step: &Step) -> Result<(String, Option<String>), Fault> {
    let message = step.message;
    let query = match &step.table {
        None => format!("sdkmessages?$select=sdkmessageid&$filter=name eq '{message}'"),
        Some(table) => format!(
            "sdkmessagefilters?$select=sdkmessagefilterid,_sdkmessageid_value&$filter=\
             primaryobjecttypecode eq '{table}' and sdkmessageid/name eq '{message}'"
        ),
    };
    let rows = environment.rows(&query).await?;
    let text = |name: &str| rows.first()?.get(name)?.as_str().map(str::to_owned);
    let found = match &step.table {
        None => text("sdkmessageid").map(|message| (message, None)),
        Some(_) => text("_sdkmessageid_value").zip(text("sdkmessagefilterid").map(Some)),
    };
    found.ok_or_else(|| {
        let of = step.table.as_deref().map(|name| format!(" of table {name}")).unwrap_or_default();
        Fault::new(Kind::SchemaGone, format!("the environment has no message {message}{of}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::webhook::registered;

    fn wanted(fetch: bool) -> Wanted {
        let headers = headers(&"a secret of ours".into(), Some(&"k&y".into()));
        let mut wanted = Wanted::new("sales", "https://app.example.com/", &headers);
        let columns = ["acme_name", "acme_nowhere"].map(str::to_owned).into();
        let table = Table { columns, fetch, ..Table::default() };
        let mut schema = TableSchema::default();
        schema.columns.insert("acme_name".to_owned(), crate::system::Column::default());
        wanted.table("acme_hotel", &table, Some(&schema));
        wanted
    }

    /// What is there once everything was carried out.
    fn carried_out(wanted: &Wanted) -> Registered {
        let endpoint = registered::Endpoint {
            id: Uuid::nil(),
            url: wanted.endpoint.url.clone(),
            description: wanted.endpoint.description.clone(),
        };
        let image = |(alias, columns): &(String, String)| registered::Image {
            id: Uuid::nil(),
            alias: alias.clone(),
            columns: columns.clone(),
        };
        let step = |step: &Step| registered::Step {
            id: Uuid::nil(),
            name: step.name.clone(),
            filter: None,
            columns: step.columns.clone(),
            enabled: true,
            image: step.image.as_ref().map(image),
        };
        Registered { endpoint: Some(endpoint), steps: wanted.steps.iter().map(step).collect() }
    }

    fn words(wanted: &Wanted, there: &Registered) -> Vec<What> {
        changes(wanted, there).into_iter().map(|change| change.what).collect()
    }

    #[test]
    fn everything_is_created_once_and_a_second_run_changes_nothing() {
        let wanted = wanted(false);
        let all = words(&wanted, &Registered::default());
        assert_eq!(
            all,
            [What::CreateEndpoint, What::CreateStep, What::CreateStep, What::CreateStep]
        );
        assert_eq!(words(&wanted, &carried_out(&wanted)), []);
        assert_eq!(wanted.endpoint.url, "https://app.example.com/api/webhook/sales");
    }

    #[test]
    fn what_differs_is_changed_and_what_no_map_needs_is_removed() {
        let wanted = wanted(false);
        let mut there = carried_out(&wanted);
        there.steps[0].enabled = false;
        there.steps[1].image = None;
        there.steps.push(registered::Step {
            name: "concord: Create of old".into(),
            ..there.steps[0].clone()
        });
        if let Some(endpoint) = &mut there.endpoint {
            endpoint.description.clear();
        }
        let expected = [What::ChangeSecret, What::ChangeStep, What::ChangeStep, What::RemoveStep];
        assert_eq!(words(&wanted, &there), expected);
    }

    #[test]
    fn images_hold_the_columns_that_are_read_and_rows_that_are_read_again_need_none() {
        let images = |wanted: &Wanted| -> Vec<Option<String>> {
            let steps = wanted.steps.iter();
            steps.map(|step| step.image.as_ref().map(|(_, columns)| columns.clone())).collect()
        };
        let name = || Some("acme_name".to_owned());
        assert_eq!(images(&wanted(false)), [None, name(), name()]);
        assert_eq!(images(&wanted(true)), [None, None, name()]);
        assert_eq!(wanted(true).steps[1].columns, "acme_name");
    }

    #[test]
    fn a_secret_is_escaped_for_the_environment_and_told_nowhere() {
        let wanted = wanted(true);
        let secret = wanted.endpoint.secret.expose_secret();
        assert!(secret.contains("value=\"k&amp;y\"") && secret.contains("a secret of ours"));
        let shown = format!("{wanted:?} {:?}", changes(&wanted, &Registered::default()));
        assert!(!shown.contains("a secret of ours") && !shown.contains("k&"), "{shown}");
    }
}
