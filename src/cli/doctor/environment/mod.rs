//! One Dataverse environment: reachable, the token taken, the clocks together, the user and its rights,
//! room below the service limits, and of every table of the maps the key, bulk messages and tracking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::PATIENCE;
use super::finding::Finding;
use super::rights;
use crate::cli::check::tables;
use crate::clock::{self, SharedClock};
use crate::config::{Config, Target as Configured};
use crate::fault::{Act, Fault, Kind};
use crate::mapping::Maps;
use crate::mapping::owner::UNIT;
use crate::system::TableSchema;
use crate::system::dataverse::{Dataverse, Examined};

/// Clocks may differ by this much: the lease of a claim counts on it.
const SKEW: Duration = Duration::from_secs(5);
/// Requests of the window below which others may be pushed out (Dataverse Web API, limits: 6000).
const ROOM: u64 = 600;
/// Seconds of execution of the window below which the same holds (1200).
const SECONDS: f64 = 120.0;
/// Tables whose rows only licensed users may write (Microsoft Learn, "Restricted tables requiring Dynamics
/// 365 licenses"): the best known of them.
const RESTRICTED: [&str; 8] = [
    "contract",
    "entitlement",
    "incident",
    "knowledgearticle",
    "msdyn_workorder",
    "routingrule",
    "sla",
    "slakpiinstance",
];

/// Asks the environment.
pub(super) async fn check(
    (name, environment): (&str, &Arc<Dataverse>),
    config: &Config,
    maps: &Maps,
    clock: &SharedClock,
) -> Vec<Finding> {
    let site = Site { name, url: address(config, name) };
    let started = clock.now();
    let examined = match environment.examine(PATIENCE).await {
        Ok(examined) => examined,
        Err(fault) => return vec![site.unreached(&fault)],
    };
    let mut findings = vec![Finding::ok(name, "reachable", "it answered, and took the token")];
    findings.push(clocks(name, examined.date, (started, clock.now())));
    findings.push(room(name, &examined));
    let one = BTreeMap::from([(name.to_owned(), Arc::clone(environment))]);
    let (user, described) =
        futures::join!(site.user(environment, examined.user, maps), tables::live(&one, maps));
    findings.extend(user);
    if let Some(fault) = described.silent.get(name) {
        let told = format!("its tables could not be read: {fault}");
        findings.push(Finding::unknown(name, "tables", told).mend("concord check"));
        return findings;
    }
    for map in maps.iter().filter(|map| map.destination.system == name) {
        let to = &map.destination;
        let schema = described.schemas.get(&(to.system.clone(), to.table.clone()));
        findings.extend(site.table(&to.table, &to.key, schema));
        if map.owner.as_ref().is_some_and(|owner| owner.unit.is_some()) {
            findings.extend(schema.map(|schema| site.unit(schema)));
        }
    }
    findings.sort_by(|a, b| (a.check, &a.told).cmp(&(b.check, &b.told)));
    findings.dedup();
    findings
}

struct Site<'a> {
    name: &'a str,
    url: String,
}

fn address(config: &Config, name: &str) -> String {
    let Some(Configured::Dataverse(target, _)) = config.targets.get(name) else {
        return String::new();
    };
    target.url.trim_end_matches('/').to_owned()
}

