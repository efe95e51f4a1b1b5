//! Functions and actions: `WhoAmI` and a few more that clients and administrators use. Names that are not
//! here are refused as unknown segments.

use axum::http::Method;
use serde::Deserialize;

use crate::emulator::dataverse::address::{Arguments, Literal, Segment};
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::index;
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::multiple::NAMESPACE;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::relation::{self, Relation};
use crate::emulator::dataverse::render::{self, Object};
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{bulk_delete, merge, privileges, write};

/// Runs a function or an action that is bound to nothing; nothing when there is none of this name.
pub fn unbound(
    session: &mut Session<'_>,
    call: &Call,
    segment: &Segment,
) -> Option<Result<Answer, Refusal>> {
    let name = segment.name.strip_prefix(NAMESPACE).unwrap_or(&segment.name);
    let action = ["BulkDelete", "Merge", "ReactivateEntityKey", "PublishXml", "PublishAllXml"];
    let verb = if action.contains(&name) { Method::POST } else { Method::GET };
    let fits = call.method == verb && call.path.len() == 1;
    match name {
        _ if !fits && is_known(name) => Some(Err(call.unknown())),
        "WhoAmI" => Some(Ok(who_am_i(session, call))),
        "RetrieveVersion" => Some(Ok(version(call))),
        "RetrieveTotalRecordCount" => Some(total_count(session, call, segment)),
        "RetrieveCurrentOrganization" => Some(Ok(organization(session, call))),
        "BulkDelete" => Some(bulk_delete::run(session, call)),
        "Merge" => Some(merge::run(session, call)),
        "ReactivateEntityKey" => Some(reactivate_key(session, call)),
        // Definitions are in force as soon as they are written.
        "PublishXml" | "PublishAllXml" => Some(Ok(Answer::empty(204))),
        _ => None,
    }
}

fn is_known(name: &str) -> bool {
    [
        "WhoAmI",
        "RetrieveVersion",
        "RetrieveTotalRecordCount",
        "RetrieveCurrentOrganization",
        "BulkDelete",
        "Merge",
        "ReactivateEntityKey",
        "PublishXml",
        "PublishAllXml",
    ]
    .contains(&name)
}

/// Answers a function that is bound to one row; nothing when there is none of this name.
pub fn asked(session: &Session<'_>, call: &Call, name: &str) -> Option<Result<Answer, Refusal>> {
    if name.strip_prefix(NAMESPACE) != Some("RetrieveUserPrivileges") {
        return None;
    }
    Some(write::locate(session, call).and_then(|located| {
        located.existing(session.env)?;
        if located.table != "systemuser" {
            return Err(Refusal::no_segment(name));
        }
        let held = [("RolePrivileges", privileges::held(session.env).to_string())];
        Ok(answer(call, "RetrieveUserPrivilegesResponse", &held))
    }))
}

/// Runs an action that is bound to one row.
pub fn bound(session: &mut Session<'_>, call: &Call, name: &str) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let action = name.strip_prefix(NAMESPACE).unwrap_or(name);
    let joins = match (located.table.as_str(), action) {
        ("team", "AddMembersTeam") => true,
        ("team", "RemoveMembersTeam") => false,
        _ => return Err(Refusal::no_segment(name)),
    };
    let relation = relation::find(session.env, "team", "teammembership_association");
    // Members have messages of their own, so no Associate is raised.
    let Some(Relation::Pairs { place, .. }) = relation else {
        return Err(Refusal::no_segment(name));
    };
    let request: Members = body::read(&call.body, name)?;
    for member in request.members {
        session.row("systemuser", member.id)?;
        if joins {
            session.pair(place, (id, member.id));
        } else {
            session.part(place, (id, member.id));
        }
    }
    Ok(Answer::empty(204))
}

#[derive(Deserialize)]
struct Members {
    #[serde(rename = "Members")]
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(alias = "ownerid", rename = "systemuserid")]
    id: uuid::Uuid,
}

/// The context of a function's or action's answer.
pub fn context(call: &Call, response: &str) -> String {
    format!("{}$metadata#{NAMESPACE}{response}", call.base)
}

fn answer(call: &Call, response: &str, members: &[(&str, String)]) -> Answer {
    let mut body = Object::new();
    body.text("@odata.context", &context(call, response));
    for (name, value) in members {
        body.raw(name, value);
    }
    Answer::json(200, body.finish())
}

