//! Requests for metadata: `EntityDefinitions`, `RelationshipDefinitions`, `GlobalOptionSetDefinitions` and
//! what lies below them, `$metadata`, `CreateEntities` and `RetrieveMetadataChanges`. There is no cache, so
//! every answer is as fresh as `Consistency: Strong` asks. Definitions are changed by PUT, never by PATCH.

use axum::http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::define;
use super::element::{Element, Members};
use super::list::{List, one};
use super::place::{Found, Place, is_metadata};
use super::{changes, csdl};
use crate::emulator::dataverse::address::{Arguments, Segment};
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::query::options::Options;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;

/// The largest body of a definition, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// Answers a request for metadata; nothing when it is for something else.
pub fn answer(session: &mut Session<'_>, call: &Call) -> Option<Result<Answer, Refusal>> {
    let first = call.path.first()?;
    let alone = call.path.len() == 1;
    match (first.name.as_str(), &call.method) {
        ("$metadata", &Method::GET) if alone => {
            let annotations = call.option("annotations") == Some("true")
                || call.prefer.wants("Org.OData.Core.V1.Computed");
            let document = csdl::document(session.env, annotations);
            Some(Ok(Answer { body: document.into(), ..Answer::empty(200) }
                .with("Content-Type", "application/xml")))
        }
        ("CreateEntities", &Method::POST) if alone => Some(create_tables(session, call)),
        ("RetrieveMetadataChanges", &Method::GET) if alone => Some(changed(session, call, first)),
        _ if is_metadata(first) => Some(definition(session, call)),
        _ => None,
    }
}

fn definition(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    if call.method == Method::GET {
        return read(session.env, call);
    }
    let place = Target::of(&Place::at(session.env, &call.path)?);
    let answer = match (&call.method, place.one) {
        (&Method::POST, None) => create(session.env, call, &place),
        (&Method::PUT, Some(id)) => {
            update(session.env, &body(call)?, &place, id).map(|()| Answer::empty(204))
        }
        (&Method::DELETE, Some(id)) => delete(session.env, &place, id).map(|()| Answer::empty(204)),
        _ => Err(call.unknown()),
    }?;
    session.defines = true;
    Ok(answer)
}

/// What a change is aimed at, free of what it will change.
struct Target {
    list: String,
    /// The table that the list hangs on.
    table: Option<String>,
    /// The definition addressed, and its name.
    one: Option<Uuid>,
    name: String,
}

impl Target {
    fn of(place: &Place<'_>) -> Self {
        let table = match place.owner {
            Some(Element::Table(table)) => Some(table.definition.logical_name.clone()),
            _ => None,
        };
        let one = match &place.found {
            Found::One(element) => Some(*element),
            Found::Many(_) | Found::Nothing | Found::Property(_) => None,
        };
        let name = one.map(|element| element.name().1).unwrap_or_default();
        Self { list: place.list.clone(), table, one: one.map(|element| element.id()), name }
    }

    fn table(&self) -> Result<&str, Refusal> {
        self.table.as_deref().ok_or_else(|| Refusal::no_segment(&self.list))
    }
}

fn create(env: &mut Environment, call: &Call, place: &Target) -> Result<Answer, Refusal> {
    let body = body(call)?;
    let id = match place.list.as_str() {
        "EntityDefinitions" => {
            let definition = define::table::read(env, &body)?;
            define::table::create(env, definition)
        }
        "Attributes" => define::column::create(env, place.table()?, &body)?,
        "Keys" => define::key::create(env, place.table()?, &body)?,
        "RelationshipDefinitions" => define::relationship::create(env, &body)?,
        "GlobalOptionSetDefinitions" => define::choice::create(env, &body)?,
        _ => return Err(call.unknown()),
    };
    let path = call.url.split('?').next().unwrap_or_default();
    let path = path.rsplit_once("/api/data/").map_or(path, |(_, rest)| rest);
    let path = path.trim_start_matches('/');
    let path =
        path.strip_prefix('v').and_then(|rest| rest.split_once('/')).map_or(path, |(_, rest)| rest);
    Ok(Answer::written(&format!("{}{path}({id})", call.base)))
}