impl Site<'_> {
    fn unreached(&self, fault: &Fault) -> Finding {
        let told = fault.to_string();
        let (name, url) = (self.name, &self.url);
        let pac = format!(
            "pac admin assign-user --environment {url} --user CLIENT_ID --application-user --role \"Concord\""
        );
        if fault.kind == Kind::Credential {
            let mend = format!("az login, or give the app its identity; then {pac}");
            return Finding::missing(name, "token", told).mend(mend);
        }
        if fault.kind == Kind::Forbidden {
            return Finding::missing(name, "user", told).mend(pac);
        }
        if fault.act() == Act::Halt {
            return Finding::missing(name, "address", told)
                .mend("mend url of the system in its setting");
        }
        let mend = format!("curl -sS -o /dev/null -w '%{{http_code}}' {url}/api/data/v9.2/");
        Finding::unknown(name, "reachable", told).mend(mend)
    }

    /// The user, its roles, and the rights that the maps need.
    async fn user(&self, environment: &Dataverse, id: Uuid, maps: &Maps) -> Vec<Finding> {
        let name = self.name;
        let (user, roles, held) = futures::join!(
            environment.user(id, PATIENCE),
            environment.roles(id, PATIENCE),
            environment.held(id, PATIENCE),
        );
        let mut findings = vec![match user {
            Ok(Some(user)) if user.disabled => {
                let told = format!("user {} is disabled", user.name.unwrap_or_default());
                Finding::missing(name, "user", told)
                    .mend(format!("pac admin list-service-principal --environment {}", self.url))
            }
            Ok(Some(user)) => {
                let kind = if user.application.is_some() { "application user" } else { "user" };
                Finding::ok(name, "user", format!("{kind} {}", user.name.unwrap_or_default()))
            }
            Ok(None) => Finding::unknown(name, "user", "the environment does not tell who it is"),
            Err(fault) => Finding::unknown(name, "user", fault.to_string()),
        }];
        findings.extend(roles.ok().flatten().map(|roles| self.roles(&roles)));
        let Ok(Some(held)) = held else {
            let told = "the environment does not tell which privileges the user holds";
            findings.push(Finding::unknown(name, "privileges", told));
            return findings;
        };
        for (table, needed) in rights::needed(maps, name) {
            let Ok(Some(of_table)) = environment.privileges(&table, PATIENCE).await else {
                continue;
            };
            let lacking = rights::lacking(&needed, &of_table, &held);
            findings.push(if lacking.is_empty() {
                Finding::ok(name, "privileges", format!("{table}: all that maps need"))
            } else {
                let told = format!("{table}: the user may not {}", lacking.join(", "));
                let mend = format!(
                    "add {} on {table} at organization level to the user's security role",
                    lacking.join(", ")
                );
                Finding::missing(name, "privileges", told).mend(mend)
            });
        }
        findings
    }

    fn roles(&self, roles: &[String]) -> Finding {
        if roles.is_empty() {
            let told = "no security role was given to the user itself";
            let mend = format!(
                "pac admin assign-user --environment {} --user CLIENT_ID --application-user --role \"Concord\"",
                self.url
            );
            return Finding::warning(self.name, "roles", told).mend(mend);
        }
        if roles.iter().any(|role| role == "System Administrator") {
            let told = "the user is a System Administrator: far more than it needs";
            return Finding::warning(self.name, "roles", told).mend(
                "give it a role with the privileges that `concord doctor` checks, and no other",
            );
        }
        Finding::ok(self.name, "roles", roles.join(", "))
    }

    /// One table that a map writes, by these key columns.
    fn table(&self, table: &str, key: &[String], schema: Option<&TableSchema>) -> Vec<Finding> {
        let name = self.name;
        let Some(schema) = schema else {
            let told = format!("there is no table {table}");
            let mend = "pac solution import --path SOLUTION.zip, or mend `to.table` of the map";
            return vec![Finding::missing(name, "table", told).mend(mend)];
        };
        let mut findings = vec![Finding::ok(name, "table", table), self.key(table, key, schema)];
        findings.push(if schema.bulk {
            Finding::ok(name, "bulk", format!("{table} takes UpsertMultiple"))
        } else {
            let told =
                format!("{table} takes no UpsertMultiple: rows are written one by one in $batch");
            Finding::warning(name, "bulk", told)
        });
        findings.push(if schema.tracked {
            Finding::ok(name, "tracking", format!("{table} tracks changes"))
        } else {
            let told = format!("{table} does not track changes: nothing can be read from it as a source, and it is compared whole");
            let mend = format!("make.powerapps.com > Tables > {table} > Properties > Advanced options > Track changes");
            Finding::warning(name, "tracking", told).mend(mend)
        });
        if RESTRICTED.contains(&table) {
            let told = format!(
                "{table} is a restricted table: people who change its rows need a Dynamics 365 licence"
            );
            findings.push(
                Finding::warning(name, "licence", told)
                    .mend("see that those who edit these rows are licensed"),
            );
        }
        findings
    }

    /// Whether a map may say which business unit rows of a table belong to.
    fn unit(&self, schema: &TableSchema) -> Finding {
        let (name, table) = (self.name, &schema.name);
        if schema.columns.get(UNIT).is_some_and(|unit| unit.creatable && unit.updatable) {
            return Finding::ok(name, "units", format!("{table}: the business unit can be set"));
        }
        let told = format!(
            "{table}: a row has the business unit of its owner, so what the map says of it is lost"
        );
        Finding::missing(name, "units", told).mend(format!(
            "pac org update-settings --environment {} --name EnableOwnershipAcrossBusinessUnits --value \
             true",
            self.url
        ))
    }

    fn key(&self, table: &str, key: &[String], schema: &TableSchema) -> Finding {
        let (name, url) = (self.name, &self.url);
        let shown = key.join(", ");
        if *key == [schema.id.clone()] {
            return Finding::ok(name, "key", format!("{table}: the primary key"));
        }
        let fits = schema.keys.iter().find(|known| {
            known.columns.len() == key.len()
                && key.iter().all(|column| known.columns.contains(column))
        });
        match fits {
            Some(known) if known.active => Finding::ok(name, "key", format!("{table}: {shown}")),
            Some(known) => {
                let told = format!("{table}: the index of the key {} is not built", known.name);
                let body = format!(
                    "{{\"EntityLogicalName\":\"{table}\",\"EntityKeyLogicalName\":\"{}\"}}",
                    known.name
                );
                Finding::missing(name, "key", told).mend(format!("az rest --method post --resource {url} --url {url}/api/data/v9.2/ReactivateEntityKey --body '{body}'"))
            }
            None => {
                let told = format!("{table} has no alternate key of {shown}");
                let columns =
                    key.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(",");
                let label = r#"{"LocalizedLabels":[{"Label":"Concord","LanguageCode":1033}]}"#;
                let body = format!(
                    "{{\"SchemaName\":\"concord_{table}_key\",\"DisplayName\":{label},\"KeyAttributes\":[{columns}]}}"
                );
                Finding::missing(name, "key", told).mend(format!("az rest --method post --resource {url} --url \"{url}/api/data/v9.2/EntityDefinitions(LogicalName='{table}')/Keys\" --body '{body}'"))
            }
        }
    }
}