fn who_am_i(session: &Session<'_>, call: &Call) -> Answer {
    let first = |table: &str| {
        let row = session.env.tables.get(table).and_then(|table| table.rows.first());
        render::quoted(&row.map_or_else(uuid::Uuid::nil, |(id, _)| *id).to_string())
    };
    let members = [
        ("BusinessUnitId", first("businessunit")),
        ("UserId", render::quoted(&session.caller.user.to_string())),
        ("OrganizationId", first("organization")),
    ];
    answer(call, "WhoAmIResponse", &members)
}

fn version(call: &Call) -> Answer {
    let version = render::quoted("9.2.26114.00150");
    answer(call, "RetrieveVersionResponse", &[("Version", version)])
}

fn organization(session: &Session<'_>, call: &Call) -> Answer {
    let row = session.env.tables.get("organization").and_then(|table| table.rows.first());
    let id = row.map_or_else(uuid::Uuid::nil, |(id, _)| *id).to_string();
    let root = call.base.split("/api/").next().unwrap_or_default();
    let address = |key: &str, value: &str| {
        let mut entry = Object::new();
        entry.text("key", key);
        entry.text("value", value);
        entry.finish()
    };
    let mut endpoints = Object::new();
    let addresses = [address("WebApplication", &format!("{root}/"))];
    endpoints.raw("Count", "1");
    endpoints.raw("IsReadOnly", "false");
    endpoints.raw("Keys", &render::array([render::quoted("WebApplication")]));
    endpoints.raw("Values", &render::array([render::quoted(&format!("{root}/"))]));
    endpoints.raw("Pairs", &render::array(addresses));
    let mut detail = Object::new();
    detail.text("OrganizationId", &id);
    detail.text("FriendlyName", "Acme");
    detail.text("OrganizationVersion", "9.2.26114.00150");
    detail.text("EnvironmentId", &id);
    detail.text("UniqueName", "acme");
    detail.text("UrlName", "acme");
    detail.text("State", "Enabled");
    detail.raw("Endpoints", &endpoints.finish());
    answer(call, "RetrieveCurrentOrganizationResponse", &[("Detail", detail.finish())])
}

fn total_count(session: &Session<'_>, call: &Call, segment: &Segment) -> Result<Answer, Refusal> {
    let Some(Arguments::Named(named)) = &segment.arguments else { return Err(call.unknown()) };
    let value = named.iter().find(|(name, _)| name == "EntityNames").map(|(_, value)| value);
    let text = match value.map(Literal::content) {
        Some(alias) if alias.starts_with('@') => call.option(alias),
        given => given,
    };
    let names: Vec<String> = body::read(
        text.unwrap_or_default().replace('\'', "\"").as_bytes(),
        "RetrieveTotalRecordCount",
    )?;
    let counts: Vec<String> = names
        .iter()
        .map(|name| session.table(name).map(|table| table.rows.len().to_string()))
        .collect::<Result<_, Refusal>>()?;
    let mut collection = Object::new();
    collection.raw("Count", &names.len().to_string());
    collection.raw("IsReadOnly", "false");
    collection.raw("Keys", &render::array(names.iter().map(|name| render::quoted(name))));
    collection.raw("Values", &render::array(counts));
    let members = [("EntityRecordCountCollection", collection.finish())];
    Ok(answer(call, "RetrieveTotalRecordCountResponse", &members))
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "EntityLogicalName")]
    table: String,
    #[serde(rename = "EntityKeyLogicalName")]
    key: String,
}

/// Tries a failed key once more.
fn reactivate_key(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let wanted: Key = body::read(&call.body, "ReactivateEntityKey")?;
    activate(session.env, &wanted)?;
    *session.index = index::Index::rebuild(session.env);
    Ok(Answer::empty(204))
}

fn activate(env: &mut Environment, wanted: &Key) -> Result<(), Refusal> {
    let table = env.tables.get_mut(&wanted.table);
    let keys = table.map(|table| &mut table.definition.keys).into_iter().flatten();
    let mut fitting = keys.filter(|key| key.schema_name.eq_ignore_ascii_case(&wanted.key));
    let key = fitting.next().ok_or_else(|| {
        Refusal::new(404, "0x80040217", format!("There is no key '{}'.", wanted.key))
    })?;
    if key.status != "Failed" {
        let message = "ReactivateEntityKey is only supported for failed jobs.";
        return Err(Refusal::bad("0x80060897", message));
    }
    "Active".clone_into(&mut key.status);
    Ok(())
}
