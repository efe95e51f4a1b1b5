//! Delivers jobs: a webhook by POST, with headers and secret as registered; a message to a bus. 2xx
//! within a minute is success. 502, 503 and 504 are tried once more and nothing else is; what was given
//! up stays as a failed system job (Dataverse Web API, webhooks, the call).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use reqwest::{Client, Url};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Job, context};
use crate::emulator::dataverse::model::Cell;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::seed;
use crate::emulator::dataverse::session::{Caller, Session};
use crate::emulator::dataverse::state::State;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_mins(1);
/// System jobs at work at once.
const PARALLEL: usize = 16;

/// What a call came to.
enum Answered {
    Taken,
    /// Status, and what the body says.
    Refused(Option<u16>, String),
}

/// Delivers jobs as they come, several at once, until the sender is gone.
pub async fn run(state: Arc<State>, jobs: UnboundedReceiver<Job>) {
    let client = client();
    let stream = stream::unfold(jobs, async |mut jobs| Some((jobs.recv().await?, jobs)));
    stream.for_each_concurrent(PARALLEL, |job| deliver(&state, &client, job)).await;
}

fn client() -> Client {
    let builder = Client::builder().no_proxy().timeout(WITHIN);
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap_or_default()
}

async fn deliver(state: &State, client: &Client, job: Job) {
    if !job.delay.is_zero() {
        tokio::time::sleep(job.delay).await;
    }
    if job.endpoint.kind.is_bus() {
        state.buses().put(&job);
        let mut trouble = state.trouble();
        trouble.told.posted += 1;
        trouble.told.taken += 1;
        trouble.told.waiting = trouble.told.waiting.saturating_sub(1);
        return;
    }
    state.trouble().told.posted += 1;
    let mut answered = post(state, client, &job).await;
    if matches!(answered, Answered::Refused(Some(502..=504), _)) {
        state.trouble().told.posted += 1;
        answered = post(state, client, &job).await;
    }
    let failed = match &answered {
        Answered::Taken => None,
        Answered::Refused(status, said) => Some(reason(*status, said)),
    };
    if failed.is_some() || !job.forgotten {
        note(state, &job, failed.as_deref());
    }
    let mut trouble = state.trouble();
    trouble.told.waiting = trouble.told.waiting.saturating_sub(1);
    match failed {
        None => trouble.told.taken += 1,
        Some(_) => trouble.told.failed += 1,
    }
}

/// Calls the synchronous steps of a request, one after the other, and gives the refusal of each
/// operation that one of them refuses.
pub async fn ask(state: &State, jobs: Vec<Job>) -> BTreeMap<usize, Refusal> {
    let (client, mut refusals) = (client(), BTreeMap::new());
    for job in jobs {
        if refusals.contains_key(&job.operation) {
            continue;
        }
        state.trouble().told.posted += 1;
        if let Answered::Refused(status, said) = post(state, &client, &job).await {
            state.trouble().told.refused += 1;
            let refusal = Refusal::new(400, "0x80040265", reason(status, &said));
            refusals.insert(job.operation, refusal);
        }
    }
    refusals
}

fn reason(status: Option<u16>, said: &str) -> String {
    let head = "The webhook call failed because";
    match status {
        None => format!("{head} no answer came: {said}"),
        Some(status) => format!("{head} the endpoint answered with HTTP status {status}. {said}"),
    }
}

async fn post(state: &State, client: &Client, job: &Job) -> Answered {
    let Ok(url) = address(job) else {
        return Answered::Refused(None, "the address of the endpoint is none".to_owned());
    };
    let mut request = client
        .post(url)
        .header("Content-Type", "application/json")
        .header("x-ms-dynamics-organization", state.host())
        .header("x-ms-dynamics-entity-name", &job.table)
        .header("x-ms-dynamics-request-name", job.message)
        .header("x-ms-correlation-request-id", job.correlation.to_string())
        .body(job.body.clone());
    if job.cut {
        request = request.header("x-ms-dynamics-msg-size-exceeded", "true");
    }
    if job.endpoint.auth == 5 {
        for (name, value) in context::settings(&job.endpoint.secret) {
            request = request.header(name, value);
        }
    }
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Answered::Taken,
        Ok(answer) => {
            let status = answer.status().as_u16();
            let said = answer.text().await.unwrap_or_default();
            Answered::Refused(Some(status), said.chars().take(2_000).collect())
        }
        Err(error) => Answered::Refused(None, error.without_url().to_string()),
    }
}

/// The address with what shows who calls, where that stands in the query.
fn address(job: &Job) -> Result<Url, ()> {
    let mut url = Url::parse(&job.endpoint.url).map_err(drop)?;
    match job.endpoint.auth {
        4 => {
            url.query_pairs_mut().append_pair("code", &job.endpoint.secret);
        }
        6 => {
            for (name, value) in context::settings(&job.endpoint.secret) {
                url.query_pairs_mut().append_pair(&name, &value);
            }
        }
        _ => {}
    }
    Ok(url)
}

/// Leaves a system job: succeeded, or failed with why.
fn note(state: &State, job: &Job, failed: Option<&str>) {
    let now = state.options.clock.now();
    let mut world = state.world();
    let caller = Caller { user: seed::user(), on_behalf: None };
    let mut session = Session::new(&mut world, &state.options.chance, caller, now);
    let step = Cell::Lookup { table: super::STEPS.to_owned(), id: job.step };
    let mut cells = BTreeMap::from([
        ("name".to_owned(), Cell::Text(job.name.clone())),
        ("messagename".to_owned(), Cell::Text(job.message.to_owned())),
        ("operationtype".to_owned(), Cell::Integer(1)),
        ("owningextensionid".to_owned(), step),
        ("statecode".to_owned(), Cell::Integer(3)),
        ("statuscode".to_owned(), Cell::Integer(if failed.is_some() { 31 } else { 30 })),
        ("completedon".to_owned(), Cell::Time(session.now)),
        ("createdon".to_owned(), Cell::Time(session.now)),
    ]);
    if let Some(reason) = failed {
        cells.insert("message".to_owned(), Cell::Text(reason.to_owned()));
        cells.insert("friendlymessage".to_owned(), Cell::Text(reason.to_owned()));
    }
    let id = state.new_id();
    // Nobody depends on this row: a table that a schema file left out is no reason to stop.
    session.insert("asyncoperation", id, cells, Vec::new()).ok();
}