/// The environment's clock to the second lies between our own before and after, give or take.
fn clocks(
    name: &str,
    theirs: Option<Timestamp>,
    (before, after): (Timestamp, Timestamp),
) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::unknown(name, "clock", "the environment does not tell its time");
    };
    // Its second may be almost over.
    let behind = clock::between(clock::after(theirs, Duration::from_secs(1)), before);
    let ahead = clock::between(after, theirs);
    let apart = behind.max(ahead);
    if apart > SKEW {
        let told =
            format!("clocks differ by {}s, and a claim counts on five at most", apart.as_secs());
        return Finding::missing(name, "clock", told).mend("sudo timedatectl set-ntp true");
    }
    Finding::ok(name, "clock", "within five seconds of ours")
}

/// Room below the service protection limits, for the web server that answered.
fn room(name: &str, examined: &Examined) -> Finding {
    let few = examined.requests.is_some_and(|left| left < ROOM);
    let short = examined.seconds.is_some_and(|left| left < SECONDS);
    let parallel = examined.parallel.map(|hint| format!(", {hint} calls at once are recommended"));
    let parallel = parallel.unwrap_or_default();
    match (examined.requests, examined.seconds) {
        (None, None) => Finding::ok(name, "limits", format!("no figures{parallel}")),
        (requests, seconds) => {
            let told = format!(
                "{} requests and {:.0}s left in five minutes{parallel}",
                requests.unwrap_or_default(),
                seconds.unwrap_or_default()
            );
            if few || short {
                let mend = "lower `parallel` of the system, or see who else uses this user";
                return Finding::warning(name, "limits", told).mend(mend);
            }
            Finding::ok(name, "limits", told)
        }
    }
}

#[cfg(test)]
mod tests;
