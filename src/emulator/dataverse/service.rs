//! From a request to whoever answers it. Every write is all or nothing: a refused request leaves no
//! trace.

use axum::http::Method;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::relation::Relation;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{
    batch, counters, files, functions, metadata, multiple, property, read, reference, relation,
    render, write,
};

/// Answers one request; what is refused becomes an error answer.
pub fn answer(session: &mut Session<'_>, call: &Call) -> Answer {
    if let [only] = call.path.as_slice()
        && only.name == "$batch"
    {
        return batch::answer(session, call);
    }
    one(session, call)
}

/// Answers one request that is no batch.
pub fn one(session: &mut Session<'_>, call: &Call) -> Answer {
    session.tag = call.option("tag").map(str::to_owned);
    *session.answered.entry(counters::kind(call)).or_default() += 1;
    session.operation += 1;
    let refused = session.refusals.get(&session.operation).cloned();
    let answer = session.attempt(|session| {
        let answer = route(session, call)?;
        refused.map_or(Ok(answer), Err)
    });
    let answer = answer.unwrap_or_else(|refusal| Answer::refused(&refusal, &call.prefer));
    let wants_row = call.method == Method::DELETE || Condition::of(call) == Condition::Exists;
    session.absent += u64::from(wants_row && answer.status == 404);
    match call.prefer.applied().filter(|_| (200..300).contains(&answer.status)) {
        Some(applied) => answer.with("Preference-Applied", applied),
        None => answer,
    }
}

fn route(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    if let Some(answer) = metadata::answer::answer(session, call) {
        return answer;
    }
    let Some((first, rest)) = call.path.split_first() else {
        return service_document(session, call);
    };
    if session.env.by_set(&first.name).is_none() {
        let answer = functions::unbound(session, call, first);
        return answer.unwrap_or_else(|| Err(Refusal::no_segment(&first.name)));
    }
    match (first.arguments.is_some(), rest) {
        (false, []) => collection(session, call, &first.name),
        (false, [count]) if count.name == "$count" => read::count(session, call, &first.name),
        (false, [message]) => multiple::run(session, call, &first.name, &message.name),
        (true, []) => row(session, call),
        (true, [member]) if member.name == "$ref" => Err(call.unknown()),
        (true, [member]) => self::member(session, call, &member.name),
        (true, [member, last]) if last.name == "$ref" => reference::run(session, call, member),
        (true, [member, last]) if last.name == "$value" => {
            files::value(session, call, &member.name)
        }
        (true, [member, last]) if last.name == "$count" => {
            read::count_related(session, call, &member.name)
        }
        _ => Err(call.unknown()),
    }
}

fn collection(session: &mut Session<'_>, call: &Call, set: &str) -> Result<Answer, Refusal> {
    match call.method {
        Method::GET => read::collection(session, call, set),
        Method::POST => write::create(session, call, set),
        _ => Err(call.unknown()),
    }
}

fn row(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    match call.method {
        Method::GET => read::row(session, call),
        Method::PATCH => write::upsert(session, call),
        Method::DELETE => write::delete(session, call),
        _ => Err(call.unknown()),
    }
}

fn member(session: &mut Session<'_>, call: &Call, member: &str) -> Result<Answer, Refusal> {
    if files::is_upload(session, call, member) {
        return files::upload(session, call, member);
    }
    match call.method {
        Method::GET => functions::asked(session, call, member)
            .unwrap_or_else(|| read::member(session, call, member)),
        Method::PUT => property::put(session, call, member),
        Method::DELETE => property::delete(session, call, member),
        Method::POST => match related(session, call, member) {
            Some(relation) => write::create_related(session, call, &relation),
            None => functions::bound(session, call, member),
        },
        _ => Err(call.unknown()),
    }
}

fn related(session: &Session<'_>, call: &Call, member: &str) -> Option<Relation> {
    let table = session.env.by_set(&call.path.first()?.name)?;
    relation::find(session.env, &table.definition.logical_name, member)
}

fn service_document(session: &Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    if call.method != Method::GET {
        return Err(call.unknown());
    }
    let sets = session.env.tables.values().map(|table| {
        let mut set = render::Object::new();
        set.text("name", &table.definition.entity_set);
        set.text("kind", "EntitySet");
        set.text("url", &table.definition.entity_set);
        set.finish()
    });
    let mut body = render::Object::new();
    body.text("@odata.context", &format!("{}$metadata", call.base));
    body.raw("value", &render::array(sets));
    Ok(Answer::json(200, body.finish()))
}
