//! Steps: what an environment tells others about its changes. Rows of `sdkmessageprocessingstep`, with
//! their endpoints and images, come in with committed changes; jobs go out, which `post` delivers.
//!
//! A synchronous step runs inside the transaction: a request that has one is carried out, taken back,
//! and carried out again once everybody agreed; who refuses makes the operation fail. Asynchronous steps
//! follow after the commit, in any order. Facts: Dataverse Web API, webhooks.

mod bus;
mod check;
mod context;
mod post;
mod registered;
pub mod trouble;

pub use self::bus::{Buses, Message as BusMessage};
pub use self::check::check;
pub use self::post::{ask, run};
pub use self::registered::{Endpoint, Kind, Step, registered};
pub use self::trouble::{Shares, Told, Trouble};

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use self::context::Call;
use crate::chance::Chance;
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::session::{Caller, Change, Message};

/// The steps live in this table.
pub const STEPS: &str = "sdkmessageprocessingstep";
/// The images of steps.
pub const IMAGES: &str = "sdkmessageprocessingstepimage";
/// Where steps post to.
pub const ENDPOINTS: &str = "serviceendpoint";

/// The largest call of a webhook, in bytes.
const LARGEST_CALL: usize = 256 * 1024;
/// The largest message of a bus, in bytes.
const LARGEST_MESSAGE: usize = 192 * 1024;

/// Whether anybody listens.
pub fn is_watched(env: &Environment) -> bool {
    env.tables.get(STEPS).is_some_and(|table| !table.rows.is_empty())
}

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Inside the transaction.
    Synchronous,
    /// After it.
    Asynchronous,
}

/// One call of one step, ready to be sent.
#[derive(Clone, Debug)]
pub struct Job {
    /// The step.
    pub step: Uuid,
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The operation of the request that caused it.
    pub operation: usize,
    /// `Update`
    pub message: &'static str,
    /// The table.
    pub table: String,
    /// Follows the operation.
    pub correlation: Uuid,
    /// The context.
    pub body: Bytes,
    /// Whether it was cut down to its size limit.
    pub cut: bool,
    /// Whether nothing stays of the system job when it went well.
    pub forgotten: bool,
    /// How long it is held back.
    pub delay: Duration,
}

/// What all changes of one request have in common.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// Who.
    pub caller: Caller,
    /// When.
    pub now: Timestamp,
    /// New ids.
    pub chance: &'a Chance,
}

/// The jobs that these changes cause, in the order of stage and rank within each change. After the
/// messages about single rows come those about several: every creation and every update is one of
/// CreateMultiple or UpdateMultiple too, whichever way it was asked for.
pub fn jobs(env: &Environment, changes: &[Change], mode: Mode, on: Occasion<'_>) -> Vec<Job> {
    if changes.is_empty() || !is_watched(env) {
        return Vec::new();
    }
    let steps: Vec<Step> = registered(env).into_iter().filter(|step| step.mode == mode).collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let mut jobs = Vec::new();
    let mut times = BTreeMap::<Uuid, i64>::new();
    for change in changes.iter().filter(|change| !is_own(&change.table)) {
        // What happened twice to one row in one request is told apart: which was first.
        let time = times.entry(change.id).or_default();
        let later = SignedDuration::from_millis(*time);
        let on = Occasion { now: on.now.checked_add(later).unwrap_or(on.now), ..on };
        *time += 1;
        let correlation = on.chance.uuid();
        for step in steps.iter().filter(|step| step.fits(change)) {
            let message = name(change.message);
            jobs.push(job((env, step, on), (message, change, None), correlation));
        }
    }
    for group in groups(changes) {
        let Some(first) = group.first() else { continue };
        let correlation = on.chance.uuid();
        for step in steps.iter().filter(|step| step.fits_several(first)) {
            let message = several(first.message).unwrap_or_default();
            jobs.push(job((env, step, on), (message, first, Some(&group)), correlation));
        }
    }
    jobs
}

/// The changes of one operation, table and message together, in their order.
fn groups(changes: &[Change]) -> Vec<Vec<&Change>> {
    let mut groups: Vec<Vec<&Change>> = Vec::new();
    let fitting = changes.iter().filter(|change| several(change.message).is_some());
    for change in fitting.filter(|change| !is_own(&change.table)) {
        let about =
            |change: &Change| (change.operation, change.table.clone(), several(change.message));
        let same = |group: &&mut Vec<&Change>| {
            group.first().is_some_and(|first| about(first) == about(change))
        };
        match groups.iter_mut().find(same) {
            // A row that was updated twice, with its state for one, is told once.
            Some(group) if group.iter().any(|known| known.id == change.id) => {}
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    groups
}

/// The tables of steps raise no steps of their own here.
fn is_own(table: &str) -> bool {
    [STEPS, IMAGES, ENDPOINTS, "asyncoperation"].contains(&table)
}

fn job(
    (env, step, on): (&Environment, &Step, Occasion<'_>),
    (message, change, all): (&'static str, &Change, Option<&[&Change]>),
    correlation: Uuid,
) -> Job {
    let operation = on.chance.uuid();
    let call = Call { env, message, change, all, step, on, correlation, operation };
    let limit = if step.endpoint.kind.is_bus() { LARGEST_MESSAGE } else { LARGEST_CALL };
    let whole = context::render(&call, false);
    let cut = whole.len() > limit;
    let body = if cut { context::render(&call, true) } else { whole };
    Job {
        step: step.id,
        name: step.name.clone(),
        endpoint: step.endpoint.clone(),
        operation: change.operation,
        message,
        table: change.table.clone(),
        correlation,
        body: body.into(),
        cut,
        forgotten: step.forgotten,
        delay: Duration::ZERO,
    }
}

/// The jobs of a request after its commit, with what goes wrong on the way to them: drawn here, in the
/// order of the changes, so that a seed gives the same troubles again.
pub fn queued(
    env: &Environment,
    changes: &[Change],
    on: Occasion<'_>,
    trouble: &mut Trouble,
) -> Vec<Job> {
    let jobs = jobs(env, changes, Mode::Asynchronous, on);
    jobs.into_iter().flat_map(|job| trouble.spoil(job)).collect()
}

/// The service's name of a message.
pub fn name(message: Message) -> &'static str {
    match message {
        Message::Create => "Create",
        Message::Update => "Update",
        Message::Delete => "Delete",
        Message::Associate => "Associate",
        Message::Disassociate => "Disassociate",
        Message::Merge => "Merge",
    }
}

/// The message about several rows that a message about one is merged with (Dataverse, bulk: an upsert
/// is either of the two, and tables of this kind have no DeleteMultiple).
pub fn several(message: Message) -> Option<&'static str> {
    match message {
        Message::Create => Some("CreateMultiple"),
        Message::Update => Some("UpdateMultiple"),
        Message::Delete | Message::Associate | Message::Disassociate | Message::Merge => None,
    }
}