fn update(env: &mut Environment, body: &Value, place: &Target, id: Uuid) -> Result<(), Refusal> {
    match place.list.as_str() {
        "EntityDefinitions" => define::table::update(env, &place.name, body),
        "Attributes" => define::column::update(env, place.table()?, id, body),
        "RelationshipDefinitions" => define::relationship::update(env, id, body),
        "GlobalOptionSetDefinitions" => define::choice::update(env, &place.name, body),
        other => Err(Refusal::no_segment(other)),
    }
}

fn delete(env: &mut Environment, place: &Target, id: Uuid) -> Result<(), Refusal> {
    match place.list.as_str() {
        "EntityDefinitions" => define::table::delete(env, &place.name),
        "Attributes" => define::column::delete(env, place.table()?, id)?,
        "Keys" => define::key::delete(env, place.table()?, id),
        "RelationshipDefinitions" => define::relationship::delete(env, id),
        "GlobalOptionSetDefinitions" => define::choice::delete(env, &place.name)?,
        other => return Err(Refusal::no_segment(other)),
    }
    Ok(())
}

fn read(env: &Environment, call: &Call) -> Result<Answer, Refusal> {
    let options = Options::read(&call.options)?;
    let place = Place::at(env, &call.path)?;
    let names: Vec<&str> = call.path.iter().map(|segment| segment.name.as_str()).collect();
    let selected = if options.select.is_empty() {
        String::new()
    } else {
        format!("({})", options.select.join(","))
    };
    let context = format!("{}$metadata#{}{selected}", call.base, names.join("/"));
    let type_name = &place.type_name;
    let body = match place.found {
        Found::Nothing => return Ok(Answer::empty(204)),
        Found::Property(value) => json!({ "@odata.context": context, "value": value }),
        Found::One(element) => {
            let mut body = json!({ "@odata.context": format!("{context}/$entity") });
            let found = one(env, element, type_name, &options)?;
            if let (Value::Object(body), Value::Object(found)) = (&mut body, found) {
                body.extend(found);
            }
            body
        }
        Found::Many(elements) => {
            let rows = List { env, elements, type_name }.rows(&options)?;
            let mut body = Members::new();
            body.insert("@odata.context".to_owned(), json!(context));
            if options.count {
                body.insert("@odata.count".to_owned(), json!(rows.len()));
            }
            body.insert("value".to_owned(), Value::Array(rows));
            Value::Object(body)
        }
    };
    Ok(Answer::json(200, body.to_string()))
}

/// `CreateEntities`: all tables of the body, or none.
fn create_tables(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let body = body(call)?;
    let entities = body.get("Entities").and_then(Value::as_array);
    let entities =
        entities.ok_or_else(|| Refusal::payload("Required member 'Entities' is missing."))?;
    let mut changed = session.env.clone();
    let mut ids = Vec::new();
    for entity in entities {
        let definition = define::table::read(&changed, entity)?;
        ids.push(define::table::create(&mut changed, definition));
    }
    *session.env = changed;
    session.defines = true;
    let context = format!("{}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse", call.base);
    let answer = json!({ "@odata.context": context, "EntityIds": ids });
    Ok(Answer::json(200, answer.to_string()))
}

/// `RetrieveMetadataChanges(Query=@p1)`
fn changed(session: &Session<'_>, call: &Call, first: &Segment) -> Result<Answer, Refusal> {
    let named = match &first.arguments {
        Some(Arguments::Named(named)) => named.iter().find(|(name, _)| name == "Query"),
        Some(Arguments::Id(_)) | None => None,
    };
    let text = named.map_or("{}", |(_, value)| value.content());
    let text = if text.starts_with('@') { call.option(text).unwrap_or("{}") } else { text };
    let query: Value = serde_json::from_str(text)
        .map_err(|_| Refusal::payload("The parameter Query is no JSON object."))?;
    let mut found = changes::retrieve(session.env, &query)?;
    if let Value::Object(members) = &mut found {
        let name = "Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse";
        members.insert("@odata.context".into(), json!(format!("{}$metadata#{name}", call.base)));
    }
    Ok(Answer::json(200, found.to_string()))
}

fn body(call: &Call) -> Result<Value, Refusal> {
    if call.body.len() > LARGEST {
        return Err(Refusal::new(413, "0x80040203", "The definition is too large."));
    }
    serde_json::from_slice(&call.body).map_err(|_| {
        Refusal::payload("Error identified in Payload provided by the user: no JSON object.")
    })
}
